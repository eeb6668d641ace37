"""Sparse rows: steps that update only the rows they touch, at the same cost for any catalogue.

`compact` renumbers the items of a batch, and `gather` returns their rows as small tables. Their
gradients are dense, and those of repeated items are summed. `scatter_adagrad` then updates the rows
in the large tables, with one number of optimizer state per row.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from jaxrec.data.batching import Batch
from jaxrec.models.heads import item_parameters
from jaxrec.models.model import PAD_BIAS
from jaxrec.schema import ITEM, PAD
from jaxrec.training.step import name_of

# Parameters of a model that have one row per item.
ITEM_TABLES = ("activities.tables.item", "candidates", "bias", *item_parameters())

# Added to the denominator of Adagrad, the root of the accumulated squares.
EPSILON = 1e-8

Tables = dict[str, jax.Array]


def item_tables(params: Any) -> Tables:
    """Return the parameters with one row per item, or their gradients, by name."""
    named = {name_of(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}
    return {name: named[name] for name in ITEM_TABLES if name in named}


def with_tables(params: Any, tables: Mapping[str, jax.Array | None]) -> Any:
    """Return parameters in which the named tables are replaced, by arrays or by None."""
    return jax.tree.map_with_path(
        lambda path, leaf: tables.get(name_of(path), leaf),
        params,
        is_leaf=lambda leaf: leaf is None,
    )


def compact(batch: Batch, rows: int) -> Batch:
    """Return a batch whose item ids index the items of its histories, targets and candidates.

    Its `item_rows` are the table rows of these items in ascending order, PAD's first, padded with
    a row that is out of range.

    Args:
        batch: with candidates.
        rows: number of rows of the tables, R.
    """
    candidates = batch.candidates
    touched = (batch.history[ITEM], batch.targets, candidates.ids_S)
    pad = jnp.full((1,), PAD, candidates.ids_S.dtype)
    every = jnp.concatenate([pad, *(ids.reshape(-1) for ids in touched)])
    # `size` fixes the shape for jit. Where ids repeat, the rest is `rows`, which no table has.
    rows_T, numbers = jnp.unique(every, size=every.size, fill_value=rows, return_inverse=True)
    ends = [sum(ids.size for ids in touched[:n]) for n in (1, 2)]
    # The first number is that of the added PAD.
    history, targets, ids_S = (
        part.reshape(ids.shape).astype(ids.dtype)
        for part, ids in zip(jnp.split(numbers[1:], ends), touched, strict=True)
    )
    log_expected_S = candidates.log_expected_S
    if log_expected_S is None:
        # Zeros, not None: the compact table ends with rows of no item, which do not compete.
        log_expected_S = jnp.zeros(len(ids_S))
    return batch._replace(
        history={**batch.history, ITEM: history},
        targets=targets,
        candidates=candidates._replace(ids_S=ids_S, log_expected_S=log_expected_S),
        item_rows=rows_T,
    )


def gather(tables: Tables, rows_T: Int[jax.Array, " T"]) -> Tables:
    """Return the given rows of each table; zeros for a row that is out of range."""
    return {name: leaf.at[rows_T].get(mode="fill", fill_value=0) for name, leaf in tables.items()}


def pad(name: str, table: jax.Array, rows: int) -> jax.Array:
    """Pad a table, or the optimizer state of the same name, with rows of no item."""
    padding = ((0, rows - len(table)), *[(0, 0)] * (table.ndim - 1))
    return jnp.pad(table, padding, constant_values=PAD_BIAS if name == "bias" else 0)


def init_accumulators(tables: Tables) -> dict[str, Float[jax.Array, " R"]]:
    """Return the initial state of row-wise Adagrad: zeros."""
    return {name: jnp.zeros(len(leaf)) for name, leaf in tables.items()}


def scatter_adagrad(
    tables: Tables,
    accumulators: dict[str, Float[jax.Array, " R"]],
    rows_T: Int[jax.Array, " T"],
    gradients: Tables,
    rate: Float[jax.Array, ""],
) -> tuple[Tables, dict[str, Float[jax.Array, " R"]]]:
    """Update the given rows by row-wise Adagrad (Duchi et al., 2011; one sum per row, as in DLRM).

    Args:
        accumulators: for each row, the sum over all steps of the mean square of its gradient.
        rows_T: unique, except for a row that is out of range.
        gradients: gradients of these rows.
    """
    changed, sums = {}, {}
    for name, table in tables.items():
        gradient = gradients[name]
        square_T = jnp.mean(gradient.reshape(len(rows_T), -1) ** 2, axis=1)
        sum_T = accumulators[name].at[rows_T].get(mode="fill", fill_value=0) + square_T
        scale_T = rate / (jnp.sqrt(sum_T) + EPSILON)
        scale = scale_T.reshape(-1, *[1] * (table.ndim - 1))
        # Only out-of-range rows repeat, and these are dropped.
        sums[name] = accumulators[name].at[rows_T].set(sum_T, mode="drop", unique_indices=True)
        changed[name] = table.at[rows_T].add(-scale * gradient, mode="drop", unique_indices=True)
    return changed, sums
