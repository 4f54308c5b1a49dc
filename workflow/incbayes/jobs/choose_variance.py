"""Chooses the variance of a grid prior for every replicate of a block."""

import dataclasses
from pathlib import Path

from incbayes.core.json_digest import digest
from incbayes.core.seal import write_seal
from incbayes.evaluation.score import Evaluation
from incbayes.evaluation.variance_search import FirstTask, choose_variance
from incbayes.inference.checkpoint import Checkpoint
from incbayes.jobs.request import VARIANCE, BlockRequest, Machine
from incbayes.jobs.scaling import scaling_numbers
from incbayes.jobs.sources import SourceFiles


def run_selection(
    request: BlockRequest,
    source: SourceFiles,
    evaluation: Evaluation,
    output: Path,
    machine: Machine,
) -> None:
    """Write, by replicate, the chosen variance and the validation NLL of every one tried."""
    device = machine.prepare()
    data = request.open(device)
    images = data.train
    sources = source.read(request, data.opened)
    identity = digest([request.identity(0), source.digest(), images.sha256, request.code])
    cuts = data.parts.cuts
    numbers = scaling_numbers(request, images, cuts, [source.weights])
    variances = {}
    for replicate, cut in cuts.items():
        part = images.load(cut.parts[0], cut.target_classes, numbers[replicate])
        choice = choose_variance(
            request.stage(1, images.shape),
            FirstTask(replicate, part, len(cut.target_classes), sources.of[replicate]),
            evaluation,
            _SearchCheckpoints(output, f"{identity} r{replicate}", machine),
            machine.listener,
        )
        machine.listener.log(
            f"replicate {replicate}: variance {choice.variance:g} {choice.validation_nll}"
        )
        variances[str(replicate)] = dataclasses.asdict(choice)
    facts = {"variances": variances, "code": request.code}
    parents = data.seals() | sources.seals
    write_seal(output, VARIANCE, request.identity(0), parents=parents, facts=facts)
    for leftover in output.parent.glob(".search-*.safetensors"):
        leftover.unlink()


class _SearchCheckpoints:
    """Makes one checkpoint per fit of the search, so that a killed search goes on."""

    def __init__(self, output: Path, identity: str, machine: Machine):
        self._output, self._identity, self._machine = output, identity, machine

    def __call__(self, replicate: int, variance: float) -> Checkpoint:
        path = self._output.parent / f".search-r{replicate}-{variance:g}.safetensors"
        identity = f"{self._identity} {variance!r}"
        return Checkpoint(path, identity, self._machine.checkpoint_seconds)
