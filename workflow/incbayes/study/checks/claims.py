"""What a schema cannot say of claims: that they name results which the study makes.

It takes a study in normal form, as `study_checks` does, and reads no results.
"""

import math
import re
from collections.abc import Iterable
from itertools import pairwise

from msgspec.structs import replace

from incbayes.core.errors import UserError
from incbayes.core.registry import nearest
from incbayes.kinds import FIGURES, METRICS
from incbayes.metrics.named import outside_metric
from incbayes.study.messages import check_known
from incbayes.study.model import (
    Claim,
    EvaluationSettings,
    Experiment,
    Group,
    MethodSettings,
    Study,
)
from incbayes.study.outliers import PREFIX, outlier_splits
from incbayes.study.relation import pairs_of, region_of
from incbayes.study.schema import kind_constraints
from incbayes.study.settings import evaluation_settings, is_drawn, method_settings
from incbayes.study.shifts import mean_splits, shift_splits
from incbayes.study.streams import arrives
from incbayes.study.tables import is_number
from incbayes.study.yaml import KeyPath, StudyError, shown

PART = re.compile(r"part_(\d\d+)", re.ASCII)


def check_metrics(study: Study) -> None:
    """Check that metrics from outside the library are there, and are metrics.

    Raises:
        StudyError: the first that is not, or is named twice.
    """
    names = study.evaluation.metrics
    for position, name in enumerate(names):
        path = ("evaluation", "metrics", position)
        if name in METRICS:
            raise StudyError(path, f"{shown(name)} is one of the library's, computed in any case")
        if name in names[:position]:
            raise StudyError(path, f"{shown(name)} is given twice")
        try:
            outside_metric(name)
        except UserError as error:
            raise StudyError(path, str(error)) from error


def check_claims(study: Study) -> None:
    """Check the claims of a study in normal form.

    Raises:
        StudyError: the first claim that names what the study does not have.
    """
    metrics = [*METRICS, *study.evaluation.metrics]
    for name, claim in study.claims.items():
        path = ("claims", name)
        _check_name((*path, "metric"), "metric", claim.metric, metrics)
        _check_predicted((*path, "metric"), claim, study)
        if claim.figure is not None:
            _check_name((*path, "figure"), "figure", claim.figure, FIGURES)
        _check_groups((*path, "groups"), claim, study)
        _check_alike(path, claim, study)
        _check_same((*path, "groups"), claim, study)
        _check_open(path, claim)
        _check_looks((*path, "looks"), claim)
        _check_evidence((*path, "evidence"), claim)
        _check_arriving(path, claim, study)
    _check_levels(study)
    for name in study.stated:
        if name not in study.claims:
            close = nearest(name, study.claims)
            raise StudyError(
                ("stated", name),
                f"unknown claim {name!r}{close}; a claim that was stated stays in the study, as "
                "exploratory where it is no longer made",
            )


def _check_levels(study: Study) -> None:
    """Check that the primary claims have one level, as it is of all of them together."""
    first = None
    for name, claim in study.claims.items():
        if claim.status != "primary":
            continue
        first = first or (name, claim.level)
        if claim.level != first[1]:
            raise StudyError(
                ("claims", name, "level"),
                f"found {shown(claim.level)}, and {first[1]:g} of {first[0]}; the level is of all "
                "primary claims together: give each the same",
            )


def _check_groups(path: KeyPath, claim: Claim, study: Study) -> None:
    constants = [place for place, group in enumerate(claim.groups) if isinstance(group, float)]
    if constants[:1] == [0] or len(constants) > 1:
        raise StudyError(
            (*path, constants[-1]),
            f"found {shown(claim.groups[constants[-1]])}; one group may be a constant, and not "
            "the first",
        )
    for place, group in enumerate(claim.groups):
        here = (*path, place)
        if isinstance(group, float):
            _check_value(here, claim.metric, group)
            continue
        _check_chain(here, group, study)
        _check_split(here, group, study.experiments[group.experiment])
        _check_scored((*here, "split"), claim.metric, group)
        _check_predictor(here, group, study)
        _check_draws(here, claim.metric, group, study)
        if group.reported is not None:
            _check_value((*here, "reported"), claim.metric, group.reported)


