"""What to run next, as the report shows it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from incbayes.claims.history import History, first_runs
from incbayes.claims.next_runs import NextRuns, next_runs, open_claims, seconds_of_a_replicate
from incbayes.figures.context import FigureContext
from incbayes.study.model import Study
from incbayes.study.resolve import claims_of
from incbayes.study.statement import stated

HEADINGS = ["Further replicates", "Core-hours", "Chance of a decision then, either way"]
CAPTION = (
    "Which further replicates decide most claims a core-hour, the best first, each counting on "
    "those above it; chances are for the observed effects and spreads as the true ones, hours are "
    "those of the fits before. Once the study is published, snakemake next prints the commands."
)


def steps_of(
    study: Study, records: pd.DataFrame, runs: Iterable[Mapping[str, Any]]
) -> list[NextRuns]:
    """Return what to run next, the best first.

    Args:
        study: in normal form.
        records: every record that is there.
        runs: run records of the stages.
    """
    runs = list(runs)
    history = History(stated(study), first_runs(runs))
    found = open_claims(claims_of(study), records, history)
    return next_runs(found, records, seconds_of_a_replicate(runs))


def next_table(
    steps: Sequence[NextRuns], study: Study, context: FigureContext
) -> dict[str, Any] | None:
    """Return headings, rows and caption of the steps; None where there are none."""
    if not steps:
        return None
    rows = [
        [
            "; ".join(
                f"{context.experiments[experiment]}, {context.methods[method]}, T = {T}: "
                f"{_numbers(numbers)}"
                for (experiment, method, T), numbers in step.replicates.items()
            ),
            step.cost,
            "; ".join(
                f"{100 * chance:.0f} %: {study.claims[name].sentence}"
                for name, chance in step.chances.items()
            ),
        ]
        for step in steps
    ]
    return {"headings": HEADINGS, "rows": rows, "caption": CAPTION}


def _numbers(numbers: Sequence[int]) -> str:
    """Return e.g. `7 more, numbers 3–9`: replicates are counted from 0."""
    whole = len(numbers) == numbers[-1] - numbers[0] + 1 > 1
    named = f"{numbers[0]}–{numbers[-1]}" if whole else ", ".join(map(str, numbers))
    return f"{len(numbers)} more, number{'s' * (len(numbers) > 1)} {named}"
