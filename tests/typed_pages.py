"""Runs the commands of a page in order, as a reader would, each as it is typed."""

import re
import subprocess
import sys

from running import ROOT, environment

BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""Of a page: language and text."""


def run(line, folder):
    """Run a command of the page in a folder, and return exit code and what it printed."""
    program = {
        "snakemake": f"{sys.executable} -m snakemake --snakefile {ROOT}/Snakefile",
        "incbayes": f"{sys.executable} -m incbayes",
    }
    first, _, rest = line.partition(" ")
    done = subprocess.run(
        f"{program.get(first, first)} {rest}",
        cwd=folder,
        env=environment(),
        shell=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, re.sub(r"[ \t]+", " ", done.stdout)
