r"""What methods got wrong over all stages, for what they cost and keep, from a published study.

    python benchmarks/anytime.py results/published/alma_mnist --write docs/alma.md \\
      --figure docs/images/alma.png

The cost of a chain is that of benchmarks/methods.py. What a chain keeps is what goes from one stage
to the next: the numbers of its posterior, and images of earlier parts, a byte a pixel. Nothing is
run.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from common import SHAPES, Contestant, training_of, write_block
from methods import KEEPING, KEYS, arguments, intervals, labels_of, relative_costs

from incbayes.results.collect import read_records
from incbayes.results.over_stages import records_of
from incbayes.study.model import KindSpec

METRIC = "cumulative_error"
SHOWN = {METRIC: (100.0, 2), "accuracy": (100.0, 2), "nll": (1.0, 4)}
"""Columns of the table: a factor, and decimals."""
BYTES = 4
"""Of a number of a posterior."""


def values(folder: Path) -> pd.DataFrame:
    """Return the records of the shown metrics, of the predictive on the test set, by stage."""
    records = read_records(folder / "metrics.csv")
    usual = records[(records["split"] == "test") & (records["predictor"] == "predictive")]
    return pd.concat([records_of(usual, name) for name in SHOWN], ignore_index=True)


def images_kept(folder: Path) -> pd.Series:
    """Return how many images of earlier parts the last stage was fitted to, by chain.

    The first method of the experiment is taken to be fitted to its part alone.
    """
    training = pd.read_parquet(folder / "training.parquet")
    last = training[training["t"] == training["T"]]
    images = last.groupby(KEYS, sort=False)["images"].max()
    first = next(iter(labels_of(folder)))
    alone = {e: images[e, first] for e in images.index.unique(0)}
    return pd.Series({(e, m): int(images[e, m]) - int(alone[e]) for e, m in images.index})


def numbers_kept(study: Mapping[str, Any], method: str, model: Mapping[str, Any]) -> int:
    """Return of how many numbers the posterior of a stage consists."""
    chosen = study["methods"][method]
    family, inference = KindSpec.of(chosen["family"]), KindSpec.of(chosen["inference"])
    start = Contestant(family, model, training_of(128), inference=inference).start
    return sum(tensor.numel() for layer in start.values() for tensor in layer.values())


def kept(folder: Path) -> dict[tuple[str, str], float]:
    """Return the megabytes that go from the last stage but one to the last, by chain."""
    study = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    found = {}
    for (experiment, method), images in images_kept(folder).items():
        model = KindSpec.of(study["experiments"][experiment]["model"])
        numbers = numbers_kept(study, str(method), model)
        stored = BYTES * numbers + images * math.prod(SHAPES[model["kind"]])
        found[str(experiment), str(method)] = stored / 1e6
    return found


def table(experiment: str, found: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Return what every method of an experiment reached, the least cumulative error first."""
    last = found[(found["experiment"] == experiment) & (found["t"] == found["T"])]
    wide = last.pivot(index="method", columns="metric", values=["mean", "half"])
    fixed = last.groupby("method")[["cost", "kept"]].first()
    heads = ["cumulative error, %", "accuracy at the end, %", "NLL at the end", "cost", "kept, MB"]
    study = f"{experiment}: T = {last['T'].max()}, n = {last['size'].max()}"
    lines = [f"| {study} | {' | '.join(heads)} |", "|---|---|---|---|---|---|"]
    for method, row in wide.sort_values(("mean", METRIC)).iterrows():
        cells = [
            f"{factor * row['mean', name]:.{digits}f} ± {factor * row['half', name]:.{digits}f}"
            for name, (factor, digits) in SHOWN.items()
        ]
        cells += [f"×{fixed['cost'][method]:.1f}", f"{fixed['kept'][method]:.1f}"]
        lines.append(f"| {labels[str(method)]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(found: pd.DataFrame, labels: Mapping[str, str], path: Path) -> None:
    """Draw the error after every stage, and the cumulative one against cost."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from incbayes.figures.style import LINE_STYLES, MARKERS, PALETTE

    experiments = list(dict.fromkeys(found["experiment"]))
    figure, axes = plt.subplots(
        len(experiments), 2, figsize=(10, 4.6 * len(experiments)), squeeze=False
    )
    methods = [name for name in labels if name in set(found["method"])]
    for row, experiment in zip(axes, experiments, strict=True):
        of_one = found[found["experiment"] == experiment]
        for place, method in enumerate(methods):
            chosen = of_one[of_one["method"] == method]
            accuracy = chosen[chosen["metric"] == "accuracy"].sort_values("t")
            ends = chosen[(chosen["metric"] == METRIC) & (chosen["t"] == chosen["T"])]
            look = {"color": PALETTE[place], "marker": MARKERS[place % len(MARKERS)]}
            if method in KEEPING or method.startswith("replay"):
                look["markerfacecolor"] = "white"
            row[0].plot(
                accuracy["t"],
                100 * (1 - accuracy["mean"]),
                label=labels[method],
                linestyle=LINE_STYLES[place % len(LINE_STYLES)],
                markersize=4,
                **look,
            )
            row[1].errorbar(
                ends["cost"], 100 * ends["mean"], yerr=100 * ends["half"], capsize=3, **look
            )
        row[0].set(xlabel="mega-batch", ylabel="test error (%)", title="after every mega-batch")
        row[1].set(
            xlabel="cost of the chain, fine-tuning = 1",
            ylabel="cumulative error (%)",
            title="summed over all, against cost",
        )
        row[1].set_xscale("log")
        row[1].set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        row[1].minorticks_off()
        for ax in row:
            ax.grid(alpha=0.3)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.17 / len(experiments), 1, 1))
    figure.savefig(path, dpi=110)


def picture(figure: Path, page: Path) -> str:
    """Return the line of a page that shows a picture."""
    words = "Test error after every stage, and the sum of all against what the chain cost"
    return f"![{words}]({Path(os.path.relpath(figure, page.parent)).as_posix()})"


def main() -> None:
    """Print the tables, and write what is asked for."""
    chosen = arguments(__doc__)
    labels, stored = labels_of(chosen.folder), kept(chosen.folder)
    found = intervals(values(chosen.folder), [*KEYS, "T", "t", "metric"])
    found["cost"] = relative_costs(found, chosen.folder)
    chains = zip(found["experiment"], found["method"], strict=True)
    found["kept"] = [stored[chain] for chain in chains]
    tables = [table(str(e), found, labels) for e in dict.fromkeys(found["experiment"])]
    print("\n\n".join(tables))
    if chosen.figure:
        draw(found, labels, chosen.figure)
    if chosen.write:
        shown = [picture(chosen.figure, chosen.write)] if chosen.figure else []
        write_block(chosen.write, "alma", "\n\n".join([*shown, *tables]))


if __name__ == "__main__":
    main()
