"""A table that arrives in parts, through the real workflow: a day's jobs, and what they say."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from running import planned, run

STUDY = {
    "study": "arriving",
    "replicates": 2,
    "replicates_per_block": 2,
    "data_root": ".",
    "training": {"epochs": 30, "batch_size": 50, "learning_rate": 0.02},
    "evaluation": {"samples": 5},
    "experiments": {
        "rents": {
            "dataset": {
                "kind": "table_stream",
                "source": "rents",
                "target": "rent",
                "features": ["area"],
                "held_out": 0.25,
            },
            "model": {"kind": "mlp", "widths": []},
        }
    },
    "methods": {"ffg": {"family": "ffg"}},
}
A_DAY = {"prepare_part": 1, "fit_part": 1, "evaluate_part": 1}


def arrive(folder, part, base=100.0):
    """Write a part, whose rents are `base` and 9 for a square metre."""
    rng = np.random.default_rng(part)
    area = rng.uniform(20, 120, 200)
    rents = base + 9 * area + rng.normal(0, 30, 200)
    (folder / "rents" / "parts").mkdir(parents=True, exist_ok=True)
    file = folder / "rents" / "parts" / f"p{part}.csv"
    pd.DataFrame({"area": area, "rent": rents}).to_csv(file, index=False)


def done(folder):
    found = run(folder, STUDY)
    assert found.returncode == 0, found.stdout


@pytest.mark.slow
def test_a_new_part_costs_its_own_stage_and_rents_that_rose_are_seen(tmp_path):
    for part in (1, 2):
        arrive(tmp_path, part)
    done(tmp_path)
    results = tmp_path / "results" / "arriving"
    first = next(results.rglob("t01/posterior.safetensors"))
    before = first.read_bytes()
    (tmp_path / "rents" / "parts" / "p1.csv").unlink()
    arrive(tmp_path, 3, base=600.0)
    jobs = Counter(job.split()[0] for job in planned(tmp_path, STUDY))
    assert {name: jobs[name] for name in A_DAY} == A_DAY
    done(tmp_path)
    assert first.read_bytes() == before
    rose = json.loads(next(results.rglob("t03/drift.json")).read_text())
    assert {row["metric"] for row in rose} == {"rmse", "nlpd", "coverage_50", "coverage_90"}
    assert all(row["differs"] for row in rose if row["metric"] == "rmse")
    assert all(row["before"] > 300 for row in rose if row["metric"] == "rmse")
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "Parts as they arrived" in page and "RMSE (unit of the target), before" in page
