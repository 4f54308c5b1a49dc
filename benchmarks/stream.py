"""The day a part arrives: what it costs beside a run from scratch on all parts.

    python benchmarks/stream.py --data-root DATA --write docs/performance.md

Lets ten parts of MNIST arrive (DATA/MNIST/raw, in torchvision's layout), then an eleventh, and
fits the same images from scratch in one part. Then plans a stream of 500 parts. Take ratios; on a
machine with other work to do the seconds mean little.
"""

import tempfile
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from common import command_line, write_block
from orchestration import snakemake
from PIL import Image
from torchvision.datasets import MNIST

PARTS = 11
PLANNED = 500
DIGITS = [str(number) for number in range(10)]


def study(source: str, shape: list[int], epochs: int) -> dict[str, Any]:
    """Return the study of a stream: FFG on LeNet5, one replicate."""
    return {
        "study": source,
        "replicates": 1,
        "data_root": ".",
        "training": {"epochs": epochs, "batch_size": 128, "precision": "bf16"},
        "evaluation": {"precision": "bf16"},
        "experiments": {
            "digits": {
                "dataset": {
                    "kind": "image_stream",
                    "source": source,
                    "shape": shape,
                    "classes": DIGITS,
                },
                "model": "lenet5",
            }
        },
        "methods": {"ffg": {"family": "ffg"}},
    }


def put(archive: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images [N, H, W] as `CLASS/NUMBER.png` of an archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as opened:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            buffer = BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            opened.writestr(f"{label}/{number:05d}.png", buffer.getvalue())


def run(folder: Path, asked: dict[str, Any], *options: str) -> float:
    """Return the seconds that a run of a study with its results in `folder` takes."""
    file = folder / f"{asked['study']}.yaml"
    file.write_text(yaml.safe_dump(asked), encoding="utf-8")
    return snakemake(folder, "--configfile", str(file), *options)


def finished(folder: Path) -> set[Path]:
    """Return the time files of all jobs that have ended."""
    return set(folder.rglob("benchmarks/**/*.tsv")) | set(folder.glob("results/data/logs/*/*.log"))


def last_accuracy(folder: Path, name: str) -> float:
    """Return the accuracy after the last part, of the mixture of draws, in per cent."""
    found = pd.read_csv(folder / "results" / name / "metrics.csv")
    chosen = (found["metric"] == "accuracy") & (found["split"] == "test")
    rows = found[chosen & (found["t"] == found["T"])]
    return 100 * float(rows[rows["predictor"] == "mixture"]["value"].iloc[0])


def stages(folder: Path, name: str) -> Iterator[tuple[int, pd.Series]]:
    """Yield t and Snakemake's own measurement of every stage's process."""
    for path in sorted((folder / "results" / name).glob("benchmarks/fit/*.tsv")):
        yield int(path.stem.rpartition("t")[2]), pd.read_csv(path, sep="\t").iloc[0]


def stream_text(data_root: Path, epochs: int) -> str:
    """Run ten parts, the eleventh, and all eleven from scratch; return what it took."""
    train, test = (MNIST(str(data_root), train=split) for split in (True, False))
    images, labels = train.data.numpy(), train.targets.numpy()
    order = np.random.default_rng(0).permutation(len(images))
    cut = np.array_split(order, PARTS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for source in ("daily", "scratch"):
            place = folder / source / "test"
            put(place.with_suffix(".zip"), test.data.numpy(), test.targets.numpy())
            with zipfile.ZipFile(place.with_suffix(".zip")) as opened:
                opened.extractall(place)
            place.with_suffix(".zip").unlink()
        for number, chosen in enumerate(cut[:-1], 1):
            archive = folder / "daily" / "parts" / f"part{number:02d}.zip"
            put(archive, images[chosen], labels[chosen])
        daily = study("daily", [1, 28, 28], epochs)
        before = run(folder, daily)
        ten, done = last_accuracy(folder, "daily"), finished(folder)
        put(folder / "daily" / "parts" / f"part{PARTS}.zip", images[cut[-1]], labels[cut[-1]])
        day = run(folder, daily)
        jobs = len(finished(folder) - done)
        put(folder / "scratch" / "parts" / "all.zip", images[order], labels[order])
        again = run(folder, study("scratch", [1, 28, 28], epochs))
        eleven, whole = (last_accuracy(folder, name) for name in ("daily", "scratch"))
        memory = {t: row["max_rss"] for t, row in stages(folder, "daily")}
        (part,) = (row["max_rss"] for _, row in stages(folder, "scratch"))
    lines = [
        f"MNIST in {PARTS} parts of about {len(cut[0])} images, LeNet5, FFG, one replicate, "
        f"{epochs} epochs a part, two cores. Seconds from the command to the report.",
        "",
        "| | seconds | accuracy on the test images |",
        "|---|---|---|",
        f"| the first ten parts, at once | {before:.0f} | {ten:.2f} % |",
        f"| the day of the eleventh: {jobs} jobs that fit, score or prepare | {day:.0f} | "
        f"{eleven:.2f} % |",
        f"| all eleven parts from scratch, as one | {again:.0f} | {whole:.2f} % |",
        "",
        f"The eleventh day costs {day / again:.2f} of a run from scratch. Peak memory of a stage's "
        f"process: {memory[1]:.0f} MB at t = 1, {max(memory.values()):.0f} MB at most, "
        f"{memory[PARTS]:.0f} MB at t = {PARTS}; from scratch {part:.0f} MB.",
    ]
    return "\n".join(lines)


def planning_text() -> str:
    """Plan a stream of many parts, none of which was fitted, and return what that took."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        random = np.random.default_rng(0)
        for number in range(1, PLANNED + 1):
            pictures = random.integers(0, 256, (2, 32, 32), np.uint8)
            put(folder / "many" / "parts" / f"p{number:04d}.zip", pictures, np.array([0, 1]))
        put(folder / "many" / "test.zip", pictures, np.array([0, 1]))
        with zipfile.ZipFile(folder / "many" / "test.zip") as opened:
            opened.extractall(folder / "many" / "test")
        seconds = run(folder, study("many", [1, 32, 32], 1), "--dry-run", "--quiet", "all")
    return f"Planning a stream of {PLANNED} parts (`snakemake -n`): {seconds:.1f} s."


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = command_line(__doc__)
    parser.add_argument("--data-root", type=Path, help="folder with MNIST/raw")
    parser.add_argument("--epochs", type=int, default=5, help="of each part")
    chosen = parser.parse_args()
    text = planning_text()
    if chosen.data_root:
        text = f"{stream_text(chosen.data_root, chosen.epochs)}\n\n{text}"
    print(text)
    if chosen.write:
        write_block(chosen.write, "stream", text)


if __name__ == "__main__":
    main()
