"""What becomes of an image of another size or mode, and which files are named."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from fault_table import survived
from own_images import STATED, as_folder, as_zip, image, tree
from PIL import ExifTags, Image, ImageOps
from refusals import refusal

from incbayes.data import image_file
from incbayes.data.archives import Entry
from incbayes.data.image_file import ImageFault, Wanted, survey
from incbayes.data.image_folder import ImageFolder
from incbayes.data.raw import DataError

SHAPE = (3, 4, 5)
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (40, 60, 3), np.uint8)
DEEP = RNG.integers(0, 2**16, (4, 5), np.uint16)


def saved(picture, form="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(content, shape=SHAPE, **wanted):
    """Return the pixels as [H, W, C], and what was done."""
    found = Wanted(shape, **wanted).decode(content)
    assert (found.pixels.dtype, found.pixels.shape) == (np.uint8, shape)
    return found.pixels.transpose(1, 2, 0), found.done


def load(path, **stated):
    return ImageFolder(source=path.name, **{**STATED, **stated}).load(path.parent)


# ---- Size ----

BICUBIC = Image.Resampling.BICUBIC
AS_PILLOW_DOES = {
    "stretch": lambda picture: picture.resize((5, 4), BICUBIC),
    "crop": lambda picture: ImageOps.fit(picture, (5, 4), BICUBIC),
    "pad": lambda picture: ImageOps.pad(picture, (5, 4), BICUBIC, (255, 255, 255)),
}


@pytest.mark.parametrize("resize", AS_PILLOW_DOES)
@pytest.mark.parametrize("size", [(60, 40), (40, 60), (3, 2), (5, 3), (30, 9)])
def test_an_image_of_any_size_is_brought_to_the_shape(resize, size):
    picture = Image.fromarray(COLOUR).resize(size)
    pixels, done = decoded(saved(picture), resize=resize)
    np.testing.assert_array_equal(pixels, np.asarray(AS_PILLOW_DOES[resize](picture)))
    assert done == ("resized",)


@pytest.mark.parametrize("resize", AS_PILLOW_DOES)
def test_an_image_that_has_the_size_stays_as_it_is(resize):
    pixels, done = decoded(image(1), resize=resize)
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(image(1)))))
    assert done == ()


def test_a_smaller_image_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    for resize in ("stretch", "crop"):
        pixels, _ = decoded(saved(Image.fromarray(stripes)), (3, 8, 8), resize=resize)
        assert np.abs(pixels.astype(int) - 127).max() <= 10  # not black or white, as a sample is


def test_what_each_way_keeps_of_a_wide_image():
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, :5], wide[:, -5:] = 200, 200  # margins
    content = saved(Image.fromarray(wide))
    cropped, _ = decoded(content, (3, 10, 10), resize="crop")
    assert not cropped.any()
    stretched, _ = decoded(content, (3, 10, 10), resize="stretch")
    assert stretched[:, 0].min() > 150
    padded, _ = decoded(content, (3, 8, 8), resize="pad", background=7)
    assert (padded[:3] == 7).all() and (padded[-3:] == 7).all() and not padded[3:5, 3:5].any()


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
@pytest.mark.parametrize("resize", AS_PILLOW_DOES)
def test_a_line_of_pixels_is_an_image(resize, size):
    pixels, _ = decoded(saved(Image.new("RGB", size, "red")), resize=resize)
    assert (pixels == (255, 0, 0)).all(axis=2).any()


@pytest.mark.parametrize("resize", AS_PILLOW_DOES)
def test_an_image_is_turned_before_it_is_resized(resize):
    seen = Image.fromarray(COLOUR)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    content = saved(seen.transpose(Image.Transpose.ROTATE_90), exif=exif)
    pixels, done = decoded(content, resize=resize)
    np.testing.assert_array_equal(pixels, np.asarray(AS_PILLOW_DOES[resize](seen)))
    assert done == ("turned", "resized")
    assert (survey(content).width, survey(content).height) == (60, 40)


# ---- Mode ----


def alpha_ramp(mode="RGBA"):
    picture = Image.new(mode, (5, 4), (100, 50, 0, 0) if mode == "RGBA" else (100, 0))
    picture.putalpha(Image.linear_gradient("L").resize((5, 4)))
    return picture


def over(picture, background):
    """Return a picture over a grey background, by the formula."""
    rgba = np.asarray(picture.convert("RGBA")).astype(float)
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + background * (1 - alpha)


def palette(**options):
    picture = Image.fromarray(COLOUR[:4, :5]).quantize(4)
    return saved(picture, **options)


GREY = Image.fromarray(COLOUR[:4, :5, 0])
PLAIN = Image.fromarray(COLOUR[:4, :5])
LUMA = np.asarray(PLAIN.convert("L"))
DIVIDED = np.round(DEEP / 257)

CONVERTED = {
    "transparency": (saved(alpha_ramp()), "RGBA", 3, over(alpha_ramp(), 255)),
    "transparent grey": (saved(alpha_ramp("LA")), "LA", 3, over(alpha_ramp("LA"), 255)),
    "one transparent colour": (
        saved(PLAIN, transparency=tuple(COLOUR[1, 2].tolist())),
        "RGB, with a transparent colour",
        3,
        np.where((COLOUR[:4, :5] == COLOUR[1, 2]).all(2, keepdims=True), 255, COLOUR[:4, :5]),
    ),
    "one transparent grey": (
        saved(GREY, transparency=int(COLOUR[1, 2, 0])),
        "L, with a transparent colour",
        1,
        np.where(COLOUR[:4, :5, 0] == COLOUR[1, 2, 0], 255, COLOUR[:4, :5, 0]),
    ),
    "a palette": (palette(), "P", 3, np.asarray(PLAIN.quantize(4).convert("RGB"))),
    "grey where RGB is stated": (saved(GREY), "L", 3, np.stack([np.asarray(GREY)] * 3, 2)),
    "RGB where grey is stated": (saved(PLAIN), "RGB", 1, LUMA),
    "two colours": (
        saved(GREY.convert("1")),
        "1",
        1,
        np.asarray(GREY.convert("1")).astype(np.uint8) * 255,
    ),
    "CMYK": (
        saved(PLAIN.convert("CMYK"), "TIFF"),
        "CMYK",
        3,
        np.asarray(PLAIN.convert("CMYK").convert("RGB")),
    ),
    "16 bits of grey": (saved(Image.fromarray(DEEP)), "I;16", 1, DIVIDED),
    "16 bits of grey as TIFF": (saved(Image.fromarray(DEEP), "TIFF"), "I;16", 1, DIVIDED),
    "16 bits of grey as PGM": (
        b"P5 5 4 65535\n" + DEEP.astype(">u2").tobytes(),
        "I",
        1,
        DIVIDED,
    ),
    "16 bits of grey where RGB is stated": (
        saved(Image.fromarray(DEEP)),
        "I;16",
        3,
        np.stack([DIVIDED] * 3, 2),
    ),
    "16 bits of colour as PPM": (
        b"P6 5 4 65535\n" + np.stack([DEEP] * 3, 2).astype(">u2").tobytes(),
        "RGB with 16 bits a channel",
        3,
        np.stack([DIVIDED] * 3, 2),
    ),
}


@pytest.mark.parametrize("what", CONVERTED)
def test_an_image_of_another_mode_is_refused_or_converted_by_the_rule(what):
    content, mode, channels, expected = CONVERTED[what]
    shape = (channels, 4, 5)
    with pytest.raises(ImageFault) as caught:
        decoded(content, shape)
    assert str(caught.value) == f"has 5x4 pixels, {mode}"
    assert caught.value.hints[-1] == "set the key convert to allow to convert them"
    pixels, done = decoded(content, shape, convert="allow")
    difference = pixels.astype(float) - np.asarray(expected).reshape(4, 5, channels)
    assert np.abs(difference).max() <= (1 if "transp" in what else 0)
    assert done == ("converted",)
    survived(
        "an image with transparency, a palette, CMYK, 16 bits, grey among RGB …",
        len(CONVERTED),
        "one line with the key that takes it; with the key it is converted by the stated rule",
    )


def png16(values):
    """Return a PNG of 16 bits of colour, which Pillow does not write."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_of_16_bits_of_colour_the_upper_8_are_taken():
    values = np.random.default_rng(1).integers(0, 2**16, (4, 5, 3), np.uint16)
    with pytest.raises(ImageFault, match="RGB with 16 bits a channel"):
        decoded(png16(values))
    pixels, done = decoded(png16(values), convert="allow")
    np.testing.assert_array_equal(pixels, values >> 8)
    assert done == ("converted",)


