"""What ten draws of the weights a minibatch cost, and what drawing them as one would save.

    python benchmarks/draws.py --write docs/performance.md

Bayes by Backprop as Wohlert et al. (2017) have it: two layers of 400, 128 images a minibatch, ten
draws, the complexity cost by Monte Carlo. Beside the step of incbayes stand the bare operations
that any implementation needs: draws, products, their gradients, and the sums of ε and ε² that the
cost of a Gaussian under a Gaussian prior is a function of. Once for one draw after the other, and
once with all draws as one batched product.
"""

import time
from collections.abc import Callable

import torch
from common import (
    Contestant,
    command_line,
    random_part,
    show,
    training_of,
)
from torch import Tensor

from incbayes.inference.objective import Objective

DRAWS, BATCH = 10, 128
SIDES = (784, 400, 400, 10)
FAMILY = {"kind": "ffg", "estimator": "weight"}
MODEL = {"kind": "mlp", "widths": [400, 400]}
OBJECTIVE = Objective(kl_scale=1.0, beta="geometric", complexity="monte_carlo", draws=DRAWS)
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Bare:
    """The bare operations of a step, without biases, Adam, checks and records."""

    def __init__(self, dtype: torch.dtype):
        """Hold a network of the shape, and a minibatch of noise."""
        self.dtype = dtype
        self.means = [torch.randn(o, i) / 20 for i, o in zip(SIDES, SIDES[1:], strict=False)]
        self.sigmas = [torch.full_like(mean, 0.05) for mean in self.means]
        self.images = torch.randn(BATCH, SIDES[0]).to(dtype)
        self.labels = torch.randint(SIDES[-1], (BATCH,))

    def residuals(self, logits: Tensor) -> Tensor:
        """Return the gradient of the NLL in the logits [..., B, K]."""
        wrong = logits.float().softmax(-1)
        wrong[..., torch.arange(BATCH), self.labels] -= 1
        return wrong.to(self.dtype)

    def in_turn(self) -> None:
        """Take one draw after the other, and add up what they give."""
        sums = [[torch.zeros_like(mean) for _ in range(4)] for mean in self.means]
        for _ in range(DRAWS):
            epsilons = [torch.randn_like(mean) for mean in self.means]
            weights = [
                torch.addcmul(*three).to(self.dtype)
                for three in zip(self.means, self.sigmas, epsilons, strict=True)
            ]
            inputs = [self.images]
            for weight in weights[:-1]:
                inputs.append((inputs[-1] @ weight.T).relu())
            back = self.residuals(inputs[-1] @ weights[-1].T)
            for place in reversed(range(len(weights))):
                of_weight, epsilon, total = back.T @ inputs[place], epsilons[place], sums[place]
                total[0] += of_weight
                total[1].addcmul_(of_weight, epsilon)
                total[2] += epsilon
                total[3].addcmul_(epsilon, epsilon)
                if place:
                    back = (back @ weights[place]) * (inputs[place] > 0)

    def at_once(self) -> None:
        """Take all draws as one batched product a layer; the first layer's input is shared."""
        epsilons = [torch.randn(DRAWS, *mean.shape) for mean in self.means]
        weights = [
            torch.addcmul(*three).to(self.dtype)
            for three in zip(self.means, self.sigmas, epsilons, strict=True)
        ]
        first = self.images @ weights[0].flatten(0, 1).T
        inputs = [first.view(BATCH, DRAWS, -1).transpose(0, 1).relu()]
        for weight in weights[1:-1]:
            inputs.append(torch.bmm(inputs[-1], weight.mT).relu())
        back = self.residuals(torch.bmm(inputs[-1], weights[-1].mT))
        for place in reversed(range(1, len(weights))):
            _add_up(torch.bmm(back.mT, inputs[place - 1]), epsilons[place])
            back = torch.bmm(back, weights[place]) * (inputs[place - 1] > 0)
        together = back.transpose(0, 1).reshape(BATCH, -1).T @ self.images
        _add_up(together.view(DRAWS, SIDES[1], SIDES[0]), epsilons[0])


def _add_up(of_weights: Tensor, epsilons: Tensor) -> tuple[Tensor, ...]:
    """Return the sums over draws that gradients and complexity cost are made of."""
    products = (of_weights, of_weights * epsilons, epsilons, epsilons.square())
    return tuple(entries.sum(0) for entries in products)


def fastest(step: Callable[[], None], best: float) -> float:
    """Return the seconds of a step, or `best` if that is less."""
    start = time.perf_counter()
    step()
    return min(best, time.perf_counter() - start)


def table(rounds: int) -> str:
    """Measure all in turns, and return the table."""
    names = ("incbayes, one draw after the other", "bare, one after the other", "bare, as one")
    seconds = {(name, precision): float("inf") for name in names for precision in PRECISIONS}
    part = random_part("mlp", BATCH * 6)
    ours = {
        precision: Contestant(FAMILY, MODEL, training_of(BATCH, precision), OBJECTIVE)
        for precision in PRECISIONS
    }
    bare = {precision: Bare(dtype) for precision, dtype in PRECISIONS.items()}
    for _ in range(rounds):
        for precision in PRECISIONS:
            ours[precision].run(part)
            seconds[names[0], precision] = min(ours[precision].seconds)
            for name, step in zip(names[1:], ("in_turn", "at_once"), strict=True):
                key = (name, precision)
                seconds[key] = fastest(getattr(bare[precision], step), seconds[key])
    unit = seconds[names[0], "fp32"]
    lines = [
        f"A step of {DRAWS} draws, MLP of 400 and 400, {BATCH} images; passes a second, as "
        f"multiples of incbayes in fp32, which makes {DRAWS / unit:.0f}:",
        "",
        "| | fp32 | bf16 |",
        "|---|---|---|",
    ]
    for name in names:
        speeds = " | ".join(f"×{unit / seconds[name, precision]:.2f}" for precision in PRECISIONS)
        lines.append(f"| {name} | {speeds} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = command_line(__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    show([table(chosen.rounds)], chosen.write, "draws")


if __name__ == "__main__":
    main()
