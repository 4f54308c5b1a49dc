"""A job's process killed with -9 or told to stop, at moments drawn from a seed: nothing is lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import ended_jobs
import pytest
from ended_jobs import FAULTS
from fault_table import survived

from incbayes.core.errors import stopped_by
from incbayes.jobs.console import STOPPED

LIBRARY = Path(__file__).parents[2] / "workflow"
ANY, WRITING = "random moments", "random moments in which it writes"
STAGE = [
    ".claim",
    ".first_run",
    "posterior.safetensors",
    "posterior.seal.json",
    "run.json",
    "training.csv",
]
SCORES = ["calibration.csv", "evidence.parquet", "metrics.json", "metrics.seal.json"]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """By fault, what was left each time of a job's process, and what came of it."""
    script, folder = Path(ended_jobs.__file__), tmp_path_factory.mktemp("ended")
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        env=os.environ | {"PYTHONPATH": str(LIBRARY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ended(outcomes, fault, moments, statuses, files):
    """Return what was seen at one kind of moments, all of which was made good by another run."""
    seen = [one for one in outcomes[fault] if one["writing"] == (moments == WRITING)]
    times = FAULTS[fault].times
    assert len(seen) == times and all(one["same"] and one["files"] == files for one in seen)
    assert {one["status"] for one in seen} <= {*statuses, 0}
    assert sum(one["status"] != 0 for one in seen) >= times / 3, "too many came after the end"
    return seen


@pytest.mark.parametrize("moments", [ANY, WRITING])
def test_a_stage_killed_at_any_moment_ends_in_the_same_bits(outcomes, moments):
    fault = "kill -9 of the process of a stage"
    seen = ended(outcomes, fault, moments, {-signal.SIGKILL}, STAGE)
    if moments == WRITING:
        assert any(one["partials"] for one in seen)
    survived(
        f"{fault}, at {moments}",
        FAULTS[fault].times,
        "the same checksums as undisturbed, parent included; no temporary file is left",
    )


@pytest.mark.parametrize("moments", [ANY, WRITING])
@pytest.mark.parametrize(
    ("fault", "number", "files"),
    [
        ("SIGTERM to the process of a stage", signal.SIGTERM, STAGE),
        ("SIGINT to the process of a stage", signal.SIGINT, STAGE),
        ("SIGTERM to the process that scores", signal.SIGTERM, sorted(STAGE + SCORES)),
        ("SIGINT to the process that scores", signal.SIGINT, sorted(STAGE + SCORES)),
    ],
)
def test_a_job_told_to_stop_leaves_no_temporary_file_and_says_so(
    outcomes, fault, number, files, moments
):
    told, before_it_began = stopped_by(number), -number
    for one in ended(outcomes, fault, moments, {told, before_it_began}, files):
        assert one["seconds"] < 10 and one["partials"] == []
        assert one["status"] != told or STOPPED[told] in one["said"]
    survived(
        f"{fault}, at {moments}",
        FAULTS[fault].times,
        "it says so and ends within 10 s without temporary files; run again, the same checksums",
    )
