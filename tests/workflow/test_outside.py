"""Classes of a user's own, by file and by package, through the real workflow to a report."""

import copy
import json
import re
import shlex
import shutil

import pandas as pd
import pytest
import torch
from documented import commands
from running import ROOT, TINY, planned, run, typed

from incbayes.posterior.file import read_metadata, read_posterior

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "your-network.md"
METHOD_PAGE = ROOT / "docs" / "your-method.md"

NETS = """
from torch import nn

class Net(nn.Module):
    def __init__(self, shape, outputs, width=4):
        super().__init__()
        self.hidden = nn.Linear(shape[1] * shape[2], width)
        self.out = nn.Linear(width, outputs)

    def forward(self, images):
        return self.out(self.hidden(images.flatten(1)).relu())
"""
FAMILY = """
from dataclasses import dataclass

from incbayes.core.options import MULTIPLE, option
from incbayes.families.ffg import FullyFactorisedGaussian
from .scale import SIGMA


@dataclass(frozen=True)
class Narrow(FullyFactorisedGaussian):
    initial_sigma: float = option(SIGMA, "As a multiple of the prior's.", **MULTIPLE)
"""
FAMILY_NAME = "mine.families:Narrow"
METRIC = """
from incbayes.metrics.base import Metric


def errors(log_probabilities, labels, bins):
    return (log_probabilities.argmax(1) != labels).double().mean().item()


ERRORS = Metric(errors, title="error rate", heading="Wrongly told apart (%)", better="less",
                bounds=(0.0, 1.0), unit="%", difference_unit="points", factor=100.0, decimals=1)
"""
METRIC_NAME = "file:scores.py:ERRORS"

STUDY = copy.deepcopy(TINY) | {
    "study": "own",
    "replicates": 1,
    "evaluation": TINY["evaluation"] | {"metrics": [METRIC_NAME]},
    "claims": {
        "fewer_errors": {
            "sentence": "The narrow one makes fewer errors.",
            "metric": METRIC_NAME,
            "relation": {"kind": "less", "by": 0.01, "reason": "a point is little here"},
            "groups": [
                {"experiment": "usual", "method": "narrow", "T": 1},
                {"experiment": "usual", "method": "ffg", "T": 1},
            ],
        }
    },
    "training": {"epochs": 1, "batch_size": 256},
    "methods": {"ffg": {"family": "ffg"}, "narrow": {"family": FAMILY_NAME}},
}
USUAL = STUDY["experiments"].pop("digits") | {"parts": [1]}
STUDY["experiments"] |= {
    "own": USUAL | {"model": "file:nets.py:Net", "methods": ["ffg"]},
    "usual": USUAL | {"methods": ["ffg", "narrow"]},
}


