"""Opens the posterior that a chain goes on from: of another chain, in this study or elsewhere.

What it must agree in with the chain that goes on from it is checked here: network, family, columns,
classes in their order, how image files became images, pixel scaling. A file names kinds, whose
code the study says, never the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from incbayes.core.json_digest import digest
from incbayes.core.seal import Seal, read_seal, seal_path
from incbayes.data.images import ImageSource
from incbayes.data.partition import Partition
from incbayes.inference.stage import networks_fitted
from incbayes.jobs.meaning import check_classes, check_inputs
from incbayes.jobs.request import POSTERIOR, ChainRequest
from incbayes.jobs.scaling import Numbers, described_pixels, scaling_numbers
from incbayes.kinds import PIXELS
from incbayes.posterior.described import Described, described
from incbayes.posterior.file import Posterior, PosteriorError, read_posterior
from incbayes.posterior.members import members_of
from incbayes.posterior.probe import check_code
from incbayes.posterior.same_chain import check_same_chain
from incbayes.priors.base import Source

SAME = ("model", "likelihood", "shape", "bayesian", "normalisation")
"""What of a network the two chains have in common to the last option; of the family, its kind."""

CONTINUES = "continues"
"""Metadata of a first stage: the SHA-256 of each posterior that it goes on from."""

CONTINUED = "continued "
"""Begins the roles of their seals."""


@dataclass(frozen=True)
class GoingOn:
    """What a chain goes on from.

    Attributes:
        sources: by replicate, the state of the posterior that it goes on from.
        numbers: by replicate, that its images are scaled by.
        seals: of the files, where they lie beside them, by role.
        digests: SHA-256 of the files.
    """

    sources: Mapping[int, Source]
    numbers: Numbers
    seals: Mapping[str, Seal]
    digests: Sequence[str]

    @property
    def digest(self) -> str:
        """One over all files, which the first stage has as its parent."""
        return digest(list(self.digests))

    @property
    def described(self) -> dict[str, list[str]]:
        """What the metadata of the first stage say of the files."""
        return {CONTINUES: list(self.digests)}


@dataclass(frozen=True)
class _Opened:
    """A file, and what it says."""

    path: Path
    posterior: Posterior
    of: Described


def read_continued(
    files: Mapping[Path, str],
    request: ChainRequest,
    images: ImageSource,
    cuts: Mapping[int, Partition],
    network: Mapping[str, Any],
) -> GoingOn:
    """Return what the replicates of a block go on from.

    Args:
        files: the blocks of one stage of a chain, with the SHA-256 that each must have.
        request: of the block.
        images: that it is to be fitted to.
        cuts: by replicate, which of them.
        network: what the block's own posteriors say of theirs.

    Raises:
        PosteriorError: a file is absent, damaged or another one than when the job was planned, of
            another network, family, inputs, classes or scaling, fitted with other code of the
            network, or of another chain than the first one; or there is none of a replicate, or
            two.
        SealError: a file is not what the seal beside it says.
    """
    opened = [_open(path, sha256, network) for path, sha256 in files.items()]
    for one in opened:
        check_inputs(one.path, one.posterior.metadata, images)
    held = _by_replicate(opened)
    sources, numbers = {}, Numbers()
    for replicate, cut in cuts.items():
        number = next(iter(held)) if len(held) == 1 else replicate
        if number not in held:
            raise PosteriorError(
                f"{', '.join(str(one.path) for one in opened)}: no replicate {replicate} to go on "
                f"from; there are {', '.join(map(str, sorted(held)))}"
            )
        one = held[number]
        _check_members(one, number, networks_fitted(request.settings))
        classes = [images.class_names[place] for place in cut.target_classes]
        check_classes(one.path, number, one.of.classes[number], classes)
        state = one.posterior.states[number]
        check_code(one.of, number, state)
        sources[replicate] = Source(state=state)
        numbers[replicate] = one.of.numbers[number]
    _check_scaling(opened, request, images, cuts, numbers)
    return GoingOn(sources, numbers, _seals(opened), list(files.values()))


def _open(path: Path, sha256: str, network: Mapping[str, Any]) -> _Opened:
    posterior = read_posterior(path)
    if posterior.sha256 != sha256:
        raise PosteriorError(f"{path}: changed since the job was planned; run the command again")
    stated = posterior.metadata.get("network")
    stated = stated if isinstance(stated, dict) else {}
    for key in SAME:
        if stated.get(key) != network.get(key):
            raise PosteriorError(
                f"{path}: {key} is {stated.get(key)!r}, expected {network.get(key)!r}: a chain "
                "goes on with the network that it has"
            )
    family = stated.get("family")
    family = family.get("kind") if isinstance(family, dict) else family
    if family != network["family"]["kind"]:
        raise PosteriorError(
            f"{path}: family is {family!r}, expected {network['family']['kind']!r}: a chain goes "
            "on with the family that it has"
        )
    # Its tensors have to be those of the family as the study states it.
    meant = replace(posterior, metadata=posterior.metadata | {"network": dict(network)})
    return _Opened(path, posterior, described(str(path), meant))


def _by_replicate(opened: list[_Opened]) -> dict[int, _Opened]:
    """Return the file of every replicate, of files that are blocks of one chain.

    Raises:
        PosteriorError: naming two files, where they are not, or hold one replicate.
    """
    held: dict[int, _Opened] = {}
    for one in opened:
        check_same_chain(opened[0].of, one.of)
        for number in one.posterior.states:
            if number in held:
                raise PosteriorError(
                    f"{one.path}: holds replicate {number}, and so does {held[number].path}; "
                    "delete the one that is of no use any more"
                )
            held[number] = one
    return held


def _check_members(one: _Opened, number: int, meant: int) -> None:
    found = len(members_of(one.posterior.states[number]))
    if found not in (1, meant):
        raise PosteriorError(
            f"{one.path}: replicate {number} is an ensemble of {found}, from which a chain of "
            f"{meant} cannot go on; give it inference: {{kind: ensemble, members: {found}}}"
        )


def _check_scaling(
    opened: list[_Opened],
    request: ChainRequest,
    images: ImageSource,
    cuts: Mapping[int, Partition],
    numbers: Numbers,
) -> None:
    """Check that the chain would scale its images as the chain did that it goes on from."""
    stated = {key: value for key, value in request.pixels.items() if key not in ("mean", "std")}
    for one in opened:
        given = {key: value for key, value in one.of.pixels.items() if key in stated}
        if given != stated:
            raise PosteriorError(
                f"{one.path}: pixels is {given}, expected {stated}: images of both chains have to "
                "be scaled alike"
            )
    if PIXELS.build(request.pixels).of_first_images:
        return
    own = scaling_numbers(request, images, cuts)
    if own != numbers:
        raise PosteriorError(
            f"{opened[0].path}: its images were scaled by {described_pixels(request, numbers)}, "
            f"those of this chain are by {described_pixels(request, own)}; give that mean and std"
        )


def _seals(opened: list[_Opened]) -> dict[str, Seal]:
    """Return the seals that lie beside the files; a file that was copied alone has none."""
    found = {}
    for place, one in enumerate(opened, 1):
        path = seal_path(one.path)
        if path.exists():
            seal = read_seal(path, POSTERIOR)
            seal.verified(one.path)
            found[f"{CONTINUED}{place}"] = seal
    return found
