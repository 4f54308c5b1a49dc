"""What is made again: just what a change decides, at the first run; nothing by time stamps."""

import copy
import os
import random
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from fault_table import survived
from running import ROOT, TINY, planned, run

from incbayes.orchestration import code_digest as digests
from incbayes.orchestration.code_digest import code_digest
from incbayes.study.schema import study_schema

DIGITS, HALVES = "experiments.digits", "experiments.halves"
STUDY = copy.deepcopy(TINY) | {"study": "fresh"}
STUDY["experiments"]["digits"]["parts"] = [2]
STUDY["experiments"]["halves"] = {
    "dataset": "digits",
    "model": {"kind": "mlp", "widths": [4]},
    "parts": [1],
    "partition": {"source_classes": 5},
    "pretrain": {"training": {"epochs": 1}},
    "methods": ["laplace"],
}
STUDY["methods"]["laplace"] = {"family": "ffg", "prior": "laplace"}

WORDS = {"all", "figures", "report"}
JUDGED = WORDS | {"claims"}
RECORDED = JUDGED | {"collect"}
FITTED = {"fit digits", "evaluate digits"} | RECORDED
CUT = {"partition digits"} | FITTED
SOURCE = {"pretrain halves", "fisher halves", "fit halves", "evaluate halves"} | RECORDED
EVERY_FIT = FITTED | SOURCE
SCORED = {"evaluate digits", "evaluate halves"} | RECORDED
NOTHING: set[str] = set()
ONE_METHOD = FITTED

CHANGES = {
    "title": ("title", "Another", WORDS),
    "seed": ("seed", 5, EVERY_FIT | CUT | {"partition halves"}),
    "replicates": ("replicates", 3, EVERY_FIT | CUT | {"partition halves"}),
    "machine": ("machine", {"checkpoint_seconds": 5}, NOTHING),
    "data_root": ("data_root", "elsewhere", NOTHING),
    "only": ("only", ["digits"], RECORDED),
    "training": ("training.epochs", 3, EVERY_FIT - {"pretrain halves", "fisher halves"}),
    "objective": (
        "objective.kl_scale",
        0.5,
        EVERY_FIT - {"pretrain halves", "fisher halves"},
    ),
    "evaluation": ("evaluation.samples", 4, SCORED),
    "tune": ("tune", {"search": {"digits": {"ffg": {"training.epochs": [1]}}}}, {"all", "report"}),
    "budgets": ("budgets", {"less": {"replicates": 1}}, {"all", "report"}),
    "claims.*.sentence": ("claims.alike.sentence", "So it is.", {"all", "claims", "report"}),
    "claims.*.groups": ("claims.alike.groups[0].t", 1, {"all", "claims", "report"}),
    "claims.*.relation": ("claims.alike.relation.margin", 0.4, {"all", "claims", "report"}),
    "stated": (
        "stated",
        {"alike": {"date": "2026-01-01T00:00:00+00:00", "digest": 64 * "0", "first": 0}},
        {"all", "claims", "report"},
    ),
    "experiments.*.title": (f"{DIGITS}.title", "Another", WORDS),
    "experiments.*.dataset": (f"{DIGITS}.dataset", "mnist", CUT | {"prepare_data"}),
    "experiments.*.model": (f"{DIGITS}.model.widths", [9], FITTED),
    "experiments.*.pixels": (f"{DIGITS}.pixels", {"kind": "divide"}, FITTED),
    "experiments.*.augmentation": (f"{DIGITS}.augmentation", {"crop": 1}, FITTED),
    "experiments.*.parts": (f"{DIGITS}.parts", [2, 3], CUT),
    "experiments.*.partition.fraction": (f"{DIGITS}.partition", {"fraction": 0.1}, CUT),
    "experiments.*.partition.stratify": (f"{DIGITS}.partition", {"stratify": True}, CUT),
    "experiments.*.partition.calibration": (f"{DIGITS}.partition", {"calibration": 0.2}, CUT),
    "experiments.*.partition.target_classes": (
        f"{DIGITS}.partition",
        {"target_classes": [0, 1, 2]},
        CUT,
    ),
    "experiments.*.partition.source_fraction": (
        f"{HALVES}.partition",
        {"source_classes": 5, "source_fraction": 0.5},
        SOURCE | {"partition halves"},
    ),
    "experiments.*.pretrain": (f"{HALVES}.pretrain.training.epochs", 2, SOURCE),
    "experiments.*.outliers": (
        f"{DIGITS}.outliers",
        {"shuffled": "shuffled"},
        {"evaluate digits"} | RECORDED,
    ),
    "experiments.*.shifts": (
        f"{DIGITS}.shifts",
        {"noise": "gaussian_noise"},
        {"evaluate digits"} | RECORDED,
    ),
    "experiments.*.methods": (f"{DIGITS}.methods", ["ffg", "ft"], WORDS),
    "experiments.*.replicates": (f"{DIGITS}.replicates", 3, CUT),
    "experiments.*.training": (f"{DIGITS}.training.epochs", 3, FITTED),
    "experiments.*.objective": (f"{DIGITS}.objective.kl_scale", 0.5, FITTED),
    "experiments.*.settings": (
        f"{DIGITS}.settings",
        {"ffg": {"training": {"epochs": 3}}},
        ONE_METHOD,
    ),
    "methods.*.label": ("methods.ffg.label", "Another", WORDS),
    "methods.*.family": ("methods.ffg.family", "cfg", ONE_METHOD),
    "methods.*.prior": (
        "methods.laplace.prior",
        {"kind": "laplace", "fisher": "mc"},
        {"fisher halves", "fit halves", "evaluate halves"} | RECORDED,
    ),
    "methods.*.bayesian": ("methods.ffg.bayesian", "last_layer", ONE_METHOD),
    "methods.*.normalisation": ("methods.ffg.normalisation", "variational", ONE_METHOD),
    "methods.*.inference": ("methods.ffg.inference", "function", ONE_METHOD),
    "methods.*.training": ("methods.ffg.training", {"epochs": 3}, ONE_METHOD),
    "methods.*.objective": ("methods.ffg.objective", {"draws": 2}, ONE_METHOD),
    "methods.*.reading": ("methods.ffg.reading", "as_published", ONE_METHOD),
}
"""By what is changed: the path, the value, and the jobs that are due."""

