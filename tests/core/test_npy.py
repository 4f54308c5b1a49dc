"""Arrays of .npy files: mapped, and refused in one line where they are not what is meant."""

import io

import numpy as np
import pytest

from incbayes.core.npy import NpyError, open_array


def saved(array):
    with io.BytesIO() as file:
        np.save(file, array)
        return file.getvalue()


GOOD = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def zipped():
    with io.BytesIO() as file:
        np.savez(file, GOOD)
        return file.getvalue()


@pytest.mark.parametrize("array", [GOOD, np.asfortranarray(GOOD)])
def test_an_array_is_mapped_and_not_read(array, tmp_path):
    (tmp_path / "x.npy").write_bytes(saved(array))
    found = open_array(tmp_path / "x.npy", [2, None, 4], "u1")
    assert isinstance(found, np.memmap) and (found == GOOD).all()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", ">i4"])
def test_whole_numbers_may_be_of_any_size(dtype, tmp_path):
    (tmp_path / "x.npy").write_bytes(saved(np.arange(3, dtype=dtype)))
    assert open_array(tmp_path / "x.npy", [3], "iu").tolist() == [0, 1, 2]


FAULTS = {
    "of no bytes": (b"", "not a whole .npy file of numbers"),
    "of text": (b"fog, snow", "not a whole .npy file of numbers"),
    "an archive of arrays": (zipped(), "not a whole .npy file of numbers"),
    "a head alone": (saved(GOOD)[:40], "not a whole .npy file of numbers"),
    "truncated": (saved(GOOD)[:-1], "not a whole .npy file of numbers"),
    "pickled objects": (saved(np.array([{"a": 1}], object)), "not a whole .npy file of numbers"),
    "fractions": (saved(GOOD / 255), "holds float64 [2, 3, 4], expected uint8 [2, N, 4]"),
    "larger numbers": (saved(GOOD.astype(int)), "holds int64 [2, 3, 4], expected uint8"),
    "truths": (saved(GOOD > 3), "holds bool [2, 3, 4], expected uint8"),
    "another length": (saved(GOOD[:1]), "holds uint8 [1, 3, 4], expected uint8 [2, N, 4]"),
    "an axis less": (saved(GOOD[0]), "holds uint8 [3, 4], expected uint8 [2, N, 4]"),
    "an axis more": (saved(GOOD[..., None]), "holds uint8 [2, 3, 4, 1], expected uint8 [2, N, 4]"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_such_array_is_refused_in_one_line(fault, tmp_path):
    content, said = FAULTS[fault]
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(NpyError) as caught:
        open_array(tmp_path / "x.npy", [2, None, 4], "u1")
    assert str(caught.value).startswith(f"{tmp_path / 'x.npy'}: {said}")
    assert len(str(caught.value).splitlines()) == 1


def test_pickled_objects_are_never_made(tmp_path, monkeypatch):
    (tmp_path / "x.npy").write_bytes(saved(np.array([{"a": 1}], object)))
    monkeypatch.setattr("pickle.load", lambda *_: pytest.fail("unpickled"))
    with pytest.raises(NpyError):
        open_array(tmp_path / "x.npy", [1], "u1")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NpyError, match=r"x.npy: no such file"):
        open_array(tmp_path / "x.npy", [1], "u1")


def test_fractions_are_no_labels(tmp_path):
    (tmp_path / "x.npy").write_bytes(saved(np.zeros(3)))
    with pytest.raises(NpyError, match=r"holds float64 \[3\], expected whole numbers \[N\]"):
        open_array(tmp_path / "x.npy", [None], "iu")
