"""Fits the source task: a network or a method's posterior, and the diagonal Fisher information."""

from pathlib import Path

import torch

from incbayes.core.seal import seal_path, write_seal
from incbayes.core.streams import torch_stream
from incbayes.curvature.fisher import FisherError, diagonal_fisher
from incbayes.inference.stage import ReplicateTask, first_start
from incbayes.jobs.fit import Fitted, StageOutputs, StageWriter, described_posterior, fit_and_write
from incbayes.jobs.request import FISHER, POSTERIOR, BlockRequest, Machine, read_sealed_posterior
from incbayes.jobs.scaling import described_pixels, scaling_numbers
from incbayes.kinds import LIKELIHOODS
from incbayes.posterior.build import fresh_network, with_weights
from incbayes.posterior.file import write_posterior
from incbayes.priors.base import Source


def run_pretraining(request: BlockRequest, outputs: StageOutputs, machine: Machine) -> None:
    """Fit the source task, all of it at once, and write the result as a posterior.

    Args:
        request: with the settings of a `point`, or of the method whose posterior is transferred.
        outputs: where the result goes.
        machine: where to run.
    """
    device = machine.prepare()
    data = request.open(device, whatever_parts=True)
    images, cuts, stage = data.train, data.parts.cuts, request.stage(1, data.train.shape)
    numbers = scaling_numbers(request, images, cuts)

    def task(replicate: int) -> ReplicateTask:
        cut, source = cuts[replicate], Source()
        outputs = len(cut.source_classes)
        start = first_start(stage, replicate, outputs, source)
        part = images.load(cut.source, cut.source_classes, numbers[replicate])
        return ReplicateTask(part, start, outputs)

    indices = {replicate: cut.source for replicate, cut in cuts.items()}
    classes = {replicate: cut.source_classes for replicate, cut in cuts.items()}
    described = described_posterior(request, 1, Fitted(images, indices, classes, numbers), None)
    tasks = {replicate: lambda replicate=replicate: task(replicate) for replicate in cuts}
    writer = StageWriter(request, 1, described, data.seals(), outputs)
    fit_and_write(writer, tasks, images.shape, machine, device)


def run_fisher(
    request: BlockRequest,
    kind: str,
    weights: Path,
    output: Path,
    machine: Machine,
) -> None:
    """Write the diagonal Fisher information of pretrained weights on the source task.

    Args:
        request: the pretraining's.
        kind: `empirical`, `mc` or `ggn`.
        weights: the pretrained posterior.
        output: a file in the form of a posterior, with F in place of weights.
        machine: where to run.
    """
    device = machine.prepare()
    data = request.open(device, whatever_parts=True)
    images, made_from = data.train, {"images": data.train.seal}
    identity, likelihood = request.identity(1), LIKELIHOODS.build(request.settings.likelihood)
    pretrained, sealed = read_sealed_posterior(weights, POSTERIOR, identity, made_from)
    indices = {replicate: cut.source for replicate, cut in data.parts.cuts.items()}
    data.check_data(weights, pretrained, indices)
    numbers = scaling_numbers(request, images, data.parts.cuts, [weights])
    stage = request.stage(1, images.shape)
    states = {}
    for replicate, cut in data.parts.cuts.items():
        network = fresh_network(stage.architecture(len(cut.source_classes)), 0)
        network = with_weights(network, pretrained.states[replicate]).to(device)
        part = images.load(cut.source, cut.source_classes, numbers[replicate])
        generator = torch_stream(
            request.seed, request.experiment, replicate, "fisher", device=str(device)
        )
        try:
            states[replicate] = diagonal_fisher(network, part, kind, generator, likelihood)
        except FisherError as error:
            what = f"{request.experiment}, source task, replicate {replicate}"
            raise FisherError(f"{what}: {error}; pretrain with a smaller learning rate") from None
        machine.listener.log(f"replicate {replicate}: {kind} Fisher of {len(part.labels)} images")
    identity |= {"kind": kind}
    described = identity | {
        "artifact": FISHER,
        "pixels": described_pixels(request, numbers),
        "parent": pretrained.sha256,
        "images": pretrained.metadata["images"],
        "code": request.code,
        "torch": torch.__version__,
    }
    write_posterior(output, states, described)
    facts = {key: described[key] for key in ("code", "torch")}
    parents = made_from | {"weights": sealed}
    write_seal(seal_path(output), FISHER, identity, [output], parents, facts)
