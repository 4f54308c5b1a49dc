"""The flow: exact inverse, log-determinant against autograd, a start that can learn."""

import pytest
import torch
from cases import noise

from incbayes.families.flows.real_nvp import RealNVP

SIZES = [1, 2, 7, 12]
STEPS = [0, 1, 2, 5]


def bent(flow, dtype=torch.float64, scale=1.0, seed=0):
    """Return parameters of a flow far from the identity."""
    like, source = torch.zeros((), dtype=dtype), noise(seed)
    return {
        key: scale * source.normal(value.shape, like) / max(1, value.shape[-1]) ** 0.5
        for key, value in flow.identity(like).items()
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_inverse_undoes_forward_and_knows_its_stretch(size, steps, dtype, tolerance):
    flow = RealNVP(size, steps, width=20)
    state = bent(flow, dtype, scale=2.0)
    u = 3 * noise(1).normal((50, size), torch.zeros((), dtype=dtype))
    v, stretch = flow.forward(state, u)
    back, same = flow.inverse(state, v)
    torch.testing.assert_close(back, u, rtol=0, atol=tolerance)
    torch.testing.assert_close(same, stretch, rtol=0, atol=tolerance)
    again, _ = flow.forward(state, flow.inverse(state, u)[0])
    torch.testing.assert_close(again, u, rtol=0, atol=tolerance)
    if steps and size > 1:
        assert (v - u).abs().max() > 0.1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("steps", STEPS)
def test_stretch_sums_to_the_log_determinant_of_autograd(size, steps):
    flow = RealNVP(size, steps, width=8)
    state = bent(flow)
    u = noise(2).normal((size,), torch.zeros((), dtype=torch.float64))
    jacobian = torch.autograd.functional.jacobian(lambda at: flow.forward(state, at)[0], u)
    sign, log_determinant = torch.linalg.slogdet(jacobian)
    torch.testing.assert_close(flow.forward(state, u)[1].sum(), log_determinant)
    assert sign == 1


@pytest.mark.parametrize("size", SIZES)
def test_a_vector_and_a_batch_of_vectors_are_mapped_alike(size):
    flow = RealNVP(size, 3, width=8)
    state = bent(flow)
    u = noise(3).normal((4, 2, size), torch.zeros((), dtype=torch.float64))
    v, stretch = flow.forward(state, u)
    for index in [(0, 0), (3, 1)]:
        one, of_one = flow.forward(state, u[index])
        torch.testing.assert_close(v[index], one)
        torch.testing.assert_close(stretch[index], of_one)


@pytest.mark.parametrize("size", SIZES)
def test_identity_and_start_are_the_identity_to_the_bit(size):
    flow, like = RealNVP(size, 4, width=8), torch.zeros(())
    u = noise(4).normal((5, size), like)
    for state in (flow.identity(like), flow.start(noise(5), like)):
        v, stretch = flow.forward(state, u)
        assert torch.equal(v, u)
        assert torch.equal(stretch, torch.zeros_like(u))


def test_a_step_stretches_by_less_than_e():
    flow = RealNVP(6, 3, width=8)
    state = bent(flow, scale=1e6)
    u = noise(6).normal((20, 6), torch.zeros((), dtype=torch.float64))
    _, stretch = flow.forward(state, u)
    assert (stretch.abs() <= 2).all()  # three steps, of which a half moves in two at most
    assert (stretch[:, 3:].abs() <= 1).all()


def test_the_start_learns_every_parameter_from_the_second_step_on():
    flow, source = RealNVP(6, 2, width=8), noise(7)
    state = flow.start(source, torch.zeros(()))
    u = source.normal((30, 6), torch.zeros(()))
    for step in range(2):
        state = {key: value.detach().requires_grad_() for key, value in state.items()}
        v, stretch = flow.forward(state, u)
        (v.pow(4).mean() - stretch.mean()).backward()
        for key, value in state.items():
            learns = step == 1 or "output" in key
            assert (value.grad != 0).all() if learns else (value.grad == 0).all(), key
        state = {key: value - 0.1 * value.grad for key, value in state.items()}


def test_the_flow_keeps_single_precision_under_autocast():
    flow = RealNVP(12, 2, width=8)
    state = bent(flow, torch.float32)
    u = noise(8).normal((4, 12), torch.zeros(()))
    expected = flow.forward(state, u)
    with torch.autocast("cpu", torch.bfloat16):
        found = flow.forward(state, u)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
