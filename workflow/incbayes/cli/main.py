"""The command `incbayes`: what a person does before a study runs, and with its results.

Modules of commands import what computes where it is used: reading a command line needs no torch.
"""

import argparse
import sys

from incbayes.cli import compare, export, new, predict, show, verify
from incbayes.core.errors import UserError

COMMANDS = {
    "new": new,
    "verify": verify,
    "compare": compare,
    "predict": predict,
    "export": export,
    "show": show,
}
"""Modules with `HELP`, `DESCRIPTION`, `add_arguments(parser)` and `run(asked)`, an exit code."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit code: 0 if all is well, 1 if not, 2 for a wrong call."""
    parser = argparse.ArgumentParser(prog="incbayes", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        adding = commands.add_parser(name, help=module.HELP, description=module.DESCRIPTION)
        module.add_arguments(adding)
    asked = parser.parse_args(arguments)
    try:
        return COMMANDS[asked.command].run(asked)
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
