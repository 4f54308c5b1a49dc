"""Studies drawn at random from the schema: each can be built and planned, or says why it cannot."""

import copy

from bad_studies import BAD, refusal
from fault_table import survived
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import run
from small_study import changed
from study_places import ODD, places

from incbayes.inference.objective import Objective
from incbayes.inference.training import Training
from incbayes.kinds import ALGORITHMS, DATASETS, FAMILIES, LIKELIHOODS, MODELS, PIXELS, PRIORS
from incbayes.study.blocks import blocks
from incbayes.study.datasets import data_constraints, data_root
from incbayes.study.model import plain_study, study_of
from incbayes.study.resolve import resolve_study
from incbayes.study.schema import kind_constraints, study_schema
from incbayes.study.settings import evaluation_settings, method_settings, pretrain_training
from incbayes.study.yaml import StudyError

STUDIES, PLANNED = 500, 3
NAMES = [
    "a",
    "b_2",
    "digits",
    "parts",
    "pretrain",
    "figures",
    "t01",
    "x" * 19,
    "a_1" * 19 + "bcd4567",
]
TEXTS = ["A title", "öäü — 数", "$\\sigma^2$", "a: b # c", "<b> & {x}", "100 %"]
FEW = {"parts": 3, "experiments": 2, "methods": 3, "budgets": 1, "claims": 1}
"""Entries at most of what a study may have many of."""


class Drawer:
    """Draws a value for every node of the schema."""

    def __init__(self, random):
        self.random = random

    def chance(self, percent):
        return self.random.random() < percent / 100

    def value(self, node, key=""):
        """Return a value that the node allows, mostly a small one."""
        if "x-noun" in node:
            return self.kind(node)
        if "enum" in node:
            return self.random.choice(node["enum"])
        if "anyOf" in node:
            return self.value(self.random.choice(node["anyOf"]), key)
        kinds = node.get("type", "object")
        kind = kinds if isinstance(kinds, str) else self.random.choice(kinds)
        return getattr(self, f"_{kind}")(node, key)

    def kind(self, node):
        """Return the name of a kind, or a mapping with some of its options."""
        name = self.random.choice(list(node["$defs"]))
        if name in list(DATASETS) and self.chance(10):  # the one with small images
            name = "digits"
        if list(node["$defs"]) == list(ALGORITHMS) and self.chance(70):  # others know few families
            name = "vi"
        made = self._object(node["$defs"][name], "")
        short = node.get("then", {})
        plain = len(made) == 1 and name in short.get("anyOf", [short])[0].get("enum", [])
        return name if plain else made | {"kind": name}

    def _null(self, node, key):
        return None

    def _boolean(self, node, key):
        return self.chance(50)

    def _integer(self, node, key):
        least = node.get("minimum", node.get("exclusiveMinimum", -1) + 1)
        return self.random.randint(least, min(least + 4, node.get("maximum", least + 4)))

    def _number(self, node, key):
        least = node.get("minimum", node.get("exclusiveMinimum", 0))
        most = node.get("maximum", node.get("exclusiveMaximum", least + 10))
        return self.random.choice([1e-3, 0.1, 0.5, 0.9]) * (most - least) + least

    def _string(self, node, key):
        if key == "bayesian":  # any other text is refused
            return self.random.choice(["all", "last_layer"])
        return self.random.choice(NAMES if "a-z" in node.get("pattern", "") else TEXTS)

    def _array(self, node, key):
        least = node.get("minItems", 0)
        number = self.random.randint(least, max(least, FEW.get(key, 2)))
        made = [self.value(node["items"]) for _ in range(number)]
        if node.get("uniqueItems"):
            made = [value for place, value in enumerate(made) if value not in made[:place]]
        return made

    def _object(self, node, key):
        further = node.get("additionalProperties")
        if isinstance(further, dict):
            number = self.random.randint(node.get("minProperties", 0), FEW.get(key, 1))
            names = self.random.sample(NAMES, number)
            return {name: self.value(further) for name in names}
        required = node.get("required", [])
        return {
            name: self.value(child, name)
            for name, child in node.get("properties", {}).items()
            if name in required or self.chance(20)
        }


@st.composite
def random_studies(draw):
    """Draw a study, and break it in one or two places two times in five."""
    # One draw for all of it: hypothesis' own for each of a hundred values cost a minute.
    study = Drawer(draw(st.randoms(use_true_random=True))).value(study_schema())
    study.pop("budget", None)
    if study.get("only"):
        study["only"] = list(study["experiments"])[:1]
    for experiment in study["experiments"].values():
        if "_stream" in str(experiment["dataset"]):  # whose parts are those that came
            experiment.pop("parts", None)
        else:
            experiment.setdefault("parts", [1, 3])
        suit(experiment)
        if "methods" in experiment:  # their names are those of the study's
            experiment["methods"] = list(study["methods"])
        if "settings" in experiment:
            changes = experiment["settings"].values()
            experiment["settings"] = dict(zip(study["methods"], changes, strict=False))
    for method in study["methods"].values():
        family = method["family"]
        kind = family if isinstance(family, str) else family["kind"]
        facts = kind_constraints("family", kind)
        if "fitted_by" in facts:  # others are refused
            method["inference"] = facts["fitted_by"][0]
    if study.get("tune"):  # what it tries are keys of the methods
        tried = {name: {"training.epochs": [1, 2]} for name in study["methods"]}
        study["tune"]["search"] = dict.fromkeys(study["experiments"], tried)
    if study.get("stated"):  # their names are those of the claims
        made = study["stated"].values()
        study["stated"] = dict(zip(study.get("claims", {}), made, strict=False))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        container, key = draw(st.sampled_from(places(study)))
        container[key] = draw(ODD)
    return study


