"""A method that goes back to all parts so far, from job to job."""

from dataclasses import replace

import pytest
import torch
from bad_studies import refusal
from listening import listening
from small_study import changed
from tiny_chain import SETTINGS, tiny_chain

from incbayes.inference.stage import first_start
from incbayes.jobs.partition import PartsRequest, read_parts
from incbayes.posterior.file import PosteriorError, read_metadata
from incbayes.priors.base import Source
from incbayes.study.model import KindSpec

CUMULATIVE = replace(SETTINGS, inference=KindSpec("cumulative"))


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    made = tiny_chain(tmp_path_factory.mktemp("cumulative"), 3).asked(settings=CUMULATIVE)
    made.fit(1)
    return made


def test_every_stage_starts_afresh_on_all_images_so_far(chain):
    runs = {}
    for t in (2, 3):
        chain.fit(t, listening(lambda replicate, run, t=t: runs.setdefault(t, run)))
    request = chain.request
    asked = PartsRequest("tiny", "digits", [0], 0, request.partition)
    data = request.open(torch.device("cpu"))
    (cut,) = read_parts(request.parts_file, asked, data.train.seal, 3).cuts.values()
    first = first_start(request.stage(1, data.train.shape), 0, 10, Source())
    for t, run in runs.items():
        seen = sum(len(part) for part in cut.parts[:t])
        every = torch.as_tensor(data.train.split.labels)
        labels = torch.cat([every[torch.as_tensor(part)] for part in cut.parts[:t]])
        assert torch.equal(run.part.labels, labels)
        assert read_metadata(chain.posterior(t))["images"] == {"0": seen}
        for layer, state in first.prior.items():
            assert all(torch.equal(run.prior[layer][key], state[key]) for key in state)
    chain.evaluate()


def test_the_posterior_of_another_algorithm_is_not_taken_for_it(chain):
    other = chain.asked(settings=SETTINGS)
    with pytest.raises((PosteriorError, ValueError)):
        other.fit(2)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [("methods.ffg_grid.inference", "cumulative")],
            "methods.ffg_grid.prior: grid is made from a source task, which cumulative does not",
        ),
        (
            [
                ("methods.ft.inference", "cumulative"),
                (
                    "experiments.plain.dataset",
                    {
                        "kind": "image_stream",
                        "source": "here",
                        "classes": ["a", "b"],
                        "shape": [1, 8, 8],
                    },
                ),
                ("experiments.plain.parts", None),
            ],
            "methods.ft.inference: cumulative is fitted to all parts so far, and those of a strea",
        ),
    ],
)
def test_where_there_is_no_going_back_it_is_refused(changes, expected):
    raw = changed(*changes)
    if raw["experiments"]["plain"]["parts"] is None:
        del raw["experiments"]["plain"]["parts"]
    assert refusal(raw).startswith(expected)
