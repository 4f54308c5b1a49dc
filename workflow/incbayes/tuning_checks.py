"""What a schema cannot say of a search for settings, and of the outcome of one.

It takes studies as `study_checks` does, and reads no data.
"""

import math
from collections.abc import Mapping
from typing import Any

from incbayes.registry import nearest
from incbayes.study_data import data_constraints
from incbayes.study_file import KeyPath, StudyError, shown
from incbayes.study_schema import kind_constraints
from incbayes.study_settings import (
    SECTIONS,
    check_runs,
    checked_changes,
    method_settings,
    nested,
    value_at,
)
from incbayes.tuning import best, candidates, tuned_experiments, with_candidates

Study = dict[str, Any]

OF_A_WIDTH = ("training.log_sigma_rate", "objective.complexity")
"""Keys that change nothing where a family has no width."""

OF_A_PULL = ("objective.kl_scale", "objective.beta", "objective.warmup_epochs", "objective.batches")
"""Keys that change nothing where the objective has neither a KL nor the pull of `l2`."""


def complete_search(study: Study) -> None:
    """Bring the values of the study's search into normal form, in place.

    Args:
        study: expanded and checked against the schema.

    Raises:
        StudyError: an unknown experiment, method or key, or a value that the key cannot have.
    """
    search = (study.get("tune") or {}).get("search", {})
    for experiment, methods in search.items():
        path = ("tune", "search", experiment)
        _check_known(path, "experiment", experiment, study["experiments"])
        for method, tried in methods.items():
            _check_known((*path, method), "method", method, study["methods"])
            for key, values in tried.items():
                here = (*path, method, key)
                _check_section(here, key)
                tried[key] = [
                    _checked_value((*here, place), study["methods"][method], key, value)
                    for place, value in enumerate(values)
                ]


def _check_known(path: KeyPath, noun: str, name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        detail = f"unknown {noun}{nearest(name, known)}; known: {', '.join(known)}"
        raise StudyError(path, detail)


def _check_section(path: KeyPath, key: str) -> None:
    section, _, rest = key.partition(".")
    if section not in SECTIONS or not all(rest.split(".")):
        allowed = ", ".join(f"{name}.…" for name in SECTIONS)
        raise StudyError(path, f"not a setting{nearest(section, SECTIONS)}; allowed: {allowed}")


def _checked_value(path: KeyPath, method: dict[str, Any], key: str, value: Any) -> Any:
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
    study = study | {"only": None}  # whichever experiments are run: the whole search must hold
    if study["tune"] is not None:
        _check_methods(study)
        _check_numbers(study)
        for name in tuned_experiments(study):
            _check_images(study, name)
        _check_effects(study)
    if study["tuned"] is not None:
        _check_outcome(study)


def _check_methods(study: Study) -> None:
    for name, methods in study["tune"]["search"].items():
        for method in methods:
            path = ("tune", "search", name, method)
            check_runs(path, name, method, study["experiments"][name]["methods"])


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


def _check_images(study: Study, name: str) -> None:
    """Check that the parts get at least an image each from what is not held out."""
    experiment = study["experiments"][name]
    data = data_constraints(experiment["dataset"])
    # At most so many: with a source task there are fewer, which the partition finds out.
    kept = math.floor(experiment["partition"]["fraction"] * data["train"] + 0.5)
    left = kept - max(1, math.floor(study["tune"]["validation"] * kept + 0.5))
    if max(experiment["parts"]) > left:
        raise StudyError(
            ("tune", "validation"),
            f"found {shown(study['tune']['validation'])}; it leaves {left} of {kept} training "
            f"images, and {name} cuts them into {max(experiment['parts'])} parts",
        )


def _check_effects(study: Study) -> None:
    """Check that no key is without effect and that no two candidates are the same."""
    derived = with_candidates(study)
    seen: dict[tuple[str, str], list[tuple[int, Any]]] = {}
    for candidate in candidates(study):
        path = ("tune", "search", candidate.experiment, candidate.method)
        names = candidate.derived_experiment, candidate.derived_method
        settings = method_settings(derived, *names)
        idle = [key for key in candidate.settings if key in _idle_keys(settings["family"])]
        if idle:
            family = settings["family"]["kind"]
            raise StudyError((*path, idle[0]), f"has no effect on the family {family} as it is set")
        before = seen.setdefault((candidate.experiment, candidate.method), [])
        for number, other in before:
            if other == settings:
                detail = f"candidates {number} and {candidate.number} are the same"
                raise StudyError(path, detail)
        before.append((candidate.number, settings))


def _idle_keys(family: Mapping[str, Any]) -> tuple[str, ...]:
    if kind_constraints("family", family["kind"])["bayesian"]:
        return ()
    return OF_A_WIDTH if family.get("l2") else OF_A_WIDTH + OF_A_PULL


def _check_outcome(study: Study) -> None:
    """Check that the choices are those of the scores, and the settings those of the choices."""
    tuned = study["tuned"]
    groups: dict[tuple[str, str], list[int]] = {}
    parts: dict[str, list[int]] = {}
    for place, candidate in enumerate(tuned["candidates"]):
        found = [score["T"] for score in candidate["scores"]]
        first = parts.setdefault(candidate["experiment"], found)
        if found != first:
            raise StudyError(
                ("tuned", "candidates", place, "scores"),
                f"scored in {found} parts, others of {candidate['experiment']} in {first}",
            )
        groups.setdefault((candidate["experiment"], candidate["method"]), []).append(place)
    for (name, method), places in groups.items():
        of_method = [tuned["candidates"][place] for place in places]
        winner = places[best([candidate["scores"] for candidate in of_method], tuned["metric"])]
        for place in places:
            if tuned["candidates"][place]["chosen"] != (place == winner):
                raise StudyError(
                    ("tuned", "candidates", place, "chosen"),
                    f"the best {tuned['metric']} of {method} in {name} is that of "
                    f"candidates[{winner}]; run `snakemake tune` again",
                )
        used = value_at(study, ("experiments", name, "settings", method))
        for key, value in tuned["candidates"][winner]["settings"].items():
            found = value_at(used, key.split(".")) if used else None
            if found != value:
                raise StudyError(
                    ("experiments", name, "settings", method, *key.split(".")),
                    f"found {shown(found)}; the search in `tuned` chose {shown(value)}: use that, "
                    "or leave `tuned` out",
                )
