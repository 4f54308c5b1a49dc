"""An exported posterior mean, read where this library is not."""

import json
import subprocess
import sys

import numpy as np
import pytest
from refusals import refusal
from stage_files import images_of_test, recorded, two_replicates

import incbayes
from incbayes.cli.main import main
from incbayes.posterior.file import PosteriorError
from incbayes.prediction.export import ExportError

ALONE = """
import builtins, json, sys
import numpy as np
real = builtins.__import__
def guarded(name, *rest, **more):
    assert name.partition(".")[0] != "incbayes", name
    return real(name, *rest, **more)
builtins.__import__ = guarded
import torch
path, images, out = sys.argv[1:]
x = torch.from_numpy(np.load(images))
"""
NOT_THERE = """
assert not [name for name in sys.modules if name.partition(".")[0] == "incbayes"]
"""
STATE_DICT = (
    ALONE
    + """
from safetensors import safe_open
from torch import nn
with safe_open(path, framework="pt") as file:
    about = json.loads(file.metadata()["incbayes"])
    state = {key: file.get_tensor(key) for key in file.keys()}
network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
network.load_state_dict(state)
scaling = about["input"]["scaling"]
if scaling["kind"] == "standard":
    mean, std = (torch.tensor(scaling[key]).view(-1, 1, 1) for key in ("mean", "std"))
    x = (x / 255 - mean) / std
else:
    x = x / scaling["by"]
np.save(out, network(x).double().log_softmax(1).detach().numpy())
print(json.dumps(about))
"""
    + NOT_THERE
)
PROGRAM = (
    ALONE
    + """
extra = {"incbayes.json": ""}
network = torch.export.load(path, extra_files=extra).module()
whole = network(x)
one = torch.cat([network(image[None]) for image in x])
assert torch.allclose(one, whole, atol=1e-5), (one - whole).abs().max()
np.save(out, whole.numpy())
print(extra["incbayes.json"])
"""
    + NOT_THERE
)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return two_replicates(tmp_path_factory.mktemp("chain"))


def alone(code, path, images, folder):
    """Return what Python without this library makes of an export: ln p and the description."""
    np.save(folder / "images.npy", images)
    command = [sys.executable, "-I", "-W", "ignore", "-c", code, str(path)]
    done = subprocess.run(
        [*command, str(folder / "images.npy"), str(folder / "out.npy")],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "out.npy"), json.loads(done.stdout)


FORMATS = {"safetensors": STATE_DICT, "torch-export": PROGRAM}


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_predicts_without_this_library_as_the_posterior_mean(chain, format, tmp_path):
    images, labels = images_of_test(chain)
    path = tmp_path / "network"
    about = incbayes.export(chain.posterior(2), "mean", path, format=format, replicate=1)
    found, read = alone(FORMATS[format], path, images, tmp_path)
    assert read == about
    assert about["classes"] == [str(number) for number in range(10)]
    logits = "of scaled pixels, [N, 10]: the logits of a softmax over `classes`, in this order"
    assert about["output"] == {"safetensors": logits}.get(format, about["output"])
    assert about["input"]["shape"] == ["N", 1, 8, 8] and about["replicate"] == 1
    assert found.dtype == np.float64
    assert (found.argmax(1) == labels).mean() == recorded(chain, 1, "accuracy", "mean")
    nll = -found[np.arange(len(labels)), labels].mean()
    assert nll == pytest.approx(recorded(chain, 1, "nll", "mean"), rel=1e-5)


@pytest.mark.parametrize("format", FORMATS)
def test_another_scaling_is_exported_too(format, tmp_path):
    chain = two_replicates(tmp_path / "chain", "point", pixels={"kind": "divide"})
    images = images_of_test(chain)[0][:30]
    path = tmp_path / "network"
    incbayes.export(chain.posterior(2), "mean", path, format=format, replicate=0)
    found, about = alone(FORMATS[format], path, images, tmp_path)
    assert about["input"]["scaling"]["by"] == 126 and about["family"]["kind"] == "point"
    expected = incbayes.predict(chain.posterior(2), images, replicates=[0])
    np.testing.assert_allclose(found, expected.log_probabilities, atol=1e-5)


def test_equal_exports_have_equal_bytes(chain, tmp_path):
    for name in "ab":
        incbayes.export(chain.posterior(2), "mean", tmp_path / name, replicate=0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_cannot_be_exported_is_refused(chain, tmp_path):
    last, path = chain.posterior(2), tmp_path / "network"

    def said(*arguments, error=ExportError, **options):
        return refusal(lambda: incbayes.export(last, *arguments, **options), error)

    assert "name one of its replicates, 0, 1" in said("mean", path)
    assert "'sample'" in said("sample", path, replicate=0)
    assert "'onnx'" in said("mean", path, format="onnx", replicate=0)
    assert "no replicate 5" in said("mean", path, replicate=5, error=PosteriorError)
    assert not path.exists()


@pytest.mark.parametrize("format", FORMATS)
def test_the_command_exports(chain, format, tmp_path, capsys):
    path = tmp_path / "deep" / "network"
    command = ["export", str(chain.posterior(2)), str(path), "--format", format]
    assert main(command) == 1
    said = capsys.readouterr()
    assert "name one of its replicates" in said.err and len(said.err.splitlines()) == 1
    assert main([*command, "--replicate", "0"]) == 0
    assert capsys.readouterr().out == f"{path}: {format}, mean of replicate 0\n"
    assert path.stat().st_size > 1000
