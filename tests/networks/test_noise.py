"""The standard normal draws: their distribution, layout and stream."""

import pytest
import torch
from cases import noise
from scipy import stats

DTYPES = [torch.float32, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
def test_draws_are_standard_normal(dtype):
    draws = noise().normal((1001, 999), torch.empty(0, dtype=dtype))
    assert (draws.shape, draws.dtype) == ((1001, 999), dtype)
    values = draws.double().flatten().numpy()
    count = len(values)
    assert abs(values.mean()) < 4 / count**0.5
    assert abs(values.var() - 1) < 4 * (2 / count) ** 0.5
    assert abs((values**4).mean() - 3) < 4 * (96 / count) ** 0.5
    # bfloat16 has steps of up to 1/64 here, hence a distance of at most half a step's density.
    assert stats.kstest(values, "norm").statistic < (0.004 if dtype == torch.bfloat16 else 0.002)


@pytest.mark.parametrize("dtype", DTYPES)
def test_draws_of_one_call_are_uncorrelated(dtype):
    draws = noise().normal((4, 250_000), torch.empty(0, dtype=dtype)).double()
    neighbours = [(draws[:, lag:] * draws[:, : draws.shape[1] - lag]).mean() for lag in range(1, 9)]
    assert torch.stack(neighbours).abs().max() < 4.5 / draws.numel() ** 0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_generator_is_the_whole_state(dtype):
    source, like = noise(), torch.empty(0, dtype=dtype)
    state = source.generator.get_state()
    first = source.normal((3, 7), like)
    assert not torch.equal(source.normal((3, 7), like), first)
    source.generator.set_state(state)
    assert torch.equal(source.normal((3, 7), like), first)


@pytest.mark.parametrize("dtype", DTYPES)
def test_draws_take_the_layout_of_the_output(dtype):
    output = torch.empty(2, 3, 4, 5, dtype=dtype).contiguous(memory_format=torch.channels_last)
    assert noise().normal_like(output).stride() == output.stride()
    assert noise().normal_like(output.contiguous()).stride() == output.contiguous().stride()
