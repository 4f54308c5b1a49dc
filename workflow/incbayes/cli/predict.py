"""`incbayes predict`: classes of images by a posterior, and how sure it is."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from incbayes.core.errors import UserError
from incbayes.core.files import atomic_write

if TYPE_CHECKING:
    from incbayes.prediction.numbers import NumberPredictions
    from incbayes.prediction.predict import Predictions

    Found = Predictions | NumberPredictions

HELP = "predict for images, or rows of a table, with a posterior"
DESCRIPTION = """Print for each image the most probable class and, in nats, the entropy of the
prediction, the part of it that is of the data, and the mutual information of label and weights.
Each is of the equal mixture of all draws of all replicates. With --out also the probability of
every class. Of a table these are rows of CSV and Parquet files; where the target is a number, its
mean, its deviation and that of noise and of weights, and the intervals of 50 and 90 %."""
POSTERIOR = ".safetensors"
ENDINGS = (".parquet", ".csv")
WORDS = ("image", "row", "class")
"""Columns of the table that hold words."""

WIDEST = 60
"""Characters of a path, or of a class, that the table shows; the last ones."""


class CallError(UserError, ValueError):
    """A command that lacks something."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("posterior", help="posterior.safetensors of a stage")
    parser.add_argument(
        "images",
        nargs="+",
        help="image files, folders (whatever depth) and archives (.zip, .tar, .tar.gz, .tgz); of a "
        "table .csv and .parquet; those that end in .safetensors are further posteriors, of other "
        "blocks of the chain",
    )
    parser.add_argument("--out", type=Path, help="file for all numbers: .parquet or .csv")
    parser.add_argument("--samples", type=int, default=100, help="draws a replicate (default: 100)")
    parser.add_argument("--seed", type=int, help="of the draws (default: the study's)")
    parser.add_argument("--batch-size", type=int, default=512, help="default: 512")
    parser.add_argument("--replicate", type=int, action="append", help="default: all")
    add_machine(parser)


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Declare where to compute, and with whose code."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add_model(parser)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declare whose code builds the network."""
    parser.add_argument(
        "--model",
        metavar="FILE.py:Class",
        help="your own class that builds the network; its file is run",
    )


def run(asked: argparse.Namespace) -> int:
    """Print a table, or write the predictions; return the exit code.

    Raises:
        UserError: in one line, what cannot be used.
    """
    if asked.out is not None and asked.out.suffix not in ENDINGS:
        raise CallError(f"--out {asked.out}: allowed endings: {', '.join(ENDINGS)}")
    posteriors = [asked.posterior, *(p for p in asked.images if p.endswith(POSTERIOR))]
    images = [path for path in asked.images if not path.endswith(POSTERIOR)]
    if not images:
        raise CallError("predict: posteriors, but no images were given")
    from incbayes.prediction.predict import predict

    found = predict(
        posteriors,
        images,
        samples=asked.samples,
        seed=asked.seed,
        device=asked.device,
        batch_size=asked.batch_size,
        model=asked.model,
        replicates=asked.replicate,
        progress=True,
    )
    if asked.out is None:
        print(_table(found))
    else:
        _write(found, asked.out)
    print(_summary(found, asked.out))
    return 0


def _write(found: "Found", path: Path) -> None:
    with atomic_write(path) as partial:
        if path.suffix == ".csv":
            found.frame().to_csv(partial, index=False, lineterminator="\n")
        else:
            found.frame().to_parquet(partial, index=False)


def _table(found: "Found") -> str:
    """Return a table for reading: a line an image, or a row."""
    columns = [(_cut(head), [_cut(cell) for cell in cells]) for head, cells in found.shown()]
    widths = [max(map(len, [head, *cells])) for head, cells in columns]
    rows = [[head for head, _ in columns], *zip(*(cells for _, cells in columns), strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if columns[place][0] in WORDS else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _summary(found: "Found", out: Path | None) -> str:
    count, several = len(found.names), len(found.replicates)
    what = f"{count} {found.noun}{'s' if count != 1 else ''}"
    by = f"{several} replicate{'s' if several != 1 else ''}"
    draws = f"{found.samples} draw{'s' if found.samples != 1 else ''} of each"
    return f"{what}, {by}, {draws}; in {found.unit}" + (f"; written to {out}" if out else "")


def _cut(name: str) -> str:
    """Return a name that a terminal can show, its end where it is long."""
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= WIDEST else "…" + text[1 - WIDEST :]
