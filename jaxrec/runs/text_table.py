"""Text tables for a terminal."""

from collections.abc import Sequence


def format_table(cells: Sequence[Sequence[str]]) -> str:
    """Format cells as columns, the first aligned to the left and the others to the right."""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells
    )
