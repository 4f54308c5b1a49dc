"""The search of a study for settings: its candidates, as chains that the ordinary rules fit.

A candidate is a method of its own in a derived experiment, `tuning/{experiment}`, whose parts leave
out a validation cut. It knows studies in normal form, and reads no results.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from incbayes.kinds import METRICS
from incbayes.study.chains import chosen_experiments
from incbayes.study.merging import merged, nested
from incbayes.study.model import (
    Changes,
    Outcome,
    Score,
    Search,
    SearchIdentity,
    Study,
    TriedCandidate,
    read,
    to_plain,
)
from incbayes.study.model.search import Metric
from incbayes.study.yaml import StudyError, shown

Scores = Sequence[Score]

SCORES: tuple[Metric, ...] = ("accuracy", "nll")
"""Metrics that a candidate is scored by; one of them decides."""

FOLDER = "tuning"
"""Of the search, under the results of a study; begins the names of the derived experiments."""

WAY_OUT = "leave the earlier choice out"


@dataclass(frozen=True)
class Candidate:
    """Settings to try for a method in an experiment.

    Attributes:
        experiment: name in the study.
        method: name in the study.
        number: from 1, in the order of the search.
        settings: values by dotted key, such as `training.learning_rate`.
    """

    experiment: str
    method: str
    number: int
    settings: Mapping[str, Any]

    @property
    def derived_experiment(self) -> str:
        """Name of the experiment that leaves out the validation cut."""
        return f"{FOLDER}/{self.experiment}"

    @property
    def derived_method(self) -> str:
        """Name of the candidate among the derived methods, e.g. `ffg-2`."""
        return f"{self.method}-{self.number}"


def grid(values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of the values of dotted keys; the last key runs fastest."""
    combinations = itertools.product(*values.values())
    return [dict(zip(values, chosen, strict=True)) for chosen in combinations]


def tuned_experiments(study: Study) -> list[str]:
    """Return the experiments to be run that the study's search is for, in the study's order."""
    if study.tune is None:
        return []
    search = study.tune.search
    return [
        name
        for name, experiment in chosen_experiments(study).items()
        if set(experiment.methods) & set(search.get(name, {}))
    ]


def candidates(study: Study) -> list[Candidate]:
    """Return the candidates of every searched experiment and method, in the study's order."""
    if study.tune is None:
        return []
    chosen, search = chosen_experiments(study), study.tune.search
    return [
        Candidate(name, method, number, settings)
        for name in tuned_experiments(study)
        for method in chosen[name].methods
        if method in search[name]
        for number, settings in enumerate(grid(search[name][method]), 1)
    ]


def with_candidates(study: Study) -> Study:
    """Return the study and, beside what it has, an experiment for each that is searched in.

    A derived experiment has the parts, data and settings of its own, `validation` in its partition,
    and a method for every candidate.
    """
    if study.tune is None:
        return study
    experiments, methods = dict(study.experiments), dict(study.methods)
    chosen = chosen_experiments(study)
    of_experiment = itertools.groupby(candidates(study), lambda found: found.derived_experiment)
    for derived, group in of_experiment:
        found = list(group)
        own = chosen[found[0].experiment]
        settings = {of.derived_method: _changes(own.settings.get(of.method), of) for of in found}
        experiments[derived] = replace(
            own,
            partition=replace(own.partition, validation=study.tune.validation),
            methods=tuple(settings),
            settings=settings,
        )
        methods |= {
            candidate.derived_method: study.methods[candidate.method] for candidate in found
        }
    return replace(study, experiments=experiments, methods=methods)


def search_of(study: Study) -> SearchIdentity:
    """Return what `tuned` says of the study's search beside its candidates."""
    search = _search(study)
    return SearchIdentity(
        study=study.study_id,
        budget=study.budget,
        reduced=study.reduced,
        seed=study.seed,
        validation=search.validation,
        replicates=search.replicates,
        metric=search.metric,
    )


