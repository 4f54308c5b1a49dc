"""A training step of this library beside plain torch and the peers, on one net, batch and thread.

    pip install --no-deps bayesian-torch blitz-bayesian-pytorch torchbnn ivon-opt
    python benchmarks/peers.py --write docs/performance.md
    python benchmarks/peers.py --models lenet5 --threads 2 --rounds 10

Contestants take turns in one run and the fastest step of each counts, so that what else the
machine does weighs little; take the ratios, not the milliseconds. A step is forward, KL,
backward and Adam for one minibatch that lies in memory. A peer that is not installed is left
out, and said to be.
"""

import importlib
import math
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from common import CLASSES, SHAPES, Contestant, command_line, random_part, show, training_of
from torch import Tensor, nn

from incbayes.data.part import Part
from incbayes.posterior.build import Architecture, fresh_network

OURS = ["point", "ffg", "cfg", "mnf", "planar"]
MIXED = ["ffg", "mnf"]
"""Families that also have the estimator `mixed`."""
ALGORITHMS = {"function": "point", "ivon": "ffg", "laplace": "ffg", "laplace, kron": "kron"}
"""Algorithms with a step of their own, and the family that they fit."""
PRIOR_SIGMA = 0.1


class Foreign:
    """A network that is trained as its own documentation says, and what its steps cost."""

    def __init__(
        self,
        network: nn.Module,
        kl: Callable[[], Tensor | float],
        batch: int,
        optimiser: torch.optim.Optimizer | None = None,
    ):
        """Train `network` on the mean NLL plus a thousandth of `kl()`, by Adam unless otherwise."""
        self.network, self.kl, self.batch = network, kl, batch
        self.optimiser = optimiser or torch.optim.Adam(network.parameters(), lr=1e-3)
        # IVON draws the weights of a step itself.
        self.drawn = getattr(self.optimiser, "sampled_params", lambda **_: nullcontext())
        self.seconds: list[float] = []

    def run(self, part: Part) -> None:
        """Train for an epoch and note what each step took."""
        for images, labels in zip(
            part.images.split(self.batch), part.labels.split(self.batch), strict=True
        ):
            start = time.perf_counter()
            with self.drawn(train=True):
                loss = F.cross_entropy(self.network(images), labels) + 1e-3 * self.kl()
                self.optimiser.zero_grad()
                loss.backward()
            self.optimiser.step()
            self.seconds.append(time.perf_counter() - start)


class NaiveLocal(nn.Module):
    """The textbook's local reparameterisation of a Linear or Conv2d layer, op by op."""

    def __init__(self, layer: nn.Module):
        """Start around the weights of `layer`."""
        super().__init__()
        self.layer = [layer]  # hidden from parameters()
        self.mean, self.bias = (
            nn.Parameter(layer.weight.detach()),
            nn.Parameter(layer.bias.detach()),
        )
        self.log_sigma = nn.Parameter(torch.full_like(self.mean, math.log(0.01)))
        self.bias_log_sigma = nn.Parameter(torch.full_like(self.bias, math.log(0.01)))

    def forward(self, x: Tensor) -> Tensor:
        """Return mean + sqrt(variance)·ε."""
        apply = self.layer[0]._conv_forward if isinstance(self.layer[0], nn.Conv2d) else F.linear
        mean = apply(x, self.mean, self.bias)
        variance = apply(x**2, torch.exp(2 * self.log_sigma), torch.exp(2 * self.bias_log_sigma))
        return mean + torch.sqrt(variance + 1e-16) * torch.randn_like(mean)

    def kl(self) -> Tensor:
        """Return the divergence from N(0, PRIOR_SIGMA²)."""
        total = 0.0
        for mean, log_sigma in (
            (self.mean, self.log_sigma),
            (self.bias, self.bias_log_sigma),
        ):
            ratio = (torch.exp(2 * log_sigma) + mean**2) / (2 * PRIOR_SIGMA**2)
            total = total + (math.log(PRIOR_SIGMA) - log_sigma + ratio - 0.5).sum()
        return total


