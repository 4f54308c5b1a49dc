"""`incbayes show`: what a posterior is."""

import argparse
import json
import shutil
from pathlib import Path

from incbayes.cli.predict import add_model

HELP = "say what a posterior is"
DESCRIPTION = """Print on one screen whose posterior a file is, of which network and classes, what
it was made from, back to the first stage, and the KL and the width of every layer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("posterior", type=Path, help="posterior.safetensors of a stage")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    add_model(parser)


def run(asked: argparse.Namespace) -> int:
    """Print what the file is; return the exit code.

    Raises:
        UserError: the file, or the seal beside it, cannot be used.
    """
    from incbayes.prediction.show import facts, text

    found = facts(asked.posterior, asked.model)
    if asked.json:
        print(json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False))
    else:
        print(text(found, max(60, shutil.get_terminal_size((100, 40)).columns)))
    return 0
