"""Paths as a user writes them, alone and through Snakemake, on a real tiny folder of images."""

import re
from pathlib import Path

import pytest
from bad_studies import refusal
from msgspec.structs import replace
from own_images import CLASSES, SPEC, as_folder, as_zip, own_study, tree
from running import planned, run
from small_study import PLAIN, changed
from snakemake.pathvars import PATHVAR_REGEX
from snakemake_interface_storage_plugins.io import WILDCARD_REGEX

from incbayes.data.prepared import load_checksums
from incbayes.study.datasets import check_sources, data_root
from incbayes.study.resolve import resolve_study
from incbayes.study.user_paths import expanded, taken_for_a_name
from incbayes.study.yaml import StudyError

STRANGE = "a 'b' \"c\" ü数 & $$ ; (d) #e % {f"
"""A folder's name as a study gives it; `$$` stands for a dollar sign."""

ODD_PATHS = [
    "{T}", "{ T }", "{t02}", "{T,[0-9]+}", "{T, a{3,5}}", "{a.b}", "{数}", "{T", "T}", "{}", "{ }",
    "{a b}", "{{T}}", "{-}", "{,}", "<word>", "<a_1>", "<Word>", "<1a>", "<a b>", "<>", "<word",
    "a>", "{a," + "b" * 200, "{a," + "{1}" * 60 + "{", "{T} and <b>",
    "x{a}y", "{a,b}", "{a,}", "{a,{}}", "{a,{1}}", "{a,{1,2}}", "{a,{b}}", "plain",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_PATHS)
def test_what_snakemake_replaces_is_known(name):
    replaced = WILDCARD_REGEX.search(name) or PATHVAR_REGEX.search(name)
    assert bool(taken_for_a_name(Path("/data") / name)) == bool(replaced)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("data", "data"),
        ("~", "/home/me"),
        ("~/a b", "/home/me/a b"),
        ("a/~", "a/~"),
        ("./~/x", "~/x"),
        ("$SETS/mnist", "/sets/mnist"),
        ("${SETS}s", "/setss"),
        ("~/$$SETS", "/home/me/$SETS"),
        ("/a/{T}/<b>", "/a/{T}/<b>"),
    ],
)
def test_a_path_is_expanded_once(text, path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SETS", "/sets")
    assert expanded(text, ("data_root",)) == Path(path)
    assert data_root(resolve_study(changed(("data_root", text)))) == Path(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ABSENT/x", "found '$ABSENT/x', but the variable ABSENT is not set; set it, or write $$"),
        ("${ABSENT}", "found '${ABSENT}', but the variable ABSENT is not set"),
        ("a$", "found 'a$', with a dollar sign before no name; write $$ for one"),
        ("$1", "found '$1', with a dollar sign before no name"),
        ("~nobody-of-this-name/x", "but there is no such user; write ./~… for a folder"),
    ],
)
def test_what_a_path_names_in_vain_is_refused_with_its_key(text, expected, monkeypatch, tmp_path):
    monkeypatch.delenv("ABSENT", raising=False)
    with pytest.raises(StudyError, match=re.escape(expected)) as caught:
        data_root(replace(resolve_study(changed()), data_root=text))
    assert caught.value.path == ("data_root",)
    study = resolve_study(changed((f"{PLAIN}.dataset", SPEC | {"source": text})))
    with pytest.raises(StudyError, match=re.escape(expected)) as caught:
        check_sources(study.experiments, tmp_path, tmp_path)
    assert caught.value.path == ("experiments", "plain", "dataset", "source")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("data_root", "", "data_root: found ''; allowed: text (one line, not empty"),
        ("data_root", " ", "data_root: found ' '; allowed: text (one line, not empty"),
        ("data_root", "a\nb", "data_root: found 'a\\nb'; allowed: text (one line"),
        ("data_root", "a\0b", "data_root: found 'a\\x00b', with a character that is no text"),
        ("title", "a\ud800", "title: found 'a\\ud800', with a character that is no text"),
        ("methods.a\x1b", {}, "methods: found the key 'a\\x1b', with a character that is no text"),
        (f"{PLAIN}.dataset", SPEC | {"source": ""}, "dataset.source: found ''; allowed: a path in"),
        (f"{PLAIN}.dataset", SPEC | {"source": "a\nb"}, "dataset.source: found 'a\\nb'; allowed"),
        (f"{PLAIN}.dataset", SPEC | {"classes": ["a\nb", "c"]}, "classes[0]: found 'a\\nb'; allow"),
    ],
)
def test_a_path_that_no_file_system_has_is_refused(path, value, expected):
    assert expected in refusal(changed((path, value)))


