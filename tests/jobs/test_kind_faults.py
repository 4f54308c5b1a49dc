"""A model, a family, … whose code is wrong: one line, while planning or when it is first used."""

import shutil
import sys

import pytest
import running
from fault_table import survived
from running import ROOT, TINY, run

from incbayes.core.registry import KindError, Registry
from incbayes.kinds import MODELS
from incbayes.orchestration import code_digest as digests
from incbayes.orchestration.code_digest import CodeError
from incbayes.orchestration.kind_modules import check_kinds
from incbayes.posterior.build import Architecture, fresh_network
from incbayes.study.resolve import resolve_study


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A copy of the library that planning looks at, to be edited."""
    copied = shutil.copytree(ROOT / "workflow/incbayes", tmp_path / "incbayes")
    monkeypatch.setattr(digests, "ROOT", copied)
    return copied


PLANNED = {
    "models/mlp.py": ("def build(", "def build((", "line 26: "),
    "families/ffg.py": ("@dataclass", "return 1\n\n\n@dataclass", "'return' outside function"),
    "families/point.py": ("class Point", "class Pointe", "defines no Point, which is registered"),
    "data/digits.py": ('"""', '""', "line "),
    "metrics/nll.py": ("def ", "deff ", "line "),
    "claims/margin.py": ("class ", "klass ", "line "),
    "figures/stages.py": ("FIGURE = ", "FIGURES = ", "defines no FIGURE, which is registered"),
}


@pytest.mark.parametrize("file", PLANNED)
def test_planning_names_the_file_of_a_kind_that_is_no_python(file, library):
    old, new, expected = PLANNED[file]
    text = (library / file).read_text()
    assert old in text
    (library / file).write_text(text.replace(old, new, 1))
    with pytest.raises(CodeError) as caught:
        check_kinds(resolve_study(TINY))
    message = str(caught.value)
    assert message.startswith(str(library / file)) and expected in message
    assert len(message.splitlines()) == 1


def test_planning_does_not_look_at_kinds_that_are_not_used(library):
    (library / "families/mnf.py").write_text("def f(:\n")
    (library / "models/lenet5.py").unlink()
    check_kinds(resolve_study(TINY))


@pytest.fixture
def kind(tmp_path, monkeypatch):
    """Return a function that registers code as a model, by the name `toy`."""

    def register(code):
        (tmp_path / "toy_model.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "toy_model", raising=False)
        monkeypatch.setitem(MODELS._entries, "toy", "toy_model:Toy")

    return register


HEAD = "from torch import nn\nclass Toy:\n    def build(self, shape, classes):\n        return "
BROKEN = "class Toy:\n    def __init__(self): raise OSError('no file')\n"
FAULTS = {
    "import nothing_of_this_name\n": "imported: ModuleNotFoundError: No module named",
    "x = 1 / 0\n": "imported: ZeroDivisionError: division by zero",
    "class Other: pass\n": "imported: AttributeError: module 'toy_model' has no attribute",
    BROKEN: "built: OSError: no file",
    f"{HEAD}nn.Linear(1, -1)\n": "built for images [1, 8, 8]: RuntimeError: ",
    f"{HEAD}nn.Sequential(nn.Flatten(), nn.Linear(9, classes))\n": (
        "run on images [1, 8, 8]: RuntimeError: mat1 and mat2 shapes"
    ),
    f"{HEAD}nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n": (
        "run on images [1, 8, 8]: ValueError: of one image it makes [1, 3], expected [1, 10]"
    ),
    f"{HEAD}nn.Conv2d(1, classes, 8)\n": "it makes [1, 10, 1, 1], expected [1, 10]",
}


@pytest.mark.parametrize("code", FAULTS)
def test_code_of_a_kind_that_fails_is_blamed_in_one_line(code, kind):
    kind(code)
    with pytest.raises(KindError) as caught:
        fresh_network(Architecture({"kind": "toy"}, (1, 8, 8), 10), 0)
    message = str(caught.value)
    assert message.startswith("the model toy (toy_model) cannot be ")
    assert FAULTS[code] in message
    assert len(message.splitlines()) == 1
    survived(
        "a model whose module or network fails when it is first used",
        len(FAULTS),
        "one line that names the module and what it says",
    )


def test_an_error_that_is_meant_for_the_user_passes():
    with pytest.raises(ValueError, match="unknown toy 'x'"):
        Registry("toy", {})["x"]


def test_a_network_is_as_it_was_before_it_was_tried():
    network = fresh_network(Architecture({"kind": "mlp", "widths": [4]}, (1, 8, 8), 10), 0)
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_under_snakemake_either_is_a_line_and_the_traceback_is_in_the_log_alone(
    tmp_path, monkeypatch
):
    for name in ("workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    monkeypatch.setattr(running, "ROOT", tmp_path)
    model = tmp_path / "workflow/incbayes/models/mlp.py"
    right = model.read_text()
    target = "results/tiny/digits/ft/T1/r0-1/t01/posterior.safetensors"
    model.write_text(right.replace("def build(", "def build(("))
    done = run(tmp_path, TINY, "--", target)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert done.stdout.strip().splitlines()[-1].startswith(f"{model}, line ")
    model.write_text(right.replace("nn.Linear(inputs, classes)", "nn.Linear(7, classes)"))
    done = run(tmp_path, TINY, "--", target)
    assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
    cause = (
        "digits ft T1 r0-1 stage 1: error: the model mlp (incbayes.models.mlp) cannot be run on "
        "images [1, 8, 8]: RuntimeError: mat1 and mat2 shapes cannot be multiplied"
    )
    ending = done.stdout[done.stdout.index("Exiting because a job execution failed") :]
    assert cause in ending
    log = (tmp_path / "results/tiny/logs/fit/digits/ft/T1/r0-1/t01.log").read_text()
    assert "Traceback (most recent call last)" in log and len(ending.splitlines()) < 9
    survived(
        "a model that is no Python, or that fails on an image, under Snakemake",
        2,
        "one line that names the module; a traceback in the job's log alone",
    )
