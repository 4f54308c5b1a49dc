"""Prepares a part of a stream, or its test images, once for all studies."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from incbayes.core.seal import Seal, SealError
from incbayes.data.columns import TableColumns
from incbayes.data.prepared import (
    decoding_of,
    form_of,
    pixel_statistics,
    read_images_seal,
    validate,
    write_images,
)
from incbayes.data.raw import DataError, RawSplits
from incbayes.data.seen import write_seen
from incbayes.kinds import DATASETS

TRAIN = "train.safetensors"


def prepare_part(
    spec: Mapping[str, Any],
    data_root: Path,
    name: str | None,
    folder: Path,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Read a part, check it and write its files: `train` to fit, `test` to score.

    Args:
        spec: `{"kind": name, **options}` of the stream.
        data_root: what a relative source is relative to.
        name: of the part; None for the test images, which are all `test`.
        folder: of the files, named as the part, beside those of the other parts.
        log: takes a line on what was found.

    Raises:
        DataError: the part is empty, not as stated, or has the images of another part.
    """
    stream = DATASETS.build(spec)
    raw = stream.load_test(data_root) if name is None else stream.load_part(data_root, name)
    columns: TableColumns | None = getattr(stream, "columns", None)
    if columns is None:
        form = {"classes": stream.classes, "shape": stream.shape, **decoding_of(stream)}
    else:
        form = {**form_of(columns), "table": columns.facts}
    counts = {"train": len(raw.train_images), "test": len(raw.test_images)}
    facts: dict[str, Any] = {"images": counts, **form}
    validate(raw, facts | counts, spec["kind"], whole=False)
    if name is not None and columns is None:
        facts["mean"], facts["std"] = pixel_statistics(raw.train_images)
    elif name is not None and columns is not None:
        statistics = columns.statistics(raw.train_images, raw.train_targets, may_lack=True)
        facts["mean"], facts["std"] = statistics
    write_seen(raw, folder, facts)
    seal = write_images(raw, folder, facts)
    for line in (*raw.remarks, _summary(raw, facts)):
        log(line)
    if name is not None:
        _refuse_repeated(name, folder, seal)


def _refuse_repeated(name: str, folder: Path, seal: Seal) -> None:
    """Refuse a part with the images of another one: its data would count twice.

    Raises:
        DataError: naming the other part; the files are removed.
    """
    for other in sorted(folder.parent.glob("*/checksums.json")):
        if other.parent == folder:
            continue
        try:
            found = read_images_seal(other).files[TRAIN]
        except SealError:
            continue  # being written, or damaged: its own job says so
        if found == seal.files[TRAIN]:
            for path in (seal.path, *(folder / file for file in seal.files)):
                path.unlink()
            raise DataError(
                f"the part {name!r} holds the same images as the part {other.parent.name!r}; "
                "remove one of them, or take it back (key without)"
            )


def _summary(raw: RawSplits, facts: Mapping[str, Any]) -> str:
    noun = "row" if "table" in facts else "image"
    seen = {*raw.train_labels.tolist(), *raw.test_labels.tolist()}
    absent = [name for number, name in enumerate(facts["classes"]) if number not in seen]
    lacks = f"; no {noun} of {', '.join(absent)}" if absent else ""
    return f"{len(raw.train_images)} {noun}s to fit, {len(raw.test_images)} to score{lacks}"