def example(page, file, folder):
    """Write the Python and the study of a page to a folder; return the command that runs them."""
    text = page.read_text(encoding="utf-8")
    for name, language in ((file, "python"), ("study.yaml", "yaml")):
        (code,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        (folder / name).write_text(code)
    (command,) = [found for found in commands(page) if found.words[0] == "snakemake"]
    words = shlex.join(command.words[1:]).replace("CHECKOUT", str(ROOT)).replace("all", "2")
    return shlex.split(words)


def test_the_network_of_the_page_runs_as_it_stands_to_its_report(tmp_path):
    done = typed(tmp_path, *example(PAGE, "nets.py", tmp_path))
    assert done.returncode == 0, done.stdout
    page = (tmp_path / "results/own_network/report.html").read_text("utf-8")
    assert "file:nets.py:Net (width 16)" in page
    records = pd.read_parquet(tmp_path / "results/own_network/metrics.parquet")
    of_test = records.query(
        "split == 'test' and metric == 'accuracy' and predictor == 'predictive'"
    )
    assert (of_test["value"] > 0.8).all(), "an example is to be a model that works"


def test_the_method_of_the_page_runs_as_it_stands_to_its_report(tmp_path):
    """And goes the share of the way that it says, from where its stage began."""
    command = example(METHOD_PAGE, "methods.py", tmp_path)
    study = tmp_path / "study.yaml"
    whole = study.read_text()
    done = typed(tmp_path, *command)
    assert done.returncode == 0, done.stdout
    page = (tmp_path / "results/own_method/report.html").read_text("utf-8")
    assert "Halfway back" in page and "file:methods.py:Halfway" in page
    claims = json.loads((tmp_path / "results/own_method/claims.json").read_text())
    assert [entry["claim"] for entry in claims] == ["helps"]
    study.write_text(whole.replace("share: 0.5", "share: 1.0"))
    done = typed(tmp_path, *command, "--config", 'only=["digits.halfway"]', "replicates=1")
    assert done.returncode == 0, done.stdout
    chain = tmp_path / "results/own_method/digits/halfway/T3/r0-0"
    first, second = (
        read_posterior(chain / f"t{t:02}/posterior.safetensors").states[0] for t in (1, 2)
    )
    for layer, state in first.items():
        for name, weight in state.items():
            assert torch.equal(weight, second[layer][name]), (layer, name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the study has been run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "nets.py").write_text(NETS)
    (folder / "scores.py").write_text(METRIC)
    (folder / "mine").mkdir()
    for name, code in (("__init__", ""), ("scale", "SIGMA = 0.01\n"), ("families", FAMILY)):
        (folder / "mine" / f"{name}.py").write_text(code)
    done = run(folder, STUDY)
    assert done.returncode == 0, done.stdout
    return folder


def test_a_posterior_says_of_which_classes_it_is(finished):
    chain = "T1/r0-0/t01/posterior.safetensors"
    metadata = read_metadata(finished / "results/own/usual/narrow" / chain)
    assert metadata["family"] == FAMILY_NAME
    assert read_metadata(finished / "results/own/own/ffg" / chain)["model"] == "file:nets.py:Net"


OF_NETS, OF_FAMILY = {"own ffg"}, {"usual narrow"}
EDITS = {
    "code of a file": ("nets.py", "self.out(", "1 * self.out(", OF_NETS),
    "a comment of a file": ("nets.py", "class", "# a comment\nclass", set()),
    "another class of a file": ("nets.py", "class", "class Other:\n    pass\n\nclass", OF_NETS),
    "a default": ("mine/scale.py", "0.01", "0.02", OF_FAMILY),
    "what a module imports": ("mine/scale.py", "SIGMA", "OTHER = 1\nSIGMA", OF_FAMILY),
    "a package": ("mine/__init__.py", "", "OTHER = 1\n", OF_FAMILY),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_change_fits_anew_exactly_what_uses_the_class(edit, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "elsewhere")
    name, old, new, expected = EDITS[edit]
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace(old, new, 1))
    jobs = planned(folder, STUDY)
    fits = [re.findall(r"(?:experiment|method)=(\w+)", job) for job in jobs if job[:4] == "fit "]
    assert {" ".join(found) for found in fits} == expected
    if not expected:
        assert jobs <= {"all", "report"}, "the command may differ"


def test_a_metric_of_a_file_is_computed_shown_and_claimed(finished):
    records = pd.read_csv(finished / "results/own/metrics.csv")
    keys = ["experiment", "method", "t", "split", "predictor"]
    of = {name: rows.set_index(keys)["value"] for name, rows in records.groupby("metric")}
    assert len(of[METRIC_NAME]) == len(of["accuracy"]) > 0
    assert (of[METRIC_NAME] + of["accuracy"]).to_numpy() == pytest.approx(1)
    assert "Wrongly told apart (%)" in (finished / "results/own/report.html").read_text("utf-8")
    (entry,) = json.loads((finished / "results/own/claims.json").read_text())
    assert entry["metric"] == METRIC_NAME


def test_a_changed_metric_of_a_file_scores_anew_and_fits_nothing(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "elsewhere")
    (folder / "scores.py").write_text(METRIC.replace(".mean()", ".median()"))
    jobs = planned(folder, STUDY)
    assert not any(job.startswith(("fit", "partition", "prepare")) for job in jobs)
    assert sum(job.startswith("evaluate") for job in jobs) == 3, jobs
