"""What a predictive distribution says of every image: the columns of evidence.parquet."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from incbayes.metrics.brier import squared_distances
from incbayes.metrics.mixture import below, log_density


class MeanEntropy:
    """The mean entropy of the draws of a prediction, summed while they pass by.

    With `E_w H[p(y | x, w)]` the mutual information of label and weights is
    `H[p(y | x)] - E_w H[p(y | x, w)]` (BALD, Houlsby et al. 2011, eq. 2). No draw is kept.
    """

    def __init__(self) -> None:
        """Begin with no draw."""
        self._sum: Tensor | None = None
        self._draws = 0

    def heard(self, draws: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the same draws; each is ln p(y | x, w_s), float64 [N, K].

        Of a number, whose draws are Gaussians [N, 1, 2], nothing is summed.
        """
        for draw in draws:
            if draw.ndim == 2:
                of_draw = entropy(draw)
                self._sum = of_draw if self._sum is None else self._sum + of_draw
                self._draws += 1
            yield draw

    def value(self) -> Tensor | None:
        """Return the mean entropy, float64 [N], in nats; None where no draw of classes passed."""
        return None if self._sum is None else self._sum / self._draws


def entropy(log_probabilities: Tensor) -> Tensor:
    """Return -Σ_k p_k ln p_k of each row of ln p [N, K], in nats, [N]; a p of 0 adds nothing."""
    return torch.special.entr(log_probabilities.exp()).sum(-1)


def uncertainty_of(predicted: Tensor, mean_entropy: Tensor | None) -> Tensor:
    """Return entropy and mutual information of every prediction, float64 [N, 2], in nats.

    Args:
        predicted: ln p(y | x) of the predictive, float64 [N, K].
        mean_entropy: of the draws, float64 [N]; None of a single network, which has no spread.
    """
    whole = entropy(predicted)
    # Rounding can pass 0, which the mean of a concave function does not.
    spread = torch.zeros_like(whole) if mean_entropy is None else whole - mean_entropy.to(whole)
    return torch.stack([whole, spread.clamp(min=0.0)], -1)


def class_columns(
    predicted: Tensor, labels: Tensor, mean_entropy: Tensor | None, classes: Sequence[int]
) -> pd.DataFrame:
    """Return the columns of the evidence on classes, but for replicate and image.

    Args:
        predicted: ln p(y | x) of the predictive, float64 [N, K].
        labels: positions in `classes`, int64 [N].
        mean_entropy: of the draws, float64 [N]; None of a single network, which has no spread.
        classes: numbers of the K classes in the data set.
    """
    predicted, labels = predicted.cpu(), labels.cpu()
    numbers = torch.as_tensor(list(classes))
    confidence, chosen = predicted.max(-1)
    whole, spread = uncertainty_of(predicted, mean_entropy).unbind(-1)
    return pd.DataFrame(
        {
            "label": numbers[labels].numpy(),
            "predicted": numbers[chosen].numpy(),
            "log_probability": predicted.gather(1, labels[:, None])[:, 0].numpy(),
            "log_confidence": confidence.numpy(),
            "entropy": whole.numpy(),
            "mutual_information": spread.numpy(),
            "brier": squared_distances(predicted, labels).numpy(),
        }
    )


def number_columns(mixture: Tensor, truth: Tensor) -> pd.DataFrame:
    """Return the columns of the evidence on a number, but for replicate and image.

    Args:
        mixture: mean and standard deviation of S Gaussians, float64 [N, S, 2].
        truth: float64 [N].
    """
    mixture, truth = mixture.cpu(), truth.cpu()
    mean, sigma = mixture.unbind(-1)
    centre = mean.mean(1)
    variance = sigma.square().mean(1) + (mean - centre[:, None]).square().mean(1)
    return pd.DataFrame(
        {
            "target": truth.numpy(),
            "error": (centre - truth).numpy(),
            "deviation": variance.sqrt().numpy(),
            "log_density": log_density(mixture, truth).numpy(),
            "below": below(mixture, truth).numpy(),
        }
    )


def of_replicate(columns: pd.DataFrame, replicate: int, images: np.ndarray) -> pd.DataFrame:
    """Return the columns of one replicate with its number and the positions of its images."""
    columns.insert(0, "replicate", replicate)
    columns.insert(1, "image", images)
    return columns
