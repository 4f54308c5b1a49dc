"""What is to be done for streams: which parts have arrived, and which stages are settled.

A stage is settled when something that made it is gone (its part, both prepared and as it came, the
posterior before it, or its own posterior) and its scores are there: it stays as it is, and so does
all before it. What would have to be fitted from a part that is gone is refused by name, before
anything runs; so is a data set of which another option is stated than the stage was fitted with.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from incbayes.core.seal import Seal, SealError, read_seal
from incbayes.inference.settings import StageSettings
from incbayes.study.blocks import block_replicates, blocks
from incbayes.study.continuation import continued_path
from incbayes.study.datasets import data_name
from incbayes.study.model import Experiment, KindSpec, Study, to_plain
from incbayes.study.settings import method_settings
from incbayes.study.stream_seals import other_data
from incbayes.study.streams import (
    TEST,
    arrived_parts,
    arrives,
    part_source,
    stream_source,
)
from incbayes.study.yaml import StudyError, shown

RECORDS = (
    "posterior.seal.json",
    "training.csv",
    "run.json",
    "metrics.json",
    "calibration.csv",
    "drift.json",
    "metrics.seal.json",
)
"""Files of a stage that are kept when its posterior is deleted."""

PREPARED = ("checksums.json", "train.safetensors", "test.safetensors")


@dataclass(frozen=True)
class Stream:
    """An experiment over a stream, as it stands now.

    Attributes:
        name: of the experiment.
        experiment: with T, the number of parts that have arrived.
        parts: their names, in the order of the stages.
        source: folder of the raw parts.
        prepared: folder of the prepared ones.
    """

    name: str
    experiment: Experiment
    parts: tuple[str, ...]
    source: Path
    prepared: Path

    def part_folder(self, t: int) -> Path:
        """Return the folder of the prepared images of stage t's part."""
        return self.prepared / "parts" / self.parts[t - 1]

    def is_prepared(self, t: int) -> bool:
        """Return whether the prepared images of stage t's part are there."""
        return all((self.part_folder(t) / name).is_file() for name in PREPARED)

    def is_there(self, t: int) -> bool:
        """Return whether stage t could be fitted: its part is there, prepared or as it came."""
        return self.is_prepared(t) or part_source(self.source, self.parts[t - 1]) is not None

    @property
    def has_test(self) -> bool:
        """Whether a folder of test images is scored, and not a share of every part."""
        return not self.experiment.dataset.options["held_out"]


def streams_of(study: Study, data_root: Path, data: Path, results: Path) -> dict[str, Stream]:
    """Return the experiments over streams by name, with the parts that have arrived.

    Args:
        study: in normal form.
        data_root: what a relative source is relative to.
        data: folder of all prepared data sets.
        results: of the study.

    Raises:
        StudyError: a stream has no part yet, or one that cannot be.
    """
    found = {}
    for name, experiment in study.experiments.items():
        if not arrives(experiment.dataset):
            continue
        key = ("experiments", name, "dataset")
        source = stream_source(experiment.dataset, data_root, key)
        begun = [
            [str(seal.identity["part"]) for seal in _chain(folder)]
            for method in experiment.methods
            for folder in sorted((results / name / method / "stream").glob("r*-*"))
        ]
        parts = arrived_parts(experiment, source, begun, key)
        counted = replace(experiment, parts=(len(parts),))
        prepared = data / data_name(experiment.dataset)
        found[name] = Stream(name, counted, parts, source, prepared)
    return found


def _chain(folder: Path) -> Iterator[Seal]:
    """Yield the seals of a block's stages, from the first on, as long as each follows the last."""
    before: Seal | None = None
    t = 1
    while (seal := _stage_seal(folder / f"t{t:02d}")) is not None:
        parent = seal.parents.get("parent")
        if before is not None and (parent is None or parent.digest != before.digest):
            return
        yield seal
        before, t = seal, t + 1


def _stage_seal(stage: Path) -> Seal | None:
    """Return the seal of a stage's posterior; None where there is none that can be read."""
    path = stage / "posterior.seal.json"
    if not path.is_file():
        return None
    try:
        seal = read_seal(path, "posterior")
    except SealError:
        return None
    return seal if isinstance(seal.identity.get("part"), str) else None


