"""A method that keeps images of earlier parts, from job to job."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from bad_studies import refusal
from listening import listening
from small_study import changed
from tiny_chain import SETTINGS, tiny_chain

from incbayes.data.reservoir import reservoir
from incbayes.jobs.partition import PartsRequest, read_parts
from incbayes.posterior.file import PosteriorError, read_metadata
from incbayes.report.methods import describe_method
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study

KEPT = 40


def replaying(images):
    inference = KindSpec("replay", {"images": images})
    return replace(SETTINGS, family=KindSpec("point"), inference=inference)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    made = tiny_chain(tmp_path_factory.mktemp("replay"), 3).asked(settings=replaying(KEPT))
    made.fit(1)
    return made


@pytest.fixture(scope="module")
def cut(chain):
    request = chain.request
    asked = PartsRequest("tiny", "digits", [0], 0, request.partition)
    data = request.open(torch.device("cpu"))
    return read_parts(request.parts_file, asked, data.train.seal, 3).cuts[0]


def test_a_stage_goes_on_from_yesterday_on_its_part_and_what_is_kept(chain, cut):
    runs = {}
    for t in (2, 3):
        chain.fit(t, listening(lambda replicate, run, t=t: runs.setdefault(t, run)))
    every = torch.as_tensor(chain.request.open(torch.device("cpu")).train.split.labels)
    for t, run in runs.items():
        (indices,) = chain.request.fitted(t, {0: cut}).values()
        own, kept = indices[:-KEPT], indices[-KEPT:]
        assert np.array_equal(own, cut.parts[t - 1])
        assert set(kept) <= set(np.concatenate(cut.parts[: t - 1]))
        assert torch.equal(run.part.labels, every[torch.as_tensor(indices)])
        assert read_metadata(chain.posterior(t))["images"] == {"0": len(own) + KEPT}
    before, now = (set(chain.request.fitted(t, {0: cut})[0][-KEPT:]) for t in (2, 3))
    assert now <= before | set(cut.parts[1]) and now != before
    chain.evaluate()


def test_the_reservoir_is_that_of_a_stream_of_the_replicates_own(chain, cut):
    from incbayes.core.streams import numpy_stream

    generator = numpy_stream(0, "digits", "T3", 0, "reservoir")
    expected = reservoir(cut.parts[:2], KEPT, generator)
    assert np.array_equal(chain.request.fitted(3, {0: cut})[0][-KEPT:], expected)
    assert not np.array_equal(chain.request.fitted(3, {1: cut})[1][-KEPT:], expected)


def test_with_room_for_all_it_is_fitted_to_all_parts_so_far(chain, cut):
    roomy = chain.asked(settings=replaying(10_000)).request
    for t in (1, 2, 3):
        (indices,) = roomy.fitted(t, {0: cut}).values()
        assert sorted(indices) == sorted(np.concatenate(cut.parts[:t]))


def test_a_stage_of_another_reservoir_is_not_gone_on_from(chain):
    with pytest.raises((PosteriorError, ValueError)):
        chain.asked(settings=replaying(KEPT + 1)).fit(2)
    with pytest.raises((PosteriorError, ValueError)):
        chain.asked(settings=replace(SETTINGS, family=KindSpec("point"))).fit(2)


def test_the_report_says_that_data_are_kept():
    replay = {"kind": "replay", "images": 50}
    for inference, expected in (
        (replay, "fitted by replay (images 50), which keeps 50 images of earlier parts"),
        ("cumulative", "fitted by cumulative, which keeps all data"),
        ("function", "fitted by function (weight 0.5, teacher mean, teacher_draws 20)"),
    ):
        study = resolve_study(changed(("methods.ft.inference", inference)))
        assert describe_method(study, "plain", "ft")[1].endswith(expected)


STREAM = {"kind": "image_stream", "source": "here", "classes": ["a", "b"], "shape": [1, 8, 8]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [("methods.ffg.inference", "replay")],
            "methods.ffg.inference: replay cannot fit the family ffg; it fits: point",
        ),
        (
            [("methods.ft.inference", "replay"), ("experiments.plain.dataset", STREAM)],
            "methods.ft.inference: replay keeps images of earlier parts, and those of a stream may",
        ),
    ],
)
def test_where_there_is_no_keeping_it_is_refused(changes, expected):
    raw = changed(*changes)
    if len(changes) > 1:
        del raw["experiments"]["plain"]["parts"]
    assert refusal(raw).startswith(expected)
