"""What several replicates cost that train together, beside one, and what a study would then cost.

    python benchmarks/replicates.py --device cuda
    python benchmarks/replicates.py --device cpu --families ffg --steps 3 --rounds 1

A stage of LeNet5 at 64 images a minibatch: one replicate alone, as many as asked for in turn, and
as many together, taking turns in one run; the fastest epoch of each counts. Take the ratios. On a
CUDA device the last table says how long all stages of `--study` would compute, from the cost of
a step together: a projection of the fits alone, without start, loading and evaluation.
"""

import argparse
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from common import CLASSES, SHAPES, command_line, machine, random_part, training_of, write_block

from incbayes.core.device import prepare_device
from incbayes.data.part import Part
from incbayes.inference.base import Problem
from incbayes.inference.objective import Objective
from incbayes.inference.settings import StageSettings
from incbayes.inference.stage import BlockStage, StreamKeys, first_start
from incbayes.inference.training import Training
from incbayes.inference.vi_run import VariationalRun
from incbayes.inference.vi_stacked import run_stacked
from incbayes.kinds import DATASETS, FAMILIES
from incbayes.likelihoods.categorical import Categorical
from incbayes.posterior.build import variational
from incbayes.priors.base import Source
from incbayes.study.model import KindSpec, ObjectiveSettings, Study, TrainingSettings
from incbayes.study.resolve import resolve_study
from incbayes.study.settings import method_settings
from incbayes.study.yaml import read_yaml

STUDY = Path(__file__).parent.parent / "studies" / "kochurov2018.yaml"


class Block:
    """Replicates of a family's first stage on one model, and what their epochs have cost."""

    def __init__(self, family: str, model: str, training: Training, parts: list[Part]):
        """Fit one replicate to each of `parts`, which lie on the device."""
        self.family, self.model, self.training, self.parts = family, model, training, parts
        self.seconds: dict[str, float] = {}

    def runs(self, count: int) -> dict[int, VariationalRun]:
        """Return fresh runs of the first `count` replicates."""
        settings = StageSettings(
            KindSpec(self.family),
            KindSpec("normal"),
            TrainingSettings(),
            ObjectiveSettings(),
            KindSpec(self.model),
        )
        stage = BlockStage(settings, SHAPES[self.model], StreamKeys(0, "benchmark", 1, 1))
        family, built = FAMILIES.build(settings.family), {}
        for replicate, part in enumerate(self.parts[:count]):
            device = part.images.device
            start = first_start(stage, replicate, CLASSES, Source())
            network = variational(stage.architecture(CLASSES), family, start.state)
            prior = {
                layer: {key: value.to(device) for key, value in state.items()}
                for layer, state in start.prior.items()
            }
            objective, stream = Objective(kl_scale=0.1), stage.keys.stream(replicate)
            built[replicate] = VariationalRun(
                Problem(
                    network.to(device),
                    prior,
                    part,
                    self.training,
                    objective,
                    Categorical(),
                    stream,
                    stage.architecture(CLASSES),
                )
            )
        return built

    def run(self) -> None:
        """Train in every way for two epochs, and keep the time of the second."""
        for way, measure in WAYS.items():
            count = 1 if way == ONE else len(self.parts)
            seconds = measure(self.runs(count))
            self.seconds[way] = min(self.seconds.get(way, math.inf), seconds)

    def row(self, steps: int) -> str:
        """Return the family's row of the table, for epochs of so many steps."""
        one = self.seconds[ONE]
        ratios = " | ".join(f"×{self.seconds[way] / one:.2f}" for way in (IN_TURN, TOGETHER))
        return f"| {self.family} | {1e3 * one / steps:.2f} ms | {ratios} |"


def now() -> float:
    """Return the time at which all work that was asked for is done, in seconds."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def in_turn(runs: Mapping[int, VariationalRun]) -> float:
    """Return the seconds of the replicates' second epochs, one after the other."""
    total = 0.0
    for run in runs.values():
        ends: list[float] = []
        run.run(lambda o, ends=ends: ends.append(now()) if o.step == 0 else None)
        total += ends[1] - ends[0]
    return total


