"""The switches in which the published code of Wohlert et al. (2017) differs from its text.

Each is an ordinary setting, in its own place and documented there; `reading: as_published`
sets them all. It knows names of settings only. The code is that of the paper's time, commit
78d4888 of github.com/ammunk/bayes_02456.
"""

from collections.abc import Container

AS_PUBLISHED: dict[str, dict[str, dict[str, str | int]]] = {
    # Mean cross-entropy + β·KL: the KL is a minibatch's number of images too heavy.
    "kl_too_heavy": {"objective": {"likelihood": "mean"}},
    # Means are drawn from U(±10/sqrt(fan_in)), not from U(0, 1).
    "wide_means": {"family": {"initialisation": "as_published"}},
    # The images are repeated ten times, under one draw of the weights.
    "one_draw": {"objective": {"draws": 1}},
    # M counts the minibatches of the whole set also where a fraction is used.
    "batches_of_the_whole_set": {"objective": {"batches": "whole_set"}},
    # The planar flows' log-determinant is counted once per weight.
    "log_determinant_per_weight": {"family": {"log_determinant": "per_weight"}},
    # The planar maps start at u, a ~ N(0, 1) and b = 1, far from the identity at which ours start.
    # The text says of z_0 alone where it starts.
    "flow_from_afar": {"family": {"flow_initialisation": "as_published"}},
    # q_A is the prior of the output layer too. That q restarts at random is what the text says.
    "transfer_of_the_output_layer": {"prior": {"output_layer": "transferred"}},
    # The test set is cut to the same fraction as the training set.
    "subsampled_test_set": {"evaluation": {"test_images": "training_fraction"}},
}
"""By name of the deviation, the settings that reproduce it, by section.

Two things of the code are left as the text has them: a layer's weights and biases share one
flow, where the code gives each its own; and a posterior is scored by `evaluation.samples` draws
averaged, where the code scores each minibatch of the test set under a draw of its own.
"""


def as_published(section: str, has: Container[str]) -> dict[str, str | int]:
    """Return the switches of a section that are among the settings that it has."""
    return {
        key: value
        for deviation in AS_PUBLISHED.values()
        for key, value in deviation.get(section, {}).items()
        if key in has
    }
