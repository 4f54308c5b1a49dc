"""A digest of named tensors and of what is said of them, by which a file proves itself whole."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def tensor_digest(tensors: Mapping[str, Tensor], described: Mapping[str, Any]) -> str:
    """Return the SHA-256 of names, types, shapes and values of `tensors`, and of `described`.

    Args:
        tensors: on the CPU; their order does not count.
        described: JSON values.
    """
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
