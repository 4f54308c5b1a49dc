"""The predictive mean over draws of the weights: images per second beside a naive loop.

    python benchmarks/prediction.py --write docs/performance.md
    python benchmarks/prediction.py --samples 100 --images 10000

Time is linear in draws and images; the defaults use fewer than an evaluation's 100 and 10,000.
The naive loops keep S tables of log-probabilities and average at the end. All take turns in one run
and the fastest counts; take the ratios. Peak memory is that of a process of its own, above what
it had before it started.
"""

import math
import time
from collections.abc import Callable

import torch
from common import (
    CLASSES,
    SHAPES,
    Contestant,
    alone,
    command_line,
    peak_memory,
    random_part,
    show,
    training_of,
)
from torch import Tensor

from incbayes.kinds import FAMILIES
from incbayes.networks.layers import layers_of
from incbayes.networks.noise import GeneratorNoise
from incbayes.posterior.build import Architecture, fresh_network, with_weights
from incbayes.posterior.predict import Passes, Predictor

FAMILY = "ffg"
Way = Callable[[Tensor, int], Tensor]


def ways(model: str, batch: int) -> dict[str, Way]:
    """Return every way to compute log-probabilities [N, K] from images and a number of draws."""
    network = Contestant({"kind": FAMILY}, model, training_of(batch)).network
    family, state = FAMILIES.build({"kind": FAMILY}), network.state()
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    architecture = Architecture({"kind": model}, SHAPES[model], CLASSES)
    plain = fresh_network(architecture, 0).eval()

    @torch.no_grad()
    def stochastic(images: Tensor, samples: int) -> Tensor:
        passes = [
            torch.cat([network(x, noise).log_softmax(-1) for x in images.split(batch)])
            for _ in range(samples)
        ]
        return torch.stack(passes).logsumexp(0) - math.log(samples)

    @torch.no_grad()
    def drawn(images: Tensor, samples: int) -> Tensor:
        passes = []
        for _ in range(samples):
            weights = {
                layer.name: family.sample(layer, state[layer.name], noise)
                for layer in layers_of(plain)
            }
            net = with_weights(plain, weights)
            passes.append(torch.cat([net(x).log_softmax(-1) for x in images.split(batch)]))
        return torch.stack(passes).logsumexp(0) - math.log(samples)

    def product(precision: str) -> Way:
        predictor = Predictor(
            architecture,
            family,
            Passes(torch.device("cpu"), batch, precision),
        )
        return lambda images, samples: predictor.predictive(state, images, samples, noise.generator)

    return {
        "naive loop of the training network's passes": stochastic,
        "naive loop of a plain network with drawn weights": drawn,
        "incbayes, fp32": product("fp32"),
        "incbayes, bf16": product("bf16"),
    }


def grown_memory(model: str, name: str, images: int, samples: int, batch: int) -> float:
    """Return the MiB by which this process' peak grows beyond that of one minibatch, two draws."""
    torch.set_num_threads(1)
    way, pictures = ways(model, batch)[name], random_part(model, images).images
    way(pictures[:batch], 2)
    before = peak_memory()
    way(pictures, samples)
    return peak_memory() - before


def table(model: str, images: int, samples: int, batch: int, rounds: int) -> str:
    """Return the speed of every way as a multiple of the loop over plain networks."""
    running, pictures = ways(model, batch), random_part(model, images).images
    seconds = dict.fromkeys(running, float("inf"))
    for _ in range(rounds):
        for name, way in running.items():
            start = time.perf_counter()
            way(pictures, samples)
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    base = seconds["naive loop of a plain network with drawn weights"]
    lines = [
        f"{model} under `{FAMILY}`, {images} images, {samples} draws, {batch} images at a time:",
        "",
        "| predictive mean by | speed | images × draws a second | memory beyond one minibatch |",
        "|---|---|---|---|",
    ]
    for name, taken in seconds.items():
        grown = alone(grown_memory, model, name, images, samples, batch)
        rate = images * samples / taken
        lines.append(f"| {name} | ×{base / taken:.2f} | {rate:.0f} | {grown:.0f} MiB |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = command_line(__doc__)
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=["lenet5"])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    settings = chosen.images, chosen.samples, chosen.batch, chosen.rounds
    tables = (table(model, *settings) for model in chosen.models)
    show(tables, chosen.write, "prediction")


if __name__ == "__main__":
    main()
