"""`incbayes new`: the study that it writes runs as it is, or one line says why none can be."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from own_images import as_folder, as_zip, image
from running import ROOT, environment, typed

from incbayes.cli.main import main
from incbayes.kinds import MODELS
from incbayes.study.resolve import resolve_study
from incbayes.study.yaml import read_yaml

CLASSES = ["a 1", "größe"]


def photos(size=(5, 4), mode="RGB", train=2, test=1, classes=CLASSES):
    """Return the files of a source, content by name."""
    names = [
        f"{split}/{name}/{number}.png"
        for split, count in (("train", train), ("test", test))
        for name in classes
        for number in range(count)
    ]
    return {name: image(seed, mode=mode, size=size) for seed, name in enumerate(names)}


def written(folder, files, monkeypatch, name="my photos"):
    """Return the study that is written of files, and its data set as it is written."""
    monkeypatch.chdir(folder)
    source = as_folder(folder / name, files)
    out = folder / "study.yaml"
    out.unlink(missing_ok=True)
    assert main(["new", str(source), "--out", str(out)]) == 0
    study = resolve_study(read_yaml(out))
    for budget in ("full", "quick"):
        resolve_study(read_yaml(out) | {"budget": budget})
    assert yaml.safe_load(out.read_text()) == read_yaml(out)
    (experiment,) = read_yaml(out)["experiments"].values()
    return study, experiment


@pytest.mark.parametrize(("train", "scale"), [(15, 3e-06), (18, 3.6e-06)])
def test_a_very_small_factor_is_a_number_to_every_reader(train, scale, tmp_path, monkeypatch):
    """To YAML 1.1, which PyYAML reads, `3e-06` is a text."""
    study, _ = written(tmp_path, photos((40, 40), train=train), monkeypatch)
    assert study.objective.kl_scale == scale


def test_the_written_study_runs_to_its_report(tmp_path):
    files = photos((10, 8), train=15, test=3)
    files["train/größe/0.png"] = image(500, mode="L", size=(10, 8))
    files["test/größe/0.png"] = image(501, mode="RGBA", size=(30, 40))
    as_folder(tmp_path / "meine Fotos ö", files)
    program = Path(sys.executable).with_name("incbayes")
    done = subprocess.run(
        [program, "new", "meine Fotos ö"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 classes, 30 images for training and 6 for testing, 10x8 pixels (35 of 36)" in (
        done.stdout
    )
    (quick, whole) = (line for line in done.stdout.splitlines() if line.startswith("  snakemake"))
    assert quick == f"{whole} --config budget=quick"
    assert shlex.split(whole)[3:] == [
        *("--snakefile", str(ROOT / "workflow/Snakefile"), "--configfile", "meine_fotos.yaml")
    ], "of a folder in which Snakemake finds none"
    done = typed(
        tmp_path,
        *("--snakefile", str(ROOT / "Snakefile"), "--cores", "2"),
        *("--configfile", "meine_fotos.yaml", "--config", "budget=quick"),
    )
    assert done.returncode == 0, done.stdout
    report = (tmp_path / "results/meine_fotos-quick/report.html").read_text(encoding="utf-8")
    assert "meine Fotos ö" in report and "Fine-tuning" in report


@pytest.mark.parametrize(
    ("files", "dataset", "model", "parts"),
    [
        (photos(), {"shape": [3, 4, 5]}, "mlp", [1]),
        (photos((28, 28), "L", train=10), {"shape": [1, 28, 28]}, "lenet5", [1, 2]),
        (photos((32, 32), train=50), {"shape": [3, 32, 32]}, "conv3fc3", [1, 3]),
        (photos((320, 240)), {"shape": [3, 32, 32], "resize": "crop"}, "conv3fc3", [1]),
        (
            photos((9, 8)) | {"train/größe/0.png": image(99, size=(8, 9))},
            {"shape": [3, 8, 9], "resize": "crop"},
            "mlp",
            [1],
        ),
        (
            photos((8, 8), "L") | {"test/a 1/0.png": image(99, mode="RGBA", size=(8, 8))},
            {"shape": [3, 8, 8], "convert": "allow"},
            "mlp",
            [1],
        ),
        (
            photos() | {"test/a 1/0.png": photos()["train/a 1/0.png"]},
            {"shape": [3, 4, 5], "duplicates": "allow"},
            "mlp",
            [1],
        ),
    ],
)
def test_it_says_what_lies_there(files, dataset, model, parts, tmp_path, monkeypatch):
    study, experiment = written(tmp_path, files, monkeypatch)
    asked = experiment["dataset"]
    assert asked["source"] == str(tmp_path / "my photos") and asked["classes"] == CLASSES
    assert {
        key: value for key, value in asked.items() if key not in ("kind", "source", "classes")
    } == (dataset)
    (of,) = study.experiments.values()
    assert (of.model.kind, list(of.parts)) == (model, parts) and model in MODELS
    assert bool(study.claims) == (len(parts) > 1)


@pytest.mark.parametrize("name", ["data", "1st try", "数", "a $HOME b", "x: [y", '"quoted" # no'])
def test_any_name_of_a_folder_gives_a_study(name, tmp_path, monkeypatch):
    study, experiment = written(tmp_path, photos(), monkeypatch, name)
    assert experiment["dataset"]["source"] == str(tmp_path / name).replace("$", "$$")
    assert study.study not in ("data", "published")


def stream(test=True):
    """Return the files of a stream of two parts, the second of one class."""
    files = {}
    for name, content in photos((28, 28), "L", train=6, test=2).items():
        split, rest = name.split("/", 1)
        if split == "train":
            files[f"parts/2026-01/{rest}"] = content
        elif test:
            files[f"test/{rest}"] = content
    files["parts/2026-02/later/0.png"] = image(900, mode="L", size=(28, 28))
    return files


@pytest.mark.parametrize("test", [True, False], ids=["test images", "none"])
def test_parts_that_arrive_are_a_stream(test, tmp_path, monkeypatch, capsys):
    study, experiment = written(tmp_path, stream(test), monkeypatch)
    scored = {} if test else {"held_out": 0.1}
    assert experiment["dataset"] == {
        "kind": "image_stream",
        "source": str(tmp_path / "my photos"),
        "shape": [1, 28, 28],
        "classes": sorted([*CLASSES, "later"]),
        **scored,
    }
    assert "parts" not in experiment and "2 parts" in capsys.readouterr().out
    (claim,) = study.claims.values()
    assert claim.sentence.startswith("After the last part")


def test_the_written_study_of_a_stream_runs_and_goes_on(tmp_path):
    folder = tmp_path / "camera"
    as_folder(folder, stream())
    as_zip(
        folder / "parts/2026-03.zip", {"2026-03/later/0.png": image(901, mode="L", size=(28, 28))}
    )
    program = Path(sys.executable).with_name("incbayes")
    done = subprocess.run(
        [program, "new", "camera"], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0 and "in 3 parts" in done.stdout, done.stderr
    study = ("--configfile", "camera.yaml", "--config", "budget=quick")
    command = ("--snakefile", str(ROOT / "Snakefile"), "--cores", "2", *study)
    done = typed(tmp_path, *command)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "results/camera-quick/report.html").is_file()
    as_folder(folder / "parts/2026-04", {"later/0.png": image(902, mode="L", size=(28, 28))})
    done = typed(tmp_path, *command, "--dry-run")
    assert done.stdout.count("rule fit_part:") == 2, done.stdout


def test_an_archive_is_looked_at_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    as_zip(tmp_path / "photos.zip", {f"outer/{k}": v for k, v in photos().items()})
    assert main(["new", "photos.zip"]) == 0
    assert "photos.yaml: written" in capsys.readouterr().out
    assert resolve_study(read_yaml(tmp_path / "photos.yaml")).study == "photos"


REFUSED = {
    "text for an image": (
        photos() | {"train/a 1/0.png": b"text", "test/a 1/0.png": b""},
        "2 files cannot be taken: 'test/a 1/0.png' is no image; 'train/a 1/0.png' is no image; all",
    ),
    "a class of one split": (
        {k: v for k, v in photos().items() if not k.startswith("test/größe")},
        "train has the classes 'größe', which test lacks",
    ),
    "a class that is misspelt in one split": (
        photos() | {"test/größen/0.png": photos()["test/a 1/0.png"]},
        "test has the classes 'größen', which train lacks (did you mean 'größe'?)",
    ),
    "one class": (photos(classes=["cat"]), "holds the classes 'cat'; allowed: two or more"),
    "no test images": (
        {k: v for k, v in photos().items() if k.startswith("train")},
        "has no folder test",
    ),
    "an empty class": (
        {k: v for k, v in photos().items() if k != "test/größe/0.png"} | {"test/größe/.x": b""},
        "test: no image in the classes 'größe'",
    ),
    "no part yet": (
        {k: v for k, v in stream().items() if k.startswith("test")} | {"parts/.x": b""},
        "no part in parts yet; add a folder or an archive of CLASS/IMAGE",
    ),
    "a part of another form": (
        stream() | {"parts/2026-01/0.png": b""},
        "parts/2026-01: '0.png': no place for an image; expected CLASS/IMAGE",
    ),
    "text in a part": (
        stream() | {"parts/2026-02/later/1.png": b"text"},
        "parts/2026-02: 'later/1.png' is no image",
    ),
    "a stream of one class": (
        {"parts/a/cat/0.png": image(1), "parts/b/cat/0.png": image(2)},
        "holds the classes 'cat'; allowed: two or more",
    ),
    "no images at all": ({"notes.txt": b""}, "'notes.txt' has no place"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_can_be_no_study_ends_in_one_line_and_writes_nothing(
    what, tmp_path, monkeypatch, capsys
):
    files, expected = REFUSED[what]
    monkeypatch.chdir(tmp_path)
    as_folder(tmp_path / "photos", files)
    assert main(["new", "photos"]) == 1
    line = capsys.readouterr().err
    assert expected in line and len(line.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_file_that_is_there_is_not_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    as_folder(tmp_path / "photos", photos())
    (tmp_path / "photos.yaml").write_text("mine")
    assert main(["new", "photos"]) == 1
    assert "photos.yaml: is there already; give another file by --out" in capsys.readouterr().err
    assert (tmp_path / "photos.yaml").read_text() == "mine"
    assert main(["new", "photos", "--out", "nowhere/x.yaml"]) == 1
    assert "nowhere/x.yaml: there is no folder nowhere" in capsys.readouterr().err
    assert main(["new", "absent"]) == 1
    assert "absent: there is no such file or folder" in capsys.readouterr().err
