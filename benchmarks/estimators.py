"""What a training step costs under every posterior family and estimator, beside `point`.

    python benchmarks/estimators.py
    python benchmarks/estimators.py --write docs/families.md
    python benchmarks/estimators.py --models digits_net --batch 32 '{kind: cfg, estimator: local}'

All are measured in one run, in turns, so that what else the machine does falls on all alike;
take the ratios, not the milliseconds. A step is a step of training: forward, KL, backward, Adam.
"""

import argparse
import time
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from incbayes.families import FAMILIES
from incbayes.inference.optimisation import Optimisation, Part
from incbayes.inference.training import Training
from incbayes.layers import layers_of, plain_weights
from incbayes.networks import fresh_network, variational
from incbayes.noise import GeneratorNoise
from incbayes.objective import Objective
from incbayes.priors import PRIORS
from incbayes.priors.base import Source, Start
from incbayes.streams import torch_stream

SHAPES = {"lenet5": (1, 28, 28), "digits_net": (1, 8, 8)}
"""Images [C, H, W] of the data set that each model is for."""
CLASSES = 10
DETERMINISTIC = {"kind": "point"}
UNTIMED = 2
"""Steps of a round that are not timed: the first, which allocates, and the last of an epoch."""
MARKS = ("<!-- costs -->", "<!-- /costs -->")

Spec = Mapping[str, Any]


def every_spec() -> list[Spec]:
    """Return every Bayesian family with each of its estimators, as a study would name them."""
    specs = []
    for kind in FAMILIES:
        if FAMILIES[kind].constraints["bayesian"]:
            hint = typing.get_type_hints(FAMILIES[kind]).get("estimator")
            estimators = typing.get_args(hint) if hint else ()
            specs += [{"kind": kind, "estimator": name} for name in estimators] or [{"kind": kind}]
    return specs


def random_part(model: str, images: int) -> Part:
    """Return noise in the shape of the model's images, [N, C, H, W]."""
    generator = torch_stream(0, "images")
    pixels = torch.randn(images, *SHAPES[model], generator=generator)
    return Part(pixels, torch.randint(CLASSES, (images,), generator=generator))


class Contestant:
    """A family's network on one model, and what its steps have cost so far."""

    def __init__(self, spec: Spec, model: str, training: Training):
        """Start the network as stage 1 of a study would, under the default prior."""
        family, self.spec, self.training = FAMILIES.build(spec), spec, training
        network = fresh_network({"kind": model}, SHAPES[model], CLASSES, 0)
        layers, fresh = layers_of(network), plain_weights(network)
        noise = GeneratorNoise(torch_stream(0, "start"))
        start: Start = PRIORS.build({"kind": "normal"}).start(
            family, layers, fresh, Source(), noise
        )
        self.prior = start.prior
        self.network = variational({"kind": model}, SHAPES[model], CLASSES, family, start.state)
        self.seconds: list[float] = []

    def run(self, part: Part) -> None:
        """Train for an epoch and note what each of its steps took."""
        ends: list[float] = []
        stream = lambda *names, device="cpu": torch_stream(0, *names, device=device)  # noqa: E731
        optimisation = Optimisation(
            self.network, self.prior, part, self.training, Objective(kl_scale=1.0), stream
        )
        optimisation.run(lambda _: ends.append(time.perf_counter()))
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


def measured(model: str, specs: list[Spec], training: Training, steps: int, rounds: int) -> str:
    """Return a table of the costs of `specs` on `model` as multiples of `point`'s."""
    part = random_part(model, training.batch_size * (steps + UNTIMED))
    contestants = [Contestant(spec, model, training) for spec in [DETERMINISTIC, *specs]]
    for _ in range(rounds):
        for contestant in contestants:
            contestant.run(part)
    images = part.images[: training.batch_size]
    costs = [(min(c.seconds), c.kept_bytes(images), c.parameters()) for c in contestants]
    lines = [
        f"{model}, {training.batch_size} images a minibatch, {training.precision}, one step of "
        f"`point` {1e3 * costs[0][0]:.1f} ms:",
        "",
        "| family | step | kept for backward | parameters |",
        "|---|---|---|---|",
    ]
    for contestant, cost in zip(contestants, costs, strict=True):
        ratios = " | ".join(f"×{a / b:.2f}" for a, b in zip(cost, costs[0], strict=True))
        name = " ".join(str(value) for value in contestant.spec.values())
        lines.append(f"| {name} | {ratios} |")
    return "\n".join(lines) + "\n"


def around_marks(page: Path) -> tuple[str, str]:
    """Return the text of `page` up to and with the first mark, and from the second on.

    Raises:
        SystemExit: the page lacks the marks.
    """
    begin, end = MARKS
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page}: needs the lines {begin} and {end} around what is written")
    return before + begin, end + after


def named(text: str) -> Spec:
    """Return the family that `text` names as in a study, by its name or as a YAML mapping."""
    spec = yaml.safe_load(text)
    return spec if isinstance(spec, dict) else {"kind": spec}


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("families", nargs="*", type=named, help="default: all")
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--batch", type=int, default=128, help="images per minibatch")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--steps", type=int, default=3, help="timed steps per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page to put the tables into")
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write where that is asked for."""
    chosen = arguments()
    page = around_marks(chosen.write) if chosen.write else None
    torch.set_num_threads(chosen.threads)
    training = Training(
        epochs=1,
        batch_size=chosen.batch,
        learning_rate=1e-3,
        log_sigma_rate=10.0,
        schedule="constant",
        plateau=None,
        precision=chosen.precision,
    )
    threads = "one thread" if chosen.threads == 1 else f"{chosen.threads} threads"
    sections = [f"CPU, {threads}, torch {torch.__version__}; multiples of `point`.\n"]
    print(sections[0])
    specs = chosen.families or every_spec()
    for model in chosen.models:
        sections.append(measured(model, specs, training, chosen.steps, chosen.rounds))
        print(sections[-1], flush=True)
    if page:
        text = "\n\n".join([page[0], "\n".join(sections).strip(), page[1]])
        chosen.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
