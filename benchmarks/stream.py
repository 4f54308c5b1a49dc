"""The day a part arrives: what it costs beside a run from scratch on all parts.

    python benchmarks/stream.py --data-root data --write docs/performance.md

Lets ten parts arrive, then an eleventh, and fits all rows from scratch as one part: of MNIST
(data/MNIST/raw, in torchvision's layout), and of a made table (Friedman's first function). Then
plans a stream of 500 parts. Take ratios; beside other work the seconds mean little.
"""

import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from common import command_line, write_block
from orchestration import snakemake
from PIL import Image
from sklearn.datasets import make_friedman1
from torchvision.datasets import MNIST

PARTS = 11
PLANNED = 500
ROWS = 55_000
SCORED = {"samples": 20, "part_images": 2000, "precision": "bf16"}
DIGITS = [str(number) for number in range(10)]
COLUMNS = [f"x{number}" for number in range(10)]


@dataclass(frozen=True)
class Arriving:
    """Data that arrive.

    Attributes:
        name: of the table of the page.
        experiment: of the study, but for its source.
        training: settings of it.
        metric: that is shown, and how.
        rows: how many there are.
        put: writes the rows of indices as a part, given its place without an ending.
        put_test: writes what is scored, given its folder.
    """

    name: str
    experiment: dict[str, Any]
    training: dict[str, Any]
    metric: tuple[str, str]
    rows: int
    put: Callable[[Path, np.ndarray], None]
    put_test: Callable[[Path], None]

    def study(self, source: str) -> dict[str, Any]:
        """Return the study of a stream: FFG, one replicate."""
        dataset = self.experiment["dataset"] | {"source": source}
        return {
            "study": source,
            "replicates": 1,
            "data_root": ".",
            "training": self.training,
            "evaluation": SCORED,
            "experiments": {"stream": self.experiment | {"dataset": dataset}},
            "methods": {"ffg": {"family": "ffg"}},
        }


def of_images(shape: list[int], epochs: int) -> dict[str, Any]:
    """Return experiment and training of a stream of digits."""
    dataset = {"kind": "image_stream", "shape": shape, "classes": DIGITS}
    training = {"epochs": epochs, "batch_size": 128, "precision": "bf16"}
    return {"experiment": {"dataset": dataset, "model": "lenet5"}, "training": training}


