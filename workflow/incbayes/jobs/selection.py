"""Chooses the variance of a grid prior for every replicate of a block."""

import dataclasses
from pathlib import Path

from incbayes.evaluate import Evaluation
from incbayes.files import write_json
from incbayes.inference.checkpoint import Checkpoint
from incbayes.jobs.request import BlockRequest, Machine, SourceFiles, digest
from incbayes.jobs.voice import Voice
from incbayes.selection import choose_variance


def run_selection(
    request: BlockRequest,
    source: SourceFiles,
    evaluation: Evaluation,
    output: Path,
    machine: Machine,
    voice: Voice,
) -> None:
    """Write, by replicate, the chosen variance and the validation NLL of every one tried."""
    device = machine.prepare()
    images = request.images("train", device)
    sources = source.read(request.settings.prior, request.replicates)
    identity = digest([request.identity(0), source.digest(), images.sha256, request.code])
    variances = {}
    for replicate in request.replicates:
        cut = request.cut(replicate)
        choice = choose_variance(
            request.settings,
            replicate,
            images.load(cut.parts[0], cut.target_classes),
            len(cut.target_classes),
            images.shape,
            sources[replicate],
            request.names(1),
            evaluation,
            _SearchCheckpoints(output, f"{identity} r{replicate}", machine),
            voice.narrate,
        )
        voice.say(f"replicate {replicate}: variance {choice.variance:g} {choice.validation_nll}")
        variances[str(replicate)] = dataclasses.asdict(choice)
    write_json(output, request.identity(0) | {"variances": variances})
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
