"""Weights of a file, and the images that they were fitted to, as a user has them."""

import copy
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from running import TINY
from safetensors.torch import save_file
from torch import nn

from incbayes.posterior.build import Architecture, fresh_network

MODEL = {"kind": "mlp", "widths": [6]}
SHAPE = (1, 8, 8)
CLASSES = ["flat", "high", "left"]
EACH = 9
"""Images of each class."""

DATA = {
    "kind": "image_folder",
    "source": "before",
    "shape": list(SHAPE),
    "classes": CLASSES,
    "test": 0,
}


def pictures(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return made images, uint8 [N, 1, 8, 8], and their labels, in the order of preparation."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(CLASSES)), EACH)
    made = generator.integers(0, 120, (len(labels), *SHAPE), np.uint8)
    made[labels == 1] += 130
    made[labels == 2, :, :, :4] += 130
    return made, labels


def write(folder: Path, seed: int = 0) -> Path:
    """Write the images into a folder `before` of image files."""
    for number, (pixels, label) in enumerate(zip(*pictures(seed), strict=True)):
        file = folder / "before" / "train" / CLASSES[label] / f"{number:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        Image.fromarray(pixels[0]).save(buffer, "PNG")
        file.write_bytes(buffer.getvalue())
    return folder / "before"


def scaled(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images, standardised by their own numbers, float64, and their labels."""
    pixels, labels = pictures(seed)
    values = torch.from_numpy(pixels).double() / 255
    return (values - values.mean()) / values.std(correction=0), torch.from_numpy(labels)


def network(outputs: int = len(CLASSES), seed: int = 1) -> nn.Module:
    """Return the network that the weights are of."""
    return fresh_network(Architecture(MODEL, SHAPE, outputs), seed)


def save(folder: Path, outputs: int = len(CLASSES), seed: int = 1) -> Path:
    """Write weights that know the images a little, and return the file."""
    found, (images, labels) = network(outputs, seed), scaled()
    optimiser = torch.optim.Adam(found.parameters(), 0.01)
    for _ in range(20):
        optimiser.zero_grad()
        nn.functional.cross_entropy(found(images.float()), labels % outputs).backward()
        optimiser.step()
    save_file(found.state_dict(), folder / "nets.safetensors")
    return folder / "nets.safetensors"


def study(**pretrain):
    """Return a study whose first prior is made of both."""
    made = copy.deepcopy(TINY) | {"study": "given", "claims": {}, "data_root": "."}
    made["training"] = {"epochs": 1, "batch_size": 256}
    made["experiments"]["digits"] |= {
        "model": MODEL,
        "parts": [1, 2],
        "pretrain": {"weights": "nets.safetensors", "data": dict(DATA)} | pretrain,
        "methods": ["ft", "laplace", "afresh"],
    }
    made["methods"] = {
        "ft": {"family": "point", "prior": "pretrained"},
        "laplace": {"family": "ffg", "prior": "laplace"},
        "afresh": {"family": "ffg"},
    }
    return made


def fisher_by_example(model: nn.Module, images, labels, expected: bool) -> dict:
    """Return the mean squared gradient by name, example by example and label by label, float64.

    Args:
        model: in float64.
        images: scaled [N, C, H, W].
        labels: [N].
        expected: over the labels that the network itself expects, not those of the data.
    """
    total = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    for x, y in zip(images, labels, strict=True):
        log_p = model(x[None]).log_softmax(-1)[0]
        classes = range(len(log_p)) if expected else [int(y)]
        for label in classes:
            weight = log_p[label].exp().item() if expected else 1.0
            gradients = torch.autograd.grad(
                log_p[label], list(model.parameters()), retain_graph=True
            )
            for name, gradient in zip(total, gradients, strict=True):
                total[name] += weight * gradient.square()
    return {name: value / len(images) for name, value in total.items()}
