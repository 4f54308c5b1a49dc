"""Our Adam against torch's own, to the bit."""

import pytest
import torch

from incbayes.inference.adam import Adam


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_those_of_torch_to_the_bit(dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (5,), (2, 2, 3)]
    start = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    ours = [torch.nn.Parameter(value.clone()) for value in start]
    theirs = [torch.nn.Parameter(value.clone()) for value in start]
    adam = Adam([(ours[:2], 1.0), (ours[2:], 10.0), ([], 3.0)])
    reference = torch.optim.Adam([{"params": theirs[:2]}, {"params": theirs[2:]}], fused=True)
    for step in range(20):
        rate = 0.01 / (step + 1)
        for group, factor in zip(reference.param_groups, (1.0, 10.0), strict=True):
            group["lr"] = rate * factor
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator, dtype=dtype)
            other.grad = one.grad.clone()
        adam.step(rate)
        reference.step()
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def test_a_parameter_without_gradient_stays():
    parameters = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    parameters[0].grad = torch.ones(2)
    adam = Adam([(parameters, 1.0)])
    adam.step(0.1)
    assert torch.equal(parameters[1], torch.ones(2))
    assert adam.moments[1]["step"] == 0
    adam.clear_gradients()
    assert parameters[0].grad is None
