"""What is added to the library is one file and one line in `kinds`, and reaches a report."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from running import ROOT, TINY, copied_checkout

from incbayes.posterior.file import read_metadata

pytestmark = pytest.mark.slow

METRIC = '''
"""Mean confidence."""

from incbayes.metrics.base import Metric


def confidence(log_probabilities, labels, bins):
    """Return the mean of the largest probability."""
    return log_probabilities.max(-1).values.exp().clamp(max=1.0).mean().item()


METRIC = Metric(
    confidence,
    title="confidence",
    heading="Confidence (%)",
    better="greater",
    bounds=(0.0, 1.0),
    unit="%",
    difference_unit="points",
    factor=100.0,
    decimals=1,
    figure="dots",
)
'''

CAPTION = "One dot a replicate: accuracy, a fraction_of 1 & no more."

FIGURE = f'''
"""Dots."""

from incbayes.figures import style
from incbayes.figures.base import StudyFigure
from incbayes.figures.rows import final_stage, in_order, select_metric


def numbers(frames, context):
    """Return accuracies."""
    chosen = in_order(final_stage(select_metric(frames.records, "accuracy")), context, "T")
    return chosen[["experiment", "method", "T", "replicate", "value"]]


def draw(data, context):
    """Return a dot a row."""
    page = style.page(context, "Dots", 3.0)
    page.body.subplots().plot(range(len(data)), data["value"], "o")
    return page.figure


FIGURE = StudyFigure(
    title="Dots",
    caption="{CAPTION}",
    alt="Dots.",
    numbers=numbers,
    draw=draw,
    module=__name__,
)
'''


FAMILY = '''
"""A Gaussian whose scales start at a tenth of what FFG's do."""

from dataclasses import dataclass

from incbayes.core.options import MULTIPLE, option
from incbayes.families.ffg import FullyFactorisedGaussian


@dataclass(frozen=True)
class Narrow(FullyFactorisedGaussian):
    """FFG with another default."""

    initial_sigma: float = option(0.01, "As a multiple of the prior's.", **MULTIPLE)
'''

ALGORITHM = '''
"""Variational inference that shrinks the means of what it found."""

from dataclasses import dataclass
from typing import Any, ClassVar

from incbayes.inference.base import Algorithm
from incbayes.inference.vi_run import VariationalRun


class ShrunkRun(VariationalRun):
    """A run that halves the means of what it found."""

    def end_stage(self) -> None:
        """Halve every mean."""
        for name, tensor in self.network.named_parameters():
            if name.endswith("weight_mean"):
                tensor.data.mul_(0.5)


@dataclass(frozen=True)
class Shrunk(Algorithm):
    """Shrinks the means at the end of every stage."""

    constraints: ClassVar[dict[str, Any]] = {"families": ["narrow"]}

    def begin(self, problem):
        """Return the run of one replicate."""
        return ShrunkRun(problem)
