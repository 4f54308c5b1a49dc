"""What a stream's parts said: yesterday's model on today's data, and today's.

Knows the rows of drift.json; what a difference is was decided where the part was scored.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from incbayes.core.seal import Seal
from incbayes.evaluation.held_out import FEWEST
from incbayes.figures.context import FigureContext
from incbayes.kinds import METRICS
from incbayes.report.tables import Table, number
from incbayes.results.arrived import counted
from incbayes.results.collect import SCORES, CollectError, stage_seal

COLUMNS = ["replicate", "metric", "images", "before", "after", "low", "high", "differs"]
KEYS = ["experiment", "method", "T", "t", "part"]
SHOWN = ("accuracy", "nll", "ece", "rmse", "nlpd", "coverage_90")
"""Metrics of the table; the file has all."""

CAPTION = (
    "Each part as it arrived, scored by the posterior of the stage before, which had not seen it, "
    "and by its own stage, on the same images: those held out of the part where a share is, else "
    "all of it, to which its own stage was then fitted. Means over replicates. “Differs” counts "
    "the replicates in which a 99 % bootstrap interval over held-out images leaves out 0, of some "
    "metric: there the stage has learnt what was not known before, or forgotten what was, by more "
    "than chance explains. It is “–”, not judged, where nothing is held out (key held_out), as a "
    "model does better on images that it was fitted to, also where nothing has changed; and of "
    f"fewer than {FEWEST} held-out images, which tell no change from chance. The file has every "
    "metric, with the interval of each replicate."
)


def collect_arrivals(paths: Iterable[Path]) -> pd.DataFrame:
    """Return the rows of all drift.json files, with the stage and the part that each is of.

    Raises:
        SealError: a file is damaged, edited, or of another stage than its place says.
        CollectError: a file is malformed.
    """
    frames = []
    for path in sorted(map(Path, paths)):
        _, seal = stage_seal(path, SCORES)
        rows = seal.read(path, lambda path: json.loads(path.read_text(encoding="utf-8")))
        if not isinstance(rows, list) or any(set(row) != set(COLUMNS) for row in rows):
            raise CollectError(f"{path}: expected a list of {', '.join(COLUMNS)}")
        stage: dict[str, Any] = {key: seal.identity[key] for key in KEYS}
        # Stages of earlier versions say that of fitted images and of too few, too.
        held_out = _is_held_out(seal)
        frames += [
            {**stage, **row, **({} if held_out and row["images"] >= FEWEST else {"differs": None})}
            for row in rows
        ]
    frame = pd.DataFrame(frames, columns=[*KEYS, *COLUMNS])
    return counted(frame, set(frame["experiment"]))


def _is_held_out(seal: Seal) -> bool:
    """Return whether the scored images of a stage are a share of its part: of one seal with it."""
    return seal.parents["test"].digest == seal.parents["images"].digest


def _differing(stage: pd.DataFrame) -> str:
    """Return in how many replicates some metric differs; a dash where that cannot be said."""
    if stage["differs"].isna().any():
        return "–"
    replicates = stage.groupby("replicate")["differs"].any()
    return f"{int(replicates.sum())} of {len(replicates)}"


def arrival_table(arrivals: pd.DataFrame, experiment: str, context: FigureContext) -> Table | None:
    """Return what the parts of an experiment said, or None of one that is no stream.

    Args:
        arrivals: as `collect_arrivals` returns them.
        experiment: whose parts.
        context: labels and order.
    """
    chosen = arrivals[arrivals["experiment"] == experiment]
    if chosen.empty:
        return None
    metrics = [name for name in SHOWN if name in METRICS and name in set(chosen["metric"])]
    headings = ["Part", "Method", "Stage"]
    for name in metrics:
        headings += [f"{METRICS[name].heading}, before", "after"]
    rows = []
    order = {method: place for place, method in enumerate(context.methods)}
    groups = chosen.groupby(["t", "part", "method"], sort=False)
    for (t, part, method), stage in sorted(groups, key=lambda g: (g[0][0], order[g[0][2]])):
        row = [part, context.methods[method], str(t)]
        for name in metrics:
            metric, of_metric = METRICS[name], stage[stage["metric"] == name]
            row += [
                number(of_metric[when].mean() * metric.factor, metric.decimals)
                for when in ("before", "after")
            ]
        rows.append([*row, _differing(stage)])
    return Table(CAPTION, [*headings, "Differs"], rows, 3, chosen, f"arrivals_{experiment}")
