"""Images to predict for: files, folders and archives, and every bad one named at once."""

import os
import tarfile

import numpy as np
import pytest
from own_images import as_folder, as_zip, image
from PIL import Image
from refusals import refusal

from incbayes.data.image_file import Wanted
from incbayes.data.raw import DataError
from incbayes.prediction.images import given_images, read_images

SHAPE = [3, 4, 5]
FILES = {f"{folder}{number}.png": image(number) for number, folder in enumerate(["b/", "", "a/c/"])}


def as_tar(path, files):
    folder = as_folder(path.with_name("to_pack"), files)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "top")
    return path


def pixels(number):
    return np.random.default_rng(number).integers(0, 256, (4, 5, 3), np.uint8).transpose(2, 0, 1)


def test_a_folder_and_an_archive_are_read_in_the_order_of_their_paths(tmp_path):
    folder = as_folder(tmp_path / "photos", FILES | {".hidden": b"", "Thumbs.db": b"x"})
    archive = as_zip(tmp_path / "photos.zip", FILES)
    packed = as_tar(tmp_path / "photos.tar.gz", FILES)
    heard = []
    found = read_images([archive, folder, packed], Wanted(tuple(SHAPE)), lambda: heard.append(1))
    order = ["1.png", "a/c/2.png", "b/0.png"]
    assert found.names == (
        *(f"{archive}/{name}" for name in order),
        *(f"{folder}/{name}" for name in order),
        *(f"{packed}/top/{name}" for name in order),
    )
    assert len(heard) == 9 and found.pixels.dtype == np.uint8
    for place, number in enumerate([1, 2, 0] * 3):
        np.testing.assert_array_equal(found.pixels[place], pixels(number))


def test_files_keep_the_order_in_which_they_are_given(tmp_path):
    folder = as_folder(tmp_path, {"a.png": image(1), "b.PNG": image(2), "c.bmp": image(3, "BMP")})
    given = [folder / name for name in ("c.bmp", "a.png", "b.PNG")]
    found = read_images(given, Wanted(tuple(SHAPE)))
    assert found.names == tuple(map(str, given))
    np.testing.assert_array_equal(found.pixels, np.stack([pixels(n) for n in (3, 1, 2)]))


def test_a_name_that_is_no_utf_8_becomes_text(tmp_path):
    (tmp_path / os.fsdecode(b"a\xff.png")).write_bytes(image(1))
    (tmp_path / "ä.png").write_bytes(image(2))
    names = read_images([tmp_path], Wanted(tuple(SHAPE))).names
    assert sorted(names) == sorted([f"{tmp_path}/a\\xff.png", f"{tmp_path}/ä.png"])


def test_every_bad_image_is_named_in_one_line(tmp_path):
    bad = {
        "text.png": b"no image",
        "cut.png": image(5, size=(5, 4))[:60],
        "wide.png": image(6, size=(6, 4)),
        "grey.png": image(7, mode="L"),
        "alpha.png": image(8, mode="RGBA"),
        "large.png": bytes(2**20 + 1000),
    }
    folder = as_folder(tmp_path / "photos", FILES | bad)
    archive = as_zip(tmp_path / "photos.zip", {"in/torn.png": b"torn", "ok.png": image(1)})
    absent = tmp_path / "absent.png"
    text = refusal(lambda: read_images([folder, archive, absent], Wanted(tuple(SHAPE))), DataError)
    assert text.startswith("8 of 12 images cannot be used: ")
    for name in (*bad, "in/torn.png", "absent.png"):
        assert text.count(f"{name}'") == 1 or text.count(str(absent)) == 1, name
    assert "key shape" not in text


def test_an_archive_that_leads_out_of_itself_or_links_is_refused(tmp_path):
    archive = as_zip(tmp_path / "photos.zip", {"../out.png": image(1)})
    assert "../out.png" in refusal(lambda: read_images([archive], Wanted(tuple(SHAPE))), DataError)
    link = tmp_path / "photos.tar"
    with tarfile.open(link, "w") as packed:
        member = tarfile.TarInfo("link.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(member)
    assert "a link" in refusal(lambda: read_images([link], Wanted(tuple(SHAPE))), DataError)
    assert not (tmp_path.parent / "out.png").exists()


def test_a_folder_of_nothing_and_a_shape_of_no_image_file_are_refused(tmp_path):
    assert "no image" in refusal(lambda: read_images([tmp_path], Wanted(tuple(SHAPE))), DataError)
    assert "2 channels" in refusal(lambda: read_images([tmp_path], Wanted((2, 4, 5))), DataError)
    Image.new("RGB", (4000, 4000)).save(tmp_path / "big.png")
    assert "big.png" in refusal(lambda: read_images([tmp_path], Wanted(tuple(SHAPE))), DataError)


@pytest.mark.parametrize(
    "given, says",
    [
        (np.zeros((2, 3, 4, 5)), "images are float64 [2, 3, 4, 5], expected uint8 [N, 3, 4, 5]"),
        (np.zeros((3, 4, 5), np.uint8), "images are uint8 [3, 4, 5]"),
        (np.zeros((2, 1, 4, 5), np.uint8), "images are uint8 [2, 1, 4, 5]"),
        (np.zeros((0, 3, 4, 5), np.uint8), "there is none"),
    ],
)
def test_an_array_of_another_form_is_refused(given, says):
    assert says in refusal(lambda: given_images(given, SHAPE), DataError)