'''


@dataclass(frozen=True)
class Made:
    """What the extended library made.

    Attributes:
        results: folder of the study.
        page: text of its report.
        snakemake: what Snakemake's own report shows, by path.
    """

    results: Path
    page: str
    snakemake: dict[str, Any]


@dataclass(frozen=True)
class Extension:
    """A kind that is added.

    Attributes:
        registry: its name in `kinds`.
        name: of the entry.
        entry: its line, `module:attribute` below the package.
        source: text of the module.
        use: changes a study so that it uses the kind.
        check: asserts that the results show it.
    """

    registry: str
    name: str
    entry: str
    source: str
    use: Callable[[dict[str, Any]], None]
    check: Callable[[Made], None]


def claim_confidence(study):
    study["claims"]["sure"] = {
        "sentence": "It is surer than a guess.",
        "metric": "confidence",
        "relation": {"kind": "greater", "by": 0.01, "reason": "less is a guess"},
        "groups": [{"experiment": "digits", "method": "ft", "T": 2}, 0.1],
    }


def shows_metric(made):
    records = pd.read_csv(made.results / "metrics.csv")
    values = records.query("metric == 'confidence'")["value"]
    assert len(values) and values.between(0, 1).all()
    (claim,) = json.loads((made.results / "claims.json").read_text())
    assert claim["metric"] == "confidence" and claim["figure"] == "dots"
    assert "Confidence (%)" in made.page
    assert re.search(r"[+−]\d+\.\d, [+−]\d+\.\d</b> points", made.page), "of both replicates"


def shows_figure(made):
    for suffix in ("svg", "png", "pdf", "csv"):
        assert (made.results / "figures" / f"dots.{suffix}").stat().st_size
    assert CAPTION.replace("&", "&amp;") in made.page
    (shown,) = (entry for path, entry in made.snakemake.items() if path.endswith("/dots.svg"))
    assert CAPTION.replace("&", "&amp;") in shown["caption"]


def fit_narrow(study):
    study["methods"]["narrow"] = {"family": "narrow", "inference": "shrunk"}
    study["experiments"]["digits"]["methods"].append("narrow")


def shows_family(made):
    posterior = made.results / "digits/narrow/T2/r0-1/t02/posterior.safetensors"
    assert read_metadata(posterior)["family"] == "narrow"
    assert "narrow" in set(pd.read_csv(made.results / "metrics.csv")["family"])


def shows_algorithm(made):
    assert re.search(r"narrow \([^<]*\), fitted by shrunk", made.page)


EXTENSIONS = [
    Extension(
        "FAMILIES", "narrow", "families.narrow:Narrow", FAMILY, lambda study: None, shows_family
    ),
    Extension(
        "ALGORITHMS", "shrunk", "inference.shrunk:Shrunk", ALGORITHM, fit_narrow, shows_algorithm
    ),
    Extension(
        "METRICS",
        "confidence",
        "metrics.confidence:METRIC",
        METRIC,
        claim_confidence,
        shows_metric,
    ),
    Extension("FIGURES", "dots", "figures.dots:FIGURE", FIGURE, lambda study: None, shows_figure),
]


def add(library: Path, extension: Extension) -> None:
    """Write the one file and the one line."""
    module, _, _ = extension.entry.partition(":")
    path = library / (module.replace(".", "/") + ".py")
    assert not path.exists()
    path.write_text(extension.source.lstrip(), encoding="utf-8")
    kinds = library / "kinds.py"
    head, opening, rest = kinds.read_text("utf-8").partition(f"{extension.registry} = Registry(\n")
    end = rest.index("    },\n")
    line = f'        "{extension.name}": "incbayes.{extension.entry}",\n'
    kinds.write_text(head + opening + rest[:end] + line + rest[end:], encoding="utf-8")


def document(checkout: Path) -> None:
    """Do what `make docs` does: the schema learns which kinds a study may name."""
    shutil.copytree(ROOT / "docs", checkout / "docs")
    shutil.copy(ROOT / "README.md", checkout)
    (checkout / "results").symlink_to(ROOT / "results")
    environment = os.environ | {"PYTHONPATH": str(checkout / "workflow")}
    command = [sys.executable, "-m", "incbayes.docgen"]
    subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    """Run one study that uses all of them, with a copy of the library that has them."""
    checkout = copied_checkout(tmp_path_factory.mktemp("extended"))
    study = json.loads(json.dumps(TINY)) | {"claims": {}, "methods": {"ft": {"family": "point"}}}
    study["experiments"]["digits"] |= {"parts": [2], "methods": ["ft"]}
    for extension in EXTENSIONS:
        add(checkout / "workflow" / "incbayes", extension)
        extension.use(study)
    document(checkout)
    folder = tmp_path_factory.mktemp("results")
    file = folder / "study.yaml"
    file.write_text(json.dumps(study), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(checkout / "Snakefile")]
    command += ["--configfile", str(file), "--cores", "2"]
    library = str(checkout / "workflow")
    environment = os.environ | {"PYTHONPATH": library, "OMP_NUM_THREADS": "1"}
    for options in ([], ["--report", "snakemake.html"]):
        done = subprocess.run(
            [*command, *options], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    report = (folder / "snakemake.html").read_text("utf-8")
    shown = re.search(r'id="results"[^>]*>[^=]*= (.*?);\s*</script>', report, re.DOTALL)
    results = folder / "results" / study["study"]
    return Made(results, (results / "report.html").read_text("utf-8"), json.loads(shown[1]))


@pytest.mark.parametrize("extension", EXTENSIONS, ids=lambda extension: extension.name)
def test_it_is_one_file_and_one_line(extension, made):
    extension.check(made)
