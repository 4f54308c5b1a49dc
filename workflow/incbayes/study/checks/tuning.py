"""What a schema cannot say of a search for settings, and of the outcome of one.

It takes studies as `study_checks` does, and reads no data.
"""

import math
from typing import Any

from msgspec.structs import replace

from incbayes.core.fractions import images_in, some_images_in
from incbayes.core.registry import nearest
from incbayes.study.datasets import data_constraints
from incbayes.study.merging import Plain, nested, value_at
from incbayes.study.messages import check_known
from incbayes.study.model import KindSpec, MethodSettings, Outcome, Search, Study, to_plain
from incbayes.study.schema import kind_constraints
from incbayes.study.settings import (
    SECTIONS,
    check_runs,
    checked_changes,
    method_settings,
    penalty_of,
)
from incbayes.study.tables import is_number
from incbayes.study.tuning import best, candidates, tuned_experiments, with_candidates
from incbayes.study.yaml import KeyPath, StudyError, shown

MOST_CANDIDATES = 1000
"""Of a method in an experiment; each is fitted."""

OF_A_SCALE = ("training.log_sigma_rate", "objective.complexity")
"""Keys that change nothing where a family has no scale."""

OF_A_PENALTY = (
    "objective.kl_scale",
    "objective.beta",
    "objective.warmup_epochs",
    "objective.batches",
)
"""Keys that change nothing where the objective has neither a KL nor a penalty."""


def complete_search(study: Plain) -> None:
    """Bring the values of the study's search into normal form, in place.

    Args:
        study: expanded and checked against the schema.

    Raises:
        StudyError: an unknown experiment, method or key, or a value that the key cannot have.
    """
    search = (study.get("tune") or {}).get("search", {})
    for experiment, methods in search.items():
        path = ("tune", "search", experiment)
        check_known(path, experiment, study["experiments"], "unknown experiment")
        for method, tried in methods.items():
            check_known((*path, method), method, study["methods"], "unknown method")
            for key, values in tried.items():
                here = (*path, method, key)
                _check_section(here, key)
                tried[key] = [
                    _checked_value((*here, place), study["methods"][method], key, value)
                    for place, value in enumerate(values)
                ]


def _check_section(path: KeyPath, key: str) -> None:
    section, _, rest = key.partition(".")
    if section not in SECTIONS or not all(rest.split(".")):
        allowed = ", ".join(f"{name}.…" for name in SECTIONS)
        raise StudyError(path, f"not a setting{nearest(section, SECTIONS)}; allowed: {allowed}")


def _checked_value(path: KeyPath, method: Plain, key: str, value: Any) -> Any:
    try:
        completed = checked_changes(method, nested({key: value}))
    except StudyError as error:
        # Where the key itself is wrong, its values are beside the point.
        whole = ".".join(map(str, error.path)) == key and error.detail.startswith("found ")
        raise StudyError(path if whole else path[:-1], error.detail) from None
    return value_at(completed, key.split("."))


def check_tuning(study: Study) -> None:
    """Check the search of a study in normal form, and the outcome of the one that it uses.

    Raises:
        StudyError: the first contradiction.
    """
    study = replace(study, only=None)  # whichever are run: the whole search must hold
    if study.tune is not None:
        _check_methods(study, study.tune)
        _check_numbers(study)
        for name in tuned_experiments(study):
            _check_images(study, study.tune, name)
        _check_effects(study)
    if study.tuned is not None:
        _check_outcome(study, study.tuned)


def _check_methods(study: Study, tune: Search) -> None:
    for name, methods in tune.search.items():
        if is_number(study.experiments[name].dataset):
            raise StudyError(
                ("tune", "search", name),
                "its target is a number, and a search decides by accuracy or NLL of classes: leave "
                "it out",
            )
        for method, tried in methods.items():
            path = ("tune", "search", name, method)
            check_runs(path, name, method, study.experiments[name].methods)
            number = math.prod(map(len, tried.values()))
            if number > MOST_CANDIDATES:
                detail = f"{number} candidates, as every combination is one; allowed: at most "
                raise StudyError(path, f"{detail}{MOST_CANDIDATES}")