def suit(experiment):
    """Leave out what suits images alone from a table, and the other way round, most of which is.

    What is drawn to be odd comes after it.
    """
    dataset = experiment["dataset"]
    kind = dataset if isinstance(dataset, str) else dataset["kind"]
    is_table = kind_constraints("dataset", kind).get("table", False)
    for key, of_tables in (("pixels", "columns"), ("likelihood", "gaussian")):
        if is_table or of_tables in str(experiment.get(key)):
            experiment.pop(key, None)
    if is_table:  # of all others only the MLP takes columns
        experiment["model"] = "mlp"
        for key in ("augmentation", "outliers", "shifts"):
            experiment.pop(key, None)
        experiment.pop("partition", None)  # of a number there are no classes to part
    outliers = experiment.get("outliers", {})
    for name, spec in list(outliers.items()):  # other data sets seldom have images of that shape
        if (spec if isinstance(spec, str) else spec["kind"]) in DATASETS:
            del outliers[name]
    if is_table and isinstance(dataset, dict):
        for key in ("categories", "classes", "test_share"):
            dataset.pop(key, None)
        dataset |= {"target": "y", "features": [f"x{i}" for i, _ in enumerate(dataset["features"])]}


def own_images(study):
    """Return whether a study has an experiment on images, or a table, of one's own."""
    return any(
        isinstance(experiment["dataset"], dict) and "source" in experiment["dataset"]
        for experiment in study["experiments"].values()
    )


def of_other_runs(study):
    """Return whether a study goes on from, or reports, results that a test has not made."""
    priors = [method.get("prior") for method in study["methods"].values()]
    pretrained = [experiment.get("pretrain") or {} for experiment in study["experiments"].values()]
    return (
        bool(study.get("partial"))
        or any(isinstance(prior, dict) and "continue_from" in prior for prior in priors)
        or any("weights" in stated for stated in pretrained)
    )


def named_layers(study):
    """Return whether a method names its Bayesian layers."""
    return any(isinstance(method.get("bayesian"), list) for method in study["methods"].values())


def build(study):
    """Build from a resolved study what its jobs would: a setting that no class takes would fail."""
    assert study_of(plain_study(study)) == study
    for name, experiment in study.experiments.items():
        assert blocks(experiment.replicates, study.replicates_per_block)
        DATASETS.build(experiment.dataset)
        shape = data_constraints(experiment.dataset)["shape"]
        MODELS.build(experiment.model).build(tuple(shape), 10)
        PIXELS.build(experiment.pixels)
        LIKELIHOODS.build(experiment.likelihood)
        if experiment.pretrain is not None:
            Training.of(pretrain_training(study, name))
        for method in experiment.methods:
            chosen = method_settings(study, name, method)
            FAMILIES.build(chosen.family)
            PRIORS.build(chosen.prior)
            ALGORITHMS.build(chosen.inference)
            Training.of(chosen.training)
            Objective.of(chosen.objective)
            evaluation_settings(study, method)


def test_every_random_study_can_be_built_and_planned_or_is_refused_in_one_line(tmp_path):
    built, refused = [], []

    @settings(
        max_examples=STUDIES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(random_studies())
    def check(raw):
        try:
            study = resolve_study(copy.deepcopy(raw))
            data_root(study)
        except StudyError as error:
            refused.append(str(error))
            assert error.detail and len(str(error).splitlines()) == 1 and str(error).isprintable()
        else:
            build(study)
            built.append(raw)

    check()
    # About 50 and 450: the draws differ a little with the modules that hypothesis finds loaded.
    assert min(len(built), len(refused)) > STUDIES / 15
    survived(
        "a study drawn at random from the schema, often broken in some places",
        STUDIES,
        "all that it names can be built, or one line says what is wrong",
    )
    # Images of one's own are drawn with a source that is not there, and names of layers that no
    # network has: both are said when it is planned, as is a report of results that are not there.
    plannable = [
        study
        for study in built
        if not (own_images(study) or named_layers(study) or of_other_runs(study))
    ]
    for study in plannable[:: len(plannable) // PLANNED][:PLANNED]:
        planned = run(tmp_path, study, "--dry-run", "--quiet")
        assert planned.returncode == 0, planned.stdout
    survived("such a study, where it is valid, through Snakemake", PLANNED, "it is planned")


def test_every_bad_study_is_refused_in_one_line():
    for path, value, expected in BAD:
        assert expected in refusal(changed((path, value)))
    assert len(BAD) >= 60
    survived("a study with one mistake", len(BAD), "one line with key, value and what is allowed")
