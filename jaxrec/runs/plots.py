"""Figures of panels in a row, with labels that do not overlap however close their points are."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text

from jaxrec.files import replacing

# Gap between the boxes of two labels, in pixels.
_SPACE = 2


def two_panels(title: str) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with two axes in a row, with margins for labels at both of their ends."""
    return _panels(title, 2)


def three_panels(title: str) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with three axes in a row, as `two_panels`."""
    return _panels(title, 3)


def _panels(title: str, count: int) -> tuple[Figure, Sequence[Axes]]:
    # In a row of three, the labels of a panel would touch the axis of the next.
    spacing, dpi = (0.02, 120) if count == 2 else (0.06, 100)
    layout = ConstrainedLayoutEngine(wspace=spacing)
    figure = Figure(figsize=(5 * count, 4), dpi=dpi, layout=layout)
    figure.suptitle(title, fontsize=10)
    panels = list(figure.subplots(1, count))
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.15)
    return figure, panels


def save_plot(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG; characters that the font lacks, as in a title, become boxes."""
    with replacing(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(file, format="png")


def label(
    axes: Axes, name: str, place: tuple[float, float], colour: str, *, up: float = 0.0, **more: Any
) -> Annotation:
    """Annotate a point with a name on its right and a line to it; `separate_labels` may move it.

    Args:
        up: vertical offset of the name, in points.
    """
    line = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (0, 0.5)}
    return axes.annotate(
        name,
        place,
        xytext=(5, up),
        textcoords="offset points",
        color=colour,
        va="center",
        annotation_clip=False,
        arrowprops={**line, "shrinkA": 0, "shrinkB": 0},
        path_effects=[withStroke(linewidth=2, foreground="white")],
        **more,
    )


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, str]]) -> list[Annotation]:
    """Label lines at the right end of the axes, given each line's name, last value and colour."""
    return [
        label(axes, name, (1.0, value), colour, xycoords=("axes fraction", "data"))
        for name, value, colour in ends
    ]


def separate_labels(figure: Figure, labels: Sequence[Annotation]) -> None:
    """Move labels down until no two overlap and none is above the axes; this freezes the layout."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    # The box of the text alone: an annotation's extent includes its line.
    boxes = [Text.get_window_extent(each) for each in labels]

    def near(one: int, other: int) -> bool:
        first, second = boxes[one], boxes[other]
        return bool(max(first.x0, second.x0) < min(first.x1, second.x1) + _SPACE)

    gap = max((box.height for box in boxes), default=0.0) + _SPACE
    top = figure.axes[0].bbox.y1 - gap
    depths = spread([-min(box.y0, top) for box in boxes], gap, near)
    for each, box, depth in zip(labels, boxes, depths, strict=True):
        right, up = each.xyann
        each.xyann = (right, up - (depth + box.y0) * 72 / figure.dpi)


def spread(
    places: Sequence[float], gap: float, near: Callable[[int, int], bool] = lambda *_: True
) -> list[float]:
    """Return places moved up as little as their order allows, so that neighbours keep a gap.

    Args:
        near: a predicate of two indices; only places for which it is true keep the gap.
    """
    moved = list(places)
    settled: list[int] = []
    for each in sorted(range(len(places)), key=places.__getitem__):
        below = [moved[other] + gap for other in settled if near(each, other)]
        moved[each] = max([places[each], *below])
        settled.append(each)
    return moved
