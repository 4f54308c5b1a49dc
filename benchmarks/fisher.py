"""The exact diagonal Fisher information of LeNet5, beside laplace-torch's backends.

    python benchmarks/fisher.py --write docs/performance.md
    python benchmarks/fisher.py --images 60000

Time is linear in the images; the default uses fewer than MNIST's 60,000. The values are compared
too. Every contestant sees the same minibatches in one run, in turns; take the ratios. Peak
memory is that of a process of its own, above what it had before it started.
"""

import time
from collections.abc import Callable

import torch
from common import CLASSES, SHAPES, alone, command_line, peak_memory, random_part, show
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from incbayes.curvature.fisher import diagonal_fisher
from incbayes.data.part import Part
from incbayes.posterior.build import Architecture, fresh_network

MODEL = "lenet5"
BACKENDS = {"empirical": ["BackPackEF", "CurvlinopsEF"], "ggn": ["BackPackGGN"]}
"""Those that laplace-torch installs; CurvlinopsGGN takes two hundred times as long as the other."""


def network() -> nn.Module:
    """Return the same network in every process."""
    return fresh_network(Architecture({"kind": MODEL}, SHAPES[MODEL], CLASSES), 0)


def ours(kind: str, part: Part, batch: int) -> Tensor:
    """Return the Fisher information, summed over images, flat."""
    squares = diagonal_fisher(
        network(), part, kind, torch.Generator().manual_seed(0), batch_size=batch
    )
    flat = torch.cat([value.flatten() for state in squares.values() for value in state.values()])
    return flat * len(part.labels)


def theirs(backend: str, part: Part, batch: int) -> Tensor:
    """Return laplace-torch's, from the same data."""
    import laplace
    from laplace import curvature

    fitted = laplace.Laplace(
        network(),
        "classification",
        subset_of_weights="all",
        hessian_structure="diag",
        backend=getattr(curvature, backend),
    )
    loader = DataLoader(TensorDataset(part.images, part.labels), batch_size=batch)
    fitted.fit(loader)
    return fitted.H  # type: ignore[attr-defined]


def contestants(kind: str) -> dict[str, Callable[[Part, int], Tensor]]:
    """Return what computes the information of `kind`, by name."""
    found = {"incbayes": lambda part, batch: ours(kind, part, batch)}
    for backend in BACKENDS[kind]:
        found[f"laplace-torch, {backend}"] = lambda part, batch, b=backend: theirs(b, part, batch)
    return found


def grown_memory(kind: str, name: str, images: int, batch: int, threads: int) -> float:
    """Return the MiB by which this process' peak grows beyond that of one minibatch."""
    torch.set_num_threads(threads)
    part = random_part(MODEL, images)
    contestants(kind)[name](random_part(MODEL, batch), batch)  # loads code, not the data
    before = peak_memory()
    contestants(kind)[name](part, batch)
    return peak_memory() - before


def table(kind: str, images: int, batch: int, rounds: int, threads: int) -> str:
    """Return the times of all contestants as multiples of ours, and how far they agree."""
    part, running = random_part(MODEL, images), contestants(kind)
    seconds: dict[str, float] = dict.fromkeys(running, float("inf"))
    values: dict[str, Tensor] = {}
    for _ in range(rounds):
        for name, compute in running.items():
            start = time.perf_counter()
            values[name] = compute(part, batch)
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    base, reference = seconds["incbayes"], values["incbayes"]
    lines = [
        f"`{kind}`, {images} images, batch {batch}; incbayes {images / base:.0f} images/s:",
        "",
        "| diagonal by | time | largest difference | memory beyond one minibatch |",
        "|---|---|---|---|",
    ]
    for name in running:
        difference = ((values[name] - reference).abs().max() / reference.max()).item()
        grown = alone(grown_memory, kind, name, images, batch, threads)
        lines.append(
            f"| {name} | ×{seconds[name] / base:.2f} | {difference:.0e} | {grown:.0f} MiB |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = command_line(__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    settings = chosen.images, chosen.batch, chosen.rounds, chosen.threads
    tables = (table(kind, *settings) for kind in BACKENDS)
    show(tables, chosen.write, "fisher")


if __name__ == "__main__":
    main()
