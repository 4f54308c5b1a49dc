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
    dag = SimpleNamespace(needrun_jobs=lambda exclude_finished: jobs)
    with caplog.at_level(logging.INFO, SNAKEMAKE_LOGGER):
        say_report(SimpleNamespace(dag=dag), report, path)
    said = [record.getMessage() for record in caplog.records]
    assert said[-1:] == [f"The report: {report}"] * made
    warned = [line for message in said[:-1] for line in message.splitlines()[1:]]
    assert warned == (["a", "b"] if made and advice else [])
