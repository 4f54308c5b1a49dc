"""How many images a fraction of them is: one rule for parts, validation and test images."""


def images_in(fraction: float, images: int) -> int:
    """Return the number of images that a fraction of `images` is, a half rounded to even.

    To even, as half of the 4,861 test images of MNIST's digits 5 to 9 has been 2,430 in every
    published result; training and validation images of no shipped study come to a half.

    Args:
        fraction: from 0 to 1.
        images: number of images, 0 or more.
    """
    return round(fraction * images)


def some_images_in(fraction: float, images: int) -> int:
    """Return the same, but at least one: of what is held back or scored on, none is no use."""
    return max(1, images_in(fraction, images))
