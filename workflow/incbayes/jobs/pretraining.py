"""Fits the source task: a network or a method's posterior, and the diagonal Fisher information."""

from pathlib import Path

import torch

from incbayes.fisher import diagonal_fisher
from incbayes.inference.stage import ReplicateTask, first_start
from incbayes.jobs.request import BlockRequest, Machine, data_digest
from incbayes.jobs.stage import StageOutputs, fit_and_write
from incbayes.jobs.voice import Voice
from incbayes.networks import fresh_network, with_weights
from incbayes.posterior import read_posterior, write_posterior
from incbayes.priors.base import Source
from incbayes.streams import torch_stream


def run_pretraining(
    request: BlockRequest, outputs: StageOutputs, machine: Machine, voice: Voice
) -> None:
    """Fit the source task, all of it at once, and write the result as a posterior.

    Args:
        request: with the settings of a `point`, or of the method whose posterior is transferred.
        outputs: where the result goes.
        machine: where to run.
        voice: what to say it to.
    """
    device = machine.prepare()
    images = request.images("train", device)
    cuts = {replicate: request.cut(replicate) for replicate in request.replicates}
    names = request.names(1)

    def task(replicate: int) -> ReplicateTask:
        cut, source = cuts[replicate], Source()
        classes = len(cut.source_classes)
        start = first_start(request.settings, images.shape, classes, source, names, replicate)
        return ReplicateTask(images.load(cut.source, cut.source_classes), start, classes)

    indices = {replicate: cut.source for replicate, cut in cuts.items()}
    described = request.identity(1) | {
        "artifact": "posterior",
        "parent": None,
        "data": data_digest(images, indices),
        "images": {str(replicate): len(chosen) for replicate, chosen in indices.items()},
        "classes": {str(replicate): list(cut.source_classes) for replicate, cut in cuts.items()},
        "code": request.code,
        "torch": torch.__version__,
    }
    tasks = {replicate: lambda replicate=replicate: task(replicate) for replicate in cuts}
    fit_and_write(request, tasks, images, 1, described, outputs, machine, device, voice)


def run_fisher(
    request: BlockRequest,
    kind: str,
    weights: Path,
    output: Path,
    machine: Machine,
    voice: Voice,
) -> None:
    """Write the diagonal Fisher information of pretrained weights on the source task.

    Args:
        request: the pretraining's.
        kind: `empirical`, `mc` or `ggn`.
        weights: the pretrained posterior.
        output: a file in the form of a posterior, with F in place of weights.
        machine: where to run.
        voice: what to say it to.
    """
    device = machine.prepare()
    images = request.images("train", device)
    pretrained = read_posterior(weights, {"study": request.study, "artifact": "posterior"})
    states = {}
    for replicate in request.replicates:
        cut = request.cut(replicate)
        network = fresh_network(request.settings.model, images.shape, len(cut.source_classes), 0)
        network = with_weights(network, pretrained.states[replicate]).to(device)
        part = images.load(cut.source, cut.source_classes)
        generator = torch_stream(
            request.seed, request.experiment, replicate, "fisher", device=str(device)
        )
        states[replicate] = diagonal_fisher(network, part.images, part.labels, kind, generator)
        voice.say(f"replicate {replicate}: {kind} Fisher of {len(part.labels)} images")
    described = request.identity(1) | {
        "artifact": "fisher",
        "kind": kind,
        "parent": pretrained.sha256,
        "images": pretrained.metadata["images"],
        "code": request.code,
        "torch": torch.__version__,
    }
    write_posterior(output, states, described)
