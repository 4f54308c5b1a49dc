"""A class of a user's own that is named badly, is not there, or whose code is wrong: one line."""

import copy
import os
import sys
from dataclasses import replace

import pytest
from fault_table import survived
from running import TINY, run
from tiny_chain import SETTINGS, tiny_chain

from incbayes.core.errors import UserError
from incbayes.posterior.build import Architecture, fresh_network
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import StudyError

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, shape, outputs, width: int, depth=1):
        super().__init__()
        self.out = nn.Linear(shape[1] * shape[2] * width, outputs)

    def forward(self, images):
        return self.out(images.flatten(1))
"""
OPTIONS = """
from dataclasses import dataclass
from incbayes.core.options import option

@dataclass(frozen=True)
class Net:
    width: int = option(4, "Units.", minimum=1, maximum=9)

    def build(self, shape, outputs):
        raise OSError("no weights")
"""
EXTENDED = "from mlp_base import Base\n\nclass Net(Base):\n    pass\n"
NAMED = "file:nets.py:Net"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory of a user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "nets.py").write_text(NET)
    return tmp_path


def study(kind, **options):
    made = copy.deepcopy(TINY)
    made["experiments"]["digits"]["model"] = {"kind": kind, **options}
    return made


PLANNED = {
    "an unknown option": (
        NET,
        NAMED,
        {"widht": 1},
        "unknown option of model file:nets.py:Net (did",
    ),
    "a missing option": (NET, NAMED, {}, "model.width: missing; allowed: a whole number"),
    "an option of another type": (NET, NAMED, {"width": "x"}, "found 'x' (text); allowed: a whole"),
    "an option that is filled in": (NET, NAMED, {"width": 1, "shape": [1]}, "unknown option"),
    "an option beyond its limit": (OPTIONS, NAMED, {"width": 10}, "at least 1 and at most 9"),
    "no class": (NET, "file:nets.py", {}, "write package.module:Class or file:PATH.py:Class"),
    "no Python file": (NET, "file:nets.txt:Net", {}, "write package.module:Class or file:"),
    "an absent file": (NET, "file:net.py:Net", {}, "file:net.py: no such file, seen from "),
    "an absent module": (NET, "absent_module.nets:Net", {}, "no such module of Python"),
    "an absent class": (NET, "file:nets.py:Nett", {}, "defines no Nett (did you mean 'Net'?)"),
    "a registered class": (
        NET,
        "incbayes.models.mlp:MLP",
        {},
        "is the registered model mlp; write",
    ),
    "a registered name": (NET, "mlp:Net", {}, "mlp is a registered model; write mlp, or rename"),
    "a module of the library": (NET, "incbayes.core.seal:Seal", {}, "of the library itself"),
    "no Python": ("def f(:\n", NAMED, {}, "nets.py, line 1: invalid syntax: def f(:"),
    "a stray return": (f"{NET}\nreturn 1\n", NAMED, {}, "'return' outside function"),
    "an error at import": (
        "from json import absent\nfrom os import path as Net\n",
        NAMED,
        {},
        "the model file:nets.py:Net cannot be imported: ImportError: cannot import name 'absent'",
    ),
    "an absent import": (EXTENDED, NAMED, {}, "ModuleNotFoundError: No module named 'mlp_base'"),
    "nothing to call": ("Net = 3\n", NAMED, {}, "nothing that can be called with options"),
}


@pytest.mark.parametrize("fault", PLANNED)
def test_planning_says_in_a_line_what_is_wrong_with_a_class_of_ones_own(fault, folder):
    code, kind, options, expected = PLANNED[fault]
    (folder / "nets.py").write_text(code)
    with pytest.raises(StudyError) as caught:
        resolve_study(study(kind, **options))
    message = str(caught.value)
    assert message.startswith("experiments.digits.model") and expected in message
    assert len(message.splitlines()) == 1
    survived(
        "a class of a user's own that is absent, misnamed, no Python or given a wrong option",
        len(PLANNED),
        "one line with the key of the study, while planning",
    )


RAISES = NET.replace("super().__init__()", "raise OSError('no weights')")
USED = {
    "an error when built": (RAISES, "built for images [1, 8, 8]: OSError: no weights (in nets.py,"),
    "an error of build": (OPTIONS, "built for images [1, 8, 8]: OSError: no weights (in nets.py,"),
    "an error at import": (f"{NET}\n1 / 0\n", "imported: ZeroDivisionError: division by zero (in"),
    "no network": ("def Net(width):\n    return 3\n", "TypeError: it makes int, expected nn.Mod"),
    "other outputs": (
        NET.replace("width, outputs", "width, 3"),
        "of one image it makes [1, 3], expected [1, 10]",
    ),
}


@pytest.mark.parametrize("fault", USED)
def test_a_class_that_fails_when_it_is_used_is_blamed_in_a_line(fault, folder):
    code, expected = USED[fault]
    (folder / "nets.py").write_text(code)
    with pytest.raises(UserError) as caught:
        fresh_network(Architecture({"kind": NAMED, "width": 1}, (1, 8, 8), 10), 0)
    message = str(caught.value)
    assert message.startswith(f"the model {NAMED} cannot be ") and expected in message
    assert len(message.splitlines()) == 1
    survived(
        "a class of a user's own that raises when it is imported, built or run",
        len(USED),
        "one line with its name, what it says and the line of its file",
    )


ALGORITHM = """
from dataclasses import dataclass
from incbayes.inference.vi import ByAdam
from incbayes.inference.vi_run import VariationalRun

