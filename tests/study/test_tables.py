"""Tables in a study: what is filled in, and what is refused, each in one line."""

import copy

import pytest
from bad_studies import refusal
from small_study import GONE, changed

from incbayes.study.checks import tables
from incbayes.study.datasets import check_sources, data_constraints, data_name, source_files
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import StudyError

TABLE = {
    "kind": "table",
    "source": "parts/*.csv",
    "target": "ill",
    "features": ["age", "colour"],
    "categories": {"colour": ["red", "blue"]},
    "classes": ["no", "yes"],
}
NUMBER = {key: value for key, value in TABLE.items() if key != "classes"}
PLAIN = "experiments.plain"
GROUPS = [{"experiment": "plain", "method": method, "T": 5} for method in ("ft", "ffg")]


def study(dataset, *changes):
    """Return the small study with a table in its first experiment alone."""
    keys = ("experiments.halves", "methods.ft_pretrained", "methods.ffg_grid")
    gone = [(key, GONE) for key in (*keys, "methods.ffg_laplace")]
    return changed((f"{PLAIN}.dataset", copy.deepcopy(dataset)), *gone, *changes)


def resolved(dataset, *changes):
    return resolve_study(study(dataset, *changes)).experiments["plain"]


def test_a_table_has_the_scaling_and_the_likelihood_that_suit_it():
    of_classes, of_number = resolved(TABLE), resolved(NUMBER)
    assert of_classes.pixels == KindSpec("columns", {"statistics": "first"})
    assert of_classes.likelihood == KindSpec("categorical")
    assert of_number.pixels.kind == "columns"
    assert of_number.likelihood == KindSpec("gaussian", {"noise": "learnt"})
    given = resolved(NUMBER, (f"{PLAIN}.likelihood", {"kind": "gaussian", "noise": 2}))
    assert given.likelihood == KindSpec("gaussian", {"noise": 2.0})
    assert resolved("diabetes").likelihood.kind == "gaussian"
    assert resolved("breast_cancer").likelihood.kind == "categorical"
    assert resolved("digits").pixels.kind == "standard"


def test_what_is_known_of_a_table_before_it_is_read():
    facts = data_constraints(resolved(TABLE).dataset)
    assert (facts["shape"], facts["classes"]) == ([3, 1, 1], ["no", "yes"])
    assert (facts["table"], facts["number"], facts["train"]) == (True, False, None)
    number = data_constraints(resolved(NUMBER).dataset)
    assert (number["classes"], number["number"]) == (["ill"], True)


def test_a_table_is_prepared_from_the_files_that_its_pattern_names(tmp_path):
    (tmp_path / "parts").mkdir()
    for name in ("b.csv", "a.csv", "other.txt"):
        (tmp_path / "parts" / name).write_text("x")
    experiment = resolved(TABLE)
    found = source_files(experiment.dataset, tmp_path)
    assert [path.name for path in found] == ["a.csv", "b.csv"]
    check_sources({"plain": experiment}, tmp_path, tmp_path / "prepared")
    other = resolved(TABLE | {"features": ["age"], "categories": {}}).dataset
    names = {data_name(experiment.dataset), data_name(other)}
    assert len(names) == 2 and all(name.startswith("table_") for name in names)


def test_a_file_that_is_gone_is_named_so_that_what_was_prepared_of_it_stays(tmp_path):
    dataset = TABLE | {"source": "rows.csv", "test_source": "gone*.csv"}
    found = source_files(resolved(dataset).dataset, tmp_path)
    assert found == [tmp_path / "rows.csv", tmp_path / "gone*.csv"]


@pytest.mark.parametrize("key", ["source", "test_source"])
def test_a_source_that_is_not_there_is_named_with_its_key(key, tmp_path):
    (tmp_path / "rows.csv").write_text("x")
    dataset = TABLE | {"source": "rows.csv", "test_source": "rows.csv", key: "gone*.csv"}
    with pytest.raises(StudyError) as error:
        check_sources({"plain": resolved(dataset)}, tmp_path, tmp_path / "prepared")
    assert str(error.value).startswith(f"experiments.plain.dataset.{key}: found 'gone*.csv', but")


