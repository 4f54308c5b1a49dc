"""What the rules ask of corrupted copies of test images that lie in files."""

from incbayes.kinds import SHIFTS
from incbayes.study.corrupted import check_corrupted, corruption_roots
from incbayes.study.datasets import data_name

CORRUPTED = DATA.replace("{dataset}", "{corrupted}")


def of_corrupted(name):
    """Return an input function of a file of the data set that corrupted copies are of."""

    def path(wildcards):
        copied = PLAN.corrupted[wildcards.corrupted].dataset
        return f"{DATA}/{name}".format(dataset=data_name(copied))

    return path


def corrupted_sources(wildcards):
    """Return the files that corrupted copies of test images are prepared from."""
    shift, prepared = PLAN.corrupted[wildcards.corrupted].shift, Path(placed("results/data"))
    in_one_line(check_corrupted, PLAN.chosen, wildcards.corrupted, DATA_ROOT, prepared)
    place = Path.absolute if IN_MODULE else Path
    return [str(place(path)) for path in corruption_roots(shift, DATA_ROOT)]


def state_of_corrupted(wildcards):
    """Return the state of these files."""
    shift = PLAN.corrupted[wildcards.corrupted].shift
    roots = corruption_roots(shift, DATA_ROOT)
    return {"source": source_state(roots, DATA.format(dataset=wildcards.corrupted))}


def corrupted_images(name):
    """Return an input function of a file of the experiment's shifts whose images lie in files."""
    return lambda wildcards: PLAN.corrupted_files(wildcards.experiment, name)
