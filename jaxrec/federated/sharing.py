"""Sharing: the parameters that clients send and the server changes, and those that stay fixed.

The rows of the item table that changed reveal the items of a user, however small the change. So
the tables with a row for each item stay fixed, unless the settings share all parameters.
"""

from collections.abc import Mapping
from typing import Any, Literal

import jax

from jaxrec.training.sparse_rows import Tables, item_tables, with_tables

Sharing = Literal["encoder", "all"]


def split_params(params: Any, share: Sharing) -> tuple[Any, Tables]:
    """Split parameters into the shared ones, with None for all others, and the fixed tables."""
    kept = item_tables(params) if share == "encoder" else {}
    return with_tables(params, dict.fromkeys(kept)), kept


def merge_params(shared: Any, kept: Mapping[str, jax.Array]) -> Any:
    """Merge the parameters that `split_params` split."""
    return with_tables(shared, kept)