OF_A_SECTION = {
    "study": "another study has its own results",
    "replicates_per_block": "another block is another unit of reuse, as docs/cluster.md says",
    "budget": "a budget has results of its own",
    "experiments.*.partition.source_classes": "as target_classes",
    "experiments.*.likelihood": "as model; there is no other to change to",
    "methods.*.inference": "as family",
    "tuned": "as tune",
    "partial": "tests/orchestration/test_partial.py",
    "first_replicate": "other replicates are other blocks, as replicates_per_block",
    "other_code": "it says what may be published, see tests/publication",
    "claims.*.paper": "as sentence",
    "claims.*.place": "as sentence",
    "claims.*.metric": "as relation",
    "claims.*.level": "as relation",
    "claims.*.figure": "as sentence",
    "claims.*.status": "as relation",
    "claims.*.looks": "as relation",
    "claims.*.evidence": "as relation",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the study has been run."""
    folder = tmp_path_factory.mktemp("fresh")
    done = run(folder, STUDY)
    assert done.returncode == 0, done.stdout
    return folder


def changed(path, value):
    """Return the study with the value at a path, which may lead through lists, replaced."""
    study = copy.deepcopy(STUDY)
    *parents, last = path.replace("[", ".").replace("]", "").split(".")
    place = study
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
    place[last] = value
    return study


def due(folder, study, *options):
    """Return the rules that a run would start, with the experiment where there is one."""
    found = set()
    for job in planned(folder, study, *options):
        rule, _, wildcards = job.partition(" ")
        named = dict(pair.split("=") for pair in wildcards.split(", ")) if wildcards else {}
        rule = rule.partition("_T")[0]
        found.add(f"{rule} {named['experiment']}" if "experiment" in named else rule)
    return found


def test_every_key_of_a_study_is_in_the_table():
    def keys(node, path, depth):
        inner = [node, *node.get("anyOf", [])]
        named = next((part["properties"] for part in inner if "properties" in part), None)
        mapped = next(
            (p["additionalProperties"] for p in inner if p.get("additionalProperties")), {}
        )
        if "x-noun" in node or depth == 0 or not (named or isinstance(mapped, dict) and mapped):
            return [path]
        if named is None:
            return keys(mapped, f"{path}.*", depth)
        return [k for key, child in named.items() for k in keys(child, f"{path}.{key}", depth - 1)]

    known = set(CHANGES) | set(OF_A_SECTION)
    for section, node in study_schema()["properties"].items():
        depth = 1 if section in ("experiments", "methods", "claims") else 0
        for key in keys(node, section, depth):
            below = [other for other in known if other == key or other.startswith(f"{key}.")]
            assert below, f"{key}: what is due when it changes?"


@pytest.mark.parametrize("key", CHANGES)
def test_a_changed_key_makes_anew_what_it_decides_at_the_first_run(key, finished):
    path, value, expected = CHANGES[key]
    assert due(finished, changed(path, value)) == expected


def test_after_a_changed_partition_the_first_run_is_the_last(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "again")
    study = changed(f"{DIGITS}.partition", {"fraction": 0.1})
    done = run(tmp_path / "again", study)
    assert done.returncode == 0, done.stdout
    assert due(tmp_path / "again", study) == NOTHING
    fresh = run(tmp_path / "alone", study) if (tmp_path / "alone").mkdir() is None else None
    assert fresh.returncode == 0, fresh.stdout
    records = [
        pd.read_parquet(tmp_path / name / "results/fresh/metrics.parquet")
        for name in ("again", "alone")
    ]
    pd.testing.assert_frame_equal(*records)
    survived(
        "one key of a study changed after a finished run",
        len(CHANGES),
        "the first run makes anew exactly what the key decides, the next one nothing",
    )


def shuffled_times(folder):
    """Give every file a time stamp of its own, in random order."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    random.Random(2018).shuffle(files)
    for place, path in enumerate(files):
        os.utime(path, (1.7e9 + place, 1.7e9 + place))


def copied(finished, tmp_path):
    """Return the folder after `cp -r`."""
    subprocess.run(["cp", "-r", str(finished), str(tmp_path / "copy")], check=True)
    return tmp_path / "copy"


def packed(finished, tmp_path):
    """Return the folder after tar to another machine, which gives times of its own."""
    archive, place = tmp_path / "study.tar", tmp_path / "unpacked"
    place.mkdir()
    names = ["results", ".snakemake/metadata"]
    subprocess.run(["tar", "-cf", archive, "-C", finished, *names], check=True)
    subprocess.run(["tar", "-xf", archive, "-m", "-C", place], check=True)
    return place


def shuffled(finished, tmp_path):
    """Return a copy whose files have time stamps in random order."""
    folder = copied(finished, tmp_path)
    shuffled_times(folder)
    return folder


@pytest.mark.parametrize("move", [copied, packed, shuffled])
def test_moved_results_are_fresh(move, finished, tmp_path):
    assert due(move(finished, tmp_path), STUDY) <= {"all", "report"}, "the command may differ"


def test_a_checkout_with_other_time_stamps_makes_nothing_anew(finished, tmp_path):
    files = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "Snakefile", "config.yaml", "workflow", "profiles", "envs"],
        capture_output=True,
        text=True,
    ).stdout.split()
    checkout = tmp_path / "checkout"
    for name in files:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    options = ["--snakefile", str(checkout / "Snakefile")]
    assert due(finished, STUDY, *options) <= {"all", "report"}, "the command may differ"
    survived(
        "results copied, packed and unpacked, with time stamps in random order; a fresh checkout",
        4,
        "nothing is made anew",
    )


