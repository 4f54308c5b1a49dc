"""A ResNet-18 as torchvision has it: fitted, killed, resumed, written, read and scored."""

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from listening import listening
from msgspec.structs import replace as changed
from own_images import as_folder, image
from running import TINY, run
from tiny_chain import EVALUATION, SETTINGS, Chain, cut_parts

from incbayes.data.prepared import prepare
from incbayes.jobs.evaluate import run_evaluation
from incbayes.jobs.request import Machine
from incbayes.posterior.file import read_posterior, verify_chain
from incbayes.study.model import KindSpec

pytestmark = pytest.mark.slow

CLASSES, SIDE, EACH = ["cat", "dog"], 8, {"train": 8, "test": 3}
RESNET = {"kind": "torchvision.models:resnet18", "num_classes": 2}


class StopError(Exception):
    pass


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A chain of two stages of two steps, neither fitted yet."""
    folder = tmp_path_factory.mktemp("resnet")
    files = {
        f"{split}/{name}/{number:02d}.png": image(
            97 * place + number + 31 * (split == "test"), size=(SIDE, SIDE)
        )
        for split, count in EACH.items()
        for place, name in enumerate(CLASSES)
        for number in range(count)
    }
    as_folder(folder / "images", files)
    stated = {"shape": [3, SIDE, SIDE], "classes": CLASSES}
    stated |= {split: 2 * count for split, count in EACH.items()}
    data = folder / "data"
    prepare({"kind": "image_folder", "source": "images", **stated}, folder, data)
    cut_parts(data, 2)
    chain = Chain(folder / "chain", data, 2)
    chosen = replace(SETTINGS, model=KindSpec.of(RESNET))
    chosen = replace(chosen, training=changed(chosen.training, epochs=1, batch_size=4))
    return chain.asked(settings=chosen)


@pytest.fixture(scope="module")
def fitted(chain):
    for t in (1, 2):
        chain.fit(t)
    return chain


def test_killed_in_the_second_stage_it_goes_on_to_the_same_bits(fitted, tmp_path):
    other = fitted.at(tmp_path / "chain").saving(0)
    shutil.copytree(fitted.posterior(1).parent, other.posterior(1).parent)
    taken = []

    def kill(replicate, current):
        taken.append(current.step)
        if len(taken) == 2:
            raise StopError

    with pytest.raises(StopError):
        other.fit(2, listening(kill))
    assert not other.posterior(2).exists()
    other.fit(2)
    assert other.digests(2) == fitted.digests(2)


def test_its_posterior_is_read_and_scored_with_the_statistics_it_travels_with(fitted):
    paths = [fitted.posterior(t) for t in (1, 2)]
    read = [read_posterior(path) for path in paths]
    verify_chain(paths, read)
    first, second = (posterior.states[0] for posterior in read)
    assert set(first["bn1"]) == {"weight", "bias", "running_mean", "running_var"}
    assert not torch.equal(first["bn1"]["running_var"], second["bn1"]["running_var"])
    assert "weight_log_sigma" in first["layer4.1.conv2"] and len(first) == 41
    few, stages = replace(EVALUATION, samples=2), (1, 2)
    machine, outputs = Machine("cpu", 1, 1e9), [fitted.scores(t) for t in stages]
    run_evaluation(fitted.request, few, paths, outputs, machine)
    for scores in outputs:
        records = json.loads(scores.metrics.read_text())
        assert records and all(np.isfinite(record["value"]) for record in records)


def test_planning_refuses_images_that_it_cannot_take(tmp_path):
    study = copy.deepcopy(TINY)
    study["experiments"]["digits"]["model"] = RESNET | {"num_classes": 10}
    done = run(tmp_path, study, "--dry-run")
    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "torchvision.models:resnet18 cannot be run on images [1, 8, 8]" in last