def _check_numbers(study: Study) -> None:
    """Check that the methods of an experiment are searched equally hard."""
    counts: dict[str, dict[str, int]] = {}
    for candidate in candidates(study):
        counts.setdefault(candidate.experiment, {})[candidate.method] = candidate.number
    for name, of_method in counts.items():
        if len(set(of_method.values())) > 1:
            found = ", ".join(f"{method} {count}" for method, count in of_method.items())
            raise StudyError(
                ("tune", "search", name),
                f"the numbers of candidates differ: {found}; allowed: the same number for each "
                "method",
            )


def _check_images(study: Study, tune: Search, name: str) -> None:
    """Check that the parts get at least an image each from what is not held out."""
    experiment = study.experiments[name]
    data = data_constraints(experiment.dataset, study.data_root)
    if data["train"] is None:  # not known yet: the partition finds out
        return
    # At most so many: with a source task there are fewer, which the partition finds out.
    kept = images_in(experiment.partition.fraction, data["train"])
    left = kept - some_images_in(tune.validation, kept)
    if max(experiment.parts) > left:
        raise StudyError(
            ("tune", "validation"),
            f"found {shown(tune.validation)}; it leaves {left} of {kept} training "
            f"images, and {name} cuts them into {max(experiment.parts)} parts",
        )


def _check_effects(study: Study) -> None:
    """Check that no key is without effect and that no two candidates are the same."""
    derived = with_candidates(study)
    seen: dict[tuple[str, str], list[tuple[int, MethodSettings]]] = {}
    for candidate in candidates(study):
        path = ("tune", "search", candidate.experiment, candidate.method)
        names = candidate.derived_experiment, candidate.derived_method
        settings = method_settings(derived, *names)
        idle = [key for key in candidate.settings if key in _idle_keys(settings.family)]
        if idle:
            family = settings.family.kind
            raise StudyError((*path, idle[0]), f"has no effect on the family {family} as it is set")
        before = seen.setdefault((candidate.experiment, candidate.method), [])
        for number, other in before:
            if other == settings:
                detail = f"candidates {number} and {candidate.number} are the same"
                raise StudyError(path, detail)
        before.append((candidate.number, settings))


def _idle_keys(family: KindSpec) -> tuple[str, ...]:
    if kind_constraints("family", family.kind)["bayesian"]:
        return ()
    return OF_A_SCALE if penalty_of(family) else OF_A_SCALE + OF_A_PENALTY


def _check_outcome(study: Study, tuned: Outcome) -> None:
    """Check that the choices are those of the scores, and the settings those of the choices."""
    groups: dict[tuple[str, str], list[int]] = {}
    parts: dict[str, list[int]] = {}
    for place, candidate in enumerate(tuned.candidates):
        found = [score.T for score in candidate.scores]
        first = parts.setdefault(candidate.experiment, found)
        if found != first:
            raise StudyError(
                ("tuned", "candidates", place, "scores"),
                f"scored in {found} parts, others of {candidate.experiment} in {first}",
            )
        groups.setdefault((candidate.experiment, candidate.method), []).append(place)
    for (name, method), places in groups.items():
        of_method = [tuned.candidates[place] for place in places]
        winner = places[best([candidate.scores for candidate in of_method], tuned.metric)]
        for place in places:
            if tuned.candidates[place].chosen != (place == winner):
                raise StudyError(
                    ("tuned", "candidates", place, "chosen"),
                    f"the best {tuned.metric} of {method} in {name} is that of "
                    f"candidates[{winner}]; run `snakemake tune` again",
                )
        described = study.experiments.get(name)
        used = to_plain(described.settings.get(method)) if described else None
        for key, value in tuned.candidates[winner].settings.items():
            stated = value_at(used, key.split("."))
            if stated != value:
                raise StudyError(
                    ("experiments", name, "settings", method, *key.split(".")),
                    f"found {shown(stated)}; the search in `tuned` chose {shown(value)}: use that, "
                    "or leave `tuned` out",
                )
