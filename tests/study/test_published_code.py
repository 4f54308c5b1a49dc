"""The readings of the second paper: its text, its published code, and what is neither."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from incbayes.study.model import Group, to_plain
from incbayes.study.published_code import AS_PUBLISHED
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import evaluation_settings, method_settings
from incbayes.study.yaml import StudyError, read_yaml

STUDIES = Path(__file__).parents[2] / "studies"
TRANSFERS = ("transfer_010", "transfer_050", "transfer_100")


@pytest.fixture(scope="module", params=["full", "short", "quick"])
def study(request):
    return resolve_study(read_yaml(STUDIES / "wohlert2017.yaml") | {"budget": request.param})


@pytest.mark.parametrize("experiment", TRANSFERS)
def test_transfer_by_the_text_makes_the_posterior_of_a_the_prior_alone(study, experiment):
    """Section 3, eq. (14): q starts at random regardless; eq. (13): the output layer is fresh."""
    by_text = method_settings(study, experiment, "transfer")
    assert to_plain(by_text.prior) == {
        "kind": "transfer",
        "transfer": "all_but_output",
        "sigma": 1.0,
        "restart": "random",
        "output_layer": "fresh",
    }
    assert by_text.family.options["initialisation"] == "wohlert2017"


@pytest.mark.parametrize("experiment", TRANSFERS)
def test_other_readings_of_transfer_differ_from_the_text_in_what_they_are_named_for(
    study, experiment
):
    by_text = method_settings(study, experiment, "transfer")
    started = method_settings(study, experiment, "transfer_from_posterior")
    assert started == replace(by_text, prior=by_text.prior.changed({"restart": "posterior"}))
    published = method_settings(study, experiment, "transfer_published")
    assert published.prior == by_text.prior.changed({"output_layer": "transferred"})


def test_claims_on_transfer_are_of_the_text_and_of_the_published_code(study):
    named = {
        group.method
        for claim in study.claims.values()
        for group in claim.groups
        if isinstance(group, Group) and group.experiment in TRANSFERS
    }
    assert named == {"transfer", "transfer_published", "blundell", "blundell_published"}


@pytest.mark.parametrize(
    ("path", "stated"),
    [
        ("experiments.beta.settings.blundell_published.objective.draws", 10),
        ("experiments.flow.settings.planar_published.family.log_determinant", "once"),
        ("tune.search.beta.blundell_published.objective.draws", [5, 10]),
    ],
)
def test_what_the_reading_overrules_is_not_stated_of_a_single_method(path, stated):
    raw = read_yaml(STUDIES / "wohlert2017.yaml")
    section, *keys = path.split(".")
    place = raw.setdefault(section, {} if section != "tune" else {"validation": 0.1})
    if section == "tune":
        keys[-2:] = [".".join(keys[-2:])]
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    place[keys[-1]] = stated
    with pytest.raises(StudyError) as caught:
        resolve_study(raw)
    assert str(caught.value).replace("'", "").startswith(f"{path}: found ")
    assert "and `reading: as_published` of " in str(caught.value)


def test_where_q_starts_on_the_target_is_no_deviation_of_the_published_code():
    switched = [switches.get("prior", {}) for switches in AS_PUBLISHED.values()]
    assert {key for switches in switched for key in switches} == {"output_layer"}


def test_every_way_in_which_the_published_code_differs_is_turned_in_the_published_reading(study):
    """As read in commit 78d4888 of github.com/ammunk/bayes_02456."""
    planar = to_plain(method_settings(study, "flow", "planar_published"))
    planar["evaluation"] = to_plain(evaluation_settings(study, "planar_published"))
    transfer = to_plain(method_settings(study, "transfer_010", "transfer_published"))
    found = {
        "mean cross-entropy + β·KL": planar["objective"]["likelihood"],
        "10 copies of the images under one draw": planar["objective"]["draws"],
        "M of the whole set": planar["objective"]["batches"],
        "means of U(±10/sqrt(fan_in))": planar["family"]["initialisation"],
        "u, a ~ N(0, 1), b = 1": planar["family"]["flow_initialisation"],
        "log-determinant once per weight": planar["family"]["log_determinant"],
        "load_prior of all layers": transfer["prior"]["output_layer"],
        "test set cut to the fraction": planar["evaluation"]["test_images"],
    }
    assert list(found.values()) == [
        *("mean", 1, "whole_set", "as_published", "as_published", "per_weight"),
        *("transferred", "training_fraction"),
    ]
    assert len(found) == sum(len(s) for d in AS_PUBLISHED.values() for s in d.values())


def test_the_text_is_left_alone(study):
    text = to_plain(method_settings(study, "flow", "planar"))
    for switches in AS_PUBLISHED.values():
        for section, values in switches.items():
            for key, value in values.items():
                if section in text and key in text[section] and key != "draws":
                    assert text[section][key] != value
