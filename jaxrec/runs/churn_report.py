"""Text report of churn."""

from collections.abc import Mapping

from jaxrec.evaluation.churn import CHANGED, CHANGED_ITEMS, CHURN_AT, OVERLAP, SAME_FIRST, Churn
from jaxrec.runs.report import plus_minus
from jaxrec.runs.text_table import format_table

_COLUMNS = {
    OVERLAP: OVERLAP,
    SAME_FIRST: "same first item",
    CHANGED_ITEMS: "lists with other items",
    CHANGED: "changed lists",
}


def render_churn(rows: Mapping[str, Churn]) -> str:
    """Format the churn of pairs of models on the same users as a table.

    Args:
        rows: the churn by the name of the pair.
    """
    users = next(iter(rows.values())).users
    about = (
        f"churn: the first {CHURN_AT} items of {users:,} users' lists for the same histories;\n"
        "changed lists, with other items or in another order, changed though the history did not"
    )
    cells = [["", *_COLUMNS.values()]]
    cells += [
        [name, *(plus_minus(churn.means[key], churn.intervals[key]) for key in _COLUMNS)]
        for name, churn in rows.items()
    ]
    return f"{about}\n\n{format_table(cells)}"
