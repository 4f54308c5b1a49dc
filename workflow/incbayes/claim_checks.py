"""What a schema cannot say of claims: that they name results which the study makes.

It takes a study in normal form, as `study_checks` does, and reads no results.
"""

import math
import re
from collections.abc import Iterable
from typing import Any

from incbayes.figures import FIGURES
from incbayes.metrics import BOUNDS, METRICS
from incbayes.registry import nearest
from incbayes.study_file import KeyPath, StudyError, shown
from incbayes.study_schema import kind_constraints

Study = dict[str, Any]
Claim = dict[str, Any]
Group = dict[str, Any]

PART = re.compile(r"part_(\d\d+)", re.ASCII)


def check_claims(study: Study) -> None:
    """Check the claims of a study in normal form.

    Raises:
        StudyError: the first claim that names what the study does not have.
    """
    for name, claim in study["claims"].items():
        path = ("claims", name)
        _check_name((*path, "metric"), "metric", claim["metric"], METRICS)
        if claim["figure"] is not None:
            _check_name((*path, "figure"), "figure", claim["figure"], FIGURES)
        _check_groups((*path, "groups"), claim, study)


def _check_groups(path: KeyPath, claim: Claim, study: Study) -> None:
    constants = [place for place, group in enumerate(claim["groups"]) if isinstance(group, float)]
    if constants[:1] == [0] or len(constants) > 1:
        raise StudyError(
            (*path, constants[-1]),
            f"found {shown(claim['groups'][constants[-1]])}; one group may be a constant, and not "
            "the first",
        )
    for place, group in enumerate(claim["groups"]):
        here = (*path, place)
        if isinstance(group, float):
            _check_value(here, claim["metric"], group)
            continue
        _check_chain(here, group, study)
        _check_split(here, group)
        _check_predictor(here, group, study)
        if group["reported"] is not None:
            _check_value((*here, "reported"), claim["metric"], group["reported"])


def _check_chain(path: KeyPath, group: Group, study: Study) -> None:
    """Check that the study has the experiment, that it runs the method, and in T parts."""
    name, method, parts = group["experiment"], group["method"], group["T"]
    _check_name((*path, "experiment"), "experiment", name, study["experiments"])
    experiment = study["experiments"][name]
    if method not in experiment["methods"]:
        runs = f"{name} runs {', '.join(experiment['methods'])}"
        close = nearest(method, experiment["methods"])
        raise StudyError((*path, "method"), f"{name} does not run {method!r}{close}; {runs}")
    if parts not in experiment["parts"]:
        allowed = ", ".join(map(str, experiment["parts"]))
        raise StudyError(
            (*path, "T"), f"found {shown(parts)}; allowed: {allowed}, the parts of {name}"
        )
    if group["t"] is not None and group["t"] > parts:
        raise StudyError((*path, "t"), f"found {shown(group['t'])}; allowed: 1 to T = {parts}")


def _check_split(path: KeyPath, group: Group) -> None:
    stage = group["t"] or group["T"]
    match = PART.fullmatch(group["split"])
    number = int(match[1]) if match else 0
    if group["split"] != "test" and not (1 <= number <= stage and match[1] == f"{number:02d}"):
        raise StudyError(
            (*path, "split"),
            f"found {shown(group['split'])}; allowed: test, and part_01 to part_{stage:02d}, "
            "the parts seen by then",
        )


def _check_predictor(path: KeyPath, group: Group, study: Study) -> None:
    family = study["methods"][group["method"]]["family"]["kind"]
    if group["predictor"] == "mean" and not kind_constraints("family", family)["bayesian"]:
        raise StudyError(
            (*path, "predictor"),
            f"found 'mean'; {group['method']} has no width and one network only; allowed: "
            "predictive",
        )


def _check_value(path: KeyPath, metric: str, value: float) -> None:
    low, high = BOUNDS.get(metric, (-math.inf, math.inf))
    if not low <= value <= high:
        limit = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        raise StudyError(path, f"found {shown(value)}; {metric} is a number {limit}")


def _check_name(path: KeyPath, noun: str, name: str, known: Iterable[str]) -> None:
    names = list(known)  # a registry would import the entry to say whether it has it
    if name not in names:
        listed = f"known: {', '.join(names)}"
        raise StudyError(path, f"unknown {noun} {name!r}{nearest(name, names)}; {listed}")
