"""What a training step costs under every posterior family and estimator, beside `point`.

    python benchmarks/estimators.py
    python benchmarks/estimators.py --write docs/families.md
    python benchmarks/estimators.py --models digits_net --batch 32 '{kind: cfg, estimator: local}'

All are measured in one run, in turns, so that what else the machine does falls on all alike;
take the ratios, not the milliseconds. A step is a step of training: forward, KL, backward, Adam.
"""

import argparse
import typing

import torch
import yaml
from common import SHAPES, UNTIMED, Contestant, Spec, command_line, random_part, show, training_of

from incbayes.inference.training import Training
from incbayes.kinds import FAMILIES

DETERMINISTIC = {"kind": "point"}


def every_spec() -> list[Spec]:
    """Return every Bayesian family that `vi` fits, with each of its estimators, as in a study."""
    specs = []
    for kind in FAMILIES:
        facts = FAMILIES[kind].constraints
        if facts["bayesian"] and "fitted_by" not in facts:
            hint = typing.get_type_hints(FAMILIES[kind]).get("estimator")
            estimators = typing.get_args(hint) if hint else ()
            specs += [{"kind": kind, "estimator": name} for name in estimators] or [{"kind": kind}]
    return specs


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
        f"{model}, {training.batch_size} images a minibatch, {training.precision}, as multiples of "
        f"`point`, whose step takes {1e3 * costs[0][0]:.1f} ms:",
        "",
        "| family | step | kept for backward | parameters |",
        "|---|---|---|---|",
    ]
    for contestant, cost in zip(contestants, costs, strict=True):
        ratios = " | ".join(f"×{a / b:.2f}" for a, b in zip(cost, costs[0], strict=True))
        name = " ".join(str(value) for value in contestant.spec.values())
        lines.append(f"| {name} | {ratios} |")
    return "\n".join(lines) + "\n"


def named(text: str) -> Spec:
    """Return the family that `text` names as in a study, by its name or as a YAML mapping."""
    spec = yaml.safe_load(text)
    return spec if isinstance(spec, dict) else {"kind": spec}


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = command_line(__doc__)
    parser.add_argument("families", nargs="*", type=named, help="default: all")
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=["lenet5", "digits_net"])
    parser.add_argument("--batch", type=int, default=128, help="images per minibatch")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--steps", type=int, default=3, help="timed steps per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write where that is asked for."""
    chosen = arguments()
    torch.set_num_threads(chosen.threads)
    training = training_of(chosen.batch, chosen.precision)
    specs = chosen.families or every_spec()
    tables = (
        measured(model, specs, training, chosen.steps, chosen.rounds) for model in chosen.models
    )
    show(tables, chosen.write, "costs")


if __name__ == "__main__":
    main()
