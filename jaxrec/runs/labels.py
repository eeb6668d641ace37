"""Labels in a plot that can all be read, however close together what they name lies."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text

# Between the boxes of two labels, in pixels.
_SPACE = 2
_LEAST = 1e-6


def label(
    axes: Axes, name: str, place: tuple[float, float], colour: str, *, up: float = 0.0, **more: Any
) -> Annotation:
    """Write a name to the right of a place, tied to it by a line; `keep_apart` may move it.

    Args:
        up: how much higher, in points.
    """
    return axes.annotate(
        name,
        place,
        xytext=(5, up),
        textcoords="offset points",
        color=colour,
        va="center",
        annotation_clip=False,
        arrowprops={
            **{"arrowstyle": "-", "color": colour, "linewidth": 0.6},
            **{"relpos": (0, 0.5), "shrinkA": 0, "shrinkB": 0},
        },
        path_effects=[withStroke(linewidth=2, foreground="white")],
        **more,
    )


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, str]]) -> list[Annotation]:
    """Name lines beside the right end of the axes: name, last value and colour of each."""
    return [
        label(axes, name, (1.0, value), colour, xycoords=("axes fraction", "data"))
        for name, value, colour in ends
    ]


def keep_apart(figure: Figure, labels: Sequence[Annotation]) -> None:
    """Move labels up and down until no two overlap; the figure's layout is settled by this.

    Half of the way is made by moving up what is in the way and half by moving down, but nothing
    moves above its axes.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    # A label's own box: an annotation's holds its line too.
    boxes = [Text.get_window_extent(each) for each in labels]

    def near(one: int, other: int) -> bool:
        first, second = boxes[one], boxes[other]
        return bool(max(first.x0, second.x0) < min(first.x1, second.x1) + _SPACE)

    gap = max((box.height for box in boxes), default=0.0) + _SPACE
    # The least difference, here and below, settles which of two equal places is the upper one.
    places = [box.y0 + number * _LEAST for number, box in enumerate(boxes)]
    up = spread(places, gap, near)
    down = spread([-place for place in places], gap, near)
    middle = [(above - below) / 2 for above, below in zip(up, down, strict=True)]
    tops = [each.axes.bbox.y1 - gap if each.axes else 0.0 for each in labels]
    under = [-min(place, top) - place * _LEAST for place, top in zip(middle, tops, strict=True)]
    for each, box, place in zip(labels, boxes, spread(under, gap, near), strict=True):
        right, height = each.xyann
        each.xyann = (right, height + (-place - box.y0) * 72 / figure.dpi)


def spread(
    places: Sequence[float], gap: float, near: Callable[[int, int], bool] = lambda *_: True
) -> list[float]:
    """Move places up as little as their order allows, so that neighbours keep a gap.

    Args:
        near: whether the places of two indices are in each other's way.
    """
    moved = list(places)
    settled: list[int] = []
    for each in sorted(range(len(places)), key=places.__getitem__):
        below = [moved[other] + gap for other in settled if near(each, other)]
        moved[each] = max([places[each], *below])
        settled.append(each)
    return moved
