"""The diagonal Fisher information of a file's weights, from the data set that they were fitted to.

Beside it stand the facts by which a wrong choice shows: how well the given network fits these data,
and how many of them the experiment is fitted to as well.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from incbayes.core.errors import UserError
from incbayes.core.seal import seal_path, write_seal
from incbayes.core.streams import torch_stream
from incbayes.curvature.fisher import FisherError, Kind, diagonal_fisher
from incbayes.data.duplicates import image_digests
from incbayes.data.images import ImageSource
from incbayes.data.part import Part
from incbayes.jobs.given_weights import check_unchanged, source_network
from incbayes.jobs.request import (
    FISHER,
    POSTERIOR,
    ChainRequest,
    Machine,
    data_digest,
    read_sealed_posterior,
)
from incbayes.jobs.scaling import Numbers, described_pixels, scaling_numbers
from incbayes.kinds import LIKELIHOODS
from incbayes.likelihoods.base import Likelihood
from incbayes.networks.layers import State, layers_of
from incbayes.posterior.build import fresh_network
from incbayes.posterior.file import write_posterior

PIECE = 4096
"""Images of which digests are taken at a time."""

BATCH = 500


class SourceDataError(UserError, ValueError):
    """A data set that the given weights cannot have been fitted to, and why."""


@dataclass(frozen=True)
class GivenFiles:
    """What the Fisher information of given weights is made of.

    Attributes:
        weights: the posterior that they were written to.
        given: the user's file, which has the output layer too.
        images: N, the number of images that they were fitted to; None: as many as there are.
    """

    weights: Path
    given: Path
    images: int | None = None


def run_given_fisher(
    request: ChainRequest, kind: Kind, files: GivenFiles, output: Path, machine: Machine
) -> None:
    """Write the diagonal Fisher information of given weights on the data they were fitted to.

    Args:
        request: of the block, with the folder of that data set; of a stream, at its first part.
        kind: `empirical`, `mc` or `ggn`; `empirical` alone takes the labels of the data.
        files: the weights.
        output: a file in the form of a posterior, with F in place of weights, and without the
            output layer, which no prior takes.
        machine: where to run.

    Raises:
        UserError: data and weights are not of one network, or the weights changed.
    """
    device = machine.prepare()
    opened, source = request.opened(device), request.source_images(device)
    _check_columns(source, opened.images)
    identity, own = request.identity(1), {"images": opened.images.seal}
    pretrained, sealed = read_sealed_posterior(files.weights, POSTERIOR, identity, own)
    check_unchanged(files.given, str(pretrained.metadata["given"]))
    numbers = scaling_numbers(request, opened.images, opened.cuts, [files.weights])
    network = source_network(files.given, _network(request, source)).to(device)
    likelihood: Likelihood = LIKELIHOODS.build(request.settings.likelihood)
    check_classes(files.given, network, kind, source.class_names, likelihood)
    listener, count = machine.listener, len(source.split.labels)
    states: dict[int, dict[str, State]] = {}
    fits: dict[str, Any] = {}
    for replicate in request.replicates:
        earlier = _alike(replicate, numbers, kind, states)
        if earlier is not None:
            states[replicate] = states[earlier]
            continue
        part = source.load(None, range(len(source.class_names)), numbers[replicate])
        fits = fits or fit_of(network, part, likelihood)
        generator = torch_stream(
            request.seed, request.experiment, replicate, "fisher", device=str(device)
        )
        try:
            found = diagonal_fisher(network, part, kind, generator, likelihood)
        except FisherError as error:
            raise FisherError(
                f"{request.experiment}, weights of {files.given}, replicate {replicate}: {error}; "
                "are pixels scaled as they were when these weights were fitted?"
            ) from None
        outputs = {layer.name for layer in layers_of(network) if layer.is_output}
        states[replicate] = {name: state for name, state in found.items() if name not in outputs}
        listener.log(f"replicate {replicate}: {kind} Fisher of {count} images")
    shared = images_shared(source, opened.images)
    for line in remarks(count, fits, shared):
        listener.log(line)
    identity |= {"kind": kind}
    facts = {
        "source": source.seal.identity["data"],
        "source_images": count,
        "data": data_digest(source, {0: range(count)}),
        "fitted_to": files.images or count,
        "shared": shared,
        **fits,
        "code": request.code,
        "torch": torch.__version__,
    }
    described = identity | facts
    described |= {
        "artifact": FISHER,
        "pixels": described_pixels(request, numbers),
        "parent": pretrained.sha256,
        "given": pretrained.metadata["given"],
        "images": {str(replicate): facts["fitted_to"] for replicate in states},
    }
    write_posterior(output, states, described)
    parents = {"images": source.seal, "weights": sealed}
    write_seal(seal_path(output), FISHER, identity, [output], parents, facts)


def check_classes(
    given: Path, network: nn.Module, kind: Kind, classes: list[str], likelihood: Likelihood
) -> None:
    """Check that the labels of a data set, where they are used, are of a network's outputs.

    Args:
        given: file of the weights, for the message.
        network: with its own output layer.
        kind: of the Fisher information.
        classes: of the data set.
        likelihood: of its labels.

    Raises:
        SourceDataError: there are more or fewer classes than outputs.
    """
    found = outputs_of(network)
    predicts = likelihood.constraints.get("predicts", "classes")
    if predicts == "classes" and kind != "empirical":
        return
    meant = likelihood.outputs(len(classes))
    if found != meant:
        what = f"{len(classes)} classes" if predicts == "classes" else f"{meant} for a number"
        advice = "; or take fisher: ggn, which needs no labels" if predicts == "classes" else ""
        raise SourceDataError(
            f"{given}: the output layer has {found} outputs, and pretrain.data has {what}: a label "
            f"has to stand for its output, in this order{advice}"
        )


def outputs_of(network: nn.Module) -> int:
    """Return how many outputs the output layer of a network has."""
    return next(layer.outputs for layer in layers_of(network) if layer.is_output)


def fit_of(network: nn.Module, part: Part, likelihood: Likelihood) -> dict[str, float]:
    """Return mean NLL in nats and accuracy of a network on labelled data.

    Nothing where the data have other classes than the network, and no accuracy of a number.

    Args:
        network: plain, with its own output layer.
        part: the scaled images and their labels.
        likelihood: of the labels.
    """
    is_number = likelihood.constraints.get("predicts", "classes") == "number"
    if not is_number and int(part.labels.max()) >= outputs_of(network):
        return {}
    network.eval()
    nll, right = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(part.labels), BATCH):
            labels = part.labels[start : start + BATCH]
            outputs = network(part.images[start : start + BATCH])
            nll += likelihood.nll(outputs, labels).item()
            right += 0 if is_number else int((outputs.argmax(1) == labels).sum())
    if not math.isfinite(nll):
        return {}  # which the Fisher information itself says
    found = {"nll": nll / len(part.labels)}
    if is_number:
        return found
    return found | {"accuracy": right / len(part.labels), "chance": 1 / outputs_of(network)}


def images_shared(source: ImageSource, own: ImageSource) -> int:
    """Return how many training images of a data set are, pixel by pixel, in another's too."""
    there = _digests(own)
    return sum(digest in there for digest in _digests(source, distinct=False))


