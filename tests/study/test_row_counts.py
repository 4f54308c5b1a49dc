"""Rows of a table that are counted while a study is planned are those that are prepared."""

import pandas as pd
import pytest
from bad_studies import refusal
from small_study import GONE, changed

from incbayes.data.table import Table
from incbayes.orchestration.resources import Job, memory
from incbayes.study import counting
from incbayes.study.datasets import data_constraints
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study

ROWS = 50
STATED = {"target": "ill", "features": ["age"], "classes": ["no", "yes"]}
PLAIN = "experiments.plain"


def frame(rows=ROWS):
    return pd.DataFrame(
        {
            "age": range(rows),
            "note": ["in two\nlines, and a comma"] * rows,
            "ill": ["no", "yes"] * (rows // 2),
        }
    )


def csv(path, rows=ROWS):
    text = frame(rows).to_csv(index=False)
    path.write_text("\ufeff" + text.replace("ill\n", "ill\n\n", 1) + "\n\n", encoding="utf-8")


def parquet(path, rows=ROWS):
    frame(rows).to_parquet(path, row_group_size=7)


def counted(folder, **stated):
    options = Table(**{**STATED, **stated})
    dataset = KindSpec("table", vars(options))
    found = data_constraints(dataset, str(folder))
    return options, {split: found[split] for split in ("train", "test")}


@pytest.mark.parametrize(("write", "ending"), [(csv, "csv"), (parquet, "parquet")])
@pytest.mark.parametrize("share", [None, 0, 0.3])
def test_what_is_counted_is_what_is_prepared(write, ending, share, tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name} é.{ending}")
    table, found = counted(tmp_path, source=f"*.{ending}", test_share=share)
    raw = table.load(tmp_path)
    assert found == {"train": len(raw.train_labels), "test": len(raw.test_labels)}
    assert sum(found.values()) == 2 * ROWS
    write(tmp_path / f"c.{ending}", 10)
    assert sum(counted(tmp_path, source=f"*.{ending}")[1].values()) == 2 * ROWS + 10


def test_rows_to_score_on_are_those_of_their_own_file(tmp_path):
    csv(tmp_path / "a.csv")
    parquet(tmp_path / "t.parquet", 6)
    table, found = counted(tmp_path, source="a.csv", test_source="t.parquet", duplicates="allow")
    raw = table.load(tmp_path)
    assert found == {"train": len(raw.train_labels), "test": len(raw.test_labels)}
    assert found == {"train": ROWS, "test": 6}


def test_what_is_not_known_while_planning_passes(tmp_path, monkeypatch):
    (tmp_path / "head.csv").write_text("age,ill\n")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    (tmp_path / "other.txt").write_text("x")
    (tmp_path / "quoted.csv").write_text('age,ill\n"1')
    csv(tmp_path / "large.csv")
    monkeypatch.setattr(counting, "MOST_COUNTED", 100)
    for source in ("absent.csv", "*.none", "head.csv", "torn.parquet", "other.txt", "quoted.csv",
                   "large.csv", "$NO_SUCH_NAME"):  # fmt: skip
        assert counted(tmp_path, source=source)[1] == {"train": None, "test": None}


def study(folder, *changes):
    keys = ("experiments.halves", "methods.ft_pretrained", "methods.ffg_grid")
    gone = [(key, GONE) for key in (*keys, "methods.ffg_laplace")]
    table = {"kind": "table", "source": "a.csv", **STATED}
    return changed((f"{PLAIN}.dataset", table), ("data_root", str(folder)), *gone, *changes)


def test_more_parts_than_rows_are_refused_and_a_small_table_has_the_defaults_of_one(tmp_path):
    asked = [(f"{PLAIN}.parts", [1, 41])]
    before = resolve_study(study(tmp_path, *asked))
    job = Job("plain", "ft", 1, 1, "stage")
    unknown = sum(memory(before, job).values())
    csv(tmp_path / "a.csv")
    text = refusal(study(tmp_path, *asked))
    assert "found 41 parts of 40 training images" in text
    known = resolve_study(study(tmp_path, (f"{PLAIN}.parts", [2])))
    settings = known.experiments["plain"].objective.over(known.objective)
    assert settings.kl_scale < 0.1  # of 20 rows a part and thousands of weights
    assert sum(memory(known, job).values()) < unknown
