"""Progress of work that may take more than two seconds: a bar on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any

from tqdm import tqdm

# Seconds before the first line; each later interval is twice as long, up to the limit.
_FIRST_INTERVAL, _MAX_INTERVAL = 2.0, 60.0


class ProgressLines:
    """Lines on standard error with the progress so far, at most one for each interval.

    It has those methods of tqdm's bars that are used here.
    """

    def __init__(
        self, iterable: Iterable[Any] | None, total: int | None, unit: str, initial: int, label: str
    ):
        self._iterable, self._total, self._unit = iterable, total, unit
        self._initial = self._done = initial
        self._label = label
        self._started = self._last_line = time.monotonic()
        self._interval = _FIRST_INTERVAL

    def __iter__(self) -> Iterator[Any]:
        """Yield the values of the iterable, and count each when the next one is requested."""
        for value in self._iterable or ():
            yield value
            self.update()

    def __enter__(self) -> "ProgressLines":
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: the command prints what it has done."""

    def set_description(self, label: str) -> None:
        """Set the text before the numbers of the lines that follow."""
        self._label = label

    def update(self, count: int = 1) -> None:
        """Count finished units, and print a line if it is due."""
        self._done += count
        now = time.monotonic()
        if now - self._last_line >= self._interval:
            print(self._line(now - self._started), file=sys.stderr, flush=True)
            self._last_line = now
            self._interval = min(2 * self._interval, _MAX_INTERVAL)

    def _line(self, seconds: float) -> str:
        """Return the number of units, their rate, and the time left, h:mm:ss."""
        of_total = "" if self._total is None else f" of {self._total:,}"
        parts = [f"{self._done:,}{of_total} {self._unit}s"]
        rate = (self._done - self._initial) / seconds
        if rate:
            parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{1 / rate:,.1f} s each")
            if self._total is not None:
                left = tqdm.format_interval((self._total - self._done) / rate)
                parts.append(f"{left} left")
        return (f"{self._label}: " if self._label else "") + ", ".join(parts)


ProgressDisplay = tqdm | ProgressLines
"""A display of progress: a bar on a terminal, lines elsewhere."""


def show_progress(
    iterable: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    unit: str,
    initial: int = 0,
    label: str = "",
) -> ProgressDisplay:
    """Show progress on standard error until the iteration or the `with` block ends.

    Args:
        iterable: values to iterate over; omit it to count by `update`.
        total: number of units; by default the length of the iterable, if it has one.
        unit: name of a unit, in the singular.
        initial: number of units that an earlier, interrupted command has finished.
        label: text before the numbers.
    """
    if isinstance(iterable, Sized):
        total = len(iterable)
    if sys.stderr is None or not sys.stderr.isatty():
        return ProgressLines(iterable, total, unit, initial, label)
    return tqdm(
        iterable,
        desc=label or None,
        total=total,
        unit=unit,
        unit_scale=total is None or total >= 1_000_000,
        initial=initial,
        leave=False,
    )
