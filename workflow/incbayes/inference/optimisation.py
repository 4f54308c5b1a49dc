"""Minimises a stage's objective for one replicate, and can stop and go on at any step.

It knows a network, a prior and a part that fits in memory. It knows no files: a
`Snapshot` is what a checkpoint stores.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from incbayes.errors import UserError
from incbayes.inference.adam import Adam
from incbayes.inference.training import Training
from incbayes.noise import GeneratorNoise, Noise
from incbayes.objective import Objective
from incbayes.variational import NetworkState, VariationalNetwork

Stream = Callable[..., torch.Generator]
"""`stream(*names, device=…)`: the replicate's generator for a purpose."""

EpochRecord = dict[str, float]
"""One row of training.csv, without the replicate."""

Pass = tuple[Tensor, dict[str, Tensor]]
"""The summed NLL of one stochastic pass, and the KL of every layer."""


class DivergenceError(UserError, RuntimeError):
    """The loss, a gradient or a parameter is no longer finite."""


@contextmanager
def divergence_of(replicate: int) -> Iterator[None]:
    """Say in the error of a divergence which replicate's it is."""
    try:
        yield
    except DivergenceError as error:
        raise DivergenceError(f"replicate {replicate}, {error}") from None


@dataclass(frozen=True)
class Part:
    """The data of one part, ready for training.

    Attributes:
        images: [N, C, H, W], scaled, floating point.
        labels: [N], int64, positions in the task's classes.
        available: images of the whole task, where the part is cut from a fraction of it.
    """

    images: Tensor
    labels: Tensor
    available: int | None = None

    @property
    def whole(self) -> int:
        """Images of the whole task."""
        return len(self.labels) if self.available is None else self.available


@dataclass(frozen=True)
class Snapshot:
    """An optimisation between two steps.

    Attributes:
        tensors: parameters, Adam's moments, the generator's state, the sums of the epoch.
        progress: `epoch`, `step` within it, and the finished epochs' `history`.
    """

    tensors: dict[str, Tensor]
    progress: dict[str, Any]


