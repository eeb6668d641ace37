"""Sharing: which parameters clients send and the server changes, and which stay as they are.

Rows of the item table that moved tell what a user touched, whatever they moved by. So the tables
with a row for each item are kept apart, unless they are asked for.
"""

from collections.abc import Mapping
from typing import Any, Literal

import jax

from jaxrec.training.sparse_rows import Tables, item_tables, with_tables

Share = Literal["encoder", "all"]


def part(params: Any, share: Share) -> tuple[Any, Tables]:
    """Cut parameters into what is shared, with None in the place of all else, and that."""
    kept = item_tables(params) if share == "encoder" else {}
    return with_tables(params, dict.fromkeys(kept)), kept


def join(shared: Any, kept: Mapping[str, jax.Array]) -> Any:
    """Put together what `part` cut."""
    return with_tables(shared, kept)
