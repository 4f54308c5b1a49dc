"""Takes the steps of several variational runs at once, as one program over stacked tensors.

It knows runs and nothing of families: what one of them computes for its replicate is mapped over
all, with the draws that each would have made alone. Between steps every run holds its own state,
so that records, errors and snapshots are those of a replicate that trains by itself; results
differ from its own by rounding only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from incbayes.inference.adam import Adam
from incbayes.inference.base import OnStep, divergence_of
from incbayes.inference.vi_run import Pass, VariationalRun
from incbayes.networks.noise import Drawn, Request, Requests
from incbayes.posterior.network import NetworkState


def incompatibility(runs: Sequence[VariationalRun]) -> str | None:
    """Return why the runs cannot take their steps stacked, or None."""
    kinds: dict[str, Callable[[VariationalRun], Any]] = {
        "images of a part": lambda run: len(run.part.labels),
        "minibatches of the whole set": lambda run: (
            run.whole_batches if run.objective.batches == "whole_set" else 0
        ),
        "steps taken": lambda run: run.epoch * run.batches + run.step,
        "shapes of the parameters": lambda run: str([list(p.shape) for p in run.adam.parameters]),
    }
    unfinished = [run for run in runs if not run.finished]
    if unfinished and unfinished[0].network.running:
        return f"layer {unfinished[0].network.running[0]} has running statistics"
    for what, value in kinds.items():
        found = {value(run) for run in unfinished}
        if len(found) > 1:
            return f"they differ in {what}: {', '.join(map(str, sorted(found)))}"
    return None


def run_stacked(runs: Mapping[int, VariationalRun], on_step: OnStep) -> None:
    """Train replicates until all are finished; one at its plateau changes no more.

    Args:
        runs: by replicate, with no `incompatibility` between them.
        on_step: called after every step.

    Raises:
        DivergenceError: naming replicate, epoch, step and tensor.
    """
    stack: _Stack | None = None
    while unfinished := {r: run for r, run in runs.items() if not run.finished}:
        if stack is None or len(unfinished) < len(stack.runs):
            stack = _Stack(unfinished)
        stack.train_epoch(on_step)
    for replicate, run in runs.items():
        with divergence_of(replicate):
            run.check_tensors("after the last step")


class _Mapped(nn.Module):
    """One stochastic pass of a replicate, as a module whose parameters can be replaced."""

    def __init__(self, run: VariationalRun):
        super().__init__()
        self.network, self.stochastic_pass = run.network, run.stochastic_pass

    def forward(
        self, images: Tensor, labels: Tensor, prior: NetworkState, draws: Sequence[Tensor]
    ) -> Pass:
        return self.stochastic_pass(images, labels, prior, Drawn(draws))


class _Stack:
    """The parameters and Adam's moments of R unfinished runs, stacked.

    Those of the runs become views of a row each. The tensors outlive the stack: a run that is
    finished keeps its row.
    """

    def __init__(self, runs: Mapping[int, VariationalRun]):
        """Stack what the runs hold, which are between the same two steps."""
        self.runs = runs
        self.every = list(runs.values())
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

    def train_epoch(self, on_step: OnStep) -> None:
        """Take the remaining steps of an epoch."""
        orders = [run.order() for run in self.every]
        while True:
            step = self.first.step
            self._take_step([order[step] for order in orders])
            for run in self.every:
                run.step += 1
                run.after_step()
            ended = self.first.step == self.first.batches
            if ended:
                self._close_epoch()
            on_step(self.runs)
            if ended:
                break

    def _stacked_adam(self) -> Adam:
        """Return Adam on stacked parameters, and make each run's a row of them."""
        columns = zip(*(o.adam.parameters for o in self.every), strict=True)
        stacked = iter([_stacked(column).requires_grad_() for column in columns])
        groups = [([next(stacked) for _ in group], rate) for group, rate in self.first.adam.groups]
        adam = Adam(groups)
        for index, (parameter, moments) in enumerate(
            zip(adam.parameters, adam.moments, strict=True)
        ):
            old = [run.adam.moments[index] for run in self.every]
            moments["step"].copy_(old[0]["step"])
            for key in ("mean", "square"):
                moments[key] = _stacked([of_one[key] for of_one in old])
            for row, run in enumerate(self.every):
                run.adam.parameters[index].data = parameter.detach()[row]
                rows = {key: moments[key][row] for key in ("mean", "square")}
                run.adam.moments[index] = {**rows, "step": moments["step"]}
        return adam

    def _take_step(self, indices: Sequence[Tensor]) -> None:
        """Take a step of every replicate, each on the images [B] at its own indices."""
        first = self.first
        batches = [run.batch(index) for run, index in zip(self.every, indices, strict=True)]
        images, labels = (torch.stack(values) for values in zip(*batches, strict=True))
        requests = self._requests(batches[0][0], labels[0])
        passes = [self._pass(images, labels, requests) for _ in range(first.objective.draws)]
        nll, self.layer_kl, loss = first.bound(passes, labels.shape[1])
        self.adam.clear_gradients()
        loss.sum().backward()
        gradients = [p.grad for p in self.adam.parameters if p.grad is not None]
        norm = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
        if not torch.isfinite(loss + norm).all():
            self._report_divergence(loss.detach(), norm)
        self.sums += first.per_epoch(nll, norm)
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
        """Return the epoch's sums [R, 2], and make each run's a row of them."""
        sums = torch.stack([run.sums for run in self.every])
        for row, run in enumerate(self.every):
            run.sums = sums[row]
        return sums

    def _hand_out_kl(self) -> None:
        """Give every run the KL of its layers at the last step."""
        for row, run in enumerate(self.every):
            run.layer_kl = {name: kl[row] for name, kl in self.layer_kl.items()}

    def _close_epoch(self) -> None:
        self._hand_out_kl()
        for run in self.every:
            run.close_epoch()
        self.sums = self._stacked_sums()

    def _report_divergence(self, loss: Tensor, norm: Tensor) -> None:
        """Raise the error of the first replicate that is no longer finite."""
        self._hand_out_kl()
        row = int(torch.isfinite(loss + norm).logical_not().nonzero()[0])
        replicate, diverged = list(self.runs.items())[row]
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
