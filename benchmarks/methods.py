r"""What a method reaches for what its chain costs, from a published study.

    python benchmarks/methods.py results/published/methods --write docs/methods.md \\
      --figure docs/images/methods.png

A chain costs the processor time of its fits, summed over stages, as its run records have it. Costs
are multiples of those of the study's first method in the same experiment. Methods that a study has
in several sizes, `NAME`, `NAME_5x`, are one curve. Nothing is run.
"""

import argparse
import json
from pathlib import Path

import pandas as pd
import yaml
from common import command_line, write_block
from scipy import stats

KEYS = ["experiment", "method"]
METRICS = {"accuracy": 100.0, "nll": 1.0, "nll_tempered": 1.0}
"""Factors of the numbers of the table."""
NAMES = {"accuracy": "test error (%)", "nll": "NLL", "nll_tempered": "NLL, tempered"}
"""Of the panels, in each of which less is better."""
MARKS = [m * 10.0**p for p in range(-3, 3) for m in (1, 1.5, 2, 3, 4, 5, 7)]
BOUND = "cumulative"
"""The method that keeps all data, which is drawn as a bound."""
KEEPING = (BOUND, "replay")


def costs(folder: Path) -> pd.Series:
    """Return the processor seconds of a replicate's chain, by experiment and method."""
    runs = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["runs"]
    frame = pd.DataFrame(
        [
            (run["experiment"], run["method"], run["cpu_seconds"], len(run["replicates"]))
            for run in runs
        ],
        columns=[*KEYS, "seconds", "replicates"],
    )
    frame["seconds"] /= frame["replicates"]
    # Blocks of replicates are further runs of the same stages: the mean of each chain.
    blocks = pd.DataFrame(runs).groupby(KEYS)["block"].nunique()
    return frame.groupby(KEYS)["seconds"].sum() / blocks


def scores(folder: Path) -> pd.DataFrame:
    """Return mean and half-width of the 95 % interval after the last part, on the test set."""
    records = pd.read_csv(folder / "metrics.csv")
    last = records[
        (records["t"] == records["T"])
        & (records["split"] == "test")
        & (records["predictor"] == "predictive")
        & records["metric"].isin(METRICS)
    ]
    return intervals(last, [*KEYS, "metric"])


def intervals(records: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return mean and half-width of the 95 % interval over the replicates of every group."""
    found = records.groupby(keys)["value"].agg(["mean", "sem", "size"]).reset_index()
    found["half"] = found["sem"] * stats.t.ppf(0.975, found["size"] - 1)
    return found


def relative_costs(found: pd.DataFrame, folder: Path) -> list[float]:
    """Return of every row what its chain cost, in costs of the first method of the experiment."""
    spent, first = costs(folder), next(iter(labels_of(folder)))
    chains = zip(found["experiment"], found["method"], strict=True)
    return [spent[e, m] / spent[e, first] for e, m in chains]


def base(method: str) -> tuple[str, str]:
    """Return the name of a method without its size, and the size."""
    name, found, size = method.rpartition("_")
    return (name, size) if found and size[:-1].isdigit() and size[-1] == "x" else (method, "1x")


def table(experiment: str, found: pd.DataFrame, labels: dict[str, str]) -> str:
    """Return what every method of an experiment reached, the best NLL first."""
    shown = found[found["experiment"] == experiment]
    wide = shown.pivot(index="method", columns="metric", values=["mean", "half"])
    wide["cost", ""] = shown.groupby("method")["cost"].first()
    lines = [
        f"| {experiment}: n = {shown['size'].max()} | cost | accuracy, % | NLL | NLL, tempered |",
        "|---|---|---|---|---|",
    ]
    for method, row in wide.sort_values(("mean", "nll")).iterrows():
        cells = [
            f"{factor * row['mean', metric]:.{digits}f} ± {factor * row['half', metric]:.{digits}f}"
            for (metric, factor), digits in zip(METRICS.items(), (2, 4, 4), strict=True)
        ]
        lines.append(f"| {labels[str(method)]} | ×{row['cost', '']:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(found: pd.DataFrame, labels: dict[str, str], path: Path) -> None:
    """Draw error and NLLs against cost, a panel a metric and a row an experiment."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from incbayes.figures.style import MARKERS, PALETTE

    experiments = list(dict.fromkeys(found["experiment"]))
    figure, axes = plt.subplots(
        len(experiments), len(METRICS), figsize=(12, 4.6 * len(experiments)), squeeze=False
    )
    run = set(found["method"])
    families = list(dict.fromkeys(base(method)[0] for method in labels if method in run))
    for row, experiment in zip(axes, experiments, strict=True):
        for ax, (metric, factor) in zip(row, METRICS.items(), strict=True):
            chosen = found[(found["experiment"] == experiment) & (found["metric"] == metric)]
            for place, family in enumerate(families):
                curve = chosen[[base(m)[0] == family for m in chosen["method"]]].sort_values("cost")
                style = {"color": PALETTE[place], "marker": MARKERS[place % len(MARKERS)]}
                kept = {"linestyle": "--", "markerfacecolor": "white"} if family in KEEPING else {}
                shown = 100 - 100 * curve["mean"] if metric == "accuracy" else curve["mean"]
                ax.errorbar(
                    curve["cost"],
                    shown,
                    yerr=factor * curve["half"],
                    label=labels[family],
                    linewidth=1.3,
                    elinewidth=0.7,
                    capsize=2,
                    **(style | kept),
                )
            ax.set(xscale="log", yscale="log")
            ax.set_xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
            low, high = ax.get_ylim()
            marks = [mark for mark in MARKS if low <= mark <= high]
            ax.set_yticks(marks, [f"{mark:g}" for mark in marks])
            ax.minorticks_off()
            ax.set_xlabel("cost of the chain, fine-tuning's five epochs = 1")
            ax.set_title(
                f"{experiment}: {NAMES[metric]}" if len(experiments) > 1 else NAMES[metric]
            )
            ax.grid(alpha=0.3)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.22 / len(experiments), 1, 1))
    figure.savefig(path, dpi=110)


def arguments(description: str) -> argparse.Namespace:
    """Return what was asked for: a folder, a picture, a page."""
    parser = command_line(description)
    parser.add_argument("folder", type=Path, help="of a published study")
    parser.add_argument("--figure", type=Path, help="file for the picture")
    return parser.parse_args()


def main() -> None:
    """Print the tables, and write what is asked for."""
    chosen = arguments(__doc__)
    labels = labels_of(chosen.folder)
    found = scores(chosen.folder)
    found["cost"] = relative_costs(found, chosen.folder)
    tables = [table(str(e), found, labels) for e in dict.fromkeys(found["experiment"])]
    print("\n\n".join(tables))
    if chosen.figure:
        draw(found, labels, chosen.figure)
    if chosen.write:
        write_block(chosen.write, "methods", "\n\n".join(tables))


def labels_of(folder: Path) -> dict[str, str]:
    """Return the label of every method of a published study, in its order."""
    study = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    return {name: method["label"] for name, method in study["methods"].items()}


if __name__ == "__main__":
    main()
