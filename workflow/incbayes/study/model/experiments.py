"""What a study says of an experiment: data, model, parts, and which methods run on them."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from incbayes.study.model.base import (
    UNIQUE,
    DatasetSpec,
    KindSpec,
    LikelihoodSpec,
    ModelSpec,
    Name,
    OutlierSpec,
    Overrides,
    Parts,
    PixelsSpec,
    Replicates,
    Section,
    ShiftSpec,
    Text,
    stated,
)
from incbayes.study.model.fitting import (
    AugmentationSettings,
    ObjectiveSettings,
    TrainingSettings,
)
from incbayes.study.model.methods import Changes
from incbayes.study.model.partition import PartitionSettings


class PretrainSettings(Section, frozen=True, kw_only=True):
    """Training of an ordinary network on the source task, or where its weights are from.

    Attributes:
        training: Overrides of the experiment's `training`, for the source task.
        weights: A file of safetensors with the weights of the same network, by the names that its
            `state_dict` has; nothing is trained then, and no source task is needed. The path is
            absolute or relative to where Snakemake runs; a leading `~` is your home, `$NAME` a
            variable of the environment, and `$$` a dollar sign.
        data: The data set that `weights` were fitted to, of any kind but a stream. Its training
            images give the Fisher information of the prior `laplace`, and, with `pixels` of
            `statistics: first`, the mean and std that all images of the experiment are scaled by.
        images: Number N of images that `weights` were fitted to, in the prior `laplace` of
            precision N·F + prior precision, where `data` is a sample of them.
    """

    training: Overrides[TrainingSettings] = field(default_factory=Overrides)
    weights: Text | UnsetType = UNSET
    data: Annotated[DatasetSpec | UnsetType, stated(x_default="none")] = UNSET
    images: Annotated[
        Annotated[int, Meta(ge=1, le=10_000_000_000)] | UnsetType,
        stated(x_default="the number of training images of `data`"),
    ] = UNSET

    @property
    def file(self) -> str | None:
        """The file that the weights are from; None where they are trained."""
        return None if self.weights is UNSET else self.weights

    @property
    def fitted_to(self) -> KindSpec | None:
        """The data set that the weights of a file were fitted to; None where none is stated."""
        return None if self.data is UNSET else self.data


class Experiment(Section, frozen=True, kw_only=True):
    """A data set, a model, a way to cut the data, and what it overrides.

    Attributes:
        title: Name of the experiment in figures and tables.
        dataset: Where the images, or the rows of a table, come from.
        model: The network.
        pixels: How pixels, or the columns of a table, become inputs of the network; of a table
            `columns` where it is not given.
        augmentation: Random crops and flips of the images in every minibatch of training, the
            source task's among them, for all methods alike; nothing that is scored, no Fisher
            information and no statistics of pixels see them.
        likelihood: What the outputs of the model say of the labels, in training and in every score;
            how it is weighed against the KL is `objective.likelihood`. Of a table whose target is a
            number `gaussian` where it is not given.
        parts: The numbers T of parts to cut the training data into, each a chain of T stages; T=1
            is all data at once. A stream's are those that have arrived.
        partition: Which images there are, and how they are cut into parts.
        pretrain: Training of an ordinary network on the source task, for the priors that start from
            one; null: none. It needs `partition.source_classes`, or the `weights` of a file.
        methods: Names of the methods to run in this experiment.
        outliers: Images that are none of the task, by a name of yours: after every stage it is
            scored how well its uncertainty tells them from the test images (split `outliers_NAME`).
            `rotated` and `shuffled` are made of the test images; a data set gives its test images,
            of the same shape, scaled as the experiment's are, at most as many as there are.
        shifts: Changes of the test images, by a name of yours, at every level of which the last
            stage of a chain is scored (split `shift_NAME_LEVEL`): the level is a rotation's
            degrees, of the others the place of the strength, from 1. Each level costs as much as
            the test set. `cifar_c` and `mnist_c` are corrupted copies of the test images in files,
            every corruption at every level (split `shift_NAME.CORRUPTION_LEVEL`), and the mean over
            all of them (split `shift_NAME.mean`).
        replicates: How often this experiment is repeated; a budget's `replicates` is that of the
            study.
        training: Overrides of the study's `training`, for this experiment.
        objective: Overrides of the study's `objective`, for this experiment.
        settings: Overrides by the name of a method, for that method in this experiment: any of
            `training` and `objective`, and options as `family`, `prior` and `inference`. They win
            over the method's own.
    """

    title: Annotated[Text, stated(x_default="the name of the experiment")]
    dataset: DatasetSpec
    model: ModelSpec
    pixels: Annotated[PixelsSpec, stated(default="standard")]
    augmentation: Annotated[
        AugmentationSettings | UnsetType, stated(x_default="none: images as they are")
    ] = UNSET
    likelihood: Annotated[LikelihoodSpec, stated(default="categorical")]
    parts: Annotated[
        tuple[Annotated[Parts, Meta(description="A number T of parts.")], ...],
        Meta(min_length=1),
        UNIQUE,
        stated(x_default="of a stream, the parts that have arrived; else it must be given"),
    ]
    partition: PartitionSettings = field(default_factory=PartitionSettings)
    pretrain: PretrainSettings | None = None
    methods: Annotated[
        tuple[Annotated[Name, Meta(description="Name of a method of the study.")], ...],
        Meta(min_length=1),
        UNIQUE,
        stated(x_default="all methods of the study"),
    ]
    outliers: Annotated[Mapping[Name, OutlierSpec] | UnsetType, stated(x_default="none")] = UNSET
    shifts: Annotated[Mapping[Name, ShiftSpec] | UnsetType, stated(x_default="none")] = UNSET
    replicates: Annotated[Replicates, stated(x_default="the study's `replicates`")]
    training: Overrides[TrainingSettings] = field(default_factory=Overrides)
    objective: Overrides[ObjectiveSettings] = field(default_factory=Overrides)
    settings: Mapping[Name, Changes] = field(default_factory=dict)

    @property
    def outlier_sets(self) -> Mapping[str, KindSpec]:
        """The outlier sets by name; none where it states none."""
        return {} if isinstance(self.outliers, UnsetType) else self.outliers

    @property
    def image_shifts(self) -> Mapping[str, KindSpec]:
        """The shifts by name; none where it states none."""
        return {} if isinstance(self.shifts, UnsetType) else self.shifts

    @property
    def trains_source(self) -> bool:
        """Whether a network is trained on the source task, whose images come first then."""
        return self.pretrain is not None and self.pretrain.file is None

    @property
    def source_data(self) -> KindSpec | None:
        """The data set that given weights were fitted to; None where none is stated."""
        return None if self.pretrain is None else self.pretrain.fitted_to
