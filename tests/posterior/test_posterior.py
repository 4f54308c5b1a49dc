"""The posterior artifact: exact round trips, and refusal of what is not the one meant."""

import json
import pickle

import pytest
import torch
from cases import TRAINED, layer_and_input, random_member
from safetensors import safe_open
from safetensors.torch import save_file

from incbayes.kinds import FAMILIES
from incbayes.posterior.file import (
    METADATA_KEY,
    PosteriorError,
    read_posterior,
    verify_chain,
    write_posterior,
)

DESCRIBED = {"study": "s", "method": "m", "T": 2, "t": 1, "parent": "none", "artifact": "posterior"}


def states(name, seed=0):
    family = FAMILIES[name]()
    layer, _ = layer_and_input("conv")
    return {
        r: {"0": random_member(family, layer, seed + r), "2.a": random_member(family, layer, 9 + r)}
        for r in (3, 4)
    }


@pytest.fixture
def path(tmp_path):
    write_posterior(tmp_path / "posterior.safetensors", states("ffg"), DESCRIBED)
    return tmp_path / "posterior.safetensors"


@pytest.mark.parametrize("name", TRAINED)
def test_round_trip_is_exact_and_has_a_leading_replicate_axis(name, tmp_path):
    path, written = tmp_path / "p.safetensors", states(name)
    write_posterior(path, written, DESCRIBED)
    read = read_posterior(path, DESCRIBED)
    assert list(read.states) == [3, 4]
    for replicate, state in written.items():
        assert list(read.states[replicate]) == list(state)
        for layer, parameters in state.items():
            assert list(read.states[replicate][layer]) == list(parameters)
            for key, value in parameters.items():
                assert torch.equal(read.states[replicate][layer][key], value)
    with safe_open(path, framework="pt") as file:
        assert all(file.get_slice(key).get_shape()[0] == 2 for key in file.keys())  # noqa: SIM118


def test_what_is_read_lies_in_memory_as_what_was_made(path):
    for state in read_posterior(path, DESCRIBED).states.values():
        for parameters in state.values():
            for value in parameters.values():
                assert value.storage_offset() == 0 and value.data_ptr() % 64 == 0


def test_equal_states_give_equal_bytes(tmp_path):
    for name in "ab":
        write_posterior(tmp_path / name, states("ffg"), DESCRIBED)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_truncated_file_is_refused(path):
    content = path.read_bytes()
    for length in (0, 4, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(PosteriorError, match="posterior.safetensors"):
            read_posterior(path)


def test_every_flipped_bit_is_noticed(path):
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), max(1, len(content) // 211)):
        content[position] ^= 0x10
        path.write_bytes(content)
        with pytest.raises(PosteriorError, match="posterior.safetensors"):
            read_posterior(path)
        content[position] ^= 0x10


@pytest.mark.parametrize("key, value", [("study", "other"), ("t", 2), ("T", 5), ("method", "ft")])
def test_a_foreign_posterior_is_refused_by_name(path, key, value):
    with pytest.raises(PosteriorError, match=f"posterior.safetensors: {key} is .*another run"):
        read_posterior(path, DESCRIBED | {key: value})


def test_a_parent_of_another_run_is_refused(tmp_path):
    first, other, second = (tmp_path / n for n in ("t01", "other", "t02"))
    write_posterior(first, states("ffg"), DESCRIBED)
    write_posterior(other, states("ffg", seed=50), DESCRIBED)
    parent = read_posterior(other).sha256
    write_posterior(second, states("ffg", seed=70), DESCRIBED | {"t": 2, "parent": parent})
    with pytest.raises(PosteriorError, match="t02: its parent is"):
        verify_chain([first, second], [read_posterior(first), read_posterior(second)])
    verify_chain([other, second], [read_posterior(other), read_posterior(second)])


def test_a_newer_format_is_refused(path, monkeypatch):
    monkeypatch.setattr("incbayes.posterior.file.FORMAT_VERSION", 99)
    write_posterior(path, states("ffg"), DESCRIBED)
    monkeypatch.undo()
    with pytest.raises(PosteriorError, match="format version 99"):
        read_posterior(path)


def test_other_safetensors_and_pickles_are_refused(path):
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(PosteriorError, match="not a posterior"):
        read_posterior(path)
    save_file({"x": torch.zeros(2)}, path, metadata={METADATA_KEY: "{"})
    with pytest.raises(PosteriorError, match="damaged"):
        read_posterior(path)
    path.write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(PosteriorError, match="not a whole safetensors"):
        read_posterior(path)
    torch.save({"x": torch.zeros(2)}, path)
    with pytest.raises(PosteriorError, match="not a whole safetensors"):
        read_posterior(path)


def test_a_missing_file_and_numbers_that_are_not_finite_are_named(path):
    with pytest.raises(PosteriorError, match="no such file"):
        read_posterior(path.with_name("absent"))
    broken = states("ffg")
    broken[3]["0"]["weight_mean"][0] = torch.nan
    write_posterior(path, broken, DESCRIBED)
    with pytest.raises(PosteriorError, match="0/weight_mean is not finite"):
        read_posterior(path)


def test_metadata_are_one_sorted_json(path):
    with safe_open(path, framework="pt") as file:
        text = file.metadata()[METADATA_KEY]
    assert text == json.dumps(json.loads(text), sort_keys=True)