def test_transparent_pixels_get_the_stated_background_before_they_are_resized():
    clear = saved(Image.new("RGBA", (50, 40), (255, 0, 0, 0)))
    for background in (0, 99, 255):
        pixels, done = decoded(clear, convert="allow", resize="pad", background=background)
        assert (pixels == background).all() and done == ("resized", "converted")
    pixels, _ = decoded(palette(transparency=0), convert="allow", background=3)
    assert (pixels == 3).all(axis=2).any()


def test_what_convert_has_no_rule_for_stays_refused():
    for picture, mode in ((Image.new("F", (5, 4)), "F"), (Image.new("I", (5, 4)), "I")):
        for convert in ("refuse", "allow"):
            with pytest.raises(ImageFault, match=f"has 5x4 pixels, {mode}$") as caught:
                decoded(saved(picture, "TIFF"), convert=convert)
            assert not any("convert" in hint for hint in caught.value.hints)
        with pytest.raises(ImageFault, match=f"has 5x4 pixels, {mode}$"):
            survey(saved(picture, "TIFF"))


def test_of_a_cameras_jpeg_with_a_preview_the_picture_is_taken():
    preview = Image.new("RGB", (2, 2), "red")
    content = saved(PLAIN, "MPO", save_all=True, append_images=[preview])
    pixels, _ = decoded(content)
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(content))))


