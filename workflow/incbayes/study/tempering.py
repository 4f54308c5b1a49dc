"""How many times its own KL the objective of a method minimises, of all that a study says."""

import math

from incbayes.study.model import ObjectiveSettings, Study
from incbayes.study.schema import kind_constraints
from incbayes.study.settings import method_settings
from incbayes.study.small_sets import images_of

DIGITS = 3
"""Of a factor that depends on how many images there are."""


def kl_scale(study: Study, experiment: str, method: str) -> float | None:
    """Return how many times the bound's own KL a method minimises; None where it has no KL.

    That is its `kl_scale`, and in a part of the largest T further times

    - the images of a minibatch with `likelihood: mean`: `batch_size`, or all of a smaller part;
    - what the weights β of the part's minibatches sum to with `batches: whole_set`.

    Where the number of images is not known while a study is planned, parts are taken to be large,
    and of equal shares of the set.

    Raises:
        StudyError: there is no such experiment or method.
    """
    settings = method_settings(study, experiment, method)
    objective, batch = settings.objective, settings.training.batch_size
    bayesian = kind_constraints("family", settings.family.kind)["bayesian"]
    if not bayesian or objective.beta == "none":
        return None
    scale = objective.kl_scale
    if objective.likelihood == "sum" and objective.batches == "used":
        return float(scale)
    described = study.experiments[experiment]
    part, task = images_of(study, described) or (None, None)
    if objective.likelihood == "mean":
        scale *= batch if part is None else min(batch, part)
    if objective.batches == "whole_set":
        if part is None or task is None:
            share = described.partition.fraction / max(described.parts)
        else:
            share = _sum_of_weights(objective, math.ceil(part / batch), math.ceil(task / batch))
        scale = float(f"{scale * share:.{DIGITS}g}")
    return float(scale)


def _sum_of_weights(objective: ObjectiveSettings, used: int, whole: int) -> float:
    """Return Σ β_i over the `used` first of the `whole` minibatches that β is made for."""
    if objective.beta == "uniform":
        return used / whole
    return (1 - 2.0**-used) / (1 - 2.0**-whole)
