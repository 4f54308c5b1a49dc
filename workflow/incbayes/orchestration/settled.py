"""Whether settled stages still are what the study would make: of their data, and as it scores.

A settled stage stays as it is, so that what became of its part, of the test images or of the
settings of scoring since cannot reach it. Where that would show one thing as another, it is refused
before anything is prepared.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from incbayes.core.seal import Seal, SealError, read_seal
from incbayes.data.prepared import read_images_seal
from incbayes.jobs.part_data import prepare_part
from incbayes.orchestration.plan import Plan
from incbayes.orchestration.stream import Stream
from incbayes.study.datasets import TAKEN_BACK
from incbayes.study.model import to_plain
from incbayes.study.source_state import current_state, read_record
from incbayes.study.streams import TEST, part_source
from incbayes.study.yaml import StudyError, shown

SCORED_BY = (
    "samples",
    "precision",
    "part_images",
    "test_images",
    "calibration_bins",
    "metrics",
)
"""Settings that decide the scores of a stage of a stream."""

WAY_OUT = "or give the experiment another name"


def check_settled(plan: Plan, data_root: Path, results: Path) -> None:
    """Check the settled stages of all chains over streams.

    Args:
        plan: of the study.
        data_root: what a relative source is relative to.
        results: of the study.

    Raises:
        StudyError: a stage's part, or the test images, have changed since, or it was scored with
            other settings, and it cannot be made anew.
        DataError: a part that changed since cannot be read.
    """
    # Blocks and methods share parts; each is looked at once.
    content = cache(lambda stream, part: _content(plan.streams.streams[stream], part, data_root))
    for place, last in plan.streams.settled.items():
        experiment, method = place.split("/")[:2]
        stream = plan.streams.streams[experiment]
        for t in range(1, last + 1):
            folder = results / place / f"t{t:02d}"
            fitted, scored = _seal(folder, "posterior"), _seal(folder, "scores")
            where = f"stage {t} of {method} ({results / place})"
            now = content(experiment, stream.parts[t - 1])
            if _differs(fitted, "images", now):
                raise _changed(stream, where, t)
            if plan.streams.is_scored_again(experiment, folder, t):
                continue
            if stream.has_test and _differs(scored, "test", content(experiment, None)):
                raise _changed(stream, where, None)
            if scored is not None:
                _check_scoring(scored, plan.evaluation(experiment, method), (stream, where, t))


def _seal(stage: Path, artifact: str) -> Seal | None:
    name = {"posterior": "posterior.seal.json", "scores": "metrics.seal.json"}[artifact]
    try:
        return read_seal(stage / name, artifact)
    except SealError:
        return None  # gone or damaged: what reads it says so


def _differs(seal: Seal | None, role: str, now: str | None) -> bool:
    parent = None if seal is None else seal.parents.get(role)
    return parent is not None and now is not None and parent.digest != now


def _content(stream: Stream, part: str | None, data_root: Path) -> str | None:
    """Return the digest of the seal that a part has, or will have once it is prepared.

    What came is read where it is not prepared, or changed since.

    Args:
        stream: that it is of.
        part: its name; None for the test images.
        data_root: what a relative source is relative to.

    Returns:
        None of a part that is gone.
    """
    prepared = stream.prepared / TEST if part is None else stream.prepared / "parts" / part
    found = _seal_of_images(prepared)
    if part is None:
        raw = stream.source / TEST if (stream.source / TEST).is_dir() else None
    else:
        raw = part_source(stream.source, part)
    if raw is None or (found is not None and _is_as_prepared(raw, prepared)):
        return None if found is None else found.digest
    spec = to_plain(stream.experiment.dataset)
    spec = {key: value for key, value in spec.items() if key != TAKEN_BACK}
    with TemporaryDirectory() as folder:
        prepare_part(spec, data_root, part, Path(folder) / prepared.name)
        fresh = read_images_seal(Path(folder) / prepared.name / "checksums.json")
    # Files touched, or a seal that an earlier release wrote: what counts is in the files.
    same = found is not None and found.files == fresh.files
    return found.digest if same and found is not None else fresh.digest


def _seal_of_images(folder: Path) -> Seal | None:
    try:
        return read_images_seal(folder / "checksums.json")
    except SealError:
        return None


def _is_as_prepared(source: Path, prepared: Path) -> bool:
    """Return whether a file or folder is known to be what was prepared."""
    known = read_record(prepared)
    return known is not None and current_state([source], prepared) == known.state


def _changed(stream: Stream, where: str, t: int | None) -> StudyError:
    """Return the error of a part, or for None of the test images, that a stage did not see."""
    if t is None:
        what, verb = f"the test images in {stream.source / TEST}", "scored"
    else:
        what, verb = f"the part {shown(stream.parts[t - 1])}", "fitted"
    return StudyError(
        ("experiments", stream.name),
        f"{what} changed since {where} was {verb}, which cannot be done anew, as something that "
        f"made it is gone: restore what was there, {WAY_OUT}",
    )


def _check_scoring(scored: Seal, meant: Mapping[str, Any], of: tuple[Stream, str, int]) -> None:
    """Refuse a stage that was scored with other settings than the report would print."""
    stream, where, t = of
    found = scored.facts.get("evaluation")
    if not isinstance(found, dict):
        return
    for key in SCORED_BY:
        now = json.loads(json.dumps(meant[key]))
        # A seal that does not say it is older than the key; it was then without such metrics.
        was = found.get(key, [] if key == "metrics" else now)
        if was != now:
            raise StudyError(
                ("evaluation", key),
                f"found {shown(now)}, but {where} was scored with "
                f"{shown(was)} and cannot be scored again, as its part "
                f"{shown(stream.parts[t - 1])} or a posterior is gone: state what was stated, "
                f"{WAY_OUT}",
            )
