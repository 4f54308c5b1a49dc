"""Accuracy and the proper scoring rules of a categorical prediction."""

import torch
from torch import Tensor


def accuracy(probabilities: Tensor, labels: Tensor, bins: int) -> float:
    """Return the fraction of images whose most probable class is the label.

    Args:
        probabilities: float64 [N, K], rows sum to 1.
        labels: int64 [N].
        bins: not used.
    """
    return (probabilities.argmax(-1) == labels).double().mean().item()


def nll(probabilities: Tensor, labels: Tensor, bins: int) -> float:
    """Return the mean negative log-probability of the label, in nats per image.

    A probability of 0 counts as the smallest positive double, so that the mean is finite.
    """
    chosen = probabilities.gather(1, labels[:, None])
    return -chosen.clamp_min(torch.finfo(torch.float64).tiny).log().mean().item()


def brier(probabilities: Tensor, labels: Tensor, bins: int) -> float:
    """Return the Brier score, mean squared distance to the one-hot label, from 0 to 2."""
    target = torch.nn.functional.one_hot(labels, probabilities.shape[1])
    return (probabilities - target).square().sum(-1).mean().item()
