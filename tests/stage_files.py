"""Posteriors of two replicates and two stages of real digits, with scores, and changed copies."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tiny_chain import CUT, EVALUATION, SETTINGS, Chain, tiny_chain

from incbayes.jobs.partition import PartsRequest, run_partition
from incbayes.posterior.file import read_posterior, write_posterior
from incbayes.study.model import KindSpec, PartitionSettings

SAMPLES = EVALUATION.samples
MADE = ("format_version", "replicates", "order", "content_sha256")
"""Metadata that writing a posterior adds."""


def two_replicates(folder: Path, family: str = "ffg", **changes) -> Chain:
    """Return a chain of two replicates, both stages fitted and scored.

    Args:
        folder: a new one.
        family: of the posteriors.
        changes: of the request's attributes.
    """
    plain = tiny_chain(folder)
    parts = folder / "both.safetensors"
    asked = PartsRequest("tiny", "digits", [0, 1], 0, PartitionSettings(**CUT))
    run_partition(asked, 2, plain.data / "checksums.json", parts)
    settings = replace(SETTINGS, family=KindSpec(family))
    chain = plain.asked(replicates=[0, 1], parts_file=parts, settings=settings, **changes)
    for t in (1, 2):
        chain.fit(t)
    chain.evaluate()
    return chain


def recorded(chain: Chain, replicate: int, metric: str, predictor: str = "predictive") -> float:
    """Return what the last stage's scoring found on the test set."""
    wanted = (replicate, "test", predictor, metric)
    keys = ("replicate", "split", "predictor", "metric")
    records = json.loads(chain.scores(2).metrics.read_text())
    (value,) = (r["value"] for r in records if tuple(r[key] for key in keys) == wanted)
    return value


def images_of_test(chain: Chain) -> tuple[np.ndarray, np.ndarray]:
    """Return the test images as they are stored, uint8 [N, C, H, W], and their labels."""
    split = chain.request.images("test", torch.device("cpu")).split
    return split.images.numpy(), split.labels.numpy()


def as_files(folder: Path, pixels: np.ndarray) -> Path:
    """Write grey images [N, 1, H, W] as PNG files, numbered; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(pixels):
        Image.fromarray(image[0], "L").save(folder / f"{number:03d}.png")
    return folder


def without_probe(posterior):
    """Return a posterior whose states a test has changed, as if it had been fitted so."""
    said = {key: value for key, value in posterior.metadata.items() if key != "probe"}
    return replace(posterior, metadata=said)


def changed(path: Path, to: Path, states=None, **metadata) -> Path:
    """Write a posterior as if one had made it so: other metadata, its own checksum right."""
    read = read_posterior(path)
    kept = {key: value for key, value in read.metadata.items() if key not in MADE}
    write_posterior(to, states or read.states, kept | metadata)
    return to


def with_network(path: Path, to: Path, **network) -> Path:
    """Write a posterior whose network is described otherwise."""
    described = read_posterior(path).metadata["network"]
    return changed(path, to, network=described | network)
