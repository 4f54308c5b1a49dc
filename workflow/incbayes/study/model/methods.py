"""What a study says of its methods, and of single methods in an experiment."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType, field

from incbayes.study.model.base import (
    FamilySpec,
    InferenceSpec,
    Overrides,
    PriorSpec,
    Section,
    Text,
    stated,
)
from incbayes.study.model.fitting import (
    BayesianLayers,
    NormalisationForm,
    ObjectiveSettings,
    TrainingSettings,
)


class Method(Section, frozen=True, kw_only=True):
    """A posterior family with a prior and what it overrides.

    Attributes:
        label: Name of the method in figures and tables.
        family: The form of q(w).
        prior: What the first stage is regularised to and where it starts; later stages take the
            posterior of the stage before.
        inference: How the posterior of every stage is found.
        training: Overrides of the experiment's `training`, for this method. They are not for the
            source task, whose own are `pretrain.training` of the experiment.
        reading: `corrected` takes every setting as written; `as_published` turns every switch in
            which the published code of Wohlert et al. (2017) differs from its text (see
            workflow/incbayes/study/published_code.py), whatever else is stated of it. Each switch
            can also be turned alone, where it stands.
        objective: Overrides of the experiment's `objective`, for this method.
        bayesian: Which layers have the family's distribution; `all`, `last_layer`, or a list of
            names of layers, in which `*` stands for any text. Every other layer is a point, trained
            without a penalty.
        normalisation: What the scales and shifts of a BatchNorm, LayerNorm or GroupNorm are;
            `point`, trained without a penalty, or `variational`, a Gaussian each, whatever the
            family. For a family without a width they are points as all else.
    """

    label: Annotated[Text, stated(x_default="the name of the method")]
    family: FamilySpec
    prior: Annotated[PriorSpec, stated(default="normal")]
    inference: Annotated[InferenceSpec, stated(default="vi")]
    training: Overrides[TrainingSettings] = field(default_factory=Overrides)
    reading: Literal["corrected", "as_published"] = "corrected"
    objective: Overrides[ObjectiveSettings] = field(default_factory=Overrides)
    bayesian: Annotated[BayesianLayers | UnsetType, stated(x_default="`all`")] = UNSET
    normalisation: Annotated[NormalisationForm | UnsetType, stated(x_default="`point`")] = UNSET


class Changes(Section, frozen=True, kw_only=True):
    """Overrides for a method in an experiment.

    Attributes:
        family: Options of the method's family.
        prior: Options of the method's prior.
        inference: Options of the method's inference algorithm.
        training: Overrides of `training`.
        objective: Overrides of `objective`.
    """

    family: Mapping[str, Any] | UnsetType = UNSET
    prior: Mapping[str, Any] | UnsetType = UNSET
    inference: Mapping[str, Any] | UnsetType = UNSET
    training: Overrides[TrainingSettings] | UnsetType = UNSET
    objective: Overrides[ObjectiveSettings] | UnsetType = UNSET
