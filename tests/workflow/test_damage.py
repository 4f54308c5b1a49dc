"""Any file of a finished study, damaged at random: named, or made again to the same bits.

Never a changed number without a word. A few through Snakemake, many through the readers of its
jobs; `-m nightly` does many more of both.
"""

import json
import os
import random
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
from fault_table import survived
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from running import TINY, run

from incbayes.cli.main import main
from incbayes.cli.verify import verified
from incbayes.core.errors import UserError
from incbayes.publication.publish import read_published
from incbayes.report.claims_table import sealed_ledger
from incbayes.report.provenance import run_of
from incbayes.results.evidence import sealed_evidence
from incbayes.results.frames import read_frames

STUDY = TINY | {"study": "damaged", "replicates_per_block": 2}
RESULTS = "results/damaged"
KINDS = ("flip", "truncate", "empty", "digit", "swap", "delete", "folder", "append")
IN_SUITE, AT_NIGHT = 60, 500


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the study has been run and published."""
    folder = tmp_path_factory.mktemp("damage") / "whole"
    folder.mkdir()
    done = run(folder, STUDY, "publish")
    assert done.returncode == 0, done.stdout
    return folder


def sealed_files(folder):
    """Return all files that a later job reads, seals included, relative to the folder."""
    found = []
    for path in sorted((folder / "results").rglob("*")):
        local = path.relative_to(folder)
        if path.is_file() and not {"logs", "benchmarks"} & set(local.parts):
            found.append(local)
    return [path for path in found if path.name not in (".claim", ".first_run", ".gitkeep")]


def damage(path, kind, place, other):
    """Do one damage to a file; return whether its bytes differ afterwards."""
    content = path.read_bytes()
    at = int(place * len(content))
    if kind in ("delete", "folder"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
        return True
    digits = [i for i, byte in enumerate(content) if byte in b"0123456789"]
    new = (
        {
            "flip": lambda: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
            "truncate": lambda: content[:at],
            "empty": lambda: b"",
            "append": lambda: content + b"0",
            "swap": lambda: other.read_bytes(),
            "digit": lambda: (
                _other_digit(content, digits[int(place * len(digits))]) if digits else content
            ),
        }[kind]()
        if content
        else content
    )
    path.write_bytes(new)
    return new != content


def _other_digit(content, at):
    return content[:at] + str((int(chr(content[at])) + 1) % 10).encode() + content[at + 1 :]


def numbers(folder):
    """Return all numbers of a finished study, as the jobs after one another read them."""
    results = folder / RESULTS
    stages = sorted(results.rglob("t[0-9]*/training.csv"))
    frames, seal = read_frames(
        "damaged",
        results / "metrics.parquet",
        map(str, stages),
        [str(path.with_name("calibration.csv")) for path in stages],
    )
    ledger, _ = sealed_ledger(results / "claims.json", results / "claims.csv", "damaged", seal)
    runs = [run_of(path.with_name("posterior.safetensors"), seal) for path in stages]
    published = read_published(folder / "results/published/damaged")
    tables = [frames.records, frames.training, frames.calibration, published.records]
    evidence = [*results.rglob("evidence.parquet")]
    tables += [sealed_evidence(path, seal).frame for path in sorted(evidence)]
    texts = [table.to_csv(index=False) for table in tables]
    return [*texts, json.dumps(list(ledger.entries)), json.dumps(runs)]


CASES = st.tuples(st.randoms(use_true_random=False), st.sampled_from(KINDS))


def do_cases(finished, scratch, number):
    """Damage one file in each case, and demand that it is named or that no number differs."""
    files, expected = sealed_files(finished), numbers(finished)
    outcomes = {"named": 0, "same": 0}

    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(CASES)
    def case(drawn):
        chance, kind = drawn
        folder = scratch / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(finished / "results", folder / "results")
        local = chance.choice(files)
        alike = [path for path in files if path.name == local.name and path != local] or files
        differs = damage(folder / local, kind, chance.random(), finished / chance.choice(alike))
        try:
            found = verified(folder / "results")
            assert bool(found.problems or found.gone) == differs, f"{kind} of {local}"
            same = numbers(folder) == expected
        except UserError as error:
            assert differs and len(str(error).splitlines()) == 1, f"{kind} of {local}: {error!r}"
            outcomes["named"] += 1
        else:
            assert same, f"{kind} of {local}: a changed number without a word"
            outcomes["same"] += 1

    case()
    assert outcomes["named"] > number / 5, outcomes
    return outcomes


def test_a_damaged_file_is_named_or_changes_no_number(finished, tmp_path):
    do_cases(finished, tmp_path, IN_SUITE)
    survived(
        "any file of a finished study with a bit flipped, cut, emptied, edited, swapped, deleted …",
        IN_SUITE,
        "`incbayes verify` names it; whoever reads it does too, or reads the same numbers",
    )


@pytest.mark.nightly
def test_many_damaged_files_are_named_or_change_no_number(finished, tmp_path):
    do_cases(finished, tmp_path, AT_NIGHT)


def through_snakemake(finished, scratch, seed):
    """Damage a file, run the same command, and demand one line or the same bits."""
    chance = random.Random(seed)
    folder = scratch / f"case {seed}"
    shutil.copytree(finished, folder)
    files = [
        path
        for path in sealed_files(folder)
        if "published" not in path.parts and path.suffix not in (".html", ".png", ".pdf", ".svg")
    ]
    local, kind = chance.choice(files), chance.choice([k for k in KINDS if k != "folder"])
    alike = [path for path in files if path.name == local.name and path != local] or files
    differs = damage(folder / local, kind, chance.random(), finished / chance.choice(alike))
    if (folder / local).exists():
        os.utime(folder / local, (time.time() + 5,) * 2)
    done = run(folder, STUDY, "--forcerun", "collect", "figures", "claims", "report")
    if done.returncode != 0:
        assert differs and "Traceback" not in done.stdout, f"{kind} of {local}: {done.stdout}"
        assert local.name in done.stdout or local.stem in done.stdout, f"{kind} of {local}"
        return "named"
    for name in ("metrics.parquet", "claims.json"):
        same = (folder / RESULTS / name).read_bytes() == (finished / RESULTS / name).read_bytes()
        assert same, f"{kind} of {local}: another {name} without a word"
    return "the same"


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_file_under_snakemake_is_named_or_made_again(finished, tmp_path, seed):
    through_snakemake(finished, tmp_path, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(3, 43))
def test_many_damaged_files_under_snakemake(finished, tmp_path, seed):
    through_snakemake(finished, tmp_path, seed)


def test_edited_numbers_and_foreign_records_reach_no_ledger(finished, tmp_path):
    stage = f"{RESULTS}/digits/ffg/T2/r0-1/t02/metrics.json"
    edits = {
        "an accuracy": lambda records: records[0].update(value=0.5),
        "another study": lambda records: [r.update(study="other") for r in records],
        "half of the records": lambda records: records.__delitem__(slice(None, None, 2)),
        "replicate -1": lambda records: records[0].update(replicate=-1),
    }
    for name, edit in edits.items():
        folder = tmp_path / name
        shutil.copytree(finished, folder)
        records = json.loads((folder / stage).read_text())
        edit(records)
        (folder / stage).write_text(json.dumps(records))
        done = run(folder, STUDY, "--forcerun", "collect")
        assert done.returncode != 0 and "Traceback" not in done.stdout
        assert f"{stage}: its checksum is" in done.stdout
    survived(
        "an accuracy edited, records of another study, half of them, a replicate -1",
        len(edits),
        "one line that names the file; nothing of it reaches the ledger",
    )


def test_verify_says_what_it_found_and_how_much(finished, monkeypatch, capsys, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    for folder in ([], ["results/damaged"], ["results/published/damaged"]):
        assert main(["verify", *folder]) == 0
        assert "all is well" in capsys.readouterr().out
    page = Path(RESULTS, "report.html").read_text(encoding="utf-8")
    files = json.loads(Path(RESULTS, "provenance.json").read_text())["sources"][0]["verified"]
    assert f"{files['files']} files by their seals" in page and files["files"] > 50
    published = Path("results/published/damaged/metrics.csv")
    records = pd.read_csv(published)
    records["value"] *= 0.5
    records.to_csv(published, index=False)
    assert main(["verify"]) == 1
    said = capsys.readouterr()
    assert f"{published}: its checksum is" in said.err and "1 problem" in said.out
    assert main(["verify", str(tmp_path)]) == 1
    (tmp_path / "none").mkdir()
    assert main(["verify", str(tmp_path / "none")]) == 1
    assert "no results of this release" in capsys.readouterr().err
