"""Layers as they are shown: by type and order, where a network names them by numbers."""

import pytest

from incbayes.kinds import MODELS
from incbayes.networks.layers import layers_of
from incbayes.prediction.show import TYPES
from incbayes.study.layers import layer_titles, layer_types
from incbayes.study.model import KindSpec

OPTIONS = {
    "mlp": {"widths": [5, 7]},
    "embedding_mlp": {"widths": [5, 7], "size": 3, "categories": [3, 0, 4]},
}


@pytest.mark.parametrize("name", MODELS)
def test_types_are_those_of_the_layers_that_the_network_has(name):
    model = KindSpec(name, OPTIONS.get(name, {}))
    shape = (8, 1, 1) if name == "embedding_mlp" else (3, 32, 32)
    numbered = [
        of for of in layers_of(MODELS.build(dict(model)).build(shape, 4)) if of.name.isdigit()
    ]
    assert sorted(int(of.name) for of in numbered) == [int(of.name) for of in numbered]
    assert layer_types(model) == tuple(TYPES[of.kind] for of in numbered)


def test_numbers_become_types_in_their_order_and_words_stay():
    titles = layer_titles(["conv", "conv", "dense"], ["whole network", "10", "0", "3", "body.0"])
    assert titles == {
        "whole network": "whole network",
        "0": "conv 1",
        "3": "conv 2",
        "10": "dense 1",
        "body.0": "body.0",
    }


def test_where_it_is_not_known_which_layer_is_which_their_numbers_are_shown():
    assert layer_titles(["conv", "dense"], ["7"]) == {"7": "layer 7"}
    assert layer_titles(layer_types(KindSpec("file:net.py:Net", {})), ["0"]) == {"0": "layer 0"}
