"""What the end of a run says of the report that it made."""

import logging
from types import SimpleNamespace

import pytest

from incbayes.orchestration.interruption import SNAKEMAKE_LOGGER
from incbayes.orchestration.report_line import say_report


@pytest.mark.parametrize("made", [True, False], ids=["made by this run", "made before"])
@pytest.mark.parametrize("advice", ["a\nb\n", "", None], ids=["advice", "none", "no file"])
def test_the_run_that_made_the_report_ends_with_its_advice_and_path(tmp_path, caplog, advice, made):
    report, path = tmp_path / "report.html", tmp_path / "advice.txt"
    if advice is not None:
        path.write_text(advice)
    jobs = [SimpleNamespace(output=[str(report)] if made else ["another file"])]
    dag = SimpleNamespace(needrun_jobs=lambda exclude_finished: jobs, jobs=jobs)
    with caplog.at_level(logging.INFO, SNAKEMAKE_LOGGER):
        say_report(SimpleNamespace(dag=dag), report, path)
    said = [record.getMessage() for record in caplog.records]
    assert said[-1:] == [f"The report: {report}"] * made
    warned = [line for message in said[:-1] for line in message.splitlines()[1:]]
    assert warned == (["a", "b"] if made and advice else [])


@pytest.mark.parametrize("deleted", [False, True], ids=["all there", "the last one deleted"])
def test_it_names_a_posterior_of_the_latest_stage_that_is_there(tmp_path, caplog, deleted):
    report = tmp_path / "report.html"
    folders = ["ffg/T10/r0-0/t02", "ffg/T10/r0-0/t10", "cfg/T10/r0-0/t02", "pretrain/r0-0"]
    files = [tmp_path / folder / "posterior.safetensors" for folder in folders]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    if deleted:
        files[1].unlink()
    made = SimpleNamespace(output=[str(report)])
    fits = [SimpleNamespace(output=[str(file), str(file.with_name("r.csv"))]) for file in files]
    dag = SimpleNamespace(needrun_jobs=lambda exclude_finished: [made], jobs=[*fits, made])
    with caplog.at_level(logging.INFO, SNAKEMAKE_LOGGER):
        say_report(SimpleNamespace(dag=dag), report, tmp_path / "advice.txt")
    named = caplog.records[0].getMessage().split(": ")[1]
    assert named == str(files[2 if deleted else 1])
