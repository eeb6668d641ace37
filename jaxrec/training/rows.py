"""Rows: what a step costs does not grow with the catalogue, if it changes only what it touched.

A step sees a catalogue of the items in its batch and among its negatives: `few` renumbers them,
and `take` gives their rows as tables of their own. The gradients of these tables are dense, and
repeats are added up. Row-wise Adagrad then changes these rows in the large tables (`put`); its
state is one number a row.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from jaxrec.data.batching import Batch
from jaxrec.models.heads import item_parameters
from jaxrec.models.model import PAD_BIAS
from jaxrec.schema import ITEM, PAD
from jaxrec.training.negatives import Negatives
from jaxrec.training.step import name_of

# Parameters of a model that have a row for each item.
BY_ITEM = ("activities.tables.item", "candidates", "bias", *item_parameters())

# Adagrad divides by the root of what has gathered, and by no less than this.
EPSILON = 1e-8

Tables = dict[str, jax.Array]


class Few(NamedTuple):
    """A batch whose ids count the items that it touches.

    Attributes:
        ids_T: which they are, in order, PAD first; behind them an id that no table has.
    """

    ids_T: Int[jax.Array, " T"]
    batch: Batch
    negatives: Negatives


def few(batch: Batch, negatives: Negatives, rows: int) -> Few:
    """Renumber the items of a batch and its negatives.

    Args:
        rows: of the tables, R.
    """
    touched = (batch.history[ITEM], batch.targets, negatives.ids_S)
    pad = jnp.full((1,), PAD, negatives.ids_S.dtype)
    every = jnp.concatenate([pad, *(ids.reshape(-1) for ids in touched)])
    ids_T, numbers = jnp.unique(every, size=every.size, fill_value=rows, return_inverse=True)
    ends = [sum(ids.size for ids in touched[:n]) for n in (1, 2)]
    history, targets, drawn = (
        part.reshape(ids.shape).astype(ids.dtype)
        for part, ids in zip(jnp.split(numbers[1:], ends), touched, strict=True)
    )
    log_expected_S = negatives.log_expected_S
    if log_expected_S is None:
        # They are not the whole table of the few: that ends with rows of no item.
        log_expected_S = jnp.zeros(len(drawn))
    return Few(
        ids_T,
        batch._replace(history={**batch.history, ITEM: history}, targets=targets),
        negatives._replace(ids_S=drawn, log_expected_S=log_expected_S),
    )


def by_item(params: Any) -> Tables:
    """Name the parameters that have a row for each item, or their gradients."""
    named = {name_of(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}
    return {name: named[name] for name in BY_ITEM if name in named}


def with_tables(params: Any, tables: Mapping[str, jax.Array | None]) -> Any:
    """Put other tables in the place of those that have a row for each item, or None."""
    return jax.tree.map_with_path(
        lambda path, leaf: tables.get(name_of(path), leaf),
        params,
        is_leaf=lambda leaf: leaf is None,
    )


def take(tables: Tables, ids_T: Int[jax.Array, " T"]) -> Tables:
    """Give the rows of some items; zeros for an id that no table has."""
    return {name: leaf.at[ids_T].get(mode="fill", fill_value=0) for name, leaf in tables.items()}


def lengthen(name: str, table: jax.Array, rows: int) -> jax.Array:
    """Add rows of no item to a table, or to what a learner keeps of it by another name."""
    padding = ((0, rows - len(table)), *[(0, 0)] * (table.ndim - 1))
    return jnp.pad(table, padding, constant_values=PAD_BIAS if name == "bias" else 0)


def init_gathered(tables: Tables) -> dict[str, Float[jax.Array, " R"]]:
    """Give the state of row-wise Adagrad before the first step: nothing has gathered."""
    return {name: jnp.zeros(len(leaf)) for name, leaf in tables.items()}


def put(
    tables: Tables,
    gathered: dict[str, Float[jax.Array, " R"]],
    ids_T: Int[jax.Array, " T"],
    gradients: Tables,
    rate: Float[jax.Array, ""],
) -> tuple[Tables, dict[str, Float[jax.Array, " R"]]]:
    """Change some rows by row-wise Adagrad (Duchi et al., 2011; one sum for a row, as in DLRM).

    Args:
        gathered: for each row the sum over the steps of its gradients' mean square.
        ids_T: no id twice, but one that no table has.
        gradients: of the rows of these ids.
    """
    changed, sums = {}, {}
    for name, table in tables.items():
        gradient = gradients[name]
        square_T = jnp.mean(gradient.reshape(len(ids_T), -1) ** 2, axis=1)
        sum_T = gathered[name].at[ids_T].get(mode="fill", fill_value=0) + square_T
        scale_T = rate / (jnp.sqrt(sum_T) + EPSILON)
        scale = scale_T.reshape(-1, *[1] * (table.ndim - 1))
        sums[name] = gathered[name].at[ids_T].set(sum_T, mode="drop", unique_indices=True)
        changed[name] = table.at[ids_T].add(-scale * gradient, mode="drop", unique_indices=True)
    return changed, sums
