"""How training ended: had the stages come to rest when the next part arrived?

Knows the rows of training.csv and the settings of a study; judges nothing.
"""

from pathlib import Path

import pandas as pd

from incbayes.figures.context import FigureContext
from incbayes.figures.rows import in_order, last_epochs
from incbayes.report.advice import RISE, SPEED
from incbayes.report.tables import Table, number
from incbayes.results.collect import CollectError
from incbayes.study.model import Study
from incbayes.study.settings import method_settings

STAGE = ["experiment", "method", "T", "t"]
ENDS = ["epochs", "allowed", "stopped_early", "elbo", "gain", "nll", "kl", "sigma_ratio"]
HEADINGS = [
    "Method",
    "T",
    "Stage",
    "Epochs",
    "Stopped early",
    "Bound, last epoch (nats)",
    "Training NLL (nats)",
    "σ / σ of prior",
]
CAPTION = (
    "The first and the last stage of each chain as training left them, means over replicates: "
    "epochs made and allowed; replicates that a plateau stopped before (– without one); what the "
    "bound per image still gained in its last epoch, which is little at the end of a schedule that "
    "leads to a rate of 0, at rest or not; the NLL per training image; and the median width of the "
    "posterior relative to its prior’s. The file has every stage. A stage is said not to be at "
    f"rest where its bound rose in its second half by more than {RISE:g} nats per image and, for "
    f"what the learning rate allowed, at more than {SPEED:.0%} of its mean speed."
)


def stage_ends(training: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return how each replicate of each stage ended.

    Args:
        training: as `collect.collect_training` returns it, all numbers for a whole part.
        study: in its resolved form.

    Returns:
        One row per experiment, method, T, t and replicate: `epochs`, `allowed` (their cap),
        `stopped_early` (by a plateau, below the cap), `elbo`, `nll` and `kl` in nats per image,
        `gain` (of the ELBO per image in the last epoch; NaN after one epoch, and while the KL's
        weight still rises the difference of two bounds) and `sigma_ratio`
        (median of σ over that of the prior; NaN for a family without width).
    """
    by = [*STAGE, "replicate"]
    ordered = training.sort_values([*by, "epoch"], kind="stable")
    ordered = ordered.assign(elbo=ordered["elbo"] / ordered["images"])
    ordered = ordered.assign(gain=ordered.groupby(by)["elbo"].diff())
    ends = last_epochs(ordered).sort_values(by).rename(columns={"epoch": "epochs"})
    # A study of point estimates alone has no such columns.
    ends = ends.reindex(columns=ends.columns.union(["kl", "sigma_ratio"]))
    ends = ends.assign(kl=ends["kl"] / ends["images"])
    chains = ends[["experiment", "method"]].drop_duplicates().itertuples(index=False)
    settings = {
        (experiment, method): method_settings(study, experiment, method).training
        for experiment, method in chains
    }
    keys = list(zip(ends["experiment"], ends["method"], strict=True))
    ends = ends.assign(allowed=[settings[key].epochs for key in keys])
    with_plateau = pd.Series([settings[key].plateau is not None for key in keys], ends.index)
    stopped = (ends["epochs"] < ends["allowed"]).astype("boolean").where(with_plateau)
    ends = ends.assign(stopped_early=stopped)
    return ends[[*by, *ENDS]].reset_index(drop=True)


def read_ends(path: Path) -> pd.DataFrame:
    """Return what `stage_ends` returned, of its CSV.

    Raises:
        CollectError: naming the file and what is wrong with it.
    """
    try:
        frame = pd.read_csv(
            path,
            dtype={"experiment": str, "method": str, "stopped_early": "boolean"},
        )
        return frame[[*STAGE, "replicate", *ENDS]]
    except (OSError, ValueError, KeyError) as error:
        raise CollectError(f"{path}: not a table of how stages ended: {error!r}") from error


def convergence_table(ends: pd.DataFrame, experiment: str, context: FigureContext) -> Table | None:
    """Return how the first and the last stages of an experiment ended, or None without any.

    Args:
        ends: as `stage_ends` returns them.
        experiment: whose stages.
        context: labels and order.
    """
    chosen = in_order(ends[ends["experiment"] == experiment], context, "T", "t", "replicate")
    if chosen.empty:
        return None
    shown = chosen[(chosen["t"] == 1) | (chosen["t"] == chosen["T"])]
    rows = [
        _row(context.methods[method], parts, t, stage)
        for (method, parts, t), stage in shown.groupby(["method", "T", "t"], sort=False)
    ]
    return Table(CAPTION, HEADINGS, rows, 2, chosen, f"convergence_{experiment}")


def _row(label: str, parts: int, t: int, stage: pd.DataFrame) -> list[str]:
    """Return the cells of one stage, whose rows are its replicates."""
    low, high, allowed = stage["epochs"].min(), stage["epochs"].max(), stage["allowed"].max()
    made = f"{low}" if low == high else f"{low} to {high}"
    stopped = stage["stopped_early"]
    return [
        label,
        str(parts),
        str(t),
        f"{made} of {allowed}",
        "–" if stopped.isna().all() else f"{int(stopped.sum())} of {len(stage)}",
        _mean(stage["gain"], 4, signed=True),
        _mean(stage["nll"], 4),
        _mean(stage["sigma_ratio"], 3),
    ]


def _mean(values: pd.Series, decimals: int, signed: bool = False) -> str:
    """Return the mean as text, a dash where there is none."""
    return "–" if values.isna().all() else number(values.mean(), decimals, signed)
