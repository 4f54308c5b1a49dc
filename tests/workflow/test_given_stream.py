"""Weights of a file as the first prior of a stream, whose parts arrive and may be gone."""

import copy
import json
import shutil

import pytest
from running import planned, run
from safetensors.torch import save_file
from stream_images import CLASSES, SHAPE, STATED, arrive, forget, images, put, stream
from torch import nn

from incbayes.posterior.build import Architecture, fresh_network
from incbayes.posterior.file import read_posterior

MODEL = {"kind": "mlp", "widths": [4]}
DATA = {
    "kind": "image_folder", "source": "before", "shape": SHAPE, "classes": CLASSES, "test": 0,
}  # fmt: skip
STUDY = {
    "study": "arriving",
    "replicates": 1,
    "data_root": ".",
    "training": {"epochs": 1, "batch_size": 8},
    "evaluation": {"samples": 2},
    "experiments": {
        "photos": {
            "dataset": STATED,
            "model": MODEL,
            "pretrain": {"weights": "nets.safetensors", "data": DATA},
        }
    },
    "methods": {"laplace": {"family": "ffg", "prior": "laplace"}},
}


def network() -> nn.Module:
    return fresh_network(Architecture(MODEL, tuple(SHAPE), len(CLASSES)), 1)


def test_a_grid_has_nothing_to_choose_by_in_a_stream(tmp_path):
    made = copy.deepcopy(STUDY)
    made["methods"]["laplace"]["prior"] = "grid"
    said = run(tmp_path, made, "--dry-run")
    assert said.returncode == 1
    assert "chooses a variance on images held out of part 1; a stream has none" in said.stdout
    made["methods"]["laplace"]["prior"] = "laplace"
    made["experiments"]["photos"]["pretrain"] = {}
    said = run(tmp_path, made, "--dry-run")
    assert "pretrain: a stream has no source task: give the weights of a file" in said.stdout


@pytest.mark.slow
def test_a_stream_begins_at_given_weights_and_goes_on_without_them(tmp_path):
    stream(tmp_path, 1)
    # Two images of part 1 are among those that the weights were fitted to.
    put(tmp_path / "before/train", images(50) | dict(list(images(1).items())[:2]))
    save_file(network().state_dict(), tmp_path / "nets.safetensors")
    first = run(tmp_path, STUDY)
    assert first.returncode == 0, first.stdout
    folder = tmp_path / "results/arriving/photos"
    seal = json.loads((folder / "pretrain/r0-0/fisher_ggn.seal.json").read_text())
    assert (seal["facts"]["source_images"], seal["facts"]["shared"]) == (20, 2)
    fisher = read_posterior(folder / "pretrain/r0-0/fisher_ggn.safetensors")
    pixels = fisher.metadata["pixels"]
    stage = read_posterior(folder / "laplace/stream/r0-0/t01/posterior.safetensors")
    # The chain's images are scaled by the numbers of the data that the weights were fitted to.
    assert stage.metadata["pixels"] == pixels
    prepared = json.loads(
        next((tmp_path / "results/data").glob("before_*/checksums.json")).read_text()
    )
    assert pixels["mean"]["0"] == prepared["facts"]["mean"]
    made_of = json.loads((folder / "laplace/stream/r0-0/t01/posterior.seal.json").read_text())
    assert set(made_of["parents"]) == {"images", "weights", "fisher", "source_images"}
    # The weights, their data, and part 1 may go: what is kept is the last posterior.
    shutil.rmtree(tmp_path / "before")
    (tmp_path / "nets.safetensors").unlink()
    shutil.rmtree(folder / "pretrain")
    for place in (tmp_path / "results/data").glob("before_*"):
        shutil.rmtree(place)
    forget(tmp_path, 1)
    arrive(tmp_path, 2)
    jobs = planned(tmp_path, STUDY)
    assert {job.split()[0] for job in jobs} & {"pretrain", "fisher", "prepare_data"} == set()
    assert {job for job in jobs if job.startswith("fit_part")} == {
        "fit_part experiment=photos, method=laplace, block=r0-0, t=02"
    }
    second = run(tmp_path, STUDY)
    assert second.returncode == 0, second.stdout
