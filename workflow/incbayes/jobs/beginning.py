"""Where the replicates of a block begin a stage, and what they are given to be fitted to.

The same of a data set that is cut into parts and of parts that arrive; which files a beginning
comes from is for the jobs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from incbayes.core.options import with_all_options
from incbayes.core.outside import is_outside
from incbayes.core.seal import Seal
from incbayes.data.images import ImageSource
from incbayes.data.partition import Partition
from incbayes.inference.settings import IMPLIED
from incbayes.inference.stage import ReplicateTask, first_start, later_start
from incbayes.jobs.continued import read_continued
from incbayes.jobs.request import ChainRequest
from incbayes.jobs.scaling import Numbers
from incbayes.kinds import FAMILIES, LIKELIHOODS, MODELS
from incbayes.posterior.network import NetworkState
from incbayes.priors.base import Source, Start
from incbayes.study.model.base import to_plain


@dataclass(frozen=True)
class Beginning:
    """Where the replicates of a block begin a stage.

    Attributes:
        starts: by replicate, what makes its start.
        numbers: by replicate, that its pixels are scaled by.
        ancestry: sha256 of what it starts from, or None.
        seals: of that, by role.
        described: what else the metadata of the stage say of it.
    """

    starts: Mapping[int, Callable[[], Start]]
    numbers: Numbers
    ancestry: str | None = None
    seals: Mapping[str, Seal] = field(default_factory=dict)
    described: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """What the replicates of a block are given to be fitted to.

    Attributes:
        images: of the data set, or of the part.
        cuts: by replicate, how they are cut, and of which classes its task is.
        indices: by replicate, of its own among them.
        seals: of images and cuts, by role.
    """

    images: ImageSource
    cuts: Mapping[int, Partition]
    indices: Mapping[int, Sequence[int]]
    seals: Mapping[str, Seal]


def first_starts(
    request: ChainRequest,
    images: ImageSource,
    cuts: Mapping[int, Partition],
    sources: Mapping[int, Source],
) -> dict[int, Callable[[], Start]]:
    """Return what makes the start of stage 1, by replicate.

    Args:
        request: of the block.
        images: that it is fitted to.
        cuts: by replicate, which of them, and of which classes.
        sources: by replicate, what its prior is made of.
    """
    stage = request.stage(1, images.shape)

    def start(replicate: int):
        outputs = len(cuts[replicate].target_classes)
        return first_start(stage, replicate, outputs, sources[replicate])

    return {replicate: lambda replicate=replicate: start(replicate) for replicate in cuts}


def later_starts(
    request: ChainRequest, states: Mapping[int, NetworkState]
) -> dict[int, Callable[[], Start]]:
    """Return what makes the start of a stage after the first, by replicate.

    Args:
        request: of the block.
        states: by replicate, the posterior of the stage before.
    """

    def start(replicate: int):
        return later_start(request.settings, states[replicate])

    return {replicate: partial(start, replicate) for replicate in states}


def continued_beginning(
    files: Mapping[Path, str],
    request: ChainRequest,
    images: ImageSource,
    cuts: Mapping[int, Partition],
) -> Beginning:
    """Return the beginning of a chain that goes on from another one.

    Args: as of `read_continued`.
    """
    network = described_network(request, images.shape)
    going_on = read_continued(files, request, images, cuts, network)
    starts = first_starts(request, images, cuts, going_on.sources)
    return Beginning(starts, going_on.numbers, going_on.digest, going_on.seals, going_on.described)


def tasks_of(given: Given, beginning: Beginning) -> dict[int, Callable[[], ReplicateTask]]:
    """Return what loads the task of every replicate: its images, and where it starts."""

    def load(replicate: int) -> ReplicateTask:
        indices, classes = given.indices[replicate], given.cuts[replicate].target_classes
        part = given.images.load(indices, classes, beginning.numbers[replicate])
        return ReplicateTask(part, beginning.starts[replicate](), len(classes))

    return {replicate: partial(load, replicate) for replicate in given.cuts}


def described_network(request: ChainRequest, shape: tuple[int, ...]) -> dict[str, object]:
    """Return what it takes, beside the states, to predict: every kind with all its options."""
    parts = {"model": MODELS, "family": FAMILIES, "likelihood": LIKELIHOODS}
    specs = {name: to_plain(getattr(request.settings, name)) for name in parts}
    described = {
        name: specs[name]  # of a class of the user's own, what the study states
        if is_outside(specs[name]["kind"])
        else with_all_options(specs[name], registry.build(specs[name]))
        for name, registry in parts.items()
    }
    chosen = {
        key: to_plain(getattr(request.settings, key)) for key in ("bayesian", "normalisation")
    }
    unusual = {key: value for key, value in chosen.items() if value != IMPLIED[key]}
    return described | {"shape": list(shape)} | unusual
