"""Parts of a table that arrive: what of them is prepared, and what is refused, in one line."""

import numpy as np
import pytest
from fault_table import survived
from refusals import refusal as refused

from incbayes.data.prepared import load_checksums, open_split
from incbayes.data.raw import DataError
from incbayes.jobs.part_data import prepare_part

STATED = {
    "kind": "table_stream",
    "source": "rents",
    "target": "rent",
    "features": ["area", "district"],
    "categories": {"district": ["north", "south"]},
    "missing": "mean",
}


def rows(seed, count=20):
    """Return the text of a CSV."""
    rng = np.random.default_rng(seed)
    lines = [
        f"{rng.uniform(20, 90):.2f},{rng.choice(['north', 'south'])},{rng.uniform(300, 900):.2f}"
        for _ in range(count)
    ]
    return "area,district,rent\n" + "\n".join(lines) + "\n"


def put(folder, name, text):
    path = folder / "rents" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def prepared(folder, part, said=lambda line: None, **changes):
    place = folder / "data" / ("parts" if part else "") / (part or "test")
    prepare_part({**STATED, **changes}, folder, part, place, said)
    return place


def test_a_part_is_prepared_with_the_numbers_of_its_columns_and_its_target(tmp_path):
    put(tmp_path, "parts/p1.csv", rows(1))
    lines = []
    place = prepared(tmp_path, "p1", lines.append)
    assert lines == ["rows that repeat another one of the part: 0", "20 rows to fit, 0 to score"]
    facts, split = load_checksums(place / "checksums.json"), open_split(place / "train.safetensors")
    inputs = split.images.numpy()[..., 0, 0]
    assert facts["mean"] == pytest.approx([inputs[:, 0].mean(), 0, 0, split.targets.mean().item()])
    assert facts["std"][1:3] == [1.0, 1.0]
    assert facts["table"]["target"] == "rent" and facts["classes"] == ["rent"]


def test_a_source_that_cannot_be_written_to_is_read(tmp_path):
    put(tmp_path, "parts/p1.csv", rows(1))
    source = tmp_path / "rents"
    for folder in (source / "parts", source):
        folder.chmod(0o555)
    before = sorted(path.name for path in source.rglob("*"))
    assert (prepared(tmp_path, "p1") / "checksums.json").is_file()
    assert sorted(path.name for path in source.rglob("*")) == before, "nothing is left there"


def test_equal_parts_are_equal_bytes_in_whatever_order_and_form_their_rows_come(tmp_path):
    import pandas as pd

    put(tmp_path, "parts/p1.csv", rows(1))
    head, *lines = rows(1).splitlines()
    put(tmp_path, "parts/p2/a.csv", "\n".join([head, *lines[10:]]))
    pd.read_csv(tmp_path / "rents/parts/p1.csv")[:10].to_parquet(
        tmp_path / "rents/parts/p2/b.parquet"
    )
    prepared(tmp_path, "p1")
    line = refused(lambda: prepared(tmp_path, "p2"), error=DataError)
    assert "the part 'p2' holds the same" in line and "'p1'" in line


def test_a_share_is_held_out_or_the_folder_test_is_scored(tmp_path):
    put(tmp_path, "parts/p1.csv", rows(1))
    put(tmp_path, "test/t.csv", rows(2, 7))
    held = prepared(tmp_path, "p1", held_out=0.2)
    counts = [len(open_split(held / f"{name}.safetensors").labels) for name in ("train", "test")]
    assert counts == [16, 4]
    put(tmp_path, "parts/p2.csv", rows(3) + rows(3).partition("\n")[2])
    lines = []
    prepared(tmp_path, "p2", lines.append, held_out=0.5)
    twice, both, counts = lines
    assert twice == "rows that repeat another one of the part: 20"
    assert both.startswith("rows to score that are among those to fit, too: ")
    assert 0 < int(both.split()[-3]) < 20 and counts == "20 rows to fit, 20 to score"
    test = prepared(tmp_path, None)
    assert load_checksums(test / "checksums.json")["test"]["images"] == 7


def test_a_later_part_may_lack_a_column_and_classes(tmp_path):
    put(tmp_path, "parts/p1.csv", "area,district,rent\n,south,low\nNA,,low\n")
    lines = []
    prepared(tmp_path, "p1", lines.append, classes=["low", "high"])
    assert lines == [
        "rows that repeat another one of the part: 0",
        "2 rows to fit, 0 to score; no row of high",
    ]


FAULTS = {
    "no row": ("parts/p1.csv", "area,district,rent\n", {}, "there is no row"),
    "an unknown category": ("parts/p1.csv", rows(1).replace("north", "nord"), {}, "'nord' is not"),
    "too many rows": ("parts/p1.csv", rows(1), {"largest_part": 19}, "holds 20 rows, more than"),
    "one row": ("parts/p1.csv", rows(1, 1), {"held_out": 0.5}, "holds 1 row, and held_out takes"),
    "another file": ("parts/p1/notes.txt", "x", {}, "holds notes.txt; expected files of .csv"),
    "no such part": ("parts/p2.csv", rows(1), {}, "there is no part 'p1'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_part_is_refused_in_one_line(fault, tmp_path):
    name, text, changes, said = FAULTS[fault]
    put(tmp_path, name, text)
    assert said in refused(lambda: prepared(tmp_path, "p1", **changes), error=DataError)
    assert not list((tmp_path / "data").rglob("*.safetensors"))
    survived("a part of a table that cannot be one", len(FAULTS), "one line; nothing is prepared")