# ---- Refusals ----


def test_each_refusal_says_which_keys_take_the_file(tmp_path):
    files = tree() | {
        "train/cat/00.png": image(1, mode="L", size=(9, 9)),
        "test/dog/00.png": image(1, mode="RGBA"),
    }
    path = as_folder(tmp_path / "photos", files)
    text = refusal(lambda: load(path), DataError)
    assert "has 9x9 pixels, L; " in text and "'test/dog/00.png' has 5x4 pixels, RGBA" in text
    assert "set the key resize to stretch, crop or pad" in text
    assert "set the key convert to allow" in text
    assert "resize" not in refusal(lambda: load(path, resize="crop"), DataError)
    assert "convert" not in refusal(lambda: load(path, convert="allow"), DataError)
    raw = load(path, resize="crop", convert="allow")
    assert "images brought to the stated size (key resize): 1" in raw.remarks
    assert "images converted to the stated channels and 8 bits (key convert): 2" in raw.remarks


def test_a_photograph_where_small_images_are_stated_leads_to_the_key(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    path = as_folder(
        tmp_path / "photos", tree() | {"test/cat/00.png": saved(Image.fromarray(noise))}
    )
    assert "another size need the key resize" in refusal(lambda: load(path), DataError)
    assert load(path, resize="pad").test_images.shape == (4, 3, 4, 5)


@pytest.mark.parametrize("convert", ["refuse", "allow"])
def test_a_bomb_stays_refused_before_it_is_decoded(convert, tmp_path, monkeypatch):
    monkeypatch.setattr(image_file, "MOST_PIXELS", 99 * 99)
    files = tree() | {"train/cat/00.png": saved(Image.new("RGB", (99, 100)))}
    path = as_zip(tmp_path / "photos.zip", files)
    text = refusal(lambda: load(path, resize="crop", convert=convert), DataError)
    assert text.endswith("'train/cat/00.png' has 99x100 pixels; allowed: 9801 pixels an image")
    with pytest.raises(ImageFault, match="99x100"):
        survey(files["train/cat/00.png"])
    huge = image(1, "BMP")[:18] + b"\0\0\1\0" * 2 + image(1, "BMP")[26:]
    with pytest.raises(ImageFault, match="DecompressionBombError"):
        decoded(huge, resize="crop")


def test_every_bad_file_is_counted_and_the_first_are_named(tmp_path):
    bad = {f"{split}/größe 1/{n}.png": b"text" for split in ("train", "test") for n in range(4)}
    good = {name.replace("cat", "größe 1"): content for name, content in tree().items()}
    good["train/dog/00.png"] = good["train/dog/00.png"][:60]
    path = as_zip(tmp_path / "my photos ö.zip", good | bad)
    stated = {"classes": ["dog", "größe 1"], "train": "auto", "test": "auto"}
    text = refusal(lambda: load(path, **stated), DataError)
    assert "my photos ö.zip: 9 files cannot be taken: 'test/größe 1/0.png' is no image; " in text
    assert "; 'train/dog/00.png' cannot be decoded (" in text
    assert text.count("is no image") == 4 and "; and 4 more; allowed: BMP" in text
    survived(
        "nine files of a source that are no image or damaged, of any name",
        1,
        "one line with their number and the first five by name",
    )


def test_all_that_has_no_place_is_named(tmp_path):
    extra = {"notes.txt": b"", "valid/cat/0.png": b"", "train/a.png": b"", "train/cat/b/c.png": b""}
    text = refusal(lambda: load(as_folder(tmp_path / "photos", tree() | extra)), DataError)
    assert "'notes.txt', 'train/a.png', 'train/cat/b', 'valid' have no place; expected" in text


@pytest.mark.parametrize("what", ["grows", "vanishes", "cannot be read"])
def test_files_that_change_while_they_are_read_are_named_beside_the_others(
    what, tmp_path, monkeypatch
):
    path = as_folder(tmp_path / "photos", tree() | {"test/cat/00.png": b"text"})
    odd = path / "train/dog/01.png"
    plain_read = image_file.Wanted.decode

    def changing(wanted, content):
        monkeypatch.setattr(image_file.Wanted, "decode", plain_read)
        if what == "grows":
            odd.write_bytes(odd.read_bytes() + b"more")
        else:
            odd.unlink()
        if what == "cannot be read":
            odd.mkdir()
        return plain_read(wanted, content)

    monkeypatch.setattr(image_file.Wanted, "decode", changing)
    real = ImageFolder._read

    def listed_first(folder, source, tree_, places):
        """Read in an order in which the odd file comes after the one that is read as it changes."""
        from incbayes.data import image_reading

        found = list(image_reading.entries(source, folder._limits(source)))
        found.sort(key=lambda entry: entry.parts != ("train", "dog", "00.png"))
        assert all(isinstance(entry, Entry) for entry in found)
        monkeypatch.setattr(image_reading, "entries", lambda *_: iter(found))
        return real(folder, source, tree_, places)

    monkeypatch.setattr(ImageFolder, "_read", listed_first)
    text = refusal(lambda: load(path), DataError)
    assert "2 files cannot be taken: " in text and "'test/cat/00.png' is no image" in text
    assert re.search(r"'train/dog/01.png' (has \d+ bytes instead of|cannot be read)", text)
    survived(
        "a file that grows, vanishes or becomes a folder while its source is read",
        3,
        "one line that names it, beside the other files that cannot be taken",
    )


def test_a_source_that_cannot_be_written_is_read(tmp_path):
    path = as_folder(tmp_path / "my photos", tree())
    folders = [path, *(folder for folder in path.rglob("*") if folder.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert load(path, resize="crop", convert="allow").train_images.shape == (6, 3, 4, 5)
    finally:
        for folder in folders:
            folder.chmod(0o755)
