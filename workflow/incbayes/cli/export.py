"""`incbayes export`: the posterior-mean network for programs without this library."""

import argparse
from pathlib import Path

from incbayes.cli.predict import add_model

HELP = "export the posterior-mean network"
DESCRIPTION = """Write the network of one replicate whose weights are the posterior's means:
`safetensors`, its state_dict for torch or whoever reads that format, or `torch-export`, a program
for torch alone that takes stored pixels, uint8 [N, C, H, W], and returns log-probabilities. Both
say how pixels are scaled and what the classes are."""
FORMATS = ("safetensors", "torch-export")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("posterior", help="posterior.safetensors of a stage")
    parser.add_argument("path", type=Path, help="file to write, e.g. network.safetensors")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    parser.add_argument("--replicate", type=int, help="its number; needed where there are several")
    add_model(parser)


def run(asked: argparse.Namespace) -> int:
    """Write the file, and say what it holds; return the exit code.

    Raises:
        UserError: in one line, what cannot be used.
    """
    from incbayes.prediction.export import export

    found = export(
        asked.posterior,
        "mean",
        asked.path,
        format=asked.format,
        replicate=asked.replicate,
        model=asked.model,
    )
    print(f"{asked.path}: {asked.format}, mean of replicate {found['replicate']}")
    return 0
