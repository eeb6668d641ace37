"""Shared parameters: updates without item rows, and tables that keep their bits."""

import jax
import numpy as np
import polars as pl

from jaxrec.federated.clients import train_locally
from jaxrec.federated.sharing import merge_params, split_params
from jaxrec.training.sparse_rows import ITEM_TABLES, item_tables
from tests.federated.small_rounds import (
    CLIENTS,
    DATASET,
    LOOSE,
    OBJECTIVE,
    PARAMS,
    SHARE_ALL,
    arrays_by_name,
    assert_params_equal,
    changes,
    make_cohort,
    run_round,
)


def test_a_client_update_has_no_item_rows():
    shared, kept = split_params(PARAMS, "encoder")
    assert set(kept) == {"activities.tables.item", "bias"} <= set(ITEM_TABLES)
    batches = CLIENTS.gather(np.array([6], np.int32), jax.random.key(1))
    windows = jax.tree.map(lambda each: each[0], batches)
    canary = int(DATASET.vocabulary.encode(pl.Series([90]))[0])
    assert canary in windows.targets
    update, _ = train_locally(OBJECTIVE, shared, kept, windows, jax.random.key(2), 0.1)
    assert set(arrays_by_name(update)) == set(arrays_by_name(PARAMS)) - set(ITEM_TABLES)
    assert all(
        DATASET.vocabulary.size + 1 not in leaf.shape for leaf in arrays_by_name(update).values()
    )
    assert_params_equal(merge_params(shared, kept), PARAMS, rtol=0)


def test_a_table_that_is_not_shared_keeps_its_bits():
    canary = int(DATASET.vocabulary.encode(pl.Series([90]))[0])
    without, with_it = make_cohort(*range(6)), make_cohort(*range(7))
    for cohort in (without, with_it):
        after = arrays_by_name(run_round(LOOSE, cohort)[0])
        for name, table in item_tables(PARAMS).items():
            assert after[name].tobytes() == np.asarray(table).tobytes()
    # If the table is shared, the row of an item that only one client has reveals that client.
    rows = [
        changes(run_round(SHARE_ALL, cohort)[0])["activities.tables.item"][canary]
        for cohort in (without, with_it)
    ]
    assert np.abs(rows[1] - rows[0]).max() > 1e-4
