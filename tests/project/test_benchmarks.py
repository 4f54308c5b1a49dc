"""Benchmarks call the library as it is: they are run by hand, so that nothing else would say so."""

import os
import re
import subprocess
import sys

from running import ROOT

BROKEN = ("attr-defined", "call-arg", "import-not-found", "name-defined")
"""Codes of mypy for a name that is not there, or not called like that."""
OPTIONS = ("--config-file=", "--ignore-missing-imports", "--follow-imports=silent")


def test_what_benchmarks_call_is_there():
    found = subprocess.run(
        [sys.executable, "-m", "mypy", *OPTIONS, "--check-untyped-defs", "benchmarks"],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": os.pathsep.join(["workflow", "benchmarks"])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"no issues found|Found \d+ error", found.stdout), found.stdout + found.stderr
    ends = tuple(f"[{code}]" for code in BROKEN)
    broken = [line for line in found.stdout.splitlines() if line.endswith(ends)]
    assert not broken, "\n".join(broken)
