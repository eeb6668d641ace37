"""Sparse rows: a step that updates only the rows it touched costs the same in any catalogue.

`compact` renumbers the items of a batch, and `gather` returns their rows as small tables. The
gradients of these are dense, and repeats are added up. `scatter_adagrad` then updates the rows in
the large tables, with one number of state a row.
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

# Parameters of a model that have a row for each item.
ITEM_TABLES = ("activities.tables.item", "candidates", "bias", *item_parameters())

# Adagrad divides by the root of the accumulated squares, and by no less than this.
EPSILON = 1e-8

Tables = dict[str, jax.Array]


def item_tables(params: Any) -> Tables:
    """Return the parameters that have a row for each item by name, or their gradients."""
    named = {name_of(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}
    return {name: named[name] for name in ITEM_TABLES if name in named}


def with_tables(params: Any, tables: Mapping[str, jax.Array | None]) -> Any:
    """Return parameters with other tables, or None, in the place of those named."""
    return jax.tree.map_with_path(
        lambda path, leaf: tables.get(name_of(path), leaf),
        params,
        is_leaf=lambda leaf: leaf is None,
    )


def compact(batch: Batch, rows: int) -> Batch:
    """Return a batch whose ids count the items that it touches: histories, targets, candidates.

    Its `item_rows` are the rows of these items in ascending order, PAD's first; behind them a row
    that no table has.

    Args:
        batch: with candidates.
        rows: of the tables, R.
    """
    candidates = batch.candidates
    touched = (batch.history[ITEM], batch.targets, candidates.ids_S)
    pad = jnp.full((1,), PAD, candidates.ids_S.dtype)
    every = jnp.concatenate([pad, *(ids.reshape(-1) for ids in touched)])
    rows_T, numbers = jnp.unique(every, size=every.size, fill_value=rows, return_inverse=True)
    ends = [sum(ids.size for ids in touched[:n]) for n in (1, 2)]
    history, targets, ids_S = (
        part.reshape(ids.shape).astype(ids.dtype)
        for part, ids in zip(jnp.split(numbers[1:], ends), touched, strict=True)
    )
    log_expected_S = candidates.log_expected_S
    if log_expected_S is None:
        # They are not the whole compact table: that ends with rows of no item.
        log_expected_S = jnp.zeros(len(ids_S))
    return batch._replace(
        history={**batch.history, ITEM: history},
        targets=targets,
        candidates=candidates._replace(ids_S=ids_S, log_expected_S=log_expected_S),
        item_rows=rows_T,
    )


def gather(tables: Tables, rows_T: Int[jax.Array, " T"]) -> Tables:
    """Return some rows of each table; zeros for a row that no table has."""
    return {name: leaf.at[rows_T].get(mode="fill", fill_value=0) for name, leaf in tables.items()}


def pad(name: str, table: jax.Array, rows: int) -> jax.Array:
    """Add rows of no item to a table, or to the optimizer's state of the same name."""
    padding = ((0, rows - len(table)), *[(0, 0)] * (table.ndim - 1))
    return jnp.pad(table, padding, constant_values=PAD_BIAS if name == "bias" else 0)


def init_accumulators(tables: Tables) -> dict[str, Float[jax.Array, " R"]]:
    """Return the state of row-wise Adagrad before the first step: zeros."""
    return {name: jnp.zeros(len(leaf)) for name, leaf in tables.items()}


def scatter_adagrad(
    tables: Tables,
    accumulators: dict[str, Float[jax.Array, " R"]],
    rows_T: Int[jax.Array, " T"],
    gradients: Tables,
    rate: Float[jax.Array, ""],
) -> tuple[Tables, dict[str, Float[jax.Array, " R"]]]:
    """Update some rows by row-wise Adagrad (Duchi et al., 2011; one sum a row, as in DLRM).

    Args:
        accumulators: for each row the sum over the steps of its gradients' mean square.
        rows_T: no row twice, but one that no table has.
        gradients: of these rows.
    """
    changed, sums = {}, {}
    for name, table in tables.items():
        gradient = gradients[name]
        square_T = jnp.mean(gradient.reshape(len(rows_T), -1) ** 2, axis=1)
        sum_T = accumulators[name].at[rows_T].get(mode="fill", fill_value=0) + square_T
        scale_T = rate / (jnp.sqrt(sum_T) + EPSILON)
        scale = scale_T.reshape(-1, *[1] * (table.ndim - 1))
        sums[name] = accumulators[name].at[rows_T].set(sum_T, mode="drop", unique_indices=True)
        changed[name] = table.at[rows_T].add(-scale * gradient, mode="drop", unique_indices=True)
    return changed, sums
