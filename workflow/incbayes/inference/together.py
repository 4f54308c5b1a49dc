"""Takes the steps of several replicates at once, as one program over stacked tensors.

It knows optimisations and nothing of families: what one of them computes for its replicate
is mapped over all, with the draws that each would have made alone. Between steps every
optimisation holds its own state, so that records, errors and snapshots are those of a
replicate that trains by itself; results differ from its own by rounding only.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from incbayes.inference.adam import Adam
from incbayes.inference.optimisation import Optimisation, Pass, divergence_of
from incbayes.noise import Drawn, Request, Requests
from incbayes.variational import NetworkState

AfterStep = Callable[[Mapping[int, Optimisation]], None]
"""What is called after a step with the optimisations that took it, by replicate."""


def obstacle(optimisations: Sequence[Optimisation]) -> str | None:
    """Return why the optimisations cannot take their steps together, or None."""
    kinds = {
        "images of a part": lambda o: len(o.part.labels),
        "minibatches of the whole set": lambda o: (
            o.whole_batches if o.objective.batches == "whole_set" else 0
        ),
        "steps taken": lambda o: o.epoch * o.batches + o.step,
        "shapes of the parameters": lambda o: str([list(p.shape) for p in o.adam.parameters]),
    }
    unfinished = [optimisation for optimisation in optimisations if not optimisation.finished]
    for what, value in kinds.items():
        found = {value(optimisation) for optimisation in unfinished}
        if len(found) > 1:
            return f"they differ in {what}: {', '.join(map(str, sorted(found)))}"
    return None


def train_together(optimisations: Mapping[int, Optimisation], after_step: AfterStep) -> None:
    """Train replicates until all are finished; one at its plateau changes no more.

    Args:
        optimisations: by replicate, with no `obstacle` between them.
        after_step: called after every step.

    Raises:
        DivergenceError: naming replicate, epoch, step and tensor.
    """
    stack: _Stack | None = None
    while running := {r: o for r, o in optimisations.items() if not o.finished}:
        if stack is None or len(running) < len(stack.optimisations):
            stack = _Stack(running)
        stack.train_epoch(after_step)
    for replicate, optimisation in optimisations.items():
        with divergence_of(replicate):
            optimisation.check_parameters("after the last step")


class _Mapped(nn.Module):
    """One stochastic pass of a replicate, as a module whose parameters can be replaced."""

    def __init__(self, optimisation: Optimisation):
        super().__init__()
        self.network, self.stochastic_pass = optimisation.network, optimisation.stochastic_pass

    def forward(
        self, images: Tensor, labels: Tensor, prior: NetworkState, draws: Sequence[Tensor]
    ) -> Pass:
        return self.stochastic_pass(images, labels, prior, Drawn(draws))


class _Stack:
    """The parameters and Adam's moments of R unfinished optimisations, stacked.

    Those of the optimisations become views of a row each. The tensors outlive the stack: an
    optimisation that is finished keeps its row.
    """

    def __init__(self, optimisations: Mapping[int, Optimisation]):
        """Stack what the optimisations hold, which are between the same two steps."""
        self.optimisations = optimisations
        self.every = list(optimisations.values())
        self.first = self.every[0]
        self.mapped = _Mapped(self.first)
        names = {id(parameter): name for name, parameter in self.mapped.named_parameters()}
        self.names = [names[id(parameter)] for parameter in self.first.adam.parameters]
        self.adam = self._stacked_adam()
        self.prior = {
            layer: {key: torch.stack([o.prior[layer][key] for o in self.every]) for key in state}
            for layer, state in self.first.prior.items()
        }
        self.sums = self._stacked_sums()
        self.layer_kl: dict[str, Tensor] = {}
        self.requests: dict[int, list[Request]] = {}

    def train_epoch(self, after_step: AfterStep) -> None:
        """Take the remaining steps of an epoch."""
        orders = [optimisation.order() for optimisation in self.every]
        while True:
            step = self.first.step
            self._take_step([order[step] for order in orders])
            for optimisation in self.every:
                optimisation.step += 1
            ended = self.first.step == self.first.batches
            if ended:
                self._close_epoch()
            after_step(self.optimisations)
            if ended:
                break

    def _stacked_adam(self) -> Adam:
        """Return Adam on stacked parameters, and make each optimisation's a row of them."""
        columns = zip(*(o.adam.parameters for o in self.every), strict=True)
        stacked = iter([_stacked(column).requires_grad_() for column in columns])
        groups = [([next(stacked) for _ in group], rate) for group, rate in self.first.adam.groups]
        adam = Adam(groups)
        for index, (parameter, moments) in enumerate(
            zip(adam.parameters, adam.moments, strict=True)
        ):
            old = [optimisation.adam.moments[index] for optimisation in self.every]
            moments["step"].copy_(old[0]["step"])
            for key in ("mean", "square"):
                moments[key] = _stacked([of_one[key] for of_one in old])
            for row, optimisation in enumerate(self.every):
                optimisation.adam.parameters[index].data = parameter.detach()[row]
                rows = {key: moments[key][row] for key in ("mean", "square")}
                optimisation.adam.moments[index] = {**rows, "step": moments["step"]}
        return adam

    def _take_step(self, indices: Sequence[Tensor]) -> None:
        """Take a step of every replicate, each on the images [B] at its own indices."""
        first, parts = self.first, [optimisation.part for optimisation in self.every]
        pairs = list(zip(parts, indices, strict=True))
        images = torch.stack([part.images[index] for part, index in pairs])
        labels = torch.stack([part.labels[index] for part, index in pairs])
        requests = self._requests(parts[0].images[indices[0]], labels[0])
        passes = [self._pass(images, labels, requests) for _ in range(first.objective.draws)]
        nll, self.layer_kl, loss = first.bound(passes, labels.shape[1])
        self.adam.clear_gradients()
        loss.sum().backward()
        gradients = [p.grad for p in self.adam.parameters if p.grad is not None]
        norm = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
        if not torch.isfinite(loss + norm).all():
            self._report_divergence(loss.detach(), norm)
        per_epoch = nll.detach().double() * first.batches / len(first.part.labels)
        self.sums += torch.stack([per_epoch, norm.double()], 1)
        self.adam.step(first.learning_rate())

    def _pass(self, images: Tensor, labels: Tensor, requests: Sequence[Request]) -> Pass:
        """Return NLL and KL [R] of one pass, for images [R, B, C, H, W] and labels [R, B]."""
        draws = [request.draw([o.noise for o in self.every]) for request in requests]
        parameters = dict(zip(self.names, self.adam.parameters, strict=True))
        one = lambda chosen, *inputs: functional_call(self.mapped, chosen, inputs)  # noqa: E731
        return vmap(one)(parameters, images, labels, self.prior, draws)

    def _requests(self, images: Tensor, labels: Tensor) -> list[Request]:
        """Return what a pass over so many images asks its noise for, found by making one."""
        size = len(labels)
        if size not in self.requests:
            noted = Requests()
            self.first.stochastic_pass(images, labels, self.first.prior, noted)
            self.requests[size] = noted.made
        return self.requests[size]

    def _stacked_sums(self) -> Tensor:
        """Return the epoch's sums [R, 2], and make each optimisation's a row of them."""
        sums = torch.stack([optimisation.sums for optimisation in self.every])
        for row, optimisation in enumerate(self.every):
            optimisation.sums = sums[row]
        return sums

    def _hand_out_kl(self) -> None:
        """Give every optimisation the KL of its layers at the last step."""
        for row, optimisation in enumerate(self.every):
            optimisation.layer_kl = {name: kl[row] for name, kl in self.layer_kl.items()}

    def _close_epoch(self) -> None:
        self._hand_out_kl()
        for optimisation in self.every:
            optimisation.close_epoch()
        self.sums = self._stacked_sums()

    def _report_divergence(self, loss: Tensor, norm: Tensor) -> None:
        """Raise the error of the first replicate that is no longer finite."""
        self._hand_out_kl()
        row = int(torch.isfinite(loss + norm).logical_not().nonzero()[0])
        replicate, diverged = list(self.optimisations.items())[row]
        for parameter, stacked in zip(diverged.adam.parameters, self.adam.parameters, strict=True):
            parameter.grad = None if stacked.grad is None else stacked.grad[row]
        with divergence_of(replicate):
            diverged.report_divergence(loss[row], norm[row])


def _stacked(rows: Sequence[Tensor]) -> Tensor:
    """Return R tensors of one shape and layout as one [R, ...], every row in that layout."""
    first = rows[0]
    size, stride = (len(rows), *first.shape), (first.numel(), *first.stride())
    stacked = torch.empty_strided(size, stride, dtype=first.dtype, device=first.device)
    for row, value in zip(stacked, rows, strict=True):
        row.copy_(value.detach())
    return stacked
