"""The minibatch objective: an epoch of it is the bound of the part."""

import pytest
import torch

from incbayes.objective import Objective


@pytest.mark.parametrize("count, size", [(12, 4), (13, 4), (7, 10), (5, 1)])
@pytest.mark.parametrize("kl_scale", [1.0, 0.05])
def test_an_epoch_sums_to_the_negative_bound_of_the_part(count, size, kl_scale):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (count,), generator=generator)
    kl = torch.tensor(17.0, dtype=torch.float64)
    batches = -(-count // size)
    objective = Objective(kl_scale=kl_scale)
    order = torch.randperm(count, generator=generator).tensor_split(batches)
    losses = [objective.loss(logits[i], labels[i], kl, count, batches) for i in order]
    total = torch.stack(losses).sum() * count / batches
    nll = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    torch.testing.assert_close(total, nll + kl_scale * kl)


def test_the_loss_is_the_mean_nll_of_the_minibatch_plus_the_kl_per_image():
    logits, labels = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    loss = Objective(kl_scale=0.5).loss(logits, labels, torch.tensor(6.0), images=12, batches=3)
    mean = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(loss, mean + 0.5 * 6.0 / 12)
