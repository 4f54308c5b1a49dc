"""The search of a study for settings: its candidates, as chains that the ordinary rules fit.

A candidate is a method of its own in a derived experiment, `tuning/{experiment}`, whose parts leave
out a validation cut. It knows studies in normal form, and reads no results.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incbayes.chains import chosen_experiments
from incbayes.study_file import StudyError, shown
from incbayes.study_settings import merged, nested

Study = dict[str, Any]
Scores = Sequence[Mapping[str, Any]]

BETTER = {"accuracy": max, "nll": min}
"""Which value of a metric is the better one."""

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
    if study["tune"] is None:
        return []
    search = study["tune"]["search"]
    return [
        name
        for name, experiment in chosen_experiments(study).items()
        if set(experiment["methods"]) & set(search.get(name, {}))
    ]


def candidates(study: Study) -> list[Candidate]:
    """Return the candidates of every searched experiment and method, in the study's order."""
    chosen = chosen_experiments(study)
    return [
        Candidate(name, method, number, settings)
        for name in tuned_experiments(study)
        for method in chosen[name]["methods"]
        if method in study["tune"]["search"][name]
        for number, settings in enumerate(grid(study["tune"]["search"][name][method]), 1)
    ]


def with_candidates(study: Study) -> Study:
    """Return the study and, beside what it has, an experiment for each that is searched in.

    A derived experiment has the parts, data and settings of its own, `validation` in its partition,
    and a method for every candidate.
    """
    experiments, methods = dict(study["experiments"]), dict(study["methods"])
    chosen = chosen_experiments(study)
    for candidate in candidates(study):
        own = chosen[candidate.experiment]
        derived = experiments.setdefault(
            candidate.derived_experiment,
            own
            | {
                "partition": own["partition"] | {"validation": study["tune"]["validation"]},
                "methods": [],
                "settings": {},
            },
        )
        name = candidate.derived_method
        settings = own["settings"].get(candidate.method, {})
        derived["methods"].append(name)
        derived["settings"][name] = merged(settings, nested(candidate.settings))
        methods[name] = study["methods"][candidate.method]
    return study | {"experiments": experiments, "methods": methods}


def search_of(study: Study) -> dict[str, Any]:
    """Return what `tuned` says of the study's search beside its candidates."""
    named = {"study": study["study_id"]} | {
        key: study[key] for key in ("budget", "reduced", "seed")
    }
    return named | {key: study["tune"][key] for key in ("validation", "replicates", "metric")}


def tried_by_method(study: Study) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the candidates of the search that a study uses, by experiment and method."""
    tried: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for candidate in (study["tuned"] or {"candidates": []})["candidates"]:
        tried.setdefault((candidate["experiment"], candidate["method"]), []).append(candidate)
    return tried


def search_order(study: Study) -> list[list[str]]:
    """Return experiment and method of all that the study searches, whatever of it is run."""
    found = [[c.experiment, c.method] for c in candidates(study | {"only": None})]
    return [names for names, _ in itertools.groupby(found)]


def tried_before(study: Study) -> list[dict[str, Any]]:
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
    if kept:
        _check_parts(study, kept)
        _check_same_search(study)
    return kept


def _kept_candidates(study: Study) -> list[dict[str, Any]]:
    """Return the candidates of `tuned` that the study still states and does not search for now."""
    search = study["tune"]["search"]
    searched = {(candidate.experiment, candidate.method) for candidate in candidates(study)}
    kept = []
    for (name, method), of_method in tried_by_method(study).items():
        stated = search.get(name, {}).get(method)
        if (name, method) in searched:
            for key in {*of_method[0]["settings"]} - {*stated}:
                detail = f"chosen by an earlier search, {key} is none of the keys that are searched"
                raise StudyError(("tune", "search", name, method), f"{detail}; {WAY_OUT}")
        elif stated and [candidate["settings"] for candidate in of_method] == grid(stated):
            kept += of_method
    return kept


def _check_parts(study: Study, kept: Sequence[Mapping[str, Any]]) -> None:
    """Check that what is kept was scored by the numbers of parts of what is added."""
    chosen = chosen_experiments(study)
    now = {name: chosen[name]["parts"] for name in tuned_experiments(study)}
    for place, candidate in enumerate(study["tuned"]["candidates"]):
        name, before = candidate["experiment"], [score["T"] for score in candidate["scores"]]
        if candidate in kept and name in now and before != now[name]:
            detail = f"the candidates of {candidate['method']} in {name} were scored in {before} "
            detail += f"parts, those that are added in {now[name]}"
            raise StudyError(("tuned", "candidates", place, "scores"), f"{detail}; {WAY_OUT}")


def _check_same_search(study: Study) -> None:
    for key, value in search_of(study).items():
        if study["tuned"][key] != value:
            detail = f"found {shown(study['tuned'][key])}, but the search that adds to it has "
            raise StudyError(("tuned", key), f"{detail}{shown(value)}; {WAY_OUT}")


def mean_score(scores: Scores, metric: str) -> float:
    """Return the mean of a metric over the numbers of parts.

    Args:
        scores: `{T, accuracy, nll}` for each number of parts T.
        metric: `accuracy` or `nll`.
    """
    return sum(score[metric] for score in scores) / len(scores)


def best(of_candidates: Sequence[Scores], metric: str) -> int:
    """Return the position of the best candidate by `mean_score`, the first of equals.

    Args:
        of_candidates: the scores of each.
        metric: `accuracy`, the larger the better, or `nll`, the smaller the better.
    """
    values = [mean_score(scores, metric) for scores in of_candidates]
    return values.index(BETTER[metric](values))
