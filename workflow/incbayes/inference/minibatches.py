"""A run in epochs of minibatches, for algorithms that take their steps on a few images each.

It knows order, epochs, the learning rate's schedule, history and snapshots; what a step does, and
what it needs beside the network's tensors, is the algorithm's.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from incbayes.inference.base import DivergenceError, EpochRecord, Problem, Run, Snapshot
from incbayes.networks.noise import GeneratorNoise, Noise
from incbayes.posterior.network import NetworkState


class MinibatchRun(Run):
    """A run whose every step sees one minibatch of the part.

    Attributes:
        network, prior, part, training, objective, likelihood, stream, augmentation: of the problem.
        device: where all tensors are.
        whole_batches: minibatches that the whole set of the task would make.
        generator: the stream of the draws, in the order in which they are made.
        noise: draws from it.
        sums: over the epoch so far, [2] in float64: of the NLL per image, and of gradient norms.
        layer_kl: KL or other penalty of every layer at the last step, in nats.
    """

    def __init__(self, problem: Problem):
        """Prepare to fit the network, whose state is where the stage starts, to the part."""
        self.network, self.prior, self.part = problem.network, problem.prior, problem.part
        self.training, self.objective = problem.training, problem.objective
        self.likelihood, self.stream = problem.likelihood, problem.stream
        self.augmentation = problem.augmentation
        self._changes: Tensor | None = None
        self.device = self.part.images.device
        self.epochs = self.training.epochs
        self.batches = self.training.batches(len(self.part.labels))
        self.whole_batches = self.training.batches(self.part.whole)
        self.generator = self.stream("noise", device=self.device)
        self.noise: Noise = GeneratorNoise(self.generator)
        self.history: list[EpochRecord] = []
        self.epoch = self.step = 0
        self.sums = self.zero_sums()
        self.layer_kl: dict[str, Tensor] = {}

    @abstractmethod
    def take_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step on a minibatch; return its summed NLL and the norm of the gradient.

        Args:
            images: [B, C, H, W], scaled.
            labels: [B], int64.

        Raises:
            DivergenceError: something is not finite; `report_divergence` finds what.
        """

    def after_step(self) -> None:
        """Do what is to be done after a step that is counted; nothing by default.

        It is called of stacked runs too, and before what is told of the step.
        """

    def outputs(self, images: Tensor, noise: Noise) -> Tensor:
        """Return the network's stochastic outputs [B, K] for images, in training's precision."""
        # Entered per pass: an autocast context held open caches stale low-precision weights.
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.training.precision == "bf16"
        ):
            return self.network(images, noise)

    def own_tensors(self) -> Mapping[str, Tensor]:
        """Return by name what the steps depend on beside the network's tensors, such as moments.

        `restore` writes into these very tensors.
        """
        return {}

    def epoch_record(self, nll: float, *further: float) -> EpochRecord:
        """Return what is recorded of an epoch; `elbo` is what a plateau is judged by.

        Args:
            nll: mean over the epoch, in nats per image.
            further: the same of what else `per_epoch` sums, beside the norm of the gradient.
        """
        return {"elbo": -nll * len(self.part.labels), "nll": nll}

    @property
    def finished(self) -> bool:
        """Whether the epochs are used up or the bound has reached its plateau."""
        if self.epoch >= self.epochs:
            return True
        # While the KL's weight still rises every epoch has a bound of its own.
        comparable = self.history[max(0, self.objective.warmup_epochs - 1) :]
        plateau, images = self.training.plateau, len(self.part.labels)
        return plateau is not None and plateau.reached([h["elbo"] / images for h in comparable])

    def run(self, on_step: Callable[[Run], None]) -> None:
        """Train until finished, calling `on_step` after every step.

        Raises:
            DivergenceError: naming epoch, step and tensor.
        """
        while not self.finished:
            order = self.order()
            while self.step < self.batches:
                chosen = order[self.step]
                nll, norm = self.take_step(*self.batch(chosen))
                self.sums += self.per_epoch(nll, norm)
                self.step += 1
                self.after_step()
                if self.step == self.batches:
                    self.close_epoch()
                    on_step(self)
                    break
                on_step(self)
        self.check_tensors("after the last step")

    def state(self) -> NetworkState:
        """Return detached copies of the network's tensors, trained and carried."""
        return self.network.state()

    def snapshot(self) -> Snapshot:
        """Return everything that the remaining steps depend on."""
        tensors = {"generator": self.generator.get_state(), "sums": self.sums.clone()}
        tensors |= {key: value.detach() for key, value in self._live_tensors().items()}
        progress = {"epoch": self.epoch, "step": self.step, "history": self.history}
        return Snapshot(tensors, progress)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`, taken of a run that was set up alike."""
        self.generator.set_state(snapshot.tensors["generator"])
        self.sums = snapshot.tensors["sums"].clone().to(self.device)
        with torch.no_grad():
            for key, value in self._live_tensors().items():
                value.copy_(snapshot.tensors[key])
        self.epoch, self.step = snapshot.progress["epoch"], snapshot.progress["step"]
        self.history = list(snapshot.progress["history"])

    def _live_tensors(self) -> dict[str, Tensor]:
        """Return the tensors themselves that a snapshot holds, by name."""
        of_network = {f"network/{name}": tensor for name, tensor in self._network_tensors()}
        return of_network | {f"own/{name}": value for name, value in self.own_tensors().items()}

    def _network_tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.network.named_parameters()
        yield from self.network.named_buffers()

    def order(self) -> Sequence[Tensor]:
        """Return the indices [B] of every minibatch of this epoch, and draw its augmentation.

        Both are of streams that the epoch names: one that is gone on with draws them again.
        """
        if self.augmentation is not None:
            augmenting = self.stream("augmentation", self.epoch)
            drawn = self.augmentation.draws(len(self.part.labels), augmenting)
            self._changes = drawn.to(self.device)
        generator = self.stream("order", self.epoch)
        order = torch.randperm(len(self.part.labels), generator=generator).to(self.device)
        return order.tensor_split(self.batches)

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return images and labels of a minibatch as training sees them, augmented or as they are.

        Args:
            chosen: indices [B] of this epoch's `order`.
        """
        images, labels = self.part.images[chosen], self.part.labels[chosen]
        if self.augmentation is not None and self._changes is not None:
            images = self.augmentation.applied(images, self._changes[:, chosen])
        return images, labels

    def zero_sums(self) -> Tensor:
        """Return zeros for the epoch's sums."""
        return torch.zeros(2, dtype=torch.float64, device=self.device)

    def per_epoch(self, nll: Tensor, norm: Tensor) -> Tensor:
        """Return what a step adds to the sums, [..., 2] in float64.

        Args:
            nll: summed over the minibatch; it may have a leading axis of replicates, as the norm.
            norm: of the gradient.
        """
        share = nll.detach().double() * self.batches / len(self.part.labels)
        return torch.stack([share, norm.detach().double()], -1)

    def learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        steps = self.epochs * self.batches
        factor = self.training.rate(self.epoch * self.batches + self.step, steps)
        return self.training.learning_rate * factor

    def close_epoch(self) -> None:
        """Add the epoch's record to the history, and begin the next epoch."""
        *means, norm = (self.sums / self.batches).tolist()
        record: EpochRecord = {"epoch": self.epoch + 1, "images": len(self.part.labels)}
        record |= self.epoch_record(*means)
        record |= {"gradient_norm": norm, "learning_rate": self.learning_rate()}
        self.history.append(record)
        self.epoch, self.step, self.sums = self.epoch + 1, 0, self.zero_sums()

    def check_tensors(self, where: str) -> None:
        """Raise the error that names the first tensor of the network that is not finite, if any."""
        for name, tensor in self._network_tensors():
            if not torch.isfinite(tensor).all():
                label = name.removeprefix("network.")
                raise DivergenceError(f"{where}: parameter {label} is not finite")

    def report_divergence(self, loss: Tensor, norm: Tensor) -> None:
        """Raise the error that names the step and the first tensor that is not finite."""
        where = f"epoch {self.epoch + 1}, step {self.step + 1} of {self.batches}"
        if not torch.isfinite(self.part.images).all():
            raise DivergenceError(f"{where}: the scaled pixels of the images are not finite")
        self.check_tensors(where)
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