SCRIPTS = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")}
SHARED = {
    "process": SCRIPTS - {"process"} - {"adapter"} | {"adapter"},
    "adapter": {
        "fit",
        "pretrain",
        "fisher",
        "choose_variance",
        "evaluate",
        "fit_part",
        "evaluate_part",
        "adapter",
    },
}


@pytest.mark.parametrize("edited", sorted(SCRIPTS))
def test_a_changed_line_in_a_script_counts_for_those_that_use_it(edited, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow")
    monkeypatch.setattr(digests, "ROOT", tmp_path / "workflow/incbayes")
    caches = (digests.code_digest, digests._read)
    before = _digests_of_scripts(caches)
    path = tmp_path / "workflow/scripts" / f"{edited}.py"
    path.write_text(path.read_text() + "\nADDED = 1\n")
    after = _digests_of_scripts(caches)
    differing = {name for name in SCRIPTS if before[name] != after[name]} - {"process"}
    assert differing == (SHARED.get(edited, {edited}) - {"process"})
    path.write_text(path.read_text().replace("ADDED = 1", "# a comment"))
    assert _digests_of_scripts(caches) == before


def _digests_of_scripts(caches):
    for cached in caches:
        cached.cache_clear()
    found = {name: code_digest(f"scripts.{name}") for name in SCRIPTS}
    for cached in caches:
        cached.cache_clear()
    return found


def test_every_rule_states_the_digest_of_its_script():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for rule in path.read_text().split("\nrule ")[1:]:
            named = [line.strip() for line in rule.splitlines() if "../scripts/" in line]
            if not named or "output:" not in rule:
                continue
            script = Path(named[0].strip('"')).stem
            wanted = (f"scripts.{script}", f'code_of("{script}"')
            assert any(text in rule for text in wanted), f"{path.name}: {script}"


def test_the_library_that_a_job_imports_is_a_path(tmp_path):
    assert Path(digests.__file__).is_relative_to(ROOT / "workflow"), "or other code was tested"
