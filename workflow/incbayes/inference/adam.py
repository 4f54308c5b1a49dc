"""Adam (Kingma & Ba 2015) on groups of tensors that learn at rates of their own.

The arithmetic is torch's fused kernel, the one behind `torch.optim.Adam(fused=True)`; a
test holds the two to the same bits. Only the class around it is left out: constructing it
imports torch's compiler, which takes longer than importing torch did, in every small job.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""The defaults of Adam, which the paper uses (Appendix A)."""


class Adam:
    """First and second moments of every parameter, and the step that they take.

    Attributes:
        parameters: all parameters, in the order of the groups.
        moments: per parameter its mean gradient, mean squared gradient and step count.
    """

    def __init__(self, groups: Sequence[tuple[Sequence[Tensor], float]]):
        """Start from zero moments.

        Args:
            groups: pairs of parameters and the factor of the learning rate that they take.
        """
        self.groups = [(list(parameters), factor) for parameters, factor in groups if parameters]
        self.parameters = [p for parameters, _ in self.groups for p in parameters]
        self.moments = [
            {
                "mean": torch.zeros_like(p),
                "square": torch.zeros_like(p),
                "step": torch.zeros((), dtype=torch.float32, device=p.device),
            }
            for p in self.parameters
        ]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Take one step along the parameters' gradients; one without a gradient stays."""
        start = 0
        for parameters, factor in self.groups:
            moments = self.moments[start : start + len(parameters)]
            start += len(parameters)
            chosen = [
                (p, m) for p, m in zip(parameters, moments, strict=True) if p.grad is not None
            ]
            if not chosen:
                continue
            updated, kept = zip(*chosen, strict=True)
            steps = [m["step"] for m in kept]
            torch._foreach_add_(steps, 1)
            torch._fused_adam_(
                list(updated),
                [p.grad for p in updated],
                [m["mean"] for m in kept],
                [m["square"] for m in kept],
                [],
                steps,
                lr=learning_rate * factor,
                beta1=BETAS[0],
                beta2=BETAS[1],
                weight_decay=0.0,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
            )

    def clear_gradients(self) -> None:
        """Forget the gradients of the last step."""
        for parameter in self.parameters:
            parameter.grad = None