def replaced(network: nn.Module, make: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Replace every Linear and Conv2d of a Sequential by what `make` makes of it."""
    return nn.Sequential(
        *(make(m) if isinstance(m, nn.Linear | nn.Conv2d) else m for m in network.children())
    )


def plain(network: nn.Module, batch: int) -> Foreign:
    """Return the deterministic network itself."""
    return Foreign(network, lambda: 0.0, batch)


def naive(network: nn.Module, batch: int) -> Foreign:
    """Return it with textbook local reparameterisation."""
    net = replaced(network, NaiveLocal)
    layers = [m for m in net.children() if isinstance(m, NaiveLocal)]
    return Foreign(net, lambda: sum(layer.kl() for layer in layers), batch)


def bayesian_torch(kind: str) -> Callable[[nn.Module, int], Foreign]:
    """Return the maker of bayesian-torch's conversion of a network."""

    def make(network: nn.Module, batch: int) -> Foreign:
        convert = importlib.import_module("bayesian_torch.models.dnn_to_bnn")
        settings = {
            "prior_mu": 0.0,
            "prior_sigma": PRIOR_SIGMA,
            "posterior_mu_init": 0.0,
            "posterior_rho_init": -4.0,
            "type": kind,
            "moped_enable": False,
        }
        convert.dnn_to_bnn(network, settings)
        return Foreign(network, lambda: convert.get_kl_loss(network), batch)

    return make


def blitz(network: nn.Module, batch: int) -> Foreign:
    """Return the network of blitz's layers."""
    modules, utils = (
        importlib.import_module("blitz.modules"),
        importlib.import_module("blitz.utils"),
    )

    def layer(m: nn.Module) -> nn.Module:
        if isinstance(m, nn.Linear):
            return modules.BayesianLinear(m.in_features, m.out_features)
        return modules.BayesianConv2d(
            m.in_channels, m.out_channels, m.kernel_size, padding=m.padding
        )

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = replaced(network, layer)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x)

    net = utils.variational_estimator(Net)()
    return Foreign(net, net.nn_kl_divergence, batch)


def torchbnn(network: nn.Module, batch: int) -> Foreign:
    """Return the network of torchbnn's layers."""
    bnn = importlib.import_module("torchbnn")

    def layer(m: nn.Module) -> nn.Module:
        if isinstance(m, nn.Linear):
            return bnn.BayesLinear(0, PRIOR_SIGMA, m.in_features, m.out_features)
        return bnn.BayesConv2d(
            0, PRIOR_SIGMA, m.in_channels, m.out_channels, m.kernel_size, padding=m.padding
        )

    net, kl = replaced(network, layer), bnn.BKLLoss(reduction="sum")
    return Foreign(net, lambda: kl(net).sum(), batch)


def ivon(network: nn.Module, batch: int) -> Foreign:
    """Return the deterministic network under the IVON of its authors."""
    optimiser = importlib.import_module("ivon").IVON(network.parameters(), lr=0.1, ess=60_000)
    return Foreign(network, lambda: 0.0, batch, optimiser)


FOREIGN = {
    "plain torch, deterministic, eager fp32": plain,
    "textbook local reparameterisation, eager fp32": naive,
    "bayesian-torch, reparameterisation": bayesian_torch("Reparameterization"),
    "bayesian-torch, flipout": bayesian_torch("Flipout"),
    "blitz": blitz,
    "torchbnn": torchbnn,
    "ivon-opt": ivon,
}


def contestants(model: str, batch: int) -> dict[str, Foreign | Contestant]:
    """Return all that can be measured on `model`, the plain network first."""
    found: dict[str, Foreign | Contestant] = {}
    architecture = Architecture({"kind": model}, SHAPES[model], CLASSES)
    for name, make in FOREIGN.items():
        try:
            found[name] = make(fresh_network(architecture, 0), batch)
        except ImportError as error:
            print(f"left out: {name}: {error}")
    in_bf16 = training_of(batch, "bf16")
    for family in OURS:
        for precision in ("fp32", "bf16"):
            training = training_of(batch, precision)
            name = f"incbayes `{family}`, {precision}"
            found[name] = Contestant({"kind": family}, model, training)
    for family in MIXED:
        spec = {"kind": family, "estimator": "mixed"}
        found[f"incbayes `{family}`, mixed, bf16"] = Contestant(spec, model, in_bf16)
    for name, family in ALGORITHMS.items():
        found[f"incbayes `{name}`, bf16"] = Contestant(
            {"kind": family}, model, in_bf16, inference=name.partition(",")[0]
        )
    return found


def table(model: str, batch: int, steps: int, rounds: int) -> str:
    """Return the costs of a step on `model` as multiples of plain torch's."""
    part = random_part(model, batch * (steps + 2))
    ordered = part
    if part.images.shape[1] > 1:  # as the jobs load it
        ordered = Part(part.images.contiguous(memory_format=torch.channels_last), part.labels)
    running = contestants(model, batch)
    for turn in range(rounds + 1):
        for contestant in running.values():
            contestant.run(part if isinstance(contestant, Foreign) else ordered)
            if turn == 0:  # warms up
                contestant.seconds.clear()
    base = min(next(iter(running.values())).seconds)
    lines = [
        f"{model}, {batch} images a minibatch; plain torch {1e3 * base:.0f} ms a step:",
        "",
        "| a step of | time |",
        "|---|---|",
    ]
    lines += [f"| {name} | ×{min(c.seconds) / base:.2f} |" for name, c in running.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = command_line(__doc__)
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=["lenet5", "conv3fc3"])
    parser.add_argument("--batch", type=int, default=128, help="images per minibatch")
    parser.add_argument("--steps", type=int, default=3, help="timed steps per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    tables = (table(model, chosen.batch, chosen.steps, chosen.rounds) for model in chosen.models)
    show(tables, chosen.write, "peers")


if __name__ == "__main__":
    main()
