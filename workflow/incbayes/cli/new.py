"""`incbayes new`: a study of one's own images, written from what lies there."""

import argparse
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from incbayes.core.errors import UserError
from incbayes.data.arriving import part_of
from incbayes.data.image_survey import Survey, survey_source, survey_stream
from incbayes.orchestration.commands import SNAKEFILE
from incbayes.orchestration.size import check_size
from incbayes.study.checks.experiments import TAKEN
from incbayes.study.datasets import check_sources
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study
from incbayes.study.schema import kind_constraints
from incbayes.study.small_sets import LEAST_STEPS, count_weights, epochs_of_size, kl_scale_of_size
from incbayes.study.streams import PARTS, present_parts

HELP = "write a study of your own images"
DESCRIPTION = """Look at a folder or an archive (.zip, .tar, .tar.gz, .tgz) of your own images,
train/CLASS/IMAGE and test/CLASS/IMAGE, or a folder of parts/NAME/CLASS/IMAGE, to which parts are
added as they arrive. Write a study of them that runs as it is: fine-tuning beside a Bayesian
method. Every choice has a comment."""

TEMPLATE = "own_images.yaml.j2"

LARGEST_KEPT = 64
"""Pixels of a side, beyond which images are made smaller: a network for more takes long."""

SMALL_SIDE = 32
"""Pixels of a side of what larger images become."""

MODELS = {1: ("lenet5", "mlp"), 3: ("conv3fc3", "mlp")}
"""By the number of channels; the first that images are large enough for."""

MOST_PARTS = 3
LEAST_IMAGES_OF_A_PART = 10

BATCH_SIZE = 32

HIDDEN_UNITS = [100]
"""Of the network for images that are too small for any with convolutions."""

NAME_LENGTH = 40

WORDS = {"L": "grey", "16-bit I;16": "16-bit grey"}
"""For Pillow's names of modes."""


FOUND_BY_SNAKEMAKE = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")


