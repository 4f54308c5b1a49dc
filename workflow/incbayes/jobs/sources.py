"""What a source task, or a file of weights, left for the first prior of a block."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from incbayes.core.files import sha256_file
from incbayes.core.json_digest import digest
from incbayes.core.seal import Seal, read_seal
from incbayes.jobs.request import (
    FISHER,
    POSTERIOR,
    VARIANCE,
    ChainRequest,
    Opened,
    read_sealed_posterior,
)
from incbayes.kinds import PRIORS
from incbayes.priors.base import Source

GIVEN_DATA = "source_images"
"""Role of the seal of the data set that given weights were fitted to."""


@dataclass(frozen=True)
class SourceFiles:
    """What a method's prior needs of the source task; None for what it does not.

    Attributes:
        weights: posterior file of the source task: pretrained weights, or the method's own q_A.
        fisher: file of their diagonal Fisher information.
        selection: file of the chosen variances.
    """

    weights: Path | None = None
    fisher: Path | None = None
    selection: Path | None = None

    def digest(self) -> str:
        """Return a digest over the content of the files."""
        return digest({k: sha256_file(v) for k, v in vars(self).items() if v is not None})

    def read(self, request: ChainRequest, opened: Opened) -> "ReadSources":
        """Return every replicate's source, verified to be what the prior asks for.

        Args:
            request: of the block whose prior is made from the source task.
            opened: its images, and how they are cut.

        Raises:
            SealError: a file is damaged, edited, or of another run.
            PosteriorError: the source task was fitted to other images.
        """
        source = request.source_seal()
        given = {} if source is None else {GIVEN_DATA: source}
        if self.weights is None:
            return ReadSources({replicate: Source() for replicate in request.replicates}, given)
        block = {
            "study": request.study,
            "experiment": request.experiment,
            "replicates": list(request.replicates),
        }
        images = {"images": opened.images.seal}
        weights, sealed = read_sealed_posterior(self.weights, POSTERIOR, block, images)
        indices = {replicate: cut.source for replicate, cut in opened.cuts.items()}
        opened.check_data(self.weights, weights, indices)
        seals, made_from = {**given, "weights": sealed}, images | {"weights": sealed}
        fisher, variances = None, {}
        if self.fisher is not None:
            described = block | {"kind": PRIORS.build(request.settings.prior).fisher}
            of = made_from if source is None else {"images": source, "weights": sealed}
            fisher, seals["fisher"] = read_sealed_posterior(self.fisher, FISHER, described, of)
        if self.selection is not None:
            made_from |= {"parts": opened.seals["parts"]}
            seals["variance"] = read_seal(self.selection, VARIANCE, request.identity(0), made_from)
            variances = seals["variance"].facts["variances"]
        sources = {
            replicate: Source(
                state=weights.states[replicate],
                fisher=fisher.states[replicate] if fisher else {},
                images=(fisher or weights).metadata["images"][str(replicate)],
                variance=variances[str(replicate)]["variance"] if variances else None,
            )
            for replicate in request.replicates
        }
        return ReadSources(sources, seals)


@dataclass(frozen=True)
class ReadSources:
    """What the source task left, and the seals of it.

    Attributes:
        of: each replicate's.
        seals: by role.
    """

    of: Mapping[int, Source]
    seals: Mapping[str, Seal]
