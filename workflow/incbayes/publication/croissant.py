"""The data sets of a published study, each described in Croissant: files, digests, splits, records.

It follows Croissant 1.1 (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html), and is
written as JSON without its library, which is needed to check what is written, and not to write it.
Knows the study and the digests in its provenance; reads no image.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incbayes.core.files import write_json
from incbayes.data.prepared import SPLITS
from incbayes.kinds import DATASETS
from incbayes.study.chains import chosen_experiments
from incbayes.study.datasets import data_constraints, data_name
from incbayes.study.model import KindSpec, Study

FOLDER, ENDING = "data", ".croissant.json"
"""Of the descriptions, in a published folder."""

VERSION = "http://mlcommons.org/croissant/1.1"
SAFETENSORS = "https://github.com/huggingface/safetensors"
"""The format of the files, which has no registered media type."""

PREPARED = "../../../data"
"""Where `results/data` is from `results/published/{study}/data`."""

SHOWN = 8
TERMS = """
    arrayShape citeAs column containedIn equivalentProperty extract field fileProperty fileObject
    fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path recordSet
    references regex repeated replace samplingRate separator source subField transform
""".split()  # noqa: SIM905 (as a list: a line each)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{name: f"cr:{name}" for name in TERMS},
}
"""Of every Croissant 1.1 file."""

Node = dict[str, Any]


@dataclass(frozen=True)
class DataSet:
    """A data set of a study, with what was run on it.

    Attributes:
        name: that of its folder in `results/data`.
        digests: SHA-256 of the prepared file of each split.
        experiments: names of those that were run on it; the first says what it is.
    """

    name: str
    digests: Mapping[str, str]
    experiments: Sequence[str]


def write_croissants(folder: Path, study: Study, sources: Iterable[Mapping[str, Any]]) -> None:
    """Describe the data sets of a published study, a file each.

    Args:
        folder: of the publication.
        study: in its resolved form.
        sources: the runs, as `provenance.collect_provenance` returns them.

    Raises:
        FileError: something cannot be written.
    """
    for path, found in data_sets_of(study, sources).items():
        write_json(folder / path, describe(study, found))


def data_sets_of(study: Study, sources: Iterable[Mapping[str, Any]]) -> dict[str, DataSet]:
    """Return the data sets that were used, by the path of their description in the folder.

    Experiments on the same data set share one, unless they were made of other bytes. Arguments as
    for `write_croissants`.
    """
    digests: dict[str, Mapping[str, str]] = {}
    for source in sources:
        digests |= source["images"]
    sets: dict[tuple[str, ...], list[str]] = {}
    for experiment in filter(digests.get, chosen_experiments(study)):
        name = data_name(study.experiments[experiment].dataset)
        key = (name, *(digests[experiment][split] for split in SPLITS))
        sets.setdefault(key, []).append(experiment)
    names = [name for name, *_ in sets]
    found = {}
    for (name, *files), experiments in sets.items():
        distinct = name if names.count(name) == 1 else f"{name}_{files[0][:SHOWN]}"
        of_files = dict(zip(SPLITS, files, strict=True))
        found[f"{FOLDER}/{distinct}{ENDING}"] = DataSet(name, of_files, experiments)
    return found


def describe(study: Study, used: DataSet) -> Node:
    """Return a data set of a study, in its resolved form, in Croissant."""
    dataset = study.experiments[used.experiments[0]].dataset
    facts = data_constraints(dataset)
    origin = getattr(DATASETS[dataset.kind], "origin", None)
    described: Node = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": used.name,
        "description": f"{_first_line(dataset)} As prepared by incbayes.",
        "distribution": [_file(used, split) for split in SPLITS],
        "recordSet": [
            *(_records(dataset, facts, split) for split in SPLITS),
            _splits(facts),
            *([] if facts.get("number") else [_classes(facts["classes"])]),
            _parts(study, used.experiments),
        ],
    }
    if origin:
        described |= {"alternateName": origin.title, "url": origin.url, "citeAs": origin.citation}
        described |= {"license": origin.license} if origin.license else {}
    return described


def _first_line(dataset: KindSpec) -> str:
    """Return what a data set is, of the user's own data by the name of their source alone."""
    if "source" in dataset.options:
        source = Path(dataset.options["source"]).name
        return f"Of one's own, {source}, by the options that study.yaml states."
    return str(DATASETS[dataset.kind].__doc__).partition("\n")[0]


def _file(used: DataSet, split: str) -> Node:
    return {
        "@type": "cr:FileObject",
        "@id": f"{split}.safetensors",
        "name": f"{split}.safetensors",
        "description": f"Tensors of the {split} split, whose first axis counts the records. Not "
        "kept with the study: `prepare_data` makes it anew, to the same bytes.",
        "contentUrl": f"{PREPARED}/{used.name}/{split}.safetensors",
        "encodingFormat": SAFETENSORS,
        "sha256": used.digests[split],
    }


