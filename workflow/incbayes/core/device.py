"""Where tensors live and how many threads work on them, with bits that repeat."""

import os

import torch

from incbayes.core.errors import UserError


class DeviceError(UserError, ValueError):
    """A device that was asked for and is not there."""


def prepare_device(name: str, threads: int) -> torch.device:
    """Return the device to compute on, after making torch deterministic on it.

    Args:
        name: `auto` (CUDA where there is any), `cpu` or `cuda`.
        threads: threads of a CPU job; the sums that they split decide its last bits.

    Raises:
        DeviceError: `cuda` was asked for and there is none.
    """
    torch.set_num_threads(threads)
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device: cuda was asked for, but torch sees none; use auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        # The CPU's kernels used here repeat as they are; asking costs seconds of imports.
        # cuBLAS reads the variable at its first call.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    return torch.device(name)