@dataclass(frozen=True)
class StreamChain:
    """A method's chain over a stream, in one block of replicates.

    Attributes:
        stream: that it is over.
        method: its name.
        folder: of its stages.
        expected: what every seal of it says, but for t and the part.
        continued: what stage 1 goes on from: a posterior, or the folder of another chain.
    """

    stream: Stream
    method: str
    folder: Path
    expected: Mapping[str, Any]
    continued: Path | None = None

    def stage(self, t: int) -> Path:
        """Return the folder of stage t."""
        return self.folder / f"t{t:02d}"

    def settled(self) -> int:
        """Return up to which stage the chain stays as it is, whatever is gone; 0 for none.

        Raises:
            StudyError: a stage has to be fitted, and its part is gone; or scores are.
        """
        count = len(self.stream.parts)
        kept = self._kept()
        fitted = [t for t in range(1, kept + 1) if self._posterior(t)]
        base = fitted[-1] if fitted else 0
        broken = [t for t in range(1, base + 1) if not self._whole(t)]
        settled = broken[-1] if broken else 0
        for t in range(1, settled + 1):
            lost = [name for name in RECORDS if not (self.stage(t) / name).is_file()]
            if lost:
                raise self._refusal(t, f"its {lost[0]} is gone, and so is what it was made from")
        for t in range(settled + 1, count + 1):
            if not self.stream.is_there(t):
                raise self._refusal(t, self._why(t, kept))
        return settled

    def _kept(self) -> int:
        """Return how many stages, from the first on, are those that the study asks for."""
        number = 0
        for t, seal in enumerate(_chain(self.folder), 1):
            if t > len(self.stream.parts):
                break
            meant = {**self.expected, "t": t, "T": t, "part": self.stream.parts[t - 1]}
            if any(seal.identity.get(key) != value for key, value in meant.items()):
                break
            if other_data(seal, self.stream.experiment.dataset):
                break
            number = t
        return number

    def _posterior(self, t: int) -> bool:
        return (self.stage(t) / "posterior.safetensors").is_file()

    def _whole(self, t: int) -> bool:
        """Return whether all that stage t was made from is there, and its posterior.

        A part that is there as it came is there: once it is prepared, its seal says whether it is
        what the stage was fitted to.
        """
        if t == 1:
            before = self.continued is None or self.continued.exists()
        else:
            before = self._posterior(t - 1)
        return before and self._posterior(t) and self.stream.is_there(t)

    def _why(self, t: int, kept: int) -> str:
        if t <= kept:
            return "its posterior and every later one are gone"
        seal = _stage_seal(self.stage(t))
        other = seal and other_data(seal, self.stream.experiment.dataset)
        if other:
            return other
        if seal is not None:
            return "its settings, or a part before it, are not those that it was fitted with"
        return "it was never fitted"

    def _refusal(self, t: int, why: str) -> StudyError:
        part = self.stream.parts[t - 1]
        return StudyError(
            ("experiments", self.stream.name),
            f"stage {t} of {self.method} ({self.folder}) has to be made anew, as {why}; but the "
            f"part {shown(part)} is gone: put it back into {self.stream.source / 'parts'}, or "
            "state what was stated, or give the experiment another name",
        )


def settled_stages(study: Study, streams: Mapping[str, Stream], results: Path) -> dict[str, int]:
    """Return the last settled stage of every chain over a stream, by its folder below `results`.

    Args:
        study: in normal form, with the streams' experiments as they stand now.
        streams: as `streams_of` returns them.
        results: of the study.

    Raises:
        StudyError: naming the first stage that has to be fitted though its part is gone.
    """
    found = {}
    for name, stream in streams.items():
        if stream.has_test:
            _check_test(stream)
        for method in stream.experiment.methods:
            described, size = stream.experiment, study.replicates_per_block
            for block in blocks(described.replicates, size, study.first_replicate):
                place = f"{name}/{method}/stream/{block}"
                expected = _expected(study, stream, method, block_replicates(block))
                prior = method_settings(study, name, method).prior
                base = continued_path(prior, ("methods", method, "prior"))
                chain = StreamChain(stream, method, results / place, expected, base)
                found[place] = chain.settled()
    return found


def _check_test(stream: Stream) -> None:
    prepared = all((stream.prepared / TEST / name).is_file() for name in PREPARED)
    if prepared or (stream.source / TEST).is_dir():
        return
    dataset = ("experiments", stream.name, "dataset")
    if not stream.source.exists():
        raise StudyError((*dataset, "source"), f"there is no folder {stream.source}")
    raise StudyError(
        (*dataset, "held_out"),
        f"found 0, but there is no folder {stream.source / TEST} to score on; add it, or state "
        "a share of every part, such as 0.1",
    )


def _expected(
    study: Study, stream: Stream, method: str, replicates: Sequence[int]
) -> dict[str, Any]:
    """Return what the seals of a chain say where they are of this study."""
    settings: dict[str, Any] = to_plain(method_settings(study, stream.name, method))
    experiment = stream.experiment
    settings |= {
        "model": to_plain(experiment.model),
        "likelihood": to_plain(experiment.likelihood),
    }
    return {
        "study": study.study_id,
        "experiment": stream.name,
        "method": method,
        "replicates": list(replicates),
        "config": StageSettings.of(settings).config(KindSpec.of(experiment.pixels), study.seed),
    }
