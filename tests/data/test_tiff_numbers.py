"""What the numbers of a TIFF mean: those that Pillow would read as others, and where 0 is white."""

import struct

import numpy as np
import pytest
from fault_table import survived

from incbayes.data.image_file import ImageFault, Wanted, survey

RNG = np.random.default_rng(0)
EIGHT = RNG.integers(0, 256, (4, 5), np.uint8)
SIXTEEN = RNG.integers(0, 2**16, (4, 5), np.uint16)


def tiff(values, bits, sample_format=1, photometric=1):
    """Return a TIFF of grey numbers in one strip, uncompressed, which Pillow does not write.

    Args:
        values: [H, W], or rows of packed bytes.
        bits: of a number.
        sample_format: tag 339, 1 without and 2 with a sign.
        photometric: tag 262, 0 where 0 is white.
    """
    content = values.tobytes()
    tags = {256: 5, 257: 4, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: 4,
            279: len(content), 339: sample_format}  # fmt: skip
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + fields + struct.pack("<I", 0) + content


def packed(values):
    """Return numbers of 12 bits, two in three bytes; a row ends with a whole byte."""
    rows = ["".join(f"{value:012b}" for value in row).ljust(64, "0") for row in values]
    return np.array([[int(row[i : i + 8], 2) for i in range(0, 64, 8)] for row in rows], np.uint8)


UNSOUND = {
    "12 bits": (tiff(packed(SIXTEEN >> 4), 12), "I;16 of 12 bits a number"),
    "16 bits with a sign": (tiff(SIXTEEN.astype("<u2"), 16, 2), "I of numbers with a sign"),
    "8 bits with a sign": (tiff(EIGHT, 8, 2), "L of numbers with a sign"),
}


@pytest.mark.parametrize("what", UNSOUND)
def test_numbers_that_would_become_others_are_refused_whatever_the_keys_say(what):
    content, named = UNSOUND[what]
    for convert in ("refuse", "allow"):
        with pytest.raises(ImageFault, match=f"has 5x4 pixels, {named}$") as caught:
            Wanted((1, 4, 5), convert=convert).decode(content)
        assert caught.value.hints == ("store it as unsigned numbers of 8 or 16 bits",)
    with pytest.raises(ImageFault, match=named):
        survey(content)
    survived(
        "a TIFF of 12 bits a number, or of numbers with a sign",
        len(UNSOUND),
        "one line that says how to store it, whatever the keys are",
    )


def test_where_0_is_white_8_and_16_bits_are_the_same_picture():
    wanted = Wanted((1, 4, 5), convert="allow")
    of_8 = wanted.decode(tiff(EIGHT, 8, photometric=0)).pixels
    of_16 = wanted.decode(tiff(EIGHT.astype("<u2") * 257, 16, photometric=0)).pixels
    np.testing.assert_array_equal(of_8.squeeze(), 255 - EIGHT)
    np.testing.assert_array_equal(of_16, of_8)
    deep = wanted.decode(tiff(SIXTEEN.astype("<u2"), 16, photometric=0)).pixels
    np.testing.assert_array_equal(deep.squeeze(), np.round((65535 - SIXTEEN.astype(int)) / 257))
    black_is_zero = wanted.decode(tiff(SIXTEEN.astype("<u2"), 16)).pixels
    np.testing.assert_array_equal(black_is_zero.squeeze(), np.round(SIXTEEN / 257))
