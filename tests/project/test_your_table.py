"""The page on tables, from the first command to the last, as it stands."""

import random

import pandas as pd
import yaml
from running import ROOT
from typed_pages import BLOCKS, run

from incbayes.study.resolve import resolve_study

PAGE = ROOT / "docs" / "your-table.md"
PROGRAMS = ("snakemake", "incbayes")
REFUSED = "pixels: standard"
DISTRICTS = ["north", "harbour", "old town"]


def rents(head, count):
    """Return rents that follow from the rest, under the head of the page."""
    rng, lines = random.Random(1), [head]
    for number in range(count):
        area, district = rng.uniform(20, 120), rng.choice(DISTRICTS)
        rent = 100 + 9 * area + 150 * DISTRICTS.index(district) + rng.gauss(0, 40)
        lines.append(f"{area:.1f},{1 + int(area // 30)},{district},{rent:.0f}")
        if number % 17 == 0:
            lines[-1] = "NA" + lines[-1][lines[-1].index(",") :]
    return "\n".join(lines) + "\n"


def test_every_command_of_the_page_works_as_typed_and_prints_what_it_says(tmp_path):
    said, ran = "", []
    for language, block in BLOCKS.findall(PAGE.read_text(encoding="utf-8")):
        if language == "csv":
            head = block.splitlines()[0]
            (tmp_path / "rents.csv").write_text(block + rents(head, 150).partition("\n")[2])
            (tmp_path / "new.csv").write_text(rents(head, 2))
        elif language == "yaml" and "study" in yaml.safe_load(block):
            (tmp_path / "rents.yaml").write_text(block, encoding="utf-8")
        elif language == "yaml":  # what of it is another when rows arrive
            stream = yaml.safe_load((tmp_path / "rents.yaml").read_text())
            (described,) = stream["experiments"].values()
            described["dataset"] = yaml.safe_load(block)["experiments"]["rents"]["dataset"]
            del described["parts"]
            assert resolve_study(stream).experiments["rents"].likelihood.kind == "gaussian"
        elif language == "text":
            assert all(line in said for line in block.splitlines()), said
        elif block.split()[0] in PROGRAMS:
            for line in block.splitlines():
                code, said = run(line, tmp_path)
                assert (code == 0) == (REFUSED not in line), f"{line}\n{said}"
                ran.append(line)
    assert len(ran) == 5
    found = pd.read_parquet(tmp_path / "predictions.parquet")
    assert list(found.columns[-2:]) == ["low_90", "high_90"]
    assert found["predicted"].between(100, 1700).all()
