"""Progress and time left: the forecast on a clock of its own, the lines in real runs."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from incbayes.jobs.console import Console
from incbayes.orchestration.progress import Forecast, ProgressHandler, Step, _listed, _place

LIBRARY = Path(__file__).parents[2] / "workflow"
LINE = re.compile(
    r"^(?:[^:\n]+: )?(\d+) of (\d+) steps done(?:, .+ elapsed, (.+)| in .+)$", re.MULTILINE
)

SNAKEFILE = """
from incbayes.orchestration import progress

progress.follow(workflow, silence={silence})

rule all:
    input:
        expand("{{letter}}_2.txt", letter=["a", "b"]),

rule source:
    output:
        "source.txt",
    shell:
        "sleep {seconds}; touch {{output}}"

rule first:
    input:
        "source.txt",
    output:
        "{{letter}}_1.txt",
    log:
        "{{letter}}.log",
    shell:
        "echo 'replicate 0 epoch 3/9 nll 0.1' > {{log}}; sleep {seconds}; touch {{output}}"

rule second:
    input:
        "{{letter}}_1.txt",
    output:
        touch("{{letter}}_2.txt"),
    shell:
        "true"
"""


def steps(count: int, rule: str = "fit", chained: bool = False) -> dict[int, Step]:
    return {
        number: Step(rule, needs=(number - 1,) if chained and number else ())
        for number in range(count)
    }


def snakemake(folder: Path, *options: str, seconds: float = 0.05, silence: float = 30) -> str:
    """Run the toy workflow in `folder` and return what it wrote to the terminal."""
    (folder / "Snakefile").write_text(SNAKEFILE.format(seconds=seconds, silence=silence))
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def counts(text: str) -> list[tuple[int, int]]:
    return [(int(line[1]), int(line[2])) for line in LINE.finditer(text)]


# The forecast


def test_steps_one_after_another_take_their_mean_each():
    forecast = Forecast(steps(5))
    forecast.started(0, 0.0)
    forecast.finished(0, 10.0)
    forecast.started(1, 10.0)
    assert forecast.left(10.0) == pytest.approx(40.0)
    assert forecast.left(14.0) == pytest.approx(36.0)
    forecast.finished(1, 30.0)
    assert forecast.left(30.0) == pytest.approx(3 * 15.0)


def test_open_work_is_spread_over_the_steps_that_run_at_once():
    forecast = Forecast(steps(6))
    for number in (0, 1):
        forecast.started(number, 0.0)
    for number in (0, 1):
        forecast.finished(number, 10.0)
    assert forecast.left(10.0) == pytest.approx(4 * 10.0 / 2)


def test_a_chain_is_not_spread():
    chain = steps(4, chained=True)
    forecast = Forecast(chain | {10 + i: Step("fit") for i in range(4)})
    for number in (0, 10, 11, 12, 13):
        forecast.started(number, 0.0)
    for number in (0, 10, 11, 12, 13):
        forecast.finished(number, 10.0)
    assert forecast.left(10.0) == pytest.approx(30.0)


def test_the_most_similar_steps_of_the_rule_decide():
    def fit(**wildcards: str) -> Step:
        return Step("fit", frozenset(wildcards.items()))

    forecast = Forecast(
        {0: fit(T="1", block="r0"), 1: fit(T="10", block="r0"), 2: fit(T="10", block="r1")}
    )
    forecast.started(0, 0.0)
    forecast.finished(0, 100.0)
    assert forecast.left(100.0) == pytest.approx(200.0)
    forecast.started(1, 100.0)
    forecast.finished(1, 110.0)
    assert forecast.left(110.0) == pytest.approx(10.0)


def test_nothing_is_said_before_most_steps_have_a_known_rule():
    forecast = Forecast({0: Step("data"), **{1 + i: Step("fit") for i in range(3)}})
    assert forecast.left(0.0) is None
    forecast.started(0, 0.0)
    forecast.finished(0, 1.0)
    assert forecast.left(1.0) is None
    forecast.started(1, 1.0)
    forecast.finished(1, 6.0)
    assert forecast.left(6.0) == pytest.approx(10.0)


def test_an_overdue_step_still_takes_a_little():
    forecast = Forecast(steps(2))
    forecast.started(0, 0.0)
    forecast.finished(0, 10.0)
    forecast.started(1, 10.0)
    assert forecast.left(110.0) == pytest.approx(10.0)


def test_a_failed_step_is_open_again():
    forecast = Forecast(steps(2))
    forecast.started(0, 0.0)
    forecast.finished(0, 10.0)
    forecast.started(1, 10.0)
    forecast.failed(1)
    assert forecast.left(10.0) == pytest.approx(10.0)


def test_the_steps_of_a_group_share_its_time():
    forecast = Forecast(steps(5, chained=True) | {5 + i: Step("fit") for i in range(5)})
    forecast.grouped([0, 1, 2, 3, 4])
    for number in range(5):
        forecast.started(number, 0.0)
    for number in range(5):
        forecast.finished(number, 50.0)
    assert forecast.left(50.0) == pytest.approx(50.0)


def test_records_of_unknown_steps_are_ignored():
    forecast = Forecast(steps(1))
    forecast.started(7, 0.0)
    forecast.finished(7, 1.0)
    forecast.finished(0, 1.0)
    assert forecast.left(1.0) is None


# Real runs


@pytest.mark.parametrize("cores", ["1", "2"])
def test_every_step_gets_a_line_on_the_terminal_and_in_the_log(tmp_path: Path, cores: str):
    expected = [(done, 6) for done in range(1, 7)]
    text = snakemake(tmp_path, "--cores", cores)
    assert counts(text) == expected
    (log,) = (tmp_path / ".snakemake" / "log").glob("*.log")
    assert counts(log.read_text()) == expected
    first, *between, last = LINE.finditer(text)
    assert first[3] == "time left not known yet"
    assert all(line[3].startswith("about ") for line in between)
    assert " in " in last[0]
    assert first[0].startswith("source: 1 of 6 ")
    named = {name for line in (first, *between, last) for name in re.split(": |, ", line[0])}
    assert {"first a", "first b", "second a", "second b"} <= named


def test_a_line_names_the_steps_that_ended_since_the_last():
    names = [Step("fit", names=("mnist", "ffg", f"T{T}")) for T in range(5)]
    assert str(names[3]) == "fit mnist ffg T3"
    assert _listed([str(step) for step in names[:2]]) == "fit mnist ffg T0, fit mnist ffg T1"
    assert _listed([str(step) for step in names]).endswith(", fit mnist ffg T2 and 2 more")


def test_a_long_step_is_not_silent_and_a_second_run_counts_only_what_it_does(tmp_path: Path):
    text = snakemake(tmp_path, "--cores", "2", seconds=1, silence=0.3)
    assert counts(text).count((0, 6)) >= 2
    place = "in epoch 3/9 of replicate 0"
    assert f"; first a {place}; first b {place}" in text or f"; first b {place}; first a" in text
    (tmp_path / "a_2.txt").unlink()
    text = snakemake(tmp_path, "--cores", "2", seconds=1, silence=30)
    assert counts(text) == [(1, 2), (2, 2)]


def test_how_far_a_fit_is_stands_at_the_end_of_its_log(tmp_path: Path):
    log = tmp_path / "fit.log"
    assert _place(None) is None and _place(str(log)) is None
    with log.open("w") as file:
        console = Console("digits ffg T1 r0-1 stage 1", file)
        console.log("x" * 9999)
        assert _place(str(log)) is None
        for epoch in (1, 2):
            run = SimpleNamespace(epoch=epoch, epochs=9, batches=3, step=0, history=[{"nll": 0.5}])
            console.on_step(1, run)
    assert _place(str(log)) == "in epoch 2/9 of replicate 1"


def test_processes_of_single_jobs_write_no_lines(tmp_path: Path):
    text = snakemake(tmp_path, "--cores", "1", "--mode", "remote", "source.txt")
    assert "1 of 1 steps (100%) done" in text
    assert counts(text) == []


@pytest.mark.parametrize("option", ["--dry-run", "--quiet"])
def test_no_line_where_nothing_runs_or_quiet_is_asked_for(tmp_path: Path, option: str):
    assert counts(snakemake(tmp_path, "--cores", "2", option)) == []


def test_planning_needs_no_torch():
    code = "import sys, incbayes.orchestration.progress; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment) == b"False\n"


def test_a_fault_of_ours_ends_the_lines_and_not_the_run(caplog: pytest.LogCaptureFixture):
    def read_steps():
        raise AttributeError("the graph has another shape")

    logger = logging.getLogger("test_progress")
    logger.setLevel(logging.INFO)
    logger.addHandler(ProgressHandler(logger, read_steps, silence=30.0))
    with caplog.at_level(logging.INFO, logger="test_progress"):
        logger.info("Execute 1 jobs...", extra={"event": "job_started", "jobs": [1]})
        logger.info(None, extra={"event": "progress", "done": 1, "total": 2})
    assert [r.message for r in caplog.records if "Progress" in r.message] == [
        "Progress is no longer shown: AttributeError('the graph has another shape')"
    ]
    assert logger.handlers == []


def test_the_handler_may_be_closed_twice():
    # Snakemake closes it, and `logging.shutdown` again where it is still alive by then.
    handler = ProgressHandler(logging.getLogger("closed_twice"), dict, silence=30.0)
    handler.close()
    handler.close()
