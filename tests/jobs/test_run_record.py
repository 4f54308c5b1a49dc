"""When a stage was first run stays known, and what it cost, over all processes that it took."""

import itertools
import time
from datetime import UTC, datetime, timedelta

import pytest
import torch
from listening import listening
from tiny_chain import tiny_chain

from incbayes.core.seal import any_seal
from incbayes.jobs.request import FIRST_RUN, Machine, RunRecord


def closed(folder):
    """Return what a job of a stage says of itself once it ends."""
    record = RunRecord(Machine("cpu", 1, 600), torch.device("cpu"))
    record.remember(folder)
    return record.close({0: 3})


def test_a_stage_that_is_made_anew_says_when_it_first_was(tmp_path):
    first = closed(tmp_path)
    assert first["first_started"] == first["started"]
    long_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    (tmp_path / FIRST_RUN).write_text(f"{long_ago.isoformat()}\n")
    again = closed(tmp_path)
    assert again["first_started"] == long_ago.isoformat() < again["started"]
    assert (tmp_path / FIRST_RUN).read_text().strip() == long_ago.isoformat()


@pytest.mark.parametrize("content", ["", "yesterday"])
def test_a_file_without_a_date_is_written_anew(content, tmp_path):
    (tmp_path / FIRST_RUN).write_text(content)
    found = closed(tmp_path)
    assert found["first_started"] == found["started"]
    assert (tmp_path / FIRST_RUN).read_text().strip() == found["started"]


class KilledError(Exception):
    """Ends a process in a test."""


def test_what_a_stage_cost_counts_what_was_spent_before_it_was_killed(tmp_path):
    chain, steps, slept = tiny_chain(tmp_path).saving(0), itertools.count(1), 1.5

    def killed(replicate, run):
        if next(steps) == 2:
            time.sleep(slept)
        if run.epoch == 1:
            raise KilledError

    with pytest.raises(KilledError):
        chain.fit(1, listening(killed))
    chain.fit(1)
    assert any_seal(chain.outputs(1).run).facts["seconds"] > slept
    whole = chain.at(tmp_path / "whole")
    whole.fit(1)
    assert whole.digests(1) == chain.digests(1)
