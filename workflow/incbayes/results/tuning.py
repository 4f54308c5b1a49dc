"""The outcome of a search for settings: the scores of its candidates, the choice, and the files.

It knows the records of validation images and the candidates; it fits nothing.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import yaml

from incbayes.core.files import atomic_write
from incbayes.results.collect import collect_records
from incbayes.study.merging import Plain, merged, nested
from incbayes.study.model import Outcome, Score, SearchIdentity, TriedCandidate, to_plain
from incbayes.study.model.search import Metric
from incbayes.study.tuning import SCORES, Candidate, best, mean_score

HEADER = """\
# What a search chose on validation images, and all that it tried. Made by `snakemake tune`; pass it
# after the study's own file: snakemake --cores all --configfile STUDY.yaml THIS.yaml
"""


def scored(
    candidates: Sequence[Candidate], records: pd.DataFrame, metric: Metric
) -> list[TriedCandidate]:
    """Return the candidates with their scores and whether they are chosen, as `tuned` has them.

    Args:
        candidates: of all experiments and methods.
        records: of the last stages of their chains.
        metric: which decides.

    Returns:
        Each, with its scores for each T: means over replicates of the predictive mean.
    """
    of_validation = records[
        (records["split"] == "validation") & (records["predictor"] == "predictive")
    ]
    table = of_validation.pivot_table("value", ["experiment", "method", "T"], "metric", sort=True)
    scores = [
        [
            Score(T=int(row.Index), **{name: float(getattr(row, name)) for name in SCORES})
            for row in table.loc[
                (candidate.derived_experiment, candidate.derived_method)
            ].itertuples()
        ]
        for candidate in candidates
    ]
    groups: dict[tuple[str, str], list[int]] = {}
    for place, candidate in enumerate(candidates):
        groups.setdefault((candidate.experiment, candidate.method), []).append(place)
    chosen = {
        places[best([scores[place] for place in places], metric)] for places in groups.values()
    }
    return [
        TriedCandidate(
            experiment=candidate.experiment,
            method=candidate.method,
            settings=dict(candidate.settings),
            scores=tuple(scores[place]),
            chosen=place in chosen,
        )
        for place, candidate in enumerate(candidates)
    ]


def decided(
    search: SearchIdentity,
    before: Sequence[TriedCandidate],
    order: Sequence[Sequence[str]],
    candidates: Sequence[Candidate],
    metrics: Iterable[Path],
) -> tuple[Outcome, list[TriedCandidate]]:
    """Return the outcome of a search, and of it the candidates of this run.

    Args:
        search: what `tuned` says of it beside its candidates.
        before: candidates with scores that an earlier run of the same search brings along.
        order: experiment and method of all that the study searches.
        candidates: of this run.
        metrics: the metrics.json of the last stages of their chains.

    Raises:
        CollectError: a file of scores is malformed.
    """
    found = scored(candidates, collect_records(metrics).frame, search.metric)
    together = sorted(
        [*before, *found],
        key=lambda candidate: order.index([candidate.experiment, candidate.method]),
    )
    stated = {key: getattr(search, key) for key in SearchIdentity.__struct_fields__}
    return Outcome(**stated, candidates=tuple(together)), found


def candidate_rows(outcome: Outcome) -> pd.DataFrame:
    """Return one row per candidate and number of parts.

    Args:
        outcome: of a search.

    Returns:
        Columns `experiment`, `method`, `candidate` (from 1), `settings` (JSON by dotted key), `T`,
        `accuracy`, `nll`, `mean` (over the T, of the metric that decides) and `chosen`.
    """
    rows: list[Plain] = []
    numbers: dict[tuple[str, ...], int] = {}
    for candidate in outcome.candidates:
        names = {"experiment": candidate.experiment, "method": candidate.method}
        numbers[tuple(names.values())] = number = numbers.get(tuple(names.values()), 0) + 1
        shown = {
            "candidate": number,
            "settings": json.dumps(to_plain(candidate.settings), ensure_ascii=False),
        }
        judged = {
            "mean": mean_score(candidate.scores, outcome.metric),
            "chosen": candidate.chosen,
        }
        rows += [names | shown | to_plain(score) | judged for score in candidate.scores]
    return pd.DataFrame(rows)


def chosen_settings(outcome: Outcome) -> Plain:
    """Return the keys of a study that use the chosen settings, and the search itself as `tuned`.

    Args:
        outcome: of a search.
    """
    study: Plain = {}
    for candidate in outcome.candidates:
        if candidate.chosen:
            settings = {candidate.method: nested(candidate.settings)}
            study = merged(study, {"experiments": {candidate.experiment: {"settings": settings}}})
    return study | {"tuned": to_plain(outcome)}


def write_outcome(outcome: Outcome, csv: Path, overlay: Path) -> None:
    """Write the candidates as CSV and the chosen settings as YAML; equal ones give equal bytes.

    Args:
        outcome: of a search.
        csv: for `candidate_rows`.
        overlay: for `chosen_settings`.
    """
    with atomic_write(csv) as partial:
        candidate_rows(outcome).to_csv(partial, index=False, lineterminator="\n")
    body = yaml.safe_dump(chosen_settings(outcome), sort_keys=False, allow_unicode=True, width=96)
    with atomic_write(overlay) as partial:
        partial.write_text(HEADER + body, encoding="utf-8")