def _check_chain(path: KeyPath, group: Group, study: Study) -> None:
    """Check that the study has the experiment, that it runs the method, and in T parts."""
    name, method, parts = group.experiment, group.method, group.T
    _check_name((*path, "experiment"), "experiment", name, study.experiments)
    experiment = study.experiments[name]
    if method not in experiment.methods:
        runs = f"{name} runs {', '.join(experiment.methods)}"
        close = nearest(method, experiment.methods)
        raise StudyError((*path, "method"), f"{name} does not run {method!r}{close}; {runs}")
    if parts not in experiment.parts:
        allowed = ", ".join(map(str, experiment.parts))
        raise StudyError(
            (*path, "T"), f"found {shown(parts)}; allowed: {allowed}, the parts of {name}"
        )
    if arrives(experiment.dataset):
        if group.split != "test":
            detail = f"found {shown(group.split)}; a claim on a stream is on its test images"
            raise StudyError((*path, "split"), f"{detail}; leave this key out")
        return  # whether stage t has arrived is known when a workflow is planned
    if group.t is not None and group.t > parts:
        raise StudyError((*path, "t"), f"found {shown(group.t)}; allowed: 1 to T = {parts}")


def _check_predicted(path: KeyPath, claim: Claim, study: Study) -> None:
    """Check that the metric is of what the experiments predict: classes, or a number."""
    named = [group.experiment for group in claim.groups if isinstance(group, Group)]
    for name in named:
        if name not in study.experiments:  # which is said where the group is checked
            continue
        found = "number" if is_number(study.experiments[name].dataset) else "classes"
        if METRICS[claim.metric].predicts != found:
            what = "a number" if found == "number" else "a class"
            allowed = ", ".join(key for key, metric in METRICS.items() if metric.predicts == found)
            raise StudyError(
                path,
                f"{claim.metric} makes no sense of {name}, whose target is {what}; "
                f"allowed: {allowed}",
            )
        calibrated = study.experiments[name].partition.is_calibrated
        if METRICS[claim.metric].tempered and not calibrated:
            raise StudyError(
                path,
                f"{claim.metric} needs images on which a temperature is fitted, and {name} holds "
                f"none out; give experiments.{name}.partition.calibration, such as 0.1",
            )


def _check_split(path: KeyPath, group: Group, experiment: Experiment) -> None:
    stage = group.stage
    match = PART.fullmatch(group.split)
    number = int(match[1]) if match else 0
    written = f"part_{number:02d}"
    changed = outlier_splits(experiment)
    if stage == group.T:
        changed += [*shift_splits(experiment), *mean_splits(experiment)]
    if group.split in ("test", *changed) or (1 <= number <= stage and group.split == written):
        return
    others = f", and {', '.join(changed)}" if changed else ""
    raise StudyError(
        (*path, "split"),
        f"found {shown(group.split)}; allowed: test, and part_01 to part_{stage:02d}, "
        f"the parts seen by then{others}",
    )


def _check_scored(path: KeyPath, name: str, group: Group) -> None:
    """Check that a metric is computed of the images that a group names."""
    metric, split = METRICS[name], group.split
    of_outliers = split.startswith(PREFIX)
    if metric.of == "outliers" and not of_outliers:
        raise StudyError(
            path,
            f"found {shown(split)}; {name} compares the test images with outliers: allowed: "
            f"{PREFIX}NAME, where experiments.{group.experiment}.outliers has NAME",
        )
    if of_outliers and metric.of not in ("outliers", "uncertainty"):
        raise StudyError(
            path, f"found {shown(split)}; outliers have no true class, which {name} needs"
        )
    of_some = metric.of == "uncertainty" or not metric.everywhere
    if of_some and not of_outliers and split != "test":
        what = "parts" if PART.fullmatch(split) else "shifted images"
        raise StudyError(path, f"found {shown(split)}; {name} is not computed of {what}")