class OwnRun(VariationalRun):
    def {what}

@dataclass(frozen=True)
class Own(ByAdam):
    constraints = {{"families": ["ffg"]}}

    def begin(self, problem):
        return OwnRun(problem)
"""
RUN = {
    "an error of its own": (
        "end_stage(self):\n        1 / 0",
        "division by zero (in nets.py, line ",
    ),
    "a method of another form": ("take_step(self):\n        pass", "OwnRun.take_step() "),
}


@pytest.mark.parametrize("fault", RUN)
def test_an_algorithm_that_fails_in_a_fit_is_blamed_in_a_line(fault, folder):
    what, expected = RUN[fault]
    (folder / "nets.py").write_text(ALGORITHM.format(what=what))
    chosen = replace(SETTINGS, inference=KindSpec("file:nets.py:Own"))
    with pytest.raises(UserError) as caught:
        tiny_chain(folder / "chain").asked(settings=chosen).fit(1)
    message = str(caught.value)
    assert message.startswith("the inference algorithm file:nets.py:Own cannot be run: ")
    assert expected in message and "incbayes/" not in message


def test_an_algorithm_without_a_method_is_refused_while_planning(folder):
    code = ALGORITHM.format(what="rest(self):\n        pass").replace("def begin", "def began")
    (folder / "nets.py").write_text(code)
    made = copy.deepcopy(TINY)
    made["methods"]["ffg"]["inference"] = "file:nets.py:Own"
    with pytest.raises(StudyError, match="nets.py:Own: lacks begin, which every inference algori"):
        resolve_study(made)


def test_only_kinds_of_a_method_and_of_networks_may_lie_outside(folder):
    for key, value in (("pixels", NAMED), ("dataset", NAMED)):
        made = copy.deepcopy(TINY)
        made["experiments"]["digits"][key] = value
        with pytest.raises(StudyError, match="unknown .* known: "):
            resolve_study(made)


def test_under_snakemake_planning_ends_with_the_line(tmp_path):
    (tmp_path / "nets.py").write_text(NET)
    done = run(tmp_path, study("file:nets.py:Nett"), "--dry-run")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert (
        done.stdout.strip()
        .splitlines()[-1]
        .endswith(f"{os.fspath('nets.py')}: defines no Nett (did you mean 'Net'?)")
    )
