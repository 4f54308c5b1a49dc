"""The switches in which the published code of Wohlert et al. (2017) differs from its text.

Each is an ordinary setting, in its own place and documented there; `reading: as_published`
sets them all. It knows names of settings only.
"""

from collections.abc import Mapping
from typing import Any

AS_PUBLISHED: dict[str, dict[str, dict[str, str]]] = {
    # Mean cross-entropy + β·KL: the KL is a minibatch's number of images too heavy.
    "kl_too_heavy": {"objective": {"likelihood": "mean"}},
    # Means are drawn from U(±10/sqrt(fan_in)), not from U(0, 1).
    "wide_means": {"family": {"initialisation": "as_published"}},
    # M counts the minibatches of the whole set also where a fraction is used.
    "batches_of_the_whole_set": {"objective": {"batches": "whole_set"}},
    # The planar flows' log-determinant is counted once per weight.
    "log_determinant_per_weight": {"family": {"log_determinant": "per_weight"}},
    # q_A is the prior only, while q restarts at random; the output layer is transferred too.
    "transfer_of_the_prior_only": {"prior": {"restart": "random", "output_layer": "transferred"}},
    # The test set is cut to the same fraction as the training set.
    "subsampled_test_set": {"evaluation": {"test_images": "training_fraction"}},
}
"""By name of the deviation, the settings that reproduce it, by section."""


def as_published(section: str, has: Mapping[str, Any]) -> dict[str, str]:
    """Return the switches of a section that are among the settings that it has."""
    return {
        key: value
        for deviation in AS_PUBLISHED.values()
        for key, value in deviation.get(section, {}).items()
        if key in has
    }
