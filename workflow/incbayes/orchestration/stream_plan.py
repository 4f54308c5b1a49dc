"""What the rules of streams ask: which part a stage is of, and which stages are made at all."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from incbayes.orchestration.stream import Stream, settled_stages, streams_of
from incbayes.study.model import Study
from incbayes.study.streams import TEST, part_source, with_arrived

STREAM = "stream"
"""What the path of a chain over a stream has in place of `T10`."""

NOT_MADE_AGAIN = "{results}/settled/not-made-again"
"""An input that is nowhere: a rule that asks for it makes nothing, and what is there stays."""


@dataclass(frozen=True)
class StreamPlan:
    """The streams of a study, as the rules see them.

    Attributes:
        streams: by the name of their experiment.
        settled: the last stage that stays as it is, by the folder of the chain below `results`.
        results: folder of the study.
    """

    streams: Mapping[str, Stream]
    settled: Mapping[str, int]
    results: Path

    @property
    def by_data(self) -> dict[str, Stream]:
        """The streams by the name of the folder of their prepared files."""
        return {stream.prepared.name: stream for stream in self.streams.values()}

    @property
    def nothing(self) -> str:
        """The input of what is not made again."""
        return NOT_MADE_AGAIN.format(results=self.results)

    def last_settled(self, experiment: str, method: str, block: str) -> int:
        """Return the last settled stage of a chain; 0 for none."""
        return self.settled.get(f"{experiment}/{method}/{STREAM}/{block}", 0)

    def is_scored_again(self, experiment: str, stage: Path, t: int) -> bool:
        """Return whether all that scoring stage t takes is there, also where it is settled.

        Args:
            experiment: over a stream.
            stage: folder of the stage.
            t: its number.
        """
        names = [f"t{number:02d}" for number in (t - 1, t) if number]
        files = [stage.parent / name / "posterior.safetensors" for name in names]
        return self.streams[experiment].is_there(t) and all(path.is_file() for path in files)

    def begins(self, experiment: str, method: str) -> bool:
        """Return whether a first stage of a method's chains may have to be fitted."""
        if experiment not in self.streams:
            return True
        place = f"{experiment}/{method}/"
        return any(not last for of, last in self.settled.items() if of.startswith(place))

    def part(self, experiment: str, t: int) -> str | None:
        """Return the name of stage t's part; None of stage 0, and of one that is to come."""
        parts = self.streams[experiment].parts
        return parts[t - 1] if 0 < t <= len(parts) else None

    def part_folder(self, experiment: str, t: int) -> str:
        """Return the folder of the prepared images of stage t's part."""
        return str(self.streams[experiment].part_folder(t))

    def test_folder(self, experiment: str) -> str | None:
        """Return the folder of the prepared test images; None where a share is held out."""
        stream = self.streams[experiment]
        return str(stream.prepared / TEST) if stream.has_test else None

    def part_source(self, dataset: str, part: str) -> Path:
        """Return the folder or file of a part; where it is gone what is nowhere.

        So what was prepared of it stays.
        """
        return part_source(self.by_data[dataset].source, part) or Path(self.nothing)

    def test_source(self, dataset: str) -> Path:
        """Return the same of the test images."""
        source = self.by_data[dataset].source / TEST
        return source if source.is_dir() else Path(self.nothing)

    def part_folders(self, experiments: Collection[str]) -> dict[str, str]:
        """Return the folders of the parts that are there, or will be when all is done.

        By the name of the experiment and of the part.
        """
        found = {}
        for name in experiments:
            if name not in self.streams:
                continue
            stream = self.streams[name]
            chains = [last for place, last in self.settled.items() if place.startswith(f"{name}/")]
            first = min(chains, default=0) + 1
            for t, part in enumerate(stream.parts, 1):
                if t >= first or stream.is_there(t):
                    found[f"{name}, part {part}"] = str(stream.part_folder(t))
        return found

    def data_files(self, experiments: Collection[str]) -> list[str]:
        """Return the seals of all parts and test images that are there, or will be."""
        tests = [self.test_folder(name) for name in experiments if name in self.streams]
        folders = [*self.part_folders(experiments).values(), *filter(None, tests)]
        return [f"{folder}/checksums.json" for folder in dict.fromkeys(folders)]

    def is_deleted(self, posterior: Path) -> bool:
        """Return whether a posterior is that of a settled stage, and was deleted."""
        chain, stage = posterior.parent.parent, posterior.parent.name
        if chain.parent.name != STREAM:
            return False
        last = self.settled.get(chain.relative_to(self.results).as_posix(), 0)
        return int(stage[1:]) <= last and not posterior.is_file()


def plan_streams(
    study: Study, data_root: Path, data: Path, results: Path
) -> tuple[Study, StreamPlan]:
    """Return a study with the parts that have arrived, and what is to be done for its streams.

    Args:
        study: in normal form.
        data_root: what a relative source is relative to.
        data: folder of all prepared data sets.
        results: of the study.

    Raises:
        StudyError: a part cannot be one, a stage has to be fitted whose part is gone, or a claim is
            on a stage that is yet to come.
    """
    streams = streams_of(study, data_root, data, results)
    counted = {name: stream.experiment for name, stream in streams.items()}
    arrived = {name: len(stream.parts) for name, stream in streams.items()}
    claims = with_arrived(study.claims, arrived)
    study = replace(study, experiments={**study.experiments, **counted}, claims=claims)
    return study, StreamPlan(streams, settled_stages(study, streams, results), results)