FAULTS = [
    (TABLE | {"features": ["age", "age"]}, [], "dataset.features[1]: 'age' is given twice"),
    (TABLE | {"features": ["ill", "colour"]}, [], "dataset.features[0]: 'ill' is the target"),
    (
        TABLE | {"categories": {"color": ["red"]}},
        [],
        "dataset.categories.color: no feature (did you mean 'colour'?)",
    ),
    (TABLE | {"categories": {"colour": []}}, [], "dataset.categories.colour: found []"),
    (
        TABLE | {"categories": {"colour": ["red", "red"]}},
        [],
        "dataset.categories.colour[1]: 'red' is given twice",
    ),
    (TABLE | {"classes": ["no", "no"]}, [], "dataset.classes[1]: 'no' is given twice"),
    (TABLE | {"source": " "}, [], "dataset.source: found ' '; allowed: a path"),
    (TABLE | {"test_source": "x.csv", "test_share": 0.5}, [], "dataset.test_share: given beside"),
    (TABLE | {"missing": "zero"}, [], "dataset.missing: found 'zero'"),
    (TABLE | {"categories": {"colour": "red"}}, [], "dataset.categories.colour: found 'red'"),
    (
        TABLE,
        [("pixels", "standard")],
        "pixels: found 'standard', but table is a table; allowed: columns",
    ),
    (
        "digits",
        [("pixels", "columns")],
        "pixels: found 'columns', but digits is made of images; allowed: standard, divide",
    ),
    (
        NUMBER,
        [("likelihood", "categorical")],
        "likelihood: found 'categorical', but the target of table is a number; allowed: gaussian",
    ),
    (
        "digits",
        [("likelihood", "gaussian")],
        "likelihood: found 'gaussian', but the target of digits is a class; allowed: categorical",
    ),
    (NUMBER, [("likelihood", {"kind": "gaussian", "noise": 0})], "likelihood.noise: found 0"),
    (TABLE, [("model", "lenet5")], "model: lenet5 needs images of at least"),
    ("digits", [("model", "embedding_mlp")], "model: embedding_mlp is for tables; digits is made"),
    (
        TABLE,
        [("model", {"kind": "embedding_mlp", "categories": [0]})],
        "model.categories: found [0], but the features of table have ",
    ),
    (NUMBER, [("partition", {"stratify": True})], "partition.stratify: the target of table is"),
    (NUMBER, [("partition", {"target_classes": [0, 1]})], "partition.target_classes"),
    (NUMBER, [("partition", {"source_classes": 1})], "partition.source_classes"),
]


@pytest.mark.parametrize(("dataset", "changes", "said"), FAULTS)
def test_what_makes_no_sense_of_a_table_is_refused(dataset, changes, said):
    line = refusal(study(dataset, *((f"{PLAIN}.{key}", value) for key, value in changes)))
    assert said in line


@pytest.mark.parametrize(
    ("dataset", "metric", "allowed"),
    [
        (NUMBER, "accuracy", "whose target is a number; allowed: rmse, nlpd, coverage_50"),
        (NUMBER, "ece", "whose target is a number"),
        (TABLE, "rmse", "whose target is a class; allowed: accuracy, nll, brier, ece"),
    ],
)
def test_a_claim_is_on_a_metric_that_makes_sense(dataset, metric, allowed):
    relation = {"kind": "greater", "by": 0.01, "reason": "made up"}
    claim = {"sentence": "One.", "metric": metric, "relation": relation, "groups": GROUPS}
    line = refusal(study(dataset, ("claims", {"one": claim})))
    assert f"claims.one.metric: {metric} makes no sense of plain, {allowed}" in line
    good = claim | {"metric": "nlpd" if dataset is NUMBER else "nll"}
    assert resolve_study(study(dataset, ("claims", {"one": good}))).claims["one"].figure == "stages"


def test_a_search_is_not_over_a_number():
    search = {"plain": {"ft": {"training.epochs": [1, 2]}, "ffg": {"training.epochs": [1, 2]}}}
    tune = {"search": search, "replicates": 1, "validation": 0.2}
    assert resolve_study(study(TABLE, ("tune", tune))).tune is not None
    assert "tune.search.plain: its target is a number" in refusal(study(NUMBER, ("tune", tune)))


def test_an_algorithm_of_classes_alone_is_not_asked_for_a_number(monkeypatch):
    facts = tables.kind_constraints

    def of_classes(key, kind):
        return facts(key, kind) | ({"predicts": "classes"} if key == "inference" else {})

    monkeypatch.setattr(tables, "kind_constraints", of_classes)
    line = refusal(study(NUMBER))
    assert "experiments.plain.methods[0]: ft is fitted by vi, which is of classes alone" in line
    assert resolve_study(study(TABLE)).experiments["plain"].methods
