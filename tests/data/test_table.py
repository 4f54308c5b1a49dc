"""Tables of one's own: what their rows become, and what of them is refused, in one line."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fault_table import survived
from refusals import refusal as refused

from incbayes.core.options import options_schema
from incbayes.data import table_file
from incbayes.data.columns import TableColumns
from incbayes.data.embedded_tables import BreastCancer, Diabetes
from incbayes.data.images import ImageSource
from incbayes.data.prepared import prepare
from incbayes.data.raw import DataError
from incbayes.data.table import Table
from incbayes.data.table_file import read_tables

CSV = """\
id,age,colour,dose,ill
1,40,red,0.5,no
2,50,blue,,yes
3,60,green,1.5,no
4,30,red,2.5,yes
5,20,blue,3.5,no
6,25,blue,0.25,yes
"""
STATED = {
    "source": "rows.csv",
    "target": "ill",
    "features": ["age", "colour"],
    "categories": {"colour": ["red", "green", "blue"]},
    "classes": ["no", "yes"],
    "test_share": 0.34,
}
NUMBER = {"source": "rows.csv", "target": "age", "features": ["dose"], "missing": "mean"}


def written(folder, text=CSV, name="rows.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def columns(**changes):
    return Table(**{**STATED, **changes}).columns


def opened(folder, split="train", scaling="first"):
    pixels = {"kind": "columns", "statistics": scaling}
    return ImageSource.open(folder, split, pixels, torch.device("cpu"))


def test_features_are_encoded_in_the_order_that_is_stated(tmp_path):
    written(tmp_path)
    rows = read_tables([tmp_path / "rows.csv"], columns())
    assert columns().names == ["age", "colour=red", "colour=green", "colour=blue"]
    assert rows.inputs[:3].tolist() == [[40, 1, 0, 0], [50, 0, 0, 1], [60, 0, 1, 0]]
    assert rows.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert rows.targets is None
    assert rows.names[1] == f"{tmp_path / 'rows.csv'}:2"
    other = read_tables([tmp_path / "rows.csv"], columns(features=["colour", "age"]))
    assert other.inputs[0].tolist() == [1, 0, 0, 40]


def test_parquet_and_csv_of_the_same_rows_are_the_same(tmp_path):
    written(tmp_path)
    pd.read_csv(tmp_path / "rows.csv").to_parquet(tmp_path / "rows.parquet")
    stated = columns(features=["age", "colour", "dose"], missing="mean")
    both = [read_tables([tmp_path / f"rows.{ending}"], stated) for ending in ("csv", "parquet")]
    assert both[0].inputs.tobytes() == both[1].inputs.tobytes()
    assert both[0].labels.tolist() == both[1].labels.tolist()
    assert np.isnan(both[0].inputs[1, -1])


@pytest.mark.parametrize("text", ["0.1", "1e-300", "123456789.123456789", "-0.30000000000000004"])
def test_a_number_is_read_to_the_bit(tmp_path, text):
    written(tmp_path, f"x,y\n{text},1\n")
    rows = read_tables([tmp_path / "rows.csv"], TableColumns(("x",), {}, "y", None))
    assert rows.inputs[0, 0] == float(text)


def test_several_files_are_read_in_order_of_name(tmp_path):
    (tmp_path / "parts").mkdir()
    for number in (2, 10, 1):
        written(tmp_path / "parts", f"age,ill\n{number},no\n{number},yes\n", f"{number:02d}.csv")
    stated = STATED | {"source": "parts/*.csv", "features": ["age"], "categories": {}}
    raw = Table(**stated, missing="refuse").load(tmp_path)
    ages = np.concatenate([raw.train_images, raw.test_images]).ravel()
    assert sorted(ages.tolist()) == [1, 1, 2, 2, 10, 10]
    assert raw.train_images[:, 0, 0, 0].tolist() == sorted(raw.train_images[:, 0, 0, 0])


def test_held_out_rows_have_the_share_of_each_class_and_are_always_the_same(tmp_path):
    lines = "".join(f"{number},{'yes' if number % 4 else 'no'}\n" for number in range(100))
    written(tmp_path, f"age,ill\n{lines}")
    stated = STATED | {"features": ["age"], "categories": {}, "test_share": 0.2}
    raws = [Table(**stated).load(tmp_path) for _ in range(2)]
    assert np.bincount(raws[0].test_labels).tolist() == [5, 15]
    assert raws[0].test_images.tolist() == raws[1].test_images.tolist()
    held = {*raws[0].train_images.ravel(), *raws[0].test_images.ravel()}
    assert held == set(range(100))
    assert raws[0].remarks == ("rows that repeat another one of source: 0",)


def test_rows_to_score_on_may_be_files_of_their_own(tmp_path):
    written(written(tmp_path), CSV[: CSV.index("3,60")], "test.csv")
    stated = STATED | {"test_source": "test.csv", "test_share": None}
    line = refused(lambda: Table(**stated).load(tmp_path), error=DataError)
    assert "test.csv: 2 of 2 rows are in rows.csv, too, value by value" in line
    raw = Table(**stated, duplicates="allow").load(tmp_path)
    assert (len(raw.train_labels), len(raw.test_labels)) == (6, 2)
    assert raw.remarks == ("rows of test_source that are in source, too: 2 of 2",)


def test_a_zero_with_a_sign_is_the_same_value_as_one_without(tmp_path):
    written(written(tmp_path, "age,ill\n0,no\n1,yes\n"), "age,ill\n-0.0,no\n2,yes\n", "test.csv")
    stated = STATED | {"features": ["age"], "categories": {}, "duplicates": "allow"}
    stated |= {"test_source": "test.csv", "test_share": None}
    (remark,) = Table(**stated).load(tmp_path).remarks
    assert remark == "rows of test_source that are in source, too: 1 of 2"


def test_columns_are_standardised_by_the_first_rows_and_indicators_stay(tmp_path):
    folder = tmp_path / "rows_x"
    folder.mkdir()
    spec = {"kind": "table", **STATED, "test_source": "rows.csv", "test_share": None}
    spec["duplicates"] = "allow"
    prepare(spec, written(tmp_path), folder)
    source = opened(folder)
    first = source.numbers([0, 1])
    assert first.mean == [45.0, 0, 0, 0] and first.std == [5.0, 1, 1, 1]
    part = source.load([0, 2], [0, 1], first)
    assert part.images[..., 0, 0].tolist() == [[-1, 1, 0, 0], [3, 0, 1, 0]]
    assert part.unit is None and part.labels.tolist() == [0, 0]
    everything = opened(folder, scaling="all").numbers([0, 1])
    assert everything.mean[0] == pytest.approx(37.5)


def test_a_number_is_standardised_and_what_is_missing_becomes_the_mean(tmp_path):
    folder = tmp_path / "rows_x"
    folder.mkdir()
    spec = {"kind": "table", **NUMBER, "test_source": "rows.csv", "duplicates": "allow"}
    prepare(spec, written(tmp_path), folder)
    source = opened(folder)
    numbers = source.numbers([0, 1, 2])
    assert numbers.mean == [1.0, 50.0] and numbers.std == pytest.approx([0.5, (200 / 3) ** 0.5])
    part = source.load([0, 1, 2], [0], numbers)
    assert part.images.ravel().tolist() == [-1.0, 0.0, 1.0]
    back = part.labels * part.unit.std + part.unit.mean
    assert back.tolist() == pytest.approx([40, 50, 60])
    assert part.images.dtype == part.labels.dtype == torch.float32


FAULTS = {
    "an unknown category": (
        CSV.replace("green", "grene"),
        {},
        "column 'colour': the value 'grene' is not among the categories that are stated (row 3)",
    ),
    "an unknown class": (
        CSV.replace("yes", "YES"),
        {},
        "column 'ill': the value 'YES' is not among the classes that are stated (rows 2, 4, 6)",
    ),
    "a value that is no number": (
        CSV.replace("60,", "sixty,"),
        {},
        "column 'age': the value 'sixty' is no number (row 3)",
    ),
    "digits that are grouped": (
        CSV.replace("60,", "6_0,"),
        {},
        "the value '6_0' is no number (row 3)",
    ),
    "an infinite value": (
        CSV.replace("60,", "inf,"),
        {},
        "column 'age': the value 'inf' is not finite (row 3)",
    ),
    "a missing number": (
        CSV.replace("60,", "NA,"),
        {},
        "column 'age': the value is missing (row 3); fill it, or state missing: mean",
    ),
    "a missing category": (
        CSV.replace("green", ""),
        {},
        "column 'colour': the value is missing (row 3)",
    ),
    "a missing class": (
        CSV.replace("0.5,no", "0.5,"),
        {"missing": "mean"},
        "column 'ill': the value is missing (row 1)",
    ),
    "a column that is not there": (
        CSV,
        {"features": ["agee"], "categories": {}},
        "lacks the column 'agee' (did you mean 'age'?); it has 'id', 'age'",
    ),
    "a column that is there twice": (
        CSV.replace("id,age", "age,age"),
        {},
        "has the column 'age' twice",
    ),
    "another separator": (
        CSV.replace(",", ";"),
        {},
        "lacks the column 'age'; it has 'id;age;colour;dose;ill'; columns are separated by commas",
    ),
    "a row with one value more": (
        CSV.replace("1,40,", "1,4,0,"),
        {},
        "row 1 has 6 values, where the head names 5 columns",
    ),
    "a row that is cut": (CSV[:-5], {}, "row 6 has 4 values, where the head names 5 columns"),
    "a quote that does not end": (
        CSV.replace("3,60", '3,"60'),
        {},
        "not a readable table (Error: unexpected end of data)",
    ),
    "no row": (CSV[: CSV.index("1,40")], {}, "there is no row"),
    "nothing": ("", {}, "lacks the column 'age'; it has none"),
    "rows too few to hold any out": (
        CSV[: CSV.index("2,50")],
        {"test_share": 0.2},
        "0.2 of 1 rows leaves none to score on; give more rows, or a test_source",
    ),
    "a source that is not there": (
        CSV,
        {"source": "gone/*.csv"},
        "gone/*.csv: no such file (key source)",
    ),
    "an ending that is none of a table": (
        CSV,
        {"source": "rows.xlsx"},
        "rows.xlsx: allowed endings of a table: .csv, .parquet",
    ),
    "a Parquet file that is none": (
        CSV,
        {"source": "rows.parquet"},
        "rows.parquet: not a readable table (ArrowInvalid",
    ),
    "text that is not UTF-8": (
        CSV.replace("green", "gr\udce4n"),
        {},
        "not a readable table (UnicodeDecodeError",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_table_is_refused_in_one_line_that_names_file_and_place(fault, tmp_path):
    text, changes, said = FAULTS[fault]
    for name in ("rows.csv", "rows.xlsx", "rows.parquet"):
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    stated = STATED | changes
    line = refused(lambda: Table(**stated).load(tmp_path), error=DataError)
    assert said in line
    assert Path(stated["source"]).name.replace("*.csv", "") in line
    survived("a table that is not as stated", len(FAULTS), "one line with file, row and column")


@pytest.mark.parametrize("missing", ["mean", "refuse"])
@pytest.mark.parametrize("text", ["x\n1\n\n3\n", "x\n1\n3\n\n", "\nx\n\n1\n"])
def test_a_blank_line_in_a_file_of_one_column_is_refused_and_not_passed_over(
    text, missing, tmp_path
):
    columns = Table("rows.csv", target="y", features=["x"], missing=missing).columns
    file = tmp_path / "rows.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=r'row \d is a blank line; .* write "" for a value'):
        read_tables([file], columns, with_target=False)


def test_a_value_that_is_missing_in_a_file_of_one_column_keeps_its_row(tmp_path):
    columns = Table("rows.csv", target="y", features=["x"], missing="mean").columns
    frame = pd.DataFrame({"x": [1.0, None, 3.0]})
    frame.to_csv(tmp_path / "rows.csv", index=False)  # pandas writes "" for what is missing
    rows = read_tables([tmp_path / "rows.csv"], columns, with_target=False)
    np.testing.assert_array_equal(rows.inputs[:, 0], [1, np.nan, 3])
    assert rows.names[2].endswith(":3")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_that_is_written_to_while_it_is_read_is_refused(ending, tmp_path, monkeypatch):
    file = tmp_path / f"rows.{ending}"
    file.write_text(CSV)
    if ending == "parquet":
        pd.read_csv(file).to_parquet(file)
    name = f"_values_of_{ending}"
    plain_read = getattr(table_file, name)

    def growing(path, wanted):
        found = plain_read(path, wanted)
        with open(path, "ab") as opened:
            opened.write(b"31,red,no\n")
        return found

    monkeypatch.setattr(table_file, name, growing)
    line = refused(lambda: Table(**STATED | {"source": file.name}).load(tmp_path), error=DataError)
    assert line == f"{file}: changed while it was read; run again once it is whole"
    survived("a file of a table that grows while it is read", 2, "one line that names it")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CSV.replace("yes", "no"), "classes [1] have no training row"),
        ("age,colour,ill\n,red,no\n,blue,yes\n", "column 'age': none of 2 rows has a value"),
    ],
)
def test_rows_that_nothing_can_be_fitted_to_are_refused_when_prepared(tmp_path, text, said):
    spec = {"kind": "table", **STATED, "missing": "mean", "test_source": "rows.csv"}
    spec |= {"test_share": None, "duplicates": "allow"}
    assert said in refused(
        lambda: prepare(spec, written(tmp_path, text), tmp_path / "x"), error=DataError
    )
    assert not list(tmp_path.glob("x/*.safetensors"))


def test_a_column_that_is_constant_among_the_first_rows_is_named(tmp_path):
    folder = tmp_path / "rows_x"
    folder.mkdir()
    text = CSV.replace("2,50", "2,40")
    spec = {"kind": "table", **STATED, "test_source": "rows.csv", "test_share": None}
    spec["duplicates"] = "allow"
    prepare(spec, written(tmp_path, text), folder)
    line = refused(lambda: opened(folder).numbers([0, 1]), error=DataError)
    assert "'age' is the same in all of the first 2 rows" in line
    assert opened(folder).numbers([0, 1, 2]).std[0] > 0
    assert opened(folder, scaling="all").numbers([0, 1]).std[0] > 0


SUM_OF_TEST_ROWS = {BreastCancer: 208193.30, Diabetes: 54082.76}


@pytest.mark.parametrize("cls", SUM_OF_TEST_ROWS)
def test_embedded_tables_are_whole_and_always_cut_the_same_way(cls):
    from sklearn.datasets import load_breast_cancer, load_diabetes

    raw, facts = cls().load(Path("unused")), cls.constraints
    source = load_breast_cancer() if cls is BreastCancer else load_diabetes(scaled=False)
    assert raw.train_images.shape == (facts["train"], *facts["shape"])
    assert raw.test_images.shape == (facts["test"], *facts["shape"])
    assert len(cls().columns.names) == facts["shape"][0]
    held = np.concatenate([raw.train_images, raw.test_images]).reshape(len(source.data), -1)
    truth = [raw.train_labels, raw.test_labels]
    if facts.get("number"):
        truth = [raw.train_targets, raw.test_targets]
    else:
        assert abs(raw.test_labels.mean() - source.target.mean()) < 0.01
    both = (
        np.column_stack([held, np.concatenate(truth)]),
        np.column_stack([source.data, source.target]),
    )
    assert sorted(map(tuple, both[0])) == sorted(map(tuple, both[1]))
    # Another cut would change every number on them.
    assert round(float(raw.test_images.sum()), 2) == SUM_OF_TEST_ROWS[cls]


def test_what_columns_are_survives_being_written():
    found = columns(missing="mean")
    assert TableColumns.of(json.loads(json.dumps(found.facts))) == found
    assert options_schema("table", Table)["required"] == ["kind", "source", "target", "features"]