def tried_by_method(study: Study) -> dict[tuple[str, str], list[TriedCandidate]]:
    """Return the candidates of the search that a study uses, by experiment and method."""
    tried: dict[tuple[str, str], list[TriedCandidate]] = {}
    for candidate in study.tuned.candidates if study.tuned else ():
        tried.setdefault((candidate.experiment, candidate.method), []).append(candidate)
    return tried


def search_order(study: Study) -> list[list[str]]:
    """Return experiment and method of all that the study searches, whatever of it is run."""
    found = [[c.experiment, c.method] for c in candidates(replace(study, only=None))]
    return [names for names, _ in itertools.groupby(found)]


def previous_candidates(study: Study) -> list[TriedCandidate]:
    """Return what an earlier run of the same search tried for methods that this run leaves out.

    Candidates of methods that the study now searches otherwise, or not at all, are dropped.

    Args:
        study: in normal form; its `tuned` is what the earlier run found.

    Returns:
        Those candidates of `tuned`, with their scores.

    Raises:
        StudyError: `tuned` has candidates to keep of a search that differs from this one, or whose
            chains have other numbers of parts; or it chose settings of a method searched now that
            its candidates would silently have.
    """
    kept = _kept_candidates(study)
    if kept and study.tuned:
        _check_parts(study, study.tuned, kept)
        _check_same_search(study, study.tuned)
    return kept


def _search(study: Study) -> Search:
    if study.tune is None:
        raise StudyError(("tune",), "the study states no search")
    return study.tune


def _changes(own: Changes | None, candidate: Candidate) -> Changes:
    """Return what an experiment overrides for a method, and on top what a candidate tries."""
    before = {} if own is None else to_plain(own)
    return read(Changes, merged(before, nested(candidate.settings)))


def _kept_candidates(study: Study) -> list[TriedCandidate]:
    """Return the candidates of `tuned` that the study still states and does not search for now."""
    search = _search(study).search
    searched = {(candidate.experiment, candidate.method) for candidate in candidates(study)}
    kept: list[TriedCandidate] = []
    for (name, method), of_method in tried_by_method(study).items():
        stated = search.get(name, {}).get(method)
        if stated is None:
            continue
        if (name, method) in searched:
            for key in {*of_method[0].settings} - {*stated}:
                detail = f"chosen by an earlier search, {key} is none of the keys that are searched"
                raise StudyError(("tune", "search", name, method), f"{detail}; {WAY_OUT}")
        elif [candidate.settings for candidate in of_method] == grid(stated):
            kept += of_method
    return kept


def _check_parts(study: Study, tuned: Outcome, kept: Sequence[TriedCandidate]) -> None:
    """Check that what is kept was scored by the numbers of parts of what is added."""
    chosen = chosen_experiments(study)
    now = {name: list(chosen[name].parts) for name in tuned_experiments(study)}
    for place, candidate in enumerate(tuned.candidates):
        name, before = candidate.experiment, [score.T for score in candidate.scores]
        if candidate in kept and name in now and before != now[name]:
            detail = f"the candidates of {candidate.method} in {name} were scored in {before} "
            detail += f"parts, those that are added in {now[name]}"
            raise StudyError(("tuned", "candidates", place, "scores"), f"{detail}; {WAY_OUT}")


def _check_same_search(study: Study, tuned: Outcome) -> None:
    for key, value in to_plain(search_of(study)).items():
        found = getattr(tuned, key)
        if found != value:
            detail = f"found {shown(found)}, but the search that adds to it has "
            raise StudyError(("tuned", key), f"{detail}{shown(value)}; {WAY_OUT}")


def mean_score(scores: Scores, metric: Metric) -> float:
    """Return the mean of a metric over the numbers of parts.

    Args:
        scores: one for each number of parts T.
        metric: one of `SCORES`.
    """
    return sum(score.of(metric) for score in scores) / len(scores)


def best(of_candidates: Sequence[Scores], metric: Metric) -> int:
    """Return the position of the best candidate by `mean_score`, the first of equals.

    Args:
        of_candidates: the scores of each.
        metric: one of `SCORES`, which decides.
    """
    return METRICS[metric].best([mean_score(scores, metric) for scores in of_candidates])
