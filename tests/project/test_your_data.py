"""The page on data that arrive, from the first command to the last, as it stands."""

import yaml
from own_images import as_folder, image
from running import ROOT
from typed_pages import BLOCKS, run

from incbayes.study.sources import load_study

PAGE = ROOT / "docs" / "your-data.md"
PROGRAMS = ("snakemake", "incbayes", "cp", "rm")
REFUSED = "--config seed=1"


def pictures(first):
    """Return made pictures of both classes, of two sizes and modes, content by name."""
    return {
        f"{name}/IMG_{number:04d}.png": image(number, mode=("RGB", "L")[i % 2], size=(20 + i, 24))
        for start, name in ((first, "cat"), (first + 50, "dog"))
        for i, number in enumerate(range(start, start + 10))
    }


def test_every_command_of_the_page_works_as_typed_and_prints_what_it_says(tmp_path):
    for number in (1, 2, 3):
        as_folder(tmp_path / "photos" / "parts" / f"2026-0{number}", pictures(1000 * number))
    as_folder(tmp_path / "photos" / "test", pictures(9000))
    as_folder(tmp_path / "camera" / "2026-04", pictures(4000))
    as_folder(tmp_path / "new", {"a.png": image(1, size=(30, 20)), "b.png": image(2, mode="L")})
    blocks = BLOCKS.findall(PAGE.read_text(encoding="utf-8"))
    names = iter(("photos.yaml", "without.yaml", "next.yaml"))
    said, ran = "", []
    for language, block in blocks:
        if language == "yaml":
            assert yaml.safe_load(block)
            (tmp_path / next(names)).write_text(block, encoding="utf-8")
        elif language == "text":
            assert all(line in said for line in block.splitlines()), said
        elif block.split()[0] in PROGRAMS:
            for line in block.splitlines():
                code, said = run(line, tmp_path)
                assert (code == 0) == (REFUSED not in line), f"{line}\n{said}"
                ran.append(line)
    assert sum(line.startswith("snakemake") for line in ran) == 7
    further = load_study([tmp_path / "photos.yaml", tmp_path / "next.yaml"], {})
    continued = further.methods["ffg"].prior.options["continue_from"]
    assert list((tmp_path / continued).glob("r*/t03/posterior.safetensors"))
    page = (tmp_path / "results/photos/report.html").read_text(encoding="utf-8")
    assert "Taken back in photos: 2026-03" in page
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 3
