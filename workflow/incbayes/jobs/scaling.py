"""By which numbers the images of each replicate are scaled, in a chain the same from end to end.

The numbers are of the first images, or of none; every posterior states them, so that a stage
needs no image of an earlier part. What a scaling does with them is in `data.pixels`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from incbayes.data.images import ImageSource
from incbayes.data.partition import Partition
from incbayes.data.pixels import PixelStatistics
from incbayes.jobs.request import ChainRequest
from incbayes.kinds import PIXELS
from incbayes.posterior.file import PosteriorError, read_metadata

NUMBERS = ("mean", "std")

Numbers = dict[int, PixelStatistics | None]
"""By replicate, mean and std; None where the scaling takes none."""


def scaling_numbers(
    request: ChainRequest,
    images: ImageSource,
    cuts: Mapping[int, Partition],
    ancestors: Sequence[Path | None] = (),
) -> Numbers:
    """Return by which numbers the images of a block's replicates are scaled.

    Those of first images are taken from the first ancestor that there is; without one they are
    those of the data that given weights were fitted to, or are computed. All ancestors must have
    been fitted with the numbers that are returned.

    Args:
        request: of the job.
        images: the training images.
        cuts: by replicate.
        ancestors: files of the posteriors that the job goes on from or scores, oldest first; of
            those that are None there is none.

    Raises:
        DataError: a channel of the first images is constant.
        PosteriorError: an ancestor was fitted to images that were scaled otherwise.
    """
    read = {path: read_metadata(path) for path in ancestors if path is not None}
    stated = {
        path: _stated(path, metadata, request)
        for path, metadata in read.items()
        if "given" not in metadata  # else it was fitted to no images here
    }
    if stated and PIXELS.build(request.pixels).of_first_images:
        numbers: Numbers = dict(next(iter(stated.values())))
    elif (of_source := _of_source_data(request)) is not None:
        numbers = dict.fromkeys(cuts, images.numbers(of_source))
    else:
        numbers = {
            replicate: images.numbers(_first(request, cut)) for replicate, cut in cuts.items()
        }
    for path, found in stated.items():
        for replicate, expected in numbers.items():
            if found[replicate] != expected:
                raise PosteriorError(
                    f"{path}: the images of replicate {replicate} were scaled by "
                    f"{_shown(found[replicate])}, expected {_shown(expected)}: "
                    "it belongs to another run"
                )
    return numbers


def described_pixels(request: ChainRequest, numbers: Numbers) -> dict[str, Any]:
    """Return the metadata `pixels` of a posterior: kind, options, mean and std by replicate."""
    taken = {str(replicate): found for replicate, found in numbers.items() if found is not None}
    if not taken:
        return dict(request.pixels)
    return {
        **request.pixels,
        "mean": {replicate: list(found.mean) for replicate, found in taken.items()},
        "std": {replicate: list(found.std) for replicate, found in taken.items()},
    }


def _of_source_data(request: ChainRequest) -> PixelStatistics | None:
    """Return mean and std of the data set that given weights were fitted to; None without.

    No image of it counts as seen by the chain, and yet these are the first, as of a source task.
    """
    seal = request.source_seal()
    return None if seal is None else PixelStatistics(seal.facts["mean"], seal.facts["std"])


def _first(request: ChainRequest, cut: Partition) -> Sequence[int]:
    """Return the images that a chain of the experiment sees first."""
    return cut.source if request.pretrained else cut.parts[0]


def _stated(path: Path, metadata: Mapping[str, Any], request: ChainRequest) -> Numbers:
    """Return the numbers that a posterior says its images were scaled by."""
    found = metadata.get("pixels")
    found = found if isinstance(found, dict) else {}
    options, wanted = (
        {k: v for k, v in p.items() if k not in NUMBERS} for p in (found, request.pixels)
    )
    if options != wanted:
        raise PosteriorError(
            f"{path}: pixels is {options}, expected {wanted}: it belongs to another run"
        )
    numbers = {replicate: _of_replicate(found, replicate) for replicate in request.replicates}
    if PIXELS.build(request.pixels).of_first_images and None in numbers.values():
        raise PosteriorError(
            f"{path}: does not say by which mean and std its images were scaled; fit it again"
        )
    return numbers


def _of_replicate(pixels: Mapping[str, Any], replicate: int) -> PixelStatistics | None:
    by_replicate = [pixels.get(key) for key in NUMBERS]
    if not all(isinstance(values, dict) for values in by_replicate):
        return None
    found = [values.get(str(replicate)) for values in by_replicate]
    return PixelStatistics(*found) if all(isinstance(values, list) for values in found) else None


def _shown(numbers: PixelStatistics | None) -> str:
    return f"mean {list(numbers.mean)}, std {list(numbers.std)}" if numbers else "no numbers"
