"""How noisy the gradient of each estimator is, layer by layer, and where its chain then ends.

    python benchmarks/estimator_chains.py --data-root data --write docs/performance.md

On MNIST (data/MNIST/raw, in torchvision's layout) and LeNet5, `ffg`. First the variance of the
gradient over draws, at one minibatch and one network, which the estimator `local` trained on 5,000
images. Then chains in parts, each with as many epochs as fit the seconds that `local` takes, one
replicate each: a difference of a tenth of a point says nothing.
"""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
import yaml
from common import Contestant, Spec, command_line, show, training_of
from orchestration import snakemake
from torchvision.datasets import MNIST

from incbayes.core.streams import torch_stream
from incbayes.data.part import Part
from incbayes.networks.noise import GeneratorNoise

MODEL = "lenet5"
TRAINED = 5_000
"""Images that the network whose gradients are compared has seen."""
REFERENCE = "local"
ESTIMATORS = [REFERENCE, "weight", "mixed", "flipout"]
DEVIATION, MEAN = 0.3081, 0.1307


def spec_of(estimator: str) -> Spec:
    """Return the family with an estimator, as in a study."""
    return {"kind": "ffg", "estimator": estimator}


def images_of(data_root: Path, count: int) -> Part:
    """Return the first `count` training images, scaled."""
    found = MNIST(str(data_root), train=True)
    pixels = (found.data[:count, None].float() / 255 - MEAN) / DEVIATION
    return Part(pixels, found.targets[:count])


def gradients(contestant: Contestant, batch: Part, draws: int) -> dict[str, torch.Tensor]:
    """Return by parameter the gradients [draws, …] of the mean NLL over draws of the noise."""
    noise, found = GeneratorNoise(torch_stream(0, "noise")), []
    for _ in range(draws):
        contestant.network.zero_grad()
        loss = F.cross_entropy(contestant.network(batch.images, noise), batch.labels)
        loss.backward()
        found.append({k: p.grad.clone() for k, p in contestant.network.named_parameters()})
    return {key: torch.stack([each[key] for each in found]) for key in found[0]}


def variances(data_root: Path, batch_size: int, draws: int, seconds: dict[str, float]) -> str:
    """Return a table of the cost of a step, and of the gradient's variance in each layer."""
    part = images_of(data_root, TRAINED)
    batch = Part(part.images[:batch_size], part.labels[:batch_size])
    trained = Contestant(spec_of(REFERENCE), MODEL, training_of(batch_size))
    trained.run(part)
    noisy: dict[str, dict[str, float]] = {}
    for estimator in ESTIMATORS:
        contestant = Contestant(spec_of(estimator), MODEL, training_of(batch_size))
        contestant.network.load_state_dict(trained.network.state_dict())
        found = gradients(contestant, batch, draws)
        noisy[estimator] = {key: float(g.var(0).sum()) for key, g in found.items()}
    lines = [
        f"Time of a step, and variance of the gradient over {draws} draws, as a multiple of "
        f"`{REFERENCE}`'s; {MODEL}, {batch_size} images a minibatch:",
        "",
        "| parameters | " + " | ".join(f"`{name}`" for name in ESTIMATORS) + " |",
        "|---|" + "---|" * len(ESTIMATORS),
        "| time of a step | "
        + " | ".join(f"×{seconds[name] / seconds[REFERENCE]:.2f}" for name in ESTIMATORS)
        + " |",
    ]
    for key in noisy[REFERENCE]:
        if "weight" in key:
            ratios = [noisy[name][key] / noisy[REFERENCE][key] for name in ESTIMATORS]
            lines.append(f"| {key} | " + " | ".join(f"×{ratio:.2f}" for ratio in ratios) + " |")
    return "\n".join(lines) + "\n"


def costs(batch_size: int, precision: str, part: Part) -> dict[str, float]:
    """Return the seconds that a step of each estimator takes, measured in turns."""
    training = training_of(batch_size, precision)
    contestants = {name: Contestant(spec_of(name), MODEL, training) for name in ESTIMATORS}
    for _ in range(3):
        for contestant in contestants.values():
            contestant.run(part)
    return {name: min(contestant.seconds) for name, contestant in contestants.items()}


def chains(data_root: Path, chosen: Any, seconds: dict[str, float]) -> str:
    """Run a chain of every estimator for as long as `local` takes; return where each ends."""
    epochs = {
        name: max(1, round(chosen.epochs * seconds[REFERENCE] / taken))
        for name, taken in seconds.items()
    }
    study = {
        "study": "estimators",
        "replicates": 1,
        "data_root": str(data_root.resolve()),
        "training": {
            "batch_size": chosen.batch,
            "precision": chosen.precision,
            "log_sigma_rate": 10.0,
            "schedule": "cosine",
        },
        "objective": {"kl_scale": 0.1},
        "evaluation": {"samples": 50, "part_images": 200, "precision": chosen.precision},
        "experiments": {"mnist": {"dataset": "mnist", "model": MODEL, "parts": [chosen.parts]}},
        "methods": {
            name: {"family": spec_of(name), "training": {"epochs": epochs[name]}}
            for name in ESTIMATORS
        },
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        file = folder / "study.yaml"
        file.write_text(yaml.safe_dump(study), encoding="utf-8")
        snakemake(folder, "--configfile", str(file))
        records = pd.read_csv(folder / "results" / "estimators" / "metrics.csv")
    last = records[(records["t"] == records["T"]) & (records["split"] == "test")]
    scores = last.pivot_table("value", "method", ["predictor", "metric"])
    lines = [
        f"Chains on MNIST in {chosen.parts} parts, in the seconds of {chosen.epochs} epochs of "
        f"`{REFERENCE}`; {chosen.batch} images a minibatch, {chosen.precision}:",
        "",
        "| estimator | a step | epochs a part | accuracy | NLL | NLL at the means |",
        "|---|---|---|---|---|---|",
    ]
    for name in ESTIMATORS:
        row = scores.loc[name]
        lines.append(
            f"| `{name}` | ×{seconds[name] / seconds[REFERENCE]:.2f} | {epochs[name]} "
            f"| {100 * row['predictive', 'accuracy']:.2f} % | {row['predictive', 'nll']:.4f} "
            f"| {row['mean', 'nll']:.4f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = command_line(__doc__)
    parser.add_argument("--data-root", type=Path, required=True, help="folder with MNIST/raw")
    parser.add_argument("--batch", type=int, default=64, help="images per minibatch")
    parser.add_argument("--draws", type=int, default=200, help="of the gradient")
    parser.add_argument("--parts", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=5, help="of each part, under `local`")
    parser.add_argument("--no-chains", action="store_true", help="measure steps alone")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    seconds = costs(chosen.batch, chosen.precision, images_of(chosen.data_root, 20 * chosen.batch))
    tables = [variances(chosen.data_root, chosen.batch, chosen.draws, seconds)]
    if not chosen.no_chains:
        tables.append(chains(chosen.data_root, chosen, seconds))
    show(tables, chosen.write, "estimators")


if __name__ == "__main__":
    main()