def put_images(archive: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images [N, H, W] as `CLASS/NUMBER.png` of an archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as opened:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            buffer = BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            opened.writestr(f"{label}/{number:05d}.png", buffer.getvalue())


def put_image_folder(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images [N, H, W] as `CLASS/NUMBER.png` of a folder."""
    archive = folder.with_suffix(".zip")
    put_images(archive, images, labels)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    archive.unlink()


def mnist(data_root: Path, epochs: int) -> Arriving:
    """Return the images of MNIST as what arrives."""
    train, test = (MNIST(str(data_root), train=split) for split in (True, False))
    images, labels = train.data.numpy(), train.targets.numpy()
    return Arriving(
        "MNIST, LeNet5",
        metric=("accuracy", "accuracy on the test images"),
        rows=len(images),
        put=lambda place, rows: put_images(
            place.with_name(f"{place.name}.zip"), images[rows], labels[rows]
        ),
        put_test=lambda folder: put_image_folder(folder, test.data.numpy(), test.targets.numpy()),
        **of_images([1, 28, 28], epochs),
    )


def friedman(epochs: int) -> Arriving:
    """Return a made table as what arrives: Friedman's first function, noise of deviation 1."""
    inputs, targets = make_friedman1(ROWS + 5000, noise=1.0, random_state=0)
    frame = pd.DataFrame(inputs, columns=COLUMNS).assign(y=targets)

    def put(path: Path, rows: pd.DataFrame) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(path)

    dataset = {"kind": "table_stream", "target": "y", "features": COLUMNS}
    return Arriving(
        "A table of ten columns and a number, MLP of 64 and 64",
        experiment={
            "dataset": dataset,
            "model": {"kind": "mlp", "widths": [64, 64]},
            "likelihood": {"kind": "gaussian", "noise": "learnt"},
        },
        training={"epochs": epochs, "batch_size": 128},
        metric=("rmse", "RMSE on the test rows (the noise is 1)"),
        rows=ROWS,
        put=lambda place, rows: put(place.with_name(f"{place.name}.parquet"), frame.iloc[rows]),
        put_test=lambda folder: put(folder / "rows.parquet", frame.iloc[ROWS:]),
    )


def run(folder: Path, asked: dict[str, Any], *options: str) -> float:
    """Return the seconds that a run of a study with its results in `folder` takes."""
    file = folder / f"{asked['study']}.yaml"
    file.write_text(yaml.safe_dump(asked), encoding="utf-8")
    return snakemake(folder, "--configfile", str(file), *options)


def stages(folder: Path, name: str) -> dict[int, float]:
    """Return by t the peak memory of a stage's process in MB, as Snakemake measures it."""
    found = (folder / "results" / name).glob("benchmarks/fit/*.tsv")
    return {
        int(path.stem.rpartition("t")[2]): float(pd.read_csv(path, sep="\t")["max_rss"].iloc[0])
        for path in found
    }


def last(folder: Path, name: str, metric: str) -> str:
    """Return a metric after the last part, over draws of the weights, as text."""
    found = pd.read_csv(folder / "results" / name / "metrics.csv")
    chosen = (found["metric"] == metric) & (found["split"] == "test")
    rows = found[chosen & (found["t"] == found["T"]) & (found["predictor"] == "predictive")]
    value = float(rows["value"].iloc[0])
    return f"{100 * value:.2f} %" if metric == "accuracy" else f"{value:.3f}"


def stream_text(arriving: Arriving) -> str:
    """Run ten parts, the eleventh, and all eleven from scratch; return what it took."""
    order = np.random.default_rng(0).permutation(arriving.rows)
    cut = np.array_split(order, PARTS)
    metric, shown = arriving.metric
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for source in ("daily", "scratch"):
            arriving.put_test(folder / source / "test")
        for number, chosen in enumerate(cut[:-1], 1):
            arriving.put(folder / "daily" / "parts" / f"part{number:02d}", chosen)
        daily, whole = arriving.study("daily"), arriving.study("scratch")
        before = run(folder, daily)
        ten = last(folder, "daily", metric)
        arriving.put(folder / "daily" / "parts" / f"part{PARTS}", cut[-1])
        day = run(folder, daily)
        arriving.put(folder / "scratch" / "parts" / "all", order)
        again = run(folder, whole)
        eleven, at_once = (last(folder, name, metric) for name in ("daily", "scratch"))
        memory = stages(folder, "daily")
        (of_all,) = stages(folder, "scratch").values()
    lines = [
        f"{arriving.name}: {PARTS} parts of about {len(cut[0])}, FFG, one replicate, "
        f"{arriving.training['epochs']} epochs a part, "
        f"{SCORED['samples']} draws for scores, two cores. Seconds from command to report.",
        "",
        f"| | seconds | {shown} |",
        "|---|---|---|",
        f"| the first ten parts, all on one day | {before:.0f} | {ten} |",
        f"| the day of the eleventh | {day:.0f} | {eleven} |",
        f"| all eleven from scratch, as one part | {again:.0f} | {at_once} |",
        "",
        f"The eleventh day costs {day / again:.2f} of a run from scratch. Peak memory of the "
        f"process that fits: {memory[1]:.0f} MB at t = 1, {memory[PARTS]:.0f} MB at t = {PARTS}, "
        f"{max(memory.values()):.0f} MB at most; from scratch {of_all:.0f} MB.",
        "",
    ]
    return "\n".join(lines)


def planning_text() -> str:
    """Plan a stream of many parts, none of which was fitted, and return what that took."""
    pictures = np.random.default_rng(0).integers(0, 256, (PLANNED, 2, 32, 32), np.uint8)
    labels = np.array([0, 1])
    many = Arriving(
        "many",
        metric=("accuracy", ""),
        rows=0,
        put=lambda place, rows: None,
        put_test=lambda folder: None,
        **of_images([1, 32, 32], 1),
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, picture in enumerate(pictures, 1):
            put_images(folder / "many" / "parts" / f"p{number:04d}.zip", picture, labels)
        put_image_folder(folder / "many" / "test", pictures[0], labels)
        seconds = run(folder, many.study("many"), "--dry-run", "--quiet", "all")
    return f"Planning a stream of {PLANNED} parts (`snakemake -n`): {seconds:.1f} s."


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = command_line(__doc__)
    parser.add_argument("--data-root", type=Path, help="folder with MNIST/raw; without it no MNIST")
    parser.add_argument("--epochs", type=int, default=5, help="of each part")
    chosen = parser.parse_args()
    texts = [mnist(chosen.data_root, chosen.epochs)] if chosen.data_root else []
    texts.append(friedman(chosen.epochs))
    text = "\n".join([*map(stream_text, texts), planning_text()])
    print(text)
    if chosen.write:
        write_block(chosen.write, "stream", text)


if __name__ == "__main__":
    main()
