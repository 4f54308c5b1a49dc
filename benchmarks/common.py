"""What the benchmarks here share: networks to time, and the blocks of pages that they write."""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from incbayes.core.streams import torch_stream
from incbayes.data.part import Part
from incbayes.inference.base import Algorithm, FirstStage, Problem
from incbayes.inference.objective import Objective
from incbayes.inference.training import Training
from incbayes.kinds import ALGORITHMS, FAMILIES, PRIORS
from incbayes.likelihoods.categorical import Categorical
from incbayes.networks.layers import layers_of, plain_weights
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.build import Architecture, fresh_network, variational
from incbayes.priors.base import Source

SHAPES = {
    "lenet5": (1, 28, 28),
    "conv3fc3": (3, 32, 32),
    "digits_net": (1, 8, 8),
    "mlp": (1, 28, 28),
}
"""Images [C, H, W] of the data set that each model is for."""
CLASSES = 10
UNTIMED = 2
"""Steps of a round that are not timed: the first, which allocates, and the last of an epoch."""

ONE_DRAW = Objective(kl_scale=1.0)

Spec = Mapping[str, Any]


def random_part(model: str, images: int) -> Part:
    """Return noise in the shape of the model's images, [N, C, H, W]."""
    generator = torch_stream(0, "images")
    pixels = torch.randn(images, *SHAPES[model], generator=generator)
    return Part(pixels, torch.randint(CLASSES, (images,), generator=generator))


class Contestant:
    """A family's network on one model, and what its steps have cost so far."""

    def __init__(
        self,
        spec: Spec,
        model: str | Spec,
        training: Training,
        objective: Objective = ONE_DRAW,
        inference: str | Spec = "vi",
    ):
        """Start the network as stage 1 of a study would, under the default prior."""
        family, self.spec, self.training = FAMILIES.build(spec), spec, training
        chosen = {"kind": inference} if isinstance(inference, str) else inference
        self.algorithm: Algorithm = ALGORITHMS.build(chosen)
        self.objective, options = objective, {"kind": model} if isinstance(model, str) else model
        architecture = Architecture(options, SHAPES[options["kind"]], CLASSES)
        network, self.architecture = fresh_network(architecture, 0), architecture
        layers, fresh = layers_of(network), plain_weights(network)
        noise = GeneratorNoise(torch_stream(0, "start"))
        first = FirstStage(family, layers, fresh, Source(), noise, lambda *_: fresh)
        start = self.algorithm.first_start(PRIORS.build({"kind": "normal"}), first)
        self.start, self.prior = start.state, start.prior
        self.network = variational(architecture, family, start.state, self.algorithm.trained)
        self.seconds: list[float] = []

    def run(self, part: Part) -> None:
        """Train for an epoch and note what each of its steps took."""
        ends: list[float] = []
        stream = lambda *names, device="cpu": torch_stream(0, *names, device=device)  # noqa: E731
        run = self.algorithm.begin(
            Problem(
                self.network,
                self.prior,
                part,
                self.training,
                self.objective,
                Categorical(),
                stream,
                self.architecture,
                follows=True,
            )
        )
        run.run(lambda _: ends.append(time.perf_counter()))
        self.seconds += [b - a for a, b in zip(ends[:-2], ends[1:-1], strict=True)]

    def parameters(self) -> int:
        """Return the number of variational parameters."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def kept_bytes(self, images: Tensor) -> int:
        """Return the bytes, beside the parameters, that a step keeps for its backward pass."""
        known = {p.untyped_storage().data_ptr() for p in self.network.parameters()}
        storages: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
            return tensor

        noise = GeneratorNoise(torch_stream(0, "noise"))
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            bf16 = self.training.precision == "bf16"
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = self.network(images, noise)
            divergences = self.network.kl(self.prior, noise)
        kept = sum(storages[pointer].nbytes() for pointer in storages if pointer not in known)
        del logits, divergences
        return kept


def training_of(batch_size: int, precision: str = "fp32") -> Training:
    """Return the settings of one epoch of training, those of the papers' studies."""
    return Training(
        epochs=1,
        batch_size=batch_size,
        learning_rate=1e-3,
        log_sigma_rate=10.0,
        schedule="constant",
        plateau=None,
        precision=precision,
    )


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a module's function returns when it runs in a new process of its own."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as process:
        return process.submit(function, *arguments).result()


def peak_memory() -> float:
    """Return the most MiB that this process has held so far (Linux).

    Not `getrusage`, whose maximum a process inherits from the one that started it.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) / 1024


def machine() -> str:
    """Return what a table says of where it was measured."""
    threads = torch.get_num_threads()
    return f"CPU, {threads} {'thread' if threads == 1 else 'threads'}, torch {torch.__version__}"


def command_line(description: str) -> argparse.ArgumentParser:
    """Return the parser of a benchmark that can write its tables into a page."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page to put the tables into")
    return parser


def show(tables: Iterable[str], page: Path | None, name: str) -> None:
    """Print every table once it is measured; put all into the block of a page, if one is given."""
    sections = [f"{machine()}.\n"]
    print(sections[0])
    for table in tables:
        sections.append(table)
        print(table, flush=True)
    if page:
        write_block(page, name, "\n".join(sections))


def write_block(page: Path, name: str, text: str) -> None:
    """Put `text` between the marks `<!-- name -->` and `<!-- /name -->` of a page.

    Raises:
        SystemExit: the page lacks the marks.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page}: needs the lines {begin} and {end} around what is written")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")
