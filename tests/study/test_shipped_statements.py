"""What was stated of the papers' claims is still what the shipped studies say."""

import pytest
from running import ROOT

from incbayes.study.sources import load_study
from incbayes.study.statement import stated

STUDIES = ROOT / "studies"
BF16 = {"training": {"precision": "bf16"}, "evaluation": {"precision": "bf16"}}
RUN_AS = {
    "alma_mnist": (["alma_mnist"], {}),
    "kochurov2018": (["kochurov2018", "data/cifar10_jpeg", "chosen/kochurov2018"], BF16),
    "methods": (["methods"], BF16 | {"only": ["pilot"]}),
    "wohlert2017-short": (["wohlert2017"], {"budget": "short"}),
}
"""By file of statements: the studies, and the settings that they were stated with."""


def test_every_file_of_statements_is_held_against_its_study():
    assert {path.stem for path in (STUDIES / "stated").glob("*.yaml")} == set(RUN_AS)


@pytest.mark.parametrize("name", RUN_AS)
def test_no_stated_claim_has_changed_since(name):
    names, settings = RUN_AS[name]
    files = [STUDIES / f"{file}.yaml" for file in [*names, f"stated/{name}"]]
    study = load_study(files, settings)
    found = stated(study)
    assert found.changed == frozenset()
    primary = {claim for claim in study.claims if study.claims[claim].status == "primary"}
    assert set(found.current) == primary