def strange_study(folder, data_root, source):
    study, checksums = own_study(source)
    return study | {"data_root": str(data_root)}, folder / checksums


@pytest.mark.slow
def test_images_in_a_folder_of_any_name_are_prepared_and_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OF_MINE", "pictures")
    folder = tmp_path / "home" / "pictures" / STRANGE.replace("$$", "$")
    as_folder(folder / "photos 'x'", tree())
    study, checksums = strange_study(tmp_path, f"~/$OF_MINE/{STRANGE}", "photos 'x'")
    target = str(checksums.relative_to(tmp_path))
    done = run(tmp_path, study, "--", target)
    assert done.returncode == 0, done.stdout
    assert load_checksums(checksums)["classes"] == CLASSES
    assert planned(tmp_path, study, "--", target) == set()
    as_folder(folder / "photos 'x'", {"train/dog/more.png": b""})
    assert len(planned(tmp_path, study, "--", target)) == 1
    assert sorted(path.name for path in tmp_path.iterdir() if not path.is_file()) == [
        ".snakemake", "home", "results",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["{T}", "<word>"])
def test_a_name_that_snakemake_replaces_is_refused_with_its_key_and_a_link_helps(name, tmp_path):
    photos = as_folder(tmp_path / name / "photos", tree())
    for data_root_given, source in [(photos.parent, "photos"), (tmp_path, f"{name}/photos")]:
        study, _ = strange_study(tmp_path, data_root_given, source)
        done = run(tmp_path, study, "--dry-run")
        line = done.stdout.strip().splitlines()[-1]
        assert done.returncode == 1 and line == (
            f"experiments.digits.dataset.source: {photos} holds {name}, which Snakemake replaces; "
            "rename the folder, or give a symbolic link to it"
        )
    (tmp_path / "link").symlink_to(photos.parent)
    study, checksums = strange_study(tmp_path, tmp_path / "link", "photos")
    done = run(tmp_path, study, "--", str(checksums.relative_to(tmp_path)))
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("form", ["photos", "photos.zip"])
def test_a_class_may_have_a_name_that_snakemake_would_replace(form, tmp_path):
    files = {name.replace("/dog/", "/{T} <a>/"): content for name, content in tree().items()}
    study, checksums = strange_study(tmp_path, tmp_path, form)
    dataset = study["experiments"]["digits"]["dataset"] | {"classes": ["{T} <a>", "cat"]}
    study["experiments"]["digits"]["dataset"] = dataset
    (as_zip if form.endswith(".zip") else as_folder)(tmp_path / form, files)
    done = run(tmp_path, study, "--until", "prepare_data")
    assert done.returncode == 0, done.stdout
    (found,) = (tmp_path / "results/data").glob("*/checksums.json")
    assert load_checksums(found)["classes"] == ["{T} <a>", "cat"]


@pytest.mark.parametrize("source", ["x" * 300, "a/" * 3000])
def test_a_path_that_cannot_be_looked_up_is_refused_in_one_line(source, tmp_path):
    study = resolve_study(changed((f"{PLAIN}.dataset", SPEC | {"source": source})))
    with pytest.raises(
        StudyError, match=r"dataset\.source: .* cannot be read \(File name too long"
    ):
        check_sources(study.experiments, tmp_path, tmp_path)