def remarks(count: int, fits: dict[str, Any], shared: int) -> list[str]:
    """Return for a log what to know of the data that given weights were fitted to."""
    found = []
    if "accuracy" in fits:
        found.append(f"given weights: accuracy {fits['accuracy']:.4f}, NLL {fits['nll']:.4f} nats")
        if fits["accuracy"] <= fits["chance"]:
            found.append(
                "warning: no better than chance: are pixels scaled as when these weights were "
                "fitted, and are the classes in the order of their outputs?"
            )
    elif "nll" in fits:
        found.append(f"given weights: NLL {fits['nll']:.4f} nats of the standardised target")
    if shared:
        found.append(
            f"warning: {shared} of {count} images of pretrain.data are training images of the "
            "experiment, too, and count twice: in the prior and in a part"
        )
    return found


def _digests(images: ImageSource, distinct: bool = True) -> Any:
    """Return the digests of all images of a split, each once or as often as it is there."""
    pixels = images.split.images
    pieces = (pixels[i : i + PIECE].numpy() for i in range(0, len(pixels), PIECE))
    found = [bytes(digest) for piece in pieces for digest in image_digests(piece)]
    return set(found) if distinct else found


def _alike(
    replicate: int, numbers: Numbers, kind: Kind, states: dict[int, dict[str, State]]
) -> int | None:
    """Return a replicate with the same Fisher information; none where labels are drawn."""
    if kind == "mc":
        return None
    return next((other for other in states if numbers[other] == numbers[replicate]), None)


def _network(request: ChainRequest, source: ImageSource) -> nn.Module:
    stage = request.stage(1, source.shape)
    return fresh_network(stage.architecture(len(source.class_names)), 0)


def _check_columns(source: ImageSource, own: ImageSource) -> None:
    """Check that inputs stand for the same in both data sets, as far as planning cannot know."""
    if not len(source.split.labels):
        raise SourceDataError(f"{source.split.path}: no training images")
    if source.shape != own.shape:
        raise SourceDataError(
            f"{source.split.path}: inputs are {list(source.shape)}, those of the experiment "
            f"{list(own.shape)}"
        )
    if source.table is None or own.table is None:
        return
    for key in ("features", "categories", "missing"):
        found, meant = source.table.facts[key], own.table.facts[key]
        if found != meant:
            raise SourceDataError(
                f"{source.split.path}: {key} are {found}, those of the experiment {meant}: the "
                "inputs of a network stand for the same in both"
            )