def _check_draws(path: KeyPath, name: str, group: Group, study: Study) -> None:
    """Check that there are several draws where a metric is of what they differ in."""
    if not METRICS[name].several_draws:
        return
    if group.predictor == "mean" or not _draws(study, group.method):
        what = "the network at the mean" if group.predictor == "mean" else group.method
        raise StudyError(
            path, f"{name} is of what draws of the weights differ in, and {what} is one network"
        )
    evaluation = evaluation_settings(study, group.method)
    earlier = evaluation.samples_before
    if group.stage < group.T and earlier != evaluation.samples:
        raise StudyError(
            path,
            f"{name} grows with the number of draws, of which a stage before the last has "
            f"{earlier} and the last {evaluation.samples}; leave evaluation.earlier_samples out",
        )


def _check_alike(path: KeyPath, claim: Claim, study: Study) -> None:
    """Check that stages are scored with as many draws as those that they are compared with.

    More draws predict better: a difference of stages would be in part that of their draws.
    """
    groups = [group for group in claim.groups if isinstance(group, Group)]
    drawn = [found for group in groups if (found := _draws_of_stages(group, study))]
    summed = bool(METRICS[claim.metric].by_stage)
    numbers = {number for ends in drawn for number in (ends if summed else ends[1:])}
    if len(numbers) > 1:
        raise StudyError(
            (*path, "metric" if summed else "groups"),
            f"{claim.metric} {'adds up' if summed else 'compares'} stages with {min(numbers)} "
            f"draws and with {max(numbers)}, and more draws predict better; leave "
            "evaluation.earlier_samples out",
        )


def _draws_of_stages(group: Group, study: Study) -> tuple[int, int] | None:
    """Return how many draws predict at the first stage of a chain, and at that of a group.

    None where no draws do: at the mean, of points, and of an ensemble, which has its members.
    """
    drawn = is_drawn(study.methods[group.method].family)
    if group.predictor == "mean" or _has_members(study, group.method) or not drawn:
        return None
    evaluation = evaluation_settings(study, group.method)
    last, earlier = evaluation.samples, evaluation.samples_before
    if arrives(study.experiments[group.experiment].dataset):  # each stage was the last one once
        return last, last
    return (earlier if group.T > 1 else last), (earlier if group.stage < group.T else last)


def _draws(study: Study, method: str) -> bool:
    """Return whether several networks predict: draws of a family, or members of an ensemble."""
    return _has_members(study, method) or is_drawn(study.methods[method].family)


def _has_members(study: Study, method: str) -> bool:
    """Return whether a method is an ensemble, of chains that predict together."""
    return "times" in kind_constraints("inference", study.methods[method].inference.kind)


def _check_predictor(path: KeyPath, group: Group, study: Study) -> None:
    if group.predictor == "mean" and not is_drawn(study.methods[group.method].family):
        raise StudyError(
            (*path, "predictor"),
            f"found 'mean'; {group.method} has no network at a mean beside what predicts; allowed: "
            "predictive",
        )


def _check_same(path: KeyPath, claim: Claim, study: Study) -> None:
    """Check that no group is another one in other words: its differences would all be 0."""
    seen: list[tuple[int, Group]] = []
    for place, group in enumerate(claim.groups):
        if isinstance(group, float):
            continue
        for first, other in seen:
            if _results(group, study) == _results(other, study):
                detail = f"the same results as groups[{first}], with defaults written out"
                raise StudyError((*path, place), detail)
            if _settings(group, study) == _settings(other, study):
                twin = f"{group.method} has the settings of {other.method}"
                detail = f"{twin}, and so the same results; compare another method"
                raise StudyError((*path, place, "method"), detail)
        seen.append((place, group))


