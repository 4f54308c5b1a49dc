"""How a stage is fitted, and how its posterior is scored."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from incbayes.study.model.base import (
    FamilySpec,
    Images,
    InferenceSpec,
    KindSpec,
    PriorSpec,
    Section,
)

Epochs = Annotated[int, Meta(ge=1, le=1_000_000)]
Precision = Literal["fp32", "bf16"]
LayerPattern = Annotated[str, Meta(description="Name of a layer, or a pattern of names.")]
BayesianLayers = str | Annotated[tuple[LayerPattern, ...], Meta(min_length=1)]
NormalisationForm = Literal["point", "variational"]


class PlateauSettings(Section, frozen=True, kw_only=True):
    """When a stage has stopped improving.

    Attributes:
        patience: Epochs without improvement after which the stage ends.
        min_delta: Least rise of the ELBO that counts as improvement, in nats per image.
    """

    patience: Epochs
    min_delta: Annotated[float, Meta(ge=0, le=1_000_000)]


class AugmentationSettings(Section, frozen=True, kw_only=True):
    """Random changes of the images of every minibatch of training (He et al. 2016, section 4.2).

    Attributes:
        crop: Pixels of zeros that are put around a scaled image on every side, of which a crop of
            the image's own size is taken at random; 0 for none.
        flip: Whether left and right are exchanged in half of the images.
    """

    crop: Annotated[int, Meta(ge=0, le=1000)] = 4
    flip: bool = True


class TrainingSettings(Section, frozen=True, kw_only=True):
    """How a stage is fitted.

    Attributes:
        epochs: Passes over the part at every stage; with `plateau`, at most so many. Where it is
            left out and 30 passes over the smallest part are fewer than 400 steps, as many as
            make 400 (docs/choosing.md, “Small sets”).
        batch_size: Images per minibatch.
        learning_rate: Adam's learning rate at the start of every stage.
        log_sigma_rate: Learning rate of log σ as a multiple of `learning_rate`. At 1 a short stage
            cannot widen σ, and too narrow a posterior freezes the means of the next stage.
        schedule: Learning rate over a stage; `cosine` falls to 0 at the last of `epochs`.
        plateau: Stop a stage early, when the ELBO of an epoch has stopped rising; null trains for
            all `epochs`.
        precision: Arithmetic of the products; `bf16` by autocast, with weights kept in fp32.
    """

    epochs: Epochs = 30
    batch_size: Images = 128
    learning_rate: Annotated[float, Meta(ge=1.0e-12, le=100)] = 1.0e-3
    log_sigma_rate: Annotated[float, Meta(ge=1.0e-12, le=1_000_000)] = 10.0
    schedule: Literal["constant", "cosine"] = "cosine"
    plateau: PlateauSettings | None = None
    precision: Precision = "fp32"


class ObjectiveSettings(Section, frozen=True, kw_only=True):
    """What a stage maximises.

    Attributes:
        kl_scale: Factor on the KL term. 1 is the ELBO; below 1 the posterior is tempered, which is
            reported beside every number that used it. Where it is left out and the network has
            more weights W than the smallest part has images N, it is N/W (docs/choosing.md,
            “Small sets”).
        beta: Weight of the KL in minibatch i of M: `uniform` 1/M (Graves), `geometric`
            2^(M-i)/(2^M-1) (Blundell), `none` 0. The first two sum to 1 over an epoch. The ELBO
            that is recorded and that a plateau is judged by counts the KL with the weights that the
            minibatches of the epoch had, summed.
        complexity: The KL of a minibatch: `closed_form` is the family's own; `monte_carlo` the mean
            of ln q(w) - ln p(w) at the draws that the likelihood is computed with (Bayes by
            Backprop).
        draws: Stochastic passes per minibatch, over which likelihood and KL are averaged.
        warmup_epochs: Epochs of a stage over which the weight of the KL rises linearly; 0 for none.
            Until it stands still every epoch has another bound, and no plateau is looked for.
        likelihood: `sum` is the bound; `mean` leaves the minibatch's mean NLL unscaled, so that the
            KL weighs as many times too much as a minibatch has images, also in the ELBO that is
            recorded.
        batches: Whose minibatches M counts: those `used`, or those that the `whole_set` of the task
            would make although a fraction of it is used.
    """

    kl_scale: Annotated[float, Meta(ge=0, le=1_000_000)] = 1.0
    beta: Literal["uniform", "geometric", "none"] = "uniform"
    complexity: Literal["closed_form", "monte_carlo"] = "closed_form"
    draws: Annotated[int, Meta(ge=1, le=10_000)] = 1
    warmup_epochs: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    likelihood: Literal["sum", "mean"] = "sum"
    batches: Literal["used", "whole_set"] = "used"


class MethodSettings(Section, frozen=True, kw_only=True):
    """All settings of a method in an experiment, whatever level of the study states them.

    Attributes:
        family: The form of q(w).
        prior: What the first stage is regularised to and where it starts.
        training: How a stage is fitted.
        objective: What a stage maximises.
        inference: How the posterior of every stage is found.
        bayesian: Which layers have the family's distribution; unset, all.
        normalisation: What scales and shifts of normalisation are; unset, points.
        augmentation: How the images of a minibatch are changed; unset, not at all.
    """

    family: FamilySpec
    prior: PriorSpec
    training: TrainingSettings = field(default_factory=TrainingSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    inference: InferenceSpec = KindSpec("vi")
    bayesian: BayesianLayers | UnsetType = UNSET
    normalisation: NormalisationForm | UnsetType = UNSET
    augmentation: AugmentationSettings | UnsetType = UNSET
