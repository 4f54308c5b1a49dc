"""Builds, while a study is planned, networks that only the study itself knows, and checks them.

Of a registered network all is known beforehand; only for others, and to compare it with weights of
a file, does planning import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from incbayes.core.outside import is_outside
from incbayes.kinds import LIKELIHOODS
from incbayes.study.chains import chosen_chains
from incbayes.study.checks.experiments import target_size
from incbayes.study.checks.given import weights_file
from incbayes.study.datasets import data_constraints
from incbayes.study.model import MethodSettings, Study, to_plain
from incbayes.study.schema import kind_constraints
from incbayes.study.settings import method_settings, prior_option

if TYPE_CHECKING:
    from torch import nn


def check_networks(study: Study) -> None:
    """Check that each method can be over the layers of its network, where that is not known.

    And that weights of a file are of the network, where the file is there.

    Args:
        study: in normal form.

    Raises:
        NetworkError: naming model and layer.
        KindError: the network's code fails.
        WeightsError: naming the file and the tensor.
        SourceDataError: labels of `pretrain.data` are not those of the file's output layer.
    """
    for experiment, method in dict.fromkeys(chain[:2] for chain in chosen_chains(study)):
        settings = method_settings(study, experiment, method)
        model = study.experiments[experiment].model.kind
        if is_outside(model) or isinstance(settings.bayesian, tuple):
            _check(study, experiment, settings)
        if "source" in kind_constraints("prior", settings.prior.kind):
            _check_given(study, experiment, settings)


def given_outputs(study: Study, experiment: str) -> int | None:
    """Return how many outputs the network has that a file's weights are of.

    None where there is no such file.

    Raises:
        WeightsError: the weights are not of the experiment's network.
    """
    path = weights_file(study.experiments[experiment], ("experiments", experiment))
    if path is None or not path.is_file():
        return None
    from incbayes.jobs.given_fisher import outputs_of
    from incbayes.jobs.given_weights import source_network

    return outputs_of(source_network(path, _network(study, experiment)))


def _check(study: Study, experiment: str, settings: MethodSettings) -> None:
    # Costs seconds, hence here.
    from incbayes.inference.settings import StageSettings
    from incbayes.inference.stage import check_family, family_of
    from incbayes.networks.layers import layers_of

    described = study.experiments[experiment]
    stated = {**to_plain(settings), "model": to_plain(described.model)}
    family = family_of(StageSettings.of(stated))
    check_family(family, layers_of(_network(study, experiment)), described.model.kind)


def _check_given(study: Study, experiment: str, settings: MethodSettings) -> None:
    """Check weights of a file against the network, and against the data they were fitted to."""
    described = study.experiments[experiment]
    path = weights_file(described, ("experiments", experiment))
    if path is None or not path.is_file():
        return  # that it is not there is said where it is needed
    from incbayes.jobs.given_fisher import check_classes
    from incbayes.jobs.given_weights import given_state, source_network

    network = _network(study, experiment)
    kind = prior_option(settings.prior, "fisher")
    if kind is None or described.source_data is None:
        given_state(path, network)
        return
    classes = data_constraints(described.source_data)["classes"]
    likelihood = LIKELIHOODS.build(described.likelihood)
    check_classes(path, source_network(path, network), kind, classes, likelihood)


def _network(study: Study, experiment: str) -> nn.Module:
    """Return a fresh network of an experiment."""
    from incbayes.posterior.build import Architecture, fresh_network

    described = study.experiments[experiment]
    data = data_constraints(described.dataset, study.data_root)
    outputs = LIKELIHOODS.build(described.likelihood).outputs(target_size(described, data))
    return fresh_network(Architecture(described.model, tuple(data["shape"]), outputs), 0)
