"""An ensemble from job to job: its files, what reads them, and what goes on from them."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from tiny_chain import SETTINGS, tiny_chain

from incbayes.posterior.file import PosteriorError, read_posterior, write_posterior
from incbayes.posterior.members import members_of
from incbayes.prediction.export import ExportError, export
from incbayes.prediction.predict import predict
from incbayes.prediction.show import facts
from incbayes.study.model import KindSpec

MEMBERS = 3
POINT = replace(SETTINGS, family=KindSpec("point"))
ENSEMBLE = replace(POINT, inference=KindSpec("ensemble", {"members": MEMBERS}))
GOES_ON = KindSpec("posterior", {"continue_from": "elsewhere"})


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    made = tiny_chain(tmp_path_factory.mktemp("ensemble")).asked(settings=ENSEMBLE)
    made.fit(1)
    made.fit(2)
    made.evaluate()
    return made


@pytest.fixture(scope="module")
def single(chain, tmp_path_factory):
    """The chain of fine-tuning beside it."""
    made = chain.at(tmp_path_factory.mktemp("single")).asked(settings=POINT)
    made.fit(1)
    made.fit(2)
    made.evaluate()
    return made


def test_the_first_member_is_the_chain_of_fine_tuning(chain, single):
    for t in (1, 2):
        first, *others = members_of(read_posterior(chain.posterior(t)).states[0])
        alone = read_posterior(single.posterior(t)).states[0]
        assert len(others) == MEMBERS - 1
        for layer, tensors in alone.items():
            for key, value in tensors.items():
                assert torch.equal(first[layer][key], value)
                assert not any(torch.equal(other[layer][key], value) for other in others)


def test_every_stage_is_scored_as_the_mixture_and_its_evidence_tells_the_spread(chain, single):
    for t in (1, 2):
        found, alone = (pd.read_json(one.scores(t).metrics) for one in (chain, single))
        assert set(found["predictor"]) == set(alone["predictor"]) == {"predictive"}
        assert set(found["metric"]) - set(alone["metric"]) == {"mutual_information"}
        both = found[found["metric"] != "mutual_information"]["value"]
        assert len(both) == len(alone) and both.tolist() != alone["value"].tolist()
    evidence, of_one = (pd.read_parquet(one.scores(2).evidence) for one in (chain, single))
    nll = found[(found["metric"] == "nll") & (found["split"] == "test")]["value"].item()
    assert nll == pytest.approx(-evidence["log_probability"].mean(), rel=1e-4)  # stored coarsely
    assert evidence["mutual_information"].max() > 0.01
    assert (of_one["mutual_information"] == 0).all()


def test_it_says_how_many_it_is_predicts_with_all_and_is_not_exported(chain, single, tmp_path):
    file = chain.posterior(2)
    assert facts(file)["members"] == MEMBERS and "members" not in facts(single.posterior(2))
    images = torch.randint(256, (5, 1, 8, 8), dtype=torch.uint8)
    found = predict(file, images, samples=50)
    assert found.samples == MEMBERS
    with pytest.raises(ExportError, match="holds an ensemble, which has no network of its mean"):
        export(file, "mean", tmp_path / "mean.safetensors")


def test_a_chain_goes_on_from_as_many_members_or_from_one(chain, single, tmp_path):
    on = replace(ENSEMBLE, prior=GOES_ON)
    same = chain.at(tmp_path / "same")
    same.asked(settings=on).go_on([chain.posterior(2)])
    assert len(members_of(read_posterior(same.posterior(1)).states[0])) == MEMBERS
    from_one = chain.at(tmp_path / "one")
    from_one.asked(settings=on).go_on([single.posterior(2)])
    members = members_of(read_posterior(from_one.posterior(1)).states[0])
    layer = list(members[0])[0]
    assert len(members) == MEMBERS
    assert not torch.equal(members[0][layer]["weight"], members[1][layer]["weight"])


@pytest.mark.parametrize("members", [1, 2])
def test_it_does_not_go_on_with_fewer(chain, members, tmp_path):
    inference = KindSpec("ensemble", {"members": members}) if members > 1 else KindSpec("vi")
    on = replace(POINT, prior=GOES_ON, inference=inference)
    expected = f"is an ensemble of 3, from which a chain of {members}"
    with pytest.raises(PosteriorError, match=expected):
        chain.at(tmp_path / "fewer").asked(settings=on).go_on([chain.posterior(2)])


def test_a_member_that_lacks_a_tensor_is_refused(chain, tmp_path):
    posterior = read_posterior(chain.posterior(2))
    state = {layer: dict(tensors) for layer, tensors in posterior.states[0].items()}
    del state[list(state)[0]]["weight_member_2"]
    metadata = {k: v for k, v in posterior.metadata.items() if k not in ("content_sha256", "order")}
    write_posterior(tmp_path / "cut.safetensors", {0: state}, metadata)
    with pytest.raises(PosteriorError, match="weight is absent"):
        predict(tmp_path / "cut.safetensors", torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