class Optimisation:
    """Adam on the objective of one part, from fresh moments (Algorithm 1, lines 5 to 9)."""

    def __init__(
        self,
        network: VariationalNetwork,
        prior: NetworkState,
        part: Part,
        training: Training,
        objective: Objective,
        stream: Stream,
    ):
        """Prepare to fit `network`, whose state is where the stage starts, to `part`."""
        self.network, self.prior, self.part = network, prior, part
        self.training, self.objective, self.stream = training, objective, stream
        self.device = part.images.device
        self.batches = training.batches(len(part.labels))
        self.whole_batches = training.batches(part.whole)
        self.generator = stream("noise", device=self.device)
        self.noise = GeneratorNoise(self.generator)
        scales, others = network.scale_parameters()
        self.adam = Adam([(others, 1.0), (scales, training.log_sigma_rate)])
        if objective.complexity == "monte_carlo":
            network.keep_draws()
        self.history: list[EpochRecord] = []
        self.epoch = self.step = 0
        self.sums = self.zero_sums()
        self.layer_kl: dict[str, Tensor] = {}

    @property
    def finished(self) -> bool:
        """Whether the epochs are used up or the bound has reached its plateau."""
        if self.epoch >= self.training.epochs:
            return True
        plateau = self.training.plateau
        images = len(self.part.labels)
        return plateau is not None and plateau.reached([h["elbo"] / images for h in self.history])

    def run(self, after_step: Callable[["Optimisation"], None]) -> list[EpochRecord]:
        """Train until finished, calling `after_step` after every step; return the history.

        Raises:
            DivergenceError: naming epoch, step and tensor.
        """
        while not self.finished:
            order = self.order()
            while self.step < self.batches:
                self._take_step(order[self.step])
                self.step += 1
                if self.step == self.batches:
                    self.close_epoch()
                    after_step(self)
                    break
                after_step(self)
        self.check_parameters("after the last step")
        return self.history

    def snapshot(self) -> Snapshot:
        """Return everything that the remaining steps depend on."""
        tensors = {"generator": self.generator.get_state(), "sums": self.sums.clone()}
        for index, parameter in enumerate(self.adam.parameters):
            tensors[f"parameter/{index}"] = parameter.detach()
            for key, value in self.adam.moments[index].items():
                tensors[f"adam/{index}/{key}"] = value
        progress = {"epoch": self.epoch, "step": self.step, "history": self.history}
        return Snapshot(tensors, progress)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`, taken of an optimisation that was set up alike."""
        tensors = snapshot.tensors
        self.generator.set_state(tensors["generator"])
        self.sums = tensors["sums"].clone().to(self.device)
        with torch.no_grad():
            for index, parameter in enumerate(self.adam.parameters):
                parameter.copy_(tensors[f"parameter/{index}"])
                for key, value in self.adam.moments[index].items():
                    value.copy_(tensors[f"adam/{index}/{key}"])
        self.epoch, self.step = snapshot.progress["epoch"], snapshot.progress["step"]
        self.history = list(snapshot.progress["history"])

    def order(self) -> Sequence[Tensor]:
        """Return the indices [B] of every minibatch of this epoch."""
        generator = self.stream("order", self.epoch)
        order = torch.randperm(len(self.part.labels), generator=generator).to(self.device)
        return order.tensor_split(self.batches)

    def zero_sums(self) -> Tensor:
        """Return zeros for the epoch's sums: of the NLL per image, and of gradient norms."""
        return torch.zeros(2, dtype=torch.float64, device=self.device)

    def learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        steps = self.training.epochs * self.batches
        factor = self.training.rate(self.epoch * self.batches + self.step, steps)
        return self.training.learning_rate * factor

    def _take_step(self, indices: Tensor) -> None:
        images, labels = self.part.images[indices], self.part.labels[indices]
        passes = [
            self.stochastic_pass(images, labels, self.prior, self.noise)
            for _ in range(self.objective.draws)
        ]
        nll, self.layer_kl, loss = self.bound(passes, len(labels))
        self.adam.clear_gradients()
        loss.backward()
        gradients = [p.grad for p in self.adam.parameters if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        if not torch.isfinite(loss + norm):
            self.report_divergence(loss, norm)
        per_epoch = nll.detach().double() * self.batches / len(self.part.labels)
        self.sums += torch.stack([per_epoch, norm.double()])
        self.adam.step(self.learning_rate())

    def stochastic_pass(
        self, images: Tensor, labels: Tensor, prior: NetworkState, noise: Noise
    ) -> Pass:
        """Return the summed NLL of one stochastic pass, and the KL of every layer."""
        # Entered per pass: an autocast context held open caches stale low-precision weights.
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.training.precision == "bf16"
        ):
            outputs = self.network(images, noise)
        if self.objective.complexity == "monte_carlo":
            kl = self.network.cost_of_draw(prior)
        else:
            kl = self.network.kl(prior, noise)
        return self.objective.nll(outputs, labels), kl

    def bound(self, passes: Sequence[Pass], size: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return NLL and KL of every layer, averaged over passes, and the loss of this step.

        Args:
            passes: of one minibatch; their numbers may have a leading axis of replicates.
            size: B, the images of the minibatch.
        """
        nll = torch.stack([nll for nll, _ in passes]).mean(0)
        layer_kl = {
            name: torch.stack([kl[name] for _, kl in passes]).mean(0) for name in passes[0][1]
        }
        kl = torch.stack(list(layer_kl.values())).sum(0)
        weight = self.objective.kl_weight(self.step, self.epoch, self.batches, self.whole_batches)
        count = len(self.part.labels)
        return nll, layer_kl, self.objective.loss(nll, kl, weight, size, count, self.batches)

    def check_parameters(self, where: str) -> None:
        """Raise the error that names the first parameter that is not finite, if there is one."""
        for name, parameter in self.network.named_parameters():
            if not torch.isfinite(parameter).all():
                label = name.removeprefix("network.")
                raise DivergenceError(f"{where}: parameter {label} is not finite")

    def report_divergence(self, loss: Tensor, norm: Tensor) -> None:
        """Raise the error that names the step and the first tensor that is not finite."""
        where = f"epoch {self.epoch + 1}, step {self.step + 1} of {self.batches}"
        if not torch.isfinite(self.part.images).all():
            raise DivergenceError(f"{where}: the scaled pixels of the images are not finite")
        self.check_parameters(where)
        for layer, kl in self.layer_kl.items():
            if not torch.isfinite(kl):
                raise DivergenceError(f"{where}: the KL of layer {layer} is {kl.item()}")
        if not torch.isfinite(loss):
            raise DivergenceError(f"{where}: the loss is {loss.item()}")
        for name, parameter in self.network.named_parameters():
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
                label = name.removeprefix("network.")
                raise DivergenceError(f"{where}: the gradient of {label} is not finite")
        raise DivergenceError(f"{where}: the gradient norm is {norm.item()}")

    def close_epoch(self) -> None:
        """Add the epoch's record to the history, and begin the next epoch."""
        nll, norm = (self.sums / self.batches).tolist()
        record: EpochRecord = {"epoch": self.epoch + 1, "images": len(self.part.labels)}
        record |= self._divergence_record(nll)
        record |= {"gradient_norm": norm, "learning_rate": self.learning_rate()}
        self.history.append(record)
        self.epoch, self.step, self.sums = self.epoch + 1, 0, self.zero_sums()

    def _divergence_record(self, nll: float) -> EpochRecord:
        """Return ELBO, NLL and, for a family with width, KL and σ/σ_prior, total and per layer."""
        ratios = self.network.sigma_ratio(self.prior)
        layers = {name: kl.item() for name, kl in self.layer_kl.items()}
        kl = sum(layers.values())
        weights = 0.0 if self.objective.beta == "none" else self.objective.kl_scale
        elbo = -nll * len(self.part.labels) - weights * kl
        record = {"elbo": elbo, "nll": nll}
        if ratios:
            record |= {"kl": kl} | {f"kl/{name}": value for name, value in layers.items()}
            record["sigma_ratio"] = torch.cat(list(ratios.values())).median().item()
            record |= {f"sigma_ratio/{n}": ratio.median().item() for n, ratio in ratios.items()}
        return record
