"""What standard normal draws cost, per draw, in the two precisions of training.

    python benchmarks/noise.py

`torch.randn` against the noise that families use, for the first layer of LeNet5 at 128 images,
in turns in one run; take the ratios.
"""

import time

import torch

from incbayes.networks.noise import GeneratorNoise

SHAPE = (128, 24, 24, 20)
ROUNDS = 20


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    noise = GeneratorNoise(generator)
    like = {dtype: torch.empty(0, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}
    ways = {
        "torch.randn, fp32": lambda: torch.randn(SHAPE, generator=generator),
        "torch.randn, bf16": lambda: torch.randn(SHAPE, generator=generator, dtype=torch.bfloat16),
        "incbayes, fp32": lambda: noise.normal(SHAPE, like[torch.float32]),
        "incbayes, bf16": lambda: noise.normal(SHAPE, like[torch.bfloat16]),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, draw in ways.items():
            start = time.perf_counter()
            draw()
            best[name] = min(best[name], time.perf_counter() - start)
    base = best["torch.randn, fp32"]
    print("| draws | time |\n|---|---|")
    for name, seconds in best.items():
        print(f"| {name} | ×{seconds / base:.2f} |")


if __name__ == "__main__":
    main()