class NewStudyError(UserError):
    """No study can be written there, or of this; the message is one line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("source", type=Path, help="the folder or archive")
    parser.add_argument("--out", type=Path, help="the file to write (default: NAME.yaml)")


def run(asked: argparse.Namespace) -> int:
    """Write the study and print what was found; return the exit code.

    Raises:
        NewStudyError: there is such a file, or no folder for it.
        DataError: the source cannot be read, or holds what cannot be taken.
        StudyError: a class or the path has a name that no study can hold.
    """
    source = Path(os.path.abspath(asked.source))
    name = _study_name(source)
    out = asked.out or Path(f"{name}.yaml")
    if out.exists() or out.is_symlink():
        raise NewStudyError(f"{out}: is there already; give another file by --out")
    if not out.parent.is_dir():
        raise NewStudyError(f"{out}: there is no folder {out.parent}")
    found = _survey(source)
    text = study_text(source, name, found)
    study = resolve_study(yaml.safe_load(text))
    check_size(study)
    check_sources(study.experiments, Path(study.data_root), Path("results/data"))
    with out.open("x", encoding="utf-8") as file:
        file.write(text)
    print(f"{source}: {_summary(found)}")
    run = f"snakemake --cores all{_snakefile()} --configfile {shlex.quote(str(out))}"
    print(f"{out}: written; every choice in it has a comment. It is tried in a minute or two by")
    print(f"  {run} --config budget=quick")
    print("and runs, for much longer, by")
    print(f"  {run}")
    return 0


def _snakefile() -> str:
    """Return the option that names the workflow, where Snakemake would not find one by itself."""
    if any(Path(name).exists() for name in FOUND_BY_SNAKEMAKE):
        return ""
    found = shlex.quote(str(SNAKEFILE)) if SNAKEFILE.exists() else "CHECKOUT/Snakefile"
    return f" --snakefile {found}"


def _survey(source: Path) -> Survey:
    """Return what lies there: of a stream where there is a folder `parts`, and none `train`."""
    if not (source / PARTS).is_dir() or (source / "train").exists():
        return survey_source(source)
    arrived = sorted(present_parts(source, ("source",)))
    if not arrived:
        raise NewStudyError(
            f"{source}: no part in {PARTS} yet; add a folder or an archive of CLASS/IMAGE"
        )
    return survey_stream(source, [part_of(source, name) for name in arrived])


def study_text(source: Path, name: str, found: Survey) -> str:
    """Return the study as YAML.

    Args:
        source: the folder or archive, an absolute path.
        name: of the study.
        found: what lies there.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  YAML, with every word of the user quoted
    )
    environment.filters["quoted"] = _quoted
    width, height = found.size
    is_large = max(width, height) > LARGEST_KEPT
    side = (SMALL_SIDE, SMALL_SIDE) if is_large else (height, width)
    shape = [1 if found.is_grey else 3, *side]
    most_parts = min(MOST_PARTS, max(1, found.counts["train"] // LEAST_IMAGES_OF_A_PART))
    parts = [1, most_parts] if most_parts > 1 else [1]
    model = _model(shape)
    images = max(1, found.counts["train"] // (found.parts or most_parts))
    weights = count_weights(KindSpec.of(model), (shape[0], shape[1], shape[2]), len(found.classes))
    assert weights is not None, f"{model} states no layers"
    return environment.get_template(TEMPLATE).render(
        name=name,
        source=str(source).replace("$", "$$"),
        title=f"My images: {source.name}",
        found=found,
        summary=_summary(found),
        shape=shape,
        is_large=is_large,
        resize=is_large or len(found.sizes) > 1,
        model=model,
        batch_size=BATCH_SIZE,
        epochs=epochs_of_size(images, BATCH_SIZE),
        steps=LEAST_STEPS,
        kl_scale=_number(kl_scale_of_size(images, weights)),
        images=images,
        weights=weights,
        parts=parts,
        at="" if found.parts else f", T: {parts[-1]}",
    )


def _study_name(source: Path) -> str:
    """Return a name for the study, made of what the source is called."""
    stem = re.sub(r"\.(zip|tar|tar\.gz|tgz)$", "", source.name.lower())
    plain = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")[:NAME_LENGTH].strip("_")
    return plain if re.match("[a-z]", plain) and plain not in TAKEN else f"my_{plain}".strip("_")


def _model(shape: list[int]) -> dict[str, Any]:
    """Return the first model that takes images of this size, with what it must be told."""
    fitting = (
        name
        for name in MODELS[shape[0]]
        if kind_constraints("model", name).get("min_side", 1) <= min(shape[1:])
    )
    name = next(fitting)
    return {"kind": name, "widths": HIDDEN_UNITS} if name == "mlp" else {"kind": name}


def _summary(found: Survey) -> str:
    """Return in one line what was found."""
    total = found.counts["train"] + found.counts["test"]
    (width, height), modes = found.size, found.modes.most_common()
    share = f"{found.sizes[found.size]} of {total}" if len(found.sizes) > 1 else "all"
    words = [(WORDS.get(mode, mode), n) for mode, n in modes]
    kinds = ", ".join(word if len(words) == 1 else f"{word} ({n})" for word, n in words)
    in_parts = f" in {found.parts} part{'s' * (found.parts > 1)}" if found.parts else ""
    return (
        f"{len(found.classes)} classes, {found.counts['train']} images for training{in_parts} and "
        f"{found.counts['test']} for testing, {width}x{height} pixels ({share}), {kinds}"
    )


def _number(value: float) -> str:
    """Return a number as every YAML reads it: `3.0e-06`, as `3e-06` is text to some."""
    return yaml.safe_dump(value).splitlines()[0]


def _quoted(value: Any) -> str:
    """Return text, or a list of texts, as YAML in one line."""
    return json.dumps(value, ensure_ascii=False)
