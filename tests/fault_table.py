"""The table of faults in docs/reliability.md: every test of a fault checks, or writes, its row.

`python tests/fault_table.py [MODULE …]` runs those tests and writes the table from what they found;
without it each of them fails where its row says something else.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
WRITING = "INCBAYES_FAULT_TABLE"
"""Variable with the file that takes rows, while the table is written."""

HEADER = ["| fault | times | what survived | test |", "|---|---:|---|---|"]
BLOCK = re.compile(r"(<!-- faults -->\n).*(<!-- /faults -->)", re.DOTALL)
MODULES = (
    "test_kills.py",
    "test_workflow_faults.py",
    "test_odd_folders.py",
    "test_stage_faults.py",
    "test_not_finite.py",
    "test_network_check.py",
    "test_data_faults.py",
    "test_corrupted_copies.py",
    "test_corrupted_copies_workflow.py",
    "test_image_folder.py",
    "test_image_file.py",
    "test_tiff_numbers.py",
    "test_table.py",
    "test_table_stream.py",
    "test_torchvision_archives.py",
    "test_kind_faults.py",
    "test_outside_faults.py",
    "test_given_fisher.py",
    "test_random_studies.py",
    "test_sources.py",
    "test_freshness.py",
    "test_source_changes.py",
    "test_damage.py",
    "test_stream.py",
    "test_stream_changes.py",
    "test_repeats.py",
)
"""In the order of the table."""


def survived(fault: str, times: int, outcome: str) -> None:
    """Say what a test has shown: check the row of the table, or write it.

    Args:
        fault: what was done, one row of the table each.
        times: how often it was done, every one of which ended in `outcome`.
        outcome: what survived.
    """
    module, _, test = os.environ["PYTEST_CURRENT_TEST"].split(" ")[0].rpartition("::")
    found = f"| {fault} | {times} | {outcome} | `{Path(module).stem}::{test.partition('[')[0]}` |"
    if WRITING in os.environ:
        with open(os.environ[WRITING], "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
    else:
        assert found in rows(), f"{PAGE} lacks {found!r}; run python tests/fault_table.py"


def rows() -> list[str]:
    """Return the rows of the table as it is."""
    table = BLOCK.search(PAGE.read_text(encoding="utf-8"))[0].splitlines()
    return [line for line in table if line.startswith("| ")][1:]


def file_of(module: str) -> Path:
    """Return the file of a module of tests, in whichever folder it is."""
    (path,) = Path(__file__).parent.glob(f"*/{module}.py")
    return path


def main(modules: list[str]) -> int:
    """Run the tests of faults and write their rows; return the exit code.

    Args:
        modules: names such as `test_kills.py`; none for all. The rows of others stay.
    """
    modules = modules or list(MODULES)
    tests = [str(file_of(Path(module).stem)) for module in modules]
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "rows")
        found.touch()
        environment = os.environ | {WRITING: str(found)}
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", *tests], env=environment)
        written = [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]
    if done.returncode == 0:
        written += [row for row in rows() if _module(row) not in modules]
        block = "\n".join([*HEADER, *sorted(dict.fromkeys(written), key=_place)])
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(BLOCK.sub(lambda m: f"{m[1]}{block}\n{m[2]}", text), encoding="utf-8")
    return done.returncode


def _module(row: str) -> str:
    return re.search(r"`(\w+)::\w+` \|$", row)[1] + ".py"


def _place(row: str) -> int:
    return MODULES.index(_module(row))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
