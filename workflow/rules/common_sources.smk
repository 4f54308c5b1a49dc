"""What the rules ask of a user's own files: where they lie, and in which state they are."""

from incbayes.study.datasets import check_sources, data_constraints, source_files
from incbayes.study.source_state import current_state

SOURCE_STATES = {}


def sources(wildcards):
    """Return the user's own files that a data set is prepared from; nothing for other sets."""
    users = PLAN.users_of(wildcards.dataset)
    in_one_line(check_sources, users, DATA_ROOT, Path(placed("results/data")))
    # A module's prefix is not theirs, and is not set before what is absolute.
    place = Path.absolute if IN_MODULE else Path
    found = source_files(PLAN.data_sets[wildcards.dataset], DATA_ROOT)
    return [str(place(path)) for path in found]


def source_state(roots, folder):
    """Return the state of a user's own files, which are looked at once a run."""
    place = Path(placed(folder))
    if place not in SOURCE_STATES:
        SOURCE_STATES[place] = in_one_line(current_state, roots, place)
    return SOURCE_STATES[place]


def state_of_data(wildcards):
    """Return the same of a data set, and what was counted in them; None of one that is no user's."""
    dataset = PLAN.data_sets[wildcards.dataset]
    roots = in_one_line(source_files, dataset, DATA_ROOT)
    if not roots:
        return None
    found = data_constraints(dataset, STUDY.data_root)
    counted = {split: found[split] for split in ("train", "test")}
    return {"source": source_state(roots, DATA.format(dataset=wildcards.dataset)), **counted}
