"""Figures of made studies of several shapes, each drawn once."""

from functools import cache

from made_studies import Shape, made_context, made_frames

from incbayes.figures import style
from incbayes.figures.write import draw_figure, figure_numbers
from incbayes.results.frames import Frames

SHAPES = {
    "usual": Shape(methods=3, experiments=2, parts=(1, 3), replicates=4, layers=2),
    "small": Shape(methods=2, experiments=1, parts=(1, 2), replicates=2, layers=1, reduced=True),
    "least": Shape(1, 1, (1,), 1, reduced=True, points_only=True),
    "many": Shape(methods=10, experiments=1, parts=(1, 2, 7), replicates=2, reduced=True),
    "crowd": Shape(methods=26, experiments=1, parts=(1, 2), replicates=2),
    "six": Shape(methods=2, experiments=6, parts=(1, 2), replicates=2, layers=1),
    "long names": Shape(5, 2, (1, 2), 2, layers=1, reduced=True, name_length=160),
    "a long crowd": Shape(26, 1, (1, 2), 2, layers=1, name_length=160),
}


@cache
def frames_of(shape: str) -> Frames:
    """Return the made frames of a shape."""
    return made_frames(SHAPES[shape])


@cache
def draw(name: str, shape: str):
    """Return the picture, laid out, and its numbers."""
    with style.theme():
        data = figure_numbers(name, frames_of(shape), made_context(SHAPES[shape]))
        figure = draw_figure(name, data, made_context(SHAPES[shape]))
        style.fix_layout(figure)
        figure.draw_without_rendering()
    return figure, data
