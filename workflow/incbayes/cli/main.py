"""The command `incbayes`: what a person does before a study runs, and with its results.

Modules of commands import what computes where it is used: reading a command line needs no torch.
"""

import argparse
import sys

from incbayes import __version__
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

DESCRIPTION = "Bayesian incremental learning: what is done by hand, beside the studies."
EPILOG = """\
A study runs by Snakemake: snakemake --cores all --configfile STUDY.yaml
incbayes COMMAND --help says what a command takes.

exit codes: 0 all is well; 1 a problem, named on standard error; 2 a wrong call"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit code: 0 if all is well, 1 if not, 2 for a wrong call."""
    parser = argparse.ArgumentParser(
        prog="incbayes",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"incbayes {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    for name, module in COMMANDS.items():
        adding = commands.add_parser(name, help=module.HELP, description=module.DESCRIPTION)
        module.add_arguments(adding)
    asked = parser.parse_args(arguments)
    try:
        return COMMANDS[asked.command].run(asked)
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
