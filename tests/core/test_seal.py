"""Seals: what is written is read, and whatever is not as it was is refused in one line."""

import json
from functools import partial

import pytest
from refusals import refusal as refused

from incbayes.core.seal import SealError, any_seal, check_parent, read_seal, seal_path, write_seal

IDENTITY = {"study": "s", "T": 3, "replicates": [0, 1]}


@pytest.fixture
def sealed(tmp_path):
    """A seal of two files, made from another one."""
    parent = write_seal(tmp_path / "parent.seal.json", "parts", {"study": "s"})
    folder = tmp_path / "stage"
    (folder / "figures").mkdir(parents=True)
    files = [folder / "posterior.safetensors", folder / "figures/a.csv"]
    for path in files:
        path.write_text(f"content of {path.name}")
    path = seal_path(files[0])
    return write_seal(path, "posterior", IDENTITY, files, {"parts": parent}, {"code": "c"})


refusal = partial(refused, error=SealError)


def test_what_is_written_is_read(sealed, tmp_path):
    found = read_seal(sealed.path, "posterior", {"T": 3, "replicates": (0, 1)})
    assert found == sealed and found.facts == {"code": "c"}
    assert set(found.files) == {"posterior.safetensors", "figures/a.csv"}
    for name in found.files:
        path = sealed.path.parent / name
        assert found.verified(path) == path
    parent = any_seal(tmp_path / "parent.seal.json")
    check_parent(found, "parts", parent)
    assert found.path_of(found.parents["parts"]) == parent.path


def test_equal_files_give_equal_seals_wherever_they_lie(sealed, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "parent.seal.json").rename(tmp_path / "kept")
    sealed.path.parent.rename(elsewhere)
    (tmp_path / "kept").rename(tmp_path / "parent.seal.json")
    parent = any_seal(tmp_path / "parent.seal.json")
    files = [elsewhere / name for name in sealed.files]
    again = write_seal(
        elsewhere / "again.seal.json",
        "posterior",
        IDENTITY,
        files,
        {"parts": parent},
        {"code": "c"},
    )
    assert again.digest == sealed.digest


def test_every_byte_of_a_seal_counts(sealed):
    content = sealed.path.read_bytes()
    unseen = []
    for place in range(0, len(content), 7):
        for bit in (1, 4):
            flipped = bytes([content[place] ^ bit])
            sealed.path.write_bytes(content[:place] + flipped + content[place + 1 :])
            try:
                found = any_seal(sealed.path)
            except SealError as error:
                assert str(sealed.path) in str(error) and "\n" not in str(error)
            else:
                unseen.append((place, found))
    assert all(found == sealed for _, found in unseen), "only blanks may differ"
    assert len(unseen) < len(content) / 20


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b'{"format": "incbayes seal 1"}', b"[" * 9999],
)
def test_what_is_no_seal_is_refused_in_one_line(sealed, content):
    sealed.path.write_bytes(content)
    assert str(sealed.path) in refusal(lambda: any_seal(sealed.path))


def test_a_folder_or_nothing_in_place_of_a_file_is_refused_in_one_line(sealed):
    path = sealed.path.parent / "posterior.safetensors"
    path.unlink()
    assert f"{path}: no such file" in refusal(lambda: sealed.verified(path))
    path.mkdir()
    assert f"{path}: cannot be read" in refusal(lambda: sealed.verified(path))
    sealed.path.unlink()
    sealed.path.mkdir()
    assert f"{sealed.path}: cannot be read" in refusal(lambda: any_seal(sealed.path))


def test_what_was_not_meant_is_named(sealed, tmp_path):
    path = sealed.path
    assert "expected scores" in refusal(lambda: read_seal(path, "scores"))
    text = refusal(lambda: read_seal(path, "posterior", {"T": 4}))
    assert f"{path}: T is 3, expected 4: it belongs to another run" in text
    other = write_seal(tmp_path / "other.seal.json", "parts", {"study": "other"})
    text = refusal(lambda: read_seal(path, "posterior", parents={"parts": other}))
    assert "was made from another parts" in text and str(other.path) in text
    text = refusal(lambda: read_seal(path, "posterior", parents={"images": other}))
    assert "names no images" in text
    stranger = path.parent / "stranger.csv"
    stranger.write_text("")
    assert "not among the files" in refusal(lambda: sealed.verified(stranger))


def test_a_reader_that_fails_is_one_line_too(sealed):
    path = sealed.path.parent / "figures/a.csv"
    text = refusal(lambda: sealed.read(path, lambda path: json.loads(path.read_text())))
    assert str(path) in text and "not of the form" in text
    path.write_text("edited")
    assert "damaged or edited" in refusal(lambda: sealed.read(path, lambda path: path))
