"""Reads the command lines of programs of this project as they would, and runs none of them.

Takes a JSON list of command lines, each without `python`, as its argument; each is read in a fork
of a process that has imported what takes long. Prints those that are refused, and ends with 1.
"""

import argparse
import json
import os
import runpy
import sys
import traceback


def read_only(parser: argparse.ArgumentParser, *arguments: list[str] | None) -> None:
    """Read the command line as the program would, and end there."""
    PARSE(parser, *arguments)
    os._exit(0)


PARSE = argparse.ArgumentParser.parse_args


def start(program: str, *arguments: str) -> None:
    """Start a program, `-m MODULE` or a file, which is to end when it has read its arguments."""
    argparse.ArgumentParser.parse_args = read_only
    if program == "-m":
        sys.argv = list(arguments)
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [program, *arguments]
        sys.path.insert(0, os.path.dirname(program))
        runpy.run_path(program, run_name="__main__")


def refused(words: list[str]) -> bool:
    """Return whether a command line is refused; in a fork, start its program and do not return."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
    try:
        start(*words)
    except SystemExit as end:
        os._exit(int(end.code not in (0, None)))
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def main() -> int:
    """Return the exit code."""
    import torch.nn.functional  # noqa: F401  before the forks, of which each needs it

    found = [words for words in json.loads(sys.argv[1]) if refused(words)]
    print("\n".join(map(str, found)))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