def together(runs: Mapping[int, VariationalRun]) -> float:
    """Return the seconds of the replicates' second epoch, trained as one program."""
    ends: list[float] = []
    first = next(iter(runs.values()))
    run_stacked(runs, lambda _: ends.append(now()) if first.step == 0 else None)
    return ends[1] - ends[0]


ONE, IN_TURN, TOGETHER = "one", "in turn", "together"
WAYS = {ONE: in_turn, IN_TURN: in_turn, TOGETHER: together}
"""By name, a way to train whose second epoch is timed."""


def projection(study: Study, model: str, steps: int, blocks: Mapping[str, Block]) -> str:
    """Return what the stages of a study's experiments on `model` would cost together.

    Replicates that do not fill a block are priced as one that is full.
    """
    lines, total = ["| experiment | method | steps | minutes |", "|---|---|---|---|"], 0.0
    for name, experiment in study.experiments.items():
        if experiment.model.kind != model:
            continue
        if experiment.pretrain is not None:
            continue  # its source task is not measured here
        train = DATASETS.build(experiment.dataset).constraints["train"]
        train *= experiment.partition.fraction
        for method in experiment.methods:
            settings = method_settings(study, name, method)
            block = blocks.get(settings.family.kind)
            if block is None:
                lines.append(f"| {name} | {method} | | not measured |")
                continue
            training = Training.of(settings.training)
            if training.batch_size != block.training.batch_size:
                lines.append(f"| {name} | {method} | | not measured at its batch size |")
                continue
            per_epoch = [T * training.batches(math.ceil(train / T)) for T in experiment.parts]
            groups = math.ceil(experiment.replicates / len(block.parts))
            count = groups * training.epochs * sum(per_epoch)
            minutes = count * block.seconds[TOGETHER] / steps / 60
            lines.append(f"| {name} | {method} | {count:,} | {minutes:.1f} |")
            total += minutes
    return "\n".join([*lines, f"| all | | | {total:.1f} |"]) + "\n"


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = command_line(__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument(
        "--families", nargs="+", choices=FAMILIES, default=["point", "ffg", "cfg", "mnf"]
    )
    parser.add_argument("--model", choices=SHAPES, default="lenet5")
    parser.add_argument("--replicates", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64, help="images per minibatch")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--steps", type=int, default=94, help="of an epoch, of which two are made")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--study", type=Path, default=STUDY, help="what to project the cost of")
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write where that is asked for."""
    chosen = arguments()
    device = prepare_device(chosen.device, chosen.threads)
    training = replace(training_of(chosen.batch, chosen.precision), epochs=2)
    part = random_part(chosen.model, chosen.batch * chosen.steps)
    part = Part(part.images.to(device), part.labels.to(device))
    parts = [part] * chosen.replicates
    blocks = {name: Block(name, chosen.model, training, parts) for name in chosen.families}
    for _ in range(chosen.rounds):
        for block in blocks.values():
            block.run()
    gpu = device.type == "cuda"
    where = f"{torch.cuda.get_device_name()}, torch {torch.__version__}" if gpu else machine()
    many = f"{chosen.replicates} replicates"
    lines = [
        f"{where}; {chosen.model}, {chosen.batch} images a minibatch, {chosen.precision}.",
        "",
        f"| family | a step of one | {many} in turn | {many} together |",
        "|---|---|---|---|",
        *(block.row(chosen.steps) for block in blocks.values()),
    ]
    text = "\n".join(lines) + "\n"
    if gpu:
        study = resolve_study(read_yaml(chosen.study))
        text += "\n" + projection(study, chosen.model, chosen.steps, blocks)
    print(text)
    if chosen.write:
        write_block(chosen.write, "replicates", text)


if __name__ == "__main__":
    main()