def _results(group: Group, study: Study) -> Group:
    """Return what a group's records are found by; of a stream the last stage is not known yet."""
    stage = group.t if arrives(study.experiments[group.experiment].dataset) else group.stage
    return replace(group, t=stage, reported=None)


def _settings(group: Group, study: Study) -> tuple[Group, MethodSettings, EvaluationSettings]:
    """Return what a group's numbers follow from: no random stream hangs on the method's name."""
    method = group.method
    results = replace(_results(group, study), method="")
    settings = method_settings(study, group.experiment, method)
    return results, settings, evaluation_settings(study, method)


def _check_open(path: KeyPath, claim: Claim) -> None:
    """Check that results could support the claim and that others could contradict it."""
    relation, metric = claim.relation, claim.metric
    facts = kind_constraints("relation", relation.kind)
    low, high = region_of(facts["region"], relation.options)
    ends = [_ends(metric, group) for group in claim.groups]
    for first, second in pairs_of(facts["compared"], len(ends)):
        least, most = ends[first][0] - ends[second][1], ends[first][1] - ends[second][0]
        never, always = high <= least or most <= low, low <= least and most <= high
        if not never and not always:
            continue
        option = next(key for key in ("by", "margin") if key in relation.options)
        where: KeyPath
        if relation.options[option]:
            where, found = ("relation", option), relation.options[option]
        else:  # two groups that are measured can differ either way
            place = first if isinstance(claim.groups[first], float) else second
            where, found = ("groups", place), claim.groups[place]
        raise StudyError(
            (*path, *where),
            f"found {shown(found)}; {metric} is a number {_limits(metric)}, so that no result "
            f"could {'support' if never else 'contradict'} the claim",
        )


def _check_arriving(path: KeyPath, claim: Claim, study: Study) -> None:
    """Check that nothing is planned of a claim that is judged anew with every part that arrives."""
    named = {group.experiment for group in claim.groups if isinstance(group, Group)}
    streams = sorted(name for name in named if arrives(study.experiments[name].dataset))
    if not streams:
        return
    why = f"{streams[0]} is a stream, and a claim on it is judged anew with every part: it cannot "
    if claim.evidence == "confirmatory":
        raise StudyError((*path, "evidence"), f"{why}be confirmatory; leave this key out")
    if claim.looks is not None:
        raise StudyError((*path, "looks"), f"{why}plan its looks; leave this key out")
    if path[1] in study.stated:
        detail = f"{why}be stated beforehand; leave it out"
        raise StudyError(("stated", path[1]), detail)


def _check_looks(path: KeyPath, claim: Claim) -> None:
    for place, (look, after) in enumerate(pairwise(claim.looks or ())):
        if after <= look:
            detail = f"found {after} after {look}; each look is at more replicates than the last"
            raise StudyError((*path, place + 1), detail)


def _check_evidence(path: KeyPath, claim: Claim) -> None:
    if claim.evidence == "confirmatory" and claim.status != "primary":
        detail = "found 'confirmatory'; an exploratory claim gets no verdict; allowed: all"
        raise StudyError(path, detail)


def _ends(metric: str, group: Group | float) -> tuple[float, float]:
    """Return the least and the largest that a group's metric can be."""
    return (group, group) if isinstance(group, float) else METRICS[metric].bounds


def _limits(metric: str) -> str:
    low, high = METRICS[metric].bounds
    return f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"


def _check_value(path: KeyPath, metric: str, value: float) -> None:
    low, high = METRICS[metric].bounds
    if not low <= value <= high:
        raise StudyError(path, f"found {shown(value)}; {metric} is a number {_limits(metric)}")


def _check_name(path: KeyPath, noun: str, name: str, known: Iterable[str]) -> None:
    check_known(path, name, known, f"unknown {noun} {name!r}")
