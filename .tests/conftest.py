"""Lets the tests that `snakemake --generate-unit-tests` writes compare what a job repeats.

They compare outputs byte by byte. Of a run record and a report that cannot hold: these say when,
where and how long. Of them the seals are compared instead: whose the files are, and what they were
made from.
"""

import importlib
import json
from pathlib import Path

import pytest

SEALS = {"run.json": "run.json"} | dict.fromkeys(
    ("report.html", "provenance.json", "report.seal.json"), "report.seal.json"
)
"""Files that tell of one run alone, and the seal beside each."""


@pytest.fixture(autouse=True)
def repeated_bytes_alone(monkeypatch):
    """Compare seals in the place of files that tell of one run alone."""
    checker = importlib.import_module("common").OutputChecker
    byte_by_byte = checker.compare_files

    def compare(self, expected: Path, generated: Path, *commands) -> None:
        seal = SEALS.get(expected.name)
        if seal is None:
            byte_by_byte(self, expected, generated, *commands)
            return
        sealed = [json.loads(path.with_name(seal).read_text()) for path in (expected, generated)]
        before, now = ({key: of[key] for key in ("identity", "parents")} for of in sealed)
        assert generated.stat().st_size and before == now, f"{expected} is of another run"

    monkeypatch.setattr(checker, "compare_files", compare)