def _records(dataset: KindSpec, facts: Mapping[str, Any], split: str) -> Node:
    """Return the record set of a split: an image, or a row of a table, and its label or target."""
    shape = facts["shape"]
    columns = getattr(DATASETS.build(dict(dataset)), "columns", None)
    if columns is None:
        inputs = "Pixels as bytes, [C, H, W]."
        fields = [_array("image", "cr:UInt8", shape, inputs)]
    else:
        inputs = f"Columns, NaN where a value is missing: {', '.join(columns.names)}."
        fields = [_array("row", "cr:Float64", shape, inputs)]
    if facts.get("number"):
        target = f"What is to be predicted: {facts['classes'][0]}."
        fields.append({"name": "target", "dataType": "cr:Float64", "description": target})
    else:
        label = "Number of the class, from 0."
        fields.append({"name": "label", "dataType": "cr:Int64", "description": label})
        fields[-1]["references"] = {"field": {"@id": "classes/number"}}
    for field, tensor in zip(fields, ("images", f"{fields[1]['name']}s"), strict=True):
        file = {"@id": f"{split}.safetensors"}
        field["source"] = {"fileObject": file, "extract": {"column": tensor}}
    return _record_set(split, f"The {split} split.", fields)


def _array(name: str, kind: str, shape: Sequence[int], text: str) -> Node:
    sides = ",".join(map(str, shape))
    return {
        "name": name, "dataType": kind, "description": text, "isArray": True, "arrayShape": sides,
    }  # fmt: skip


def _splits(facts: Mapping[str, Any]) -> Node:
    """Return the splits, with their numbers of records where the study knows them."""
    fields: list[Node] = [
        {"name": "name", "dataType": "sc:Text", "description": "Its name, and its record set."},
        {"name": "url", "dataType": "sc:URL", "description": "What it is for."},
    ]
    purposes = f"{CONTEXT['cr']}TrainingSplit", f"{CONTEXT['cr']}TestSplit"
    rows: list[Node] = [
        {"name": split, "url": purpose} for split, purpose in zip(SPLITS, purposes, strict=True)
    ]
    if all(facts.get(split) is not None for split in SPLITS):
        fields.append({"name": "records", "dataType": "cr:Int64", "description": "How many."})
        rows = [row | {"records": facts[row["name"]]} for row in rows]
    found = _inline("splits", "Training and test records.", fields, rows)
    return found | {"dataType": "cr:Split"}


def _classes(classes: Sequence[Any]) -> Node:
    fields = [
        {"name": "number", "dataType": "cr:Int64", "description": "As labels hold it."},
        {"name": "name", "dataType": "sc:Text", "description": "What it is."},
    ]
    rows = [{"number": number, "name": str(name)} for number, name in enumerate(classes)]
    return _inline("classes", "The classes.", fields, rows) | {"dataType": "sc:Enumeration"}


def _parts(study: Study, experiments: Iterable[str]) -> Node:
    """Return the numbers of parts that the training split is cut into, a chain of stages each."""
    fields = [
        {"name": "experiment", "dataType": "sc:Text", "description": "Its name in the study."},
        {"name": "parts", "dataType": "cr:Int64", "description": "T, the number of parts."},
        {"name": "fraction", "dataType": "cr:Float64", "description": "Of the records, in use."},
        {"name": "seed", "dataType": "cr:Int64", "description": "Of the study."},
    ]
    rows = [
        {
            "experiment": name,
            "parts": T,
            "fraction": study.experiments[name].partition.fraction,
            "seed": study.seed,
        }
        for name in experiments
        for T in study.experiments[name].parts
    ]
    text = (
        f"Into how many parts the study {study.study_id} cuts the training split: at random, by "
        "its seed and the number of a replicate, so that they are made again from these. Of "
        "classes that an experiment leaves to a source task, study.yaml says which."
    )
    return _inline("parts", text, fields, rows)


def _record_set(name: str, text: str, fields: Sequence[Node]) -> Node:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": text,
        "field": [
            {"@type": "cr:Field", "@id": f"{name}/{field['name']}", **field} for field in fields
        ],
    }


def _inline(name: str, text: str, fields: Sequence[Node], rows: Sequence[Node]) -> Node:
    """Return a record set whose records are in it, and whose first field is its key."""
    data = [{f"{name}/{key}": value for key, value in row.items()} for row in rows]
    key = {} if name == "parts" else {"key": {"@id": f"{name}/{fields[0]['name']}"}}
    return _record_set(name, text, fields) | key | {"data": data}
