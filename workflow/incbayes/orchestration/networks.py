"""Builds, while a study is planned, networks that only the study itself knows, and checks them.

Of a registered network all is known beforehand; only for others does planning import torch.
"""

from incbayes.core.outside import is_outside
from incbayes.kinds import LIKELIHOODS
from incbayes.study.chains import chosen_chains
from incbayes.study.checks.experiments import target_size
from incbayes.study.datasets import data_constraints
from incbayes.study.model import MethodSettings, Study, to_plain
from incbayes.study.settings import method_settings


def check_networks(study: Study) -> None:
    """Check that each method can be over the layers of its network, where that is not known.

    Args:
        study: in normal form.

    Raises:
        NetworkError: naming model and layer.
        KindError: the network's code fails.
    """
    for experiment, method in dict.fromkeys(chain[:2] for chain in chosen_chains(study)):
        settings = method_settings(study, experiment, method)
        model = study.experiments[experiment].model.kind
        if is_outside(model) or isinstance(settings.bayesian, tuple):
            _check(study, experiment, settings)


def _check(study: Study, experiment: str, settings: MethodSettings) -> None:
    # Costs seconds, hence here.
    from incbayes.inference.settings import StageSettings
    from incbayes.inference.stage import check_family, family_of
    from incbayes.networks.layers import layers_of
    from incbayes.posterior.build import Architecture, fresh_network

    described = study.experiments[experiment]
    data = data_constraints(described.dataset, study.data_root)
    outputs = LIKELIHOODS.build(described.likelihood).outputs(target_size(described, data))
    network = fresh_network(Architecture(described.model, tuple(data["shape"]), outputs), 0)
    stated = {**to_plain(settings), "model": to_plain(described.model)}
    family = family_of(StageSettings.of(stated))
    check_family(family, layers_of(network), described.model.kind)
