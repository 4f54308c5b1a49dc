"""The outcome of a search for settings: the scores of its candidates, the choice, and the files.

It knows the records of validation images and the candidates; it fits nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from incbayes.files import atomic_write
from incbayes.study_settings import merged, nested
from incbayes.tuning import Candidate, best, mean_score

HEADER = """\
# What a search chose on validation images, and all that it tried. Made by `snakemake tune`; pass it
# after the study's own file: snakemake --cores all --configfile STUDY.yaml THIS.yaml
"""


def scored(
    candidates: Sequence[Candidate], records: pd.DataFrame, metric: str
) -> list[dict[str, Any]]:
    """Return the candidates with their scores and whether they are chosen, as `tuned` has them.

    Args:
        candidates: of all experiments and methods.
        records: of the last stages of their chains.
        metric: which decides.

    Returns:
        For each: `experiment`, `method`, `settings`, `scores` (`{T, accuracy, nll}` for each T,
        means over replicates of the predictive mean) and `chosen`.
    """
    of_validation = records[
        (records["split"] == "validation") & (records["predictor"] == "predictive")
    ]
    table = of_validation.pivot_table("value", ["experiment", "method", "T"], "metric", sort=True)
    scores = [
        [
            {"T": int(row.Index), "accuracy": float(row.accuracy), "nll": float(row.nll)}
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
        {
            "experiment": candidate.experiment,
            "method": candidate.method,
            "settings": dict(candidate.settings),
            "scores": scores[place],
            "chosen": place in chosen,
        }
        for place, candidate in enumerate(candidates)
    ]


def candidate_rows(outcome: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per candidate and number of parts.

    Args:
        outcome: `tuned` of a study.

    Returns:
        Columns `experiment`, `method`, `candidate` (from 1), `settings` (JSON by dotted key), `T`,
        `accuracy`, `nll`, `mean` (over the T, of the metric that decides) and `chosen`.
    """
    rows, numbers = [], {}
    for candidate in outcome["candidates"]:
        names = {key: candidate[key] for key in ("experiment", "method")}
        numbers[tuple(names.values())] = number = numbers.get(tuple(names.values()), 0) + 1
        shown = {
            "candidate": number,
            "settings": json.dumps(candidate["settings"], ensure_ascii=False),
        }
        judged = {
            "mean": mean_score(candidate["scores"], outcome["metric"]),
            "chosen": candidate["chosen"],
        }
        rows += [names | shown | dict(score) | judged for score in candidate["scores"]]
    return pd.DataFrame(rows)


def chosen_settings(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a study that use the chosen settings, and the search itself as `tuned`.

    Args:
        outcome: `tuned` of a study.
    """
    study: dict[str, Any] = {}
    for candidate in outcome["candidates"]:
        if candidate["chosen"]:
            settings = {candidate["method"]: nested(candidate["settings"])}
            study = merged(
                study, {"experiments": {candidate["experiment"]: {"settings": settings}}}
            )
    return study | {"tuned": dict(outcome)}


def write_outcome(outcome: Mapping[str, Any], csv: Path, overlay: Path) -> None:
    """Write the candidates as CSV and the chosen settings as YAML; equal ones give equal bytes.

    Args:
        outcome: `tuned` of a study.
        csv: for `candidate_rows`.
        overlay: for `chosen_settings`.
    """
    with atomic_write(csv) as partial:
        candidate_rows(outcome).to_csv(partial, index=False, lineterminator="\n")
    body = yaml.safe_dump(chosen_settings(outcome), sort_keys=False, allow_unicode=True, width=96)
    with atomic_write(overlay) as partial:
        partial.write_text(HEADER + body, encoding="utf-8")
