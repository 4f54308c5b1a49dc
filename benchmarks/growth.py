"""How a stage's time and memory grow with T, images, parameters and replicates.

    python benchmarks/growth.py --write docs/performance.md --figure docs/images/growth.png

Every point is one stage of `ffg` on an MLP, the very job that the workflow runs, on made images in
files like prepared ones, in a process of its own: its wall time without imports, and its peak
memory beyond that of a process that has imported all. Ratios are to the first point of a curve.
"""

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import alone, command_line, machine, peak_memory, write_block
from msgspec.structs import asdict
from safetensors.numpy import save_file

from incbayes.core.seal import write_seal
from incbayes.inference.settings import StageSettings
from incbayes.jobs.fit import Lineage, StageOutputs, run_stage
from incbayes.jobs.partition import PartsRequest, run_partition
from incbayes.jobs.request import BlockRequest, Machine
from incbayes.jobs.sources import SourceFiles
from incbayes.study.model import KindSpec, PartitionSettings
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import method_settings

SHAPE, CLASSES, IMAGES = (1, 28, 28), 10, 50_000
BASE = {"T": 10, "images": 500, "width": 100, "replicates": 1}
"""The point that the curves have in common: parts, images a part, hidden units, replicates.

That over images has one part.
"""
CURVES = {
    "T": [1, 2, 10, 40, 100],
    "images": [500, 1000, 2000, 4000, 8000],
    "width": [50, 200, 800],
    "replicates": [1, 2, 4],
}
EPOCHS, REPEATS = 3, 2
LABELS = {
    "T": "parts T, of equal size",
    "images": "images of the part",
    "width": "hidden units",
    "replicates": "replicates of the block",
}


def prepare(folder: Path) -> None:
    """Write a made data set into `folder`."""
    generator = np.random.default_rng(0)
    labels = np.arange(IMAGES, dtype=np.int64) % CLASSES
    images = generator.integers(0, 256, (IMAGES, *SHAPE), dtype=np.uint8)
    save_file({"images": images, "labels": labels}, folder / "train.safetensors")
    shutil.copy(folder / "train.safetensors", folder / "test.safetensors")
    facts = {
        "images": {"train": IMAGES, "test": IMAGES},
        "classes": [str(number) for number in range(CLASSES)],
        "shape": SHAPE,
        "mean": [0.5],
        "std": [0.3],
    }
    files = [folder / "train.safetensors", folder / "test.safetensors"]
    write_seal(folder / "checksums.json", "images", {"data": folder.name}, files, facts=facts)


def request(folder: Path, point: dict[str, int]) -> BlockRequest:
    """Return the request of a chain at `point`, after cutting its parts."""
    model = {"kind": "mlp", "widths": [point["width"]]}
    experiment = {"dataset": "mnist", "model": model, "methods": ["ffg"], "parts": [point["T"]]}
    study = resolve_study(
        {
            "study": "growth",
            "training": {"epochs": EPOCHS, "batch_size": 50},
            "experiments": {"made": experiment},
            "methods": {"ffg": {"family": "ffg"}},
        }
    )
    settings = method_settings(study, "made", "ffg")
    replicates = range(point["replicates"])
    cut = PartitionSettings(fraction=point["T"] * point["images"] / IMAGES)
    parts = folder / "parts.safetensors"
    asked = PartsRequest("growth", "made", replicates, 0, cut)
    run_partition(asked, point["T"], folder / "checksums.json", parts)
    return BlockRequest(
        study="growth",
        experiment="made",
        method="ffg",
        parts=point["T"],
        replicates=replicates,
        seed=0,
        budget="full",
        settings=StageSettings(**asdict(settings), model=KindSpec.of(model)),
        pixels=study.experiments["made"].pixels,
        code="",
        data=folder,
        partition=cut,
        parts_file=parts,
    )


def fit(asked: BlockRequest, t: int, folder: Path) -> None:
    """Run stage t, whose parent is there."""
    parent = folder / f"t{t - 1:02d}" / "posterior.safetensors" if t > 1 else None
    place = folder / f"t{t:02d}"
    names = ("posterior.safetensors", "training.csv", "run.json")
    outputs = StageOutputs(*(place / name for name in names))
    run_stage(asked, t, Lineage(parent, SourceFiles()), outputs, Machine("cpu", 1, 600.0))


def cost(asked: BlockRequest, t: int, folder: Path) -> tuple[float, float]:
    """Return the seconds of stage t, and the MiB by which this process' peak grows."""
    torch.set_num_threads(1)
    before = peak_memory()
    start = time.perf_counter()
    fit(asked, t, folder)
    return time.perf_counter() - start, peak_memory() - before


def last_stage(data: Path, point: dict[str, int]) -> tuple[float, float]:
    """Return seconds and MiB of the last stage of a chain at `point`."""
    asked = request(data, point)
    with tempfile.TemporaryDirectory() as scratch:
        for t in range(1, point["T"]):
            fit(asked, t, Path(scratch))
        costs = [alone(cost, asked, point["T"], Path(scratch)) for _ in range(REPEATS)]
    seconds, memory = zip(*costs, strict=True)
    return min(seconds), max(memory)


def measured() -> pd.DataFrame:
    """Return one row for every point of every curve."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        prepare(Path(scratch))
        for curve, values in CURVES.items():
            for value in values:
                point = BASE | {curve: value} | ({"T": 1} if curve == "images" else {})
                seconds, memory = last_stage(Path(scratch), point)
                rows.append({"curve": curve, "value": value, "seconds": seconds, "MiB": memory})
                print(f"{curve} {value}: {seconds:.2f} s, {memory:.0f} MiB", flush=True)
    return pd.DataFrame(rows)


def table(frame: pd.DataFrame) -> str:
    """Return the curves as tables of ratios."""
    lines = [f"{machine()}; {REPEATS} repeats, the fastest counts.", ""]
    for curve, points in frame.groupby("curve", sort=False):
        first = points.iloc[0]
        cells = [
            [f"{p.value:g}" for p in points.itertuples()],
            [f"×{p.seconds / first.seconds:.2f}" for p in points.itertuples()],
            [f"{p.MiB:.0f} MiB" for p in points.itertuples()],
        ]
        names = [LABELS[curve], "time of the last stage", "its peak memory"]
        lines += [f"| {names[0]} | {' | '.join(cells[0])} |", "|---" * (len(points) + 1) + "|"]
        lines += [
            f"| {name} | {' | '.join(row)} |"
            for name, row in zip(names[1:], cells[1:], strict=True)
        ]
        lines.append("")
    return "\n".join(lines)


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Draw the curves: time and memory over each of the four sizes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = {"seconds": "time, s", "MiB": "peak memory, MiB"}
    figure, axes = plt.subplots(2, 4, figsize=(11, 4.6), layout="constrained")
    for column, (curve, points) in enumerate(frame.groupby("curve", sort=False)):
        for row, (key, label) in enumerate(shown.items()):
            ax = axes[row, column]
            ax.plot(points["value"], points[key], marker="o", color="C0")
            ax.set_xlabel(LABELS[curve])
            ax.set_ylabel(label if column == 0 else "")
            ax.set_ylim(0, 1.15 * frame[key].max() if curve == "T" else 1.15 * points[key].max())
            ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = command_line(__doc__)
    parser.add_argument("--figure", type=Path, metavar="PNG", help="where to draw the curves")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    frame = measured()
    print(table(frame))
    if chosen.write:
        write_block(chosen.write, "growth", table(frame))
    if chosen.figure:
        draw(frame, chosen.figure)


if __name__ == "__main__":
    main()
