"""Which parts have arrived, in what order, and which cannot have."""

import time

import pytest
from refusals import refusal
from small_study import SMALL
from stream_images import STATED

from incbayes.study.datasets import data_name
from incbayes.study.model import KindSpec
from incbayes.study.resolve import resolve_study
from incbayes.study.streams import arrived_parts, arrives, part_source, present_parts

KEY = ("experiments", "photos", "dataset")


def study(**dataset):
    """Return a study with an experiment over a stream, in normal form."""
    experiment = {"dataset": STATED | dataset, "model": "mlp", "methods": ["ffg"]}
    return resolve_study(SMALL | {"experiments": {"photos": experiment}})


def parts(source, fitted=(), **dataset):
    return arrived_parts(study(**dataset).experiments["photos"], source, [fitted], KEY)


@pytest.fixture
def source(tmp_path):
    for name in ("b", "a", ".hidden"):
        (tmp_path / "parts" / name).mkdir(parents=True)
    (tmp_path / "parts" / "c.tar.gz").touch()
    return tmp_path


def test_parts_count_in_the_order_of_their_names_or_of_the_manifest(source):
    assert parts(source) == ("a", "b", "c")
    assert part_source(source, "c").name == "c.tar.gz" and part_source(source, "d") is None
    (source / "parts.yaml").write_text("parts: [c, a, b]")
    assert parts(source) == ("c", "a", "b")


@pytest.mark.parametrize("name", ["z.ZIP", "z.Tar.Gz", "z.TGZ"])
def test_an_archive_in_capitals_is_a_part_wherever_it_is_asked_for(name, source):
    (source / "parts" / name).touch()
    assert parts(source)[-1] == "z"
    assert part_source(source, "z").name == name and part_source(source, "y") is None


def test_ten_thousand_names_take_a_moment(tmp_path):
    names = [f"{number:05d}" for number in range(10_000)]
    folder = tmp_path / "parts"
    folder.mkdir()
    for name in names:
        (folder / f"{name}.zip").touch()
    begun = time.monotonic()
    assert parts(tmp_path, names[:9_000]) == tuple(names)
    (tmp_path / "parts.yaml").write_text(
        "parts: [" + ", ".join(f"'{n}'" for n in names[::-1]) + "]"
    )
    assert parts(tmp_path, names[:9_000]) == tuple(names[::-1])
    assert time.monotonic() - begun < 30  # some; more where others take the cores


def test_what_was_fitted_has_arrived_though_it_is_gone(source):
    assert parts(source, ["0", "a"]) == ("0", "a", "b", "c")


def test_a_part_with_a_name_before_one_that_was_fitted_is_refused_unless_that_is_taken_back(source):
    text = refusal(lambda: parts(source, ["b"]))
    assert "the part 'a' has a name before 'b', which was fitted already" in text
    assert parts(source, ["b"], without=["b"]) == ("a", "c")


def test_parts_are_taken_back_if_they_ever_came(source):
    assert parts(source, without=["b"]) == ("a", "c")
    assert parts(source, ["a", "gone"], without=["gone"]) == ("a", "b", "c")
    assert "no such part has arrived" in refusal(lambda: parts(source, without=["z"]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("parts: []", "expected `parts: [NAME, …]`"),
        ("names: [a]", "expected `parts: [NAME, …]`"),
        ("parts: [a, a]", "names as text, each once"),
        ("parts: [1]", "names as text, each once"),
        ("parts: [a, z]", "names the part 'z', which has not arrived"),
    ],
)
def test_a_manifest_that_is_none_is_refused(source, text, says):
    (source / "parts.yaml").write_text(text)
    assert says in refusal(lambda: parts(source))


@pytest.mark.parametrize("fitted", [(), ("d", "c")], ids=["there", "fitted and gone"])
def test_a_part_that_the_manifest_does_not_name_is_refused_unless_it_is_taken_back(source, fitted):
    text = "parts: [c, a, b]" if fitted else "parts: [c, a]"
    (source / "parts.yaml").write_text(text)
    left_out = "d" if fitted else "b"
    assert f"does not name the part '{left_out}', which has arrived" in refusal(
        lambda: parts(source, fitted)
    )
    assert left_out not in parts(source, fitted, without=[left_out])


NUMBERED = ["part_1", "part_10", "part_2"]


def numbered(folder, names):
    for name in names:
        (folder / "parts" / name).mkdir(parents=True)
    return folder


def test_numbers_that_count_otherwise_as_text_are_refused_where_several_parts_are_new(tmp_path):
    source = numbered(tmp_path, NUMBERED)
    said = refusal(lambda: parts(source))
    assert "'part_10' comes before 'part_2'; write their numbers with as many digits" in said
    (source / "parts.yaml").write_text("parts: [part_1, part_2, part_10]")
    assert parts(source) == ("part_1", "part_2", "part_10")


@pytest.mark.parametrize(
    "names",
    [["2026-01", "2026-02", "2026-11"], ["part_01", "part_02", "part_10"], ["10", "a9", "b10"]],
)
def test_numbers_that_count_as_text_does_are_taken(names, tmp_path):
    assert parts(numbered(tmp_path, names)) == tuple(names)


def test_a_chain_that_was_begun_in_the_order_of_text_goes_on(tmp_path):
    source = numbered(tmp_path, [*NUMBERED, "part_3"])
    assert parts(source, NUMBERED) == (*NUMBERED, "part_3")


def test_no_part_yet(tmp_path):
    assert present_parts(tmp_path, KEY) == []
    assert "no part in" in refusal(lambda: parts(tmp_path))


def test_a_stream_states_no_parts_and_nothing_that_needs_those_to_come():
    described = {"dataset": STATED, "model": "mlp", "methods": ["ffg"]}
    for change, says in (
        ({"parts": [3]}, "photos.parts: a stream has the parts that have arrived"),
        ({"partition": {"fraction": 0.5}}, "photos.partition: a stream comes in parts"),
        ({"pixels": {"kind": "standard", "statistics": "all"}}, "parts are yet to come"),
    ):
        raw = SMALL | {"experiments": {"photos": described | change}}
        assert says in refusal(lambda raw=raw: resolve_study(raw))


def test_the_prepared_files_do_not_depend_on_what_is_taken_back_or_on_the_largest_part():
    plain = KindSpec.of(study().experiments["photos"].dataset)
    assert arrives(plain) and not arrives(KindSpec("digits"))
    other = study(without=["a"], largest_part=7).experiments["photos"].dataset
    assert data_name(plain) == data_name(other)
    allowing = study(duplicates="allow").experiments["photos"].dataset
    assert data_name(plain) == data_name(allowing)
    assert data_name(plain) != data_name(study(held_out=0.5).experiments["photos"].dataset)
