"""Known ids: items, values of features and labels that keep the numbers of an earlier run."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from jaxrec.data.dataset import Dataset, make_dataset
from jaxrec.data.feature_values import encode_values
from jaxrec.data.known_ids import KnownIds
from jaxrec.data.ordered import order_log
from jaxrec.errors import UserError
from jaxrec.schema import Feature
from tests.small_data import data_config, no_items
from tests.training.shop_logs import FEATURES, TODAY, YESTERDAY, dataset_of_shop, shop_log
from tests.training.shop_logs import PLAIN as SHOP

FEATURED = replace(SHOP, data=FEATURES)
SOURCE = "--from-run=runs/monday"


def known_of(dataset: Dataset, **settings) -> KnownIds:
    """Return the ids of a data set, as those of an earlier run."""
    return KnownIds(
        SOURCE,
        dataset.vocabulary,
        dataset.catalogue,
        {each.name: each for each in dataset.item_features},
        {each.name: each for each in dataset.features},
        {each.name: each for each in dataset.heads},
        **settings,
    )


@pytest.fixture(scope="module")
def known() -> KnownIds:
    """Return the ids of a run on yesterday's log of a shop."""
    return known_of(dataset_of_shop(FEATURED, shop_log(YESTERDAY)))


def described(dataset: Dataset) -> dict[str, set[str]]:
    """Return the brands of each item by the ids of its feature."""
    (brand,) = dataset.item_features
    return {
        item: {brand.values[i - 1] for i in ids if i > 0}
        for item, ids in zip(dataset.vocabulary.values, brand.ids[1:], strict=True)
    }


def test_brands_keep_their_ids_and_items_that_have_left_keep_their_brands(known):
    dataset = dataset_of_shop(FEATURED, shop_log(TODAY, brands=5), known)
    (brand,), earlier = dataset.item_features, known.item_features["brand"]
    assert brand.values[:3] == earlier.values
    assert set(brand.values[3:]) == {"brand3", "brand4"}
    brands = described(dataset)
    # Item 3 has left the log, in which it would be of another brand; the others are of today.
    assert brands["sku3"] == {"brand0"}
    assert brands["sku8"] == {"brand3"} and brands["sku39"] == {"brand4"}


def test_items_that_have_left_keep_several_values():
    """Genres are lists; today's items have one each, so that the table would be narrower."""
    config = replace(SHOP, data=replace(SHOP.data, item_features="genres"))

    def log_with_genres(items, genres):
        log = shop_log(items)
        column = pl.Series("genres", [genres(i) for i in range(len(log.items))])
        return replace(log, items=log.items.with_columns(column))

    yesterday = log_with_genres(YESTERDAY, lambda i: ["A", "B"] if i % 2 else ["C"])
    earlier = known_of(dataset_of_shop(config, yesterday))
    today = log_with_genres(TODAY, lambda i: ["B"] if i % 2 else ["C"])
    genres = described(dataset_of_shop(config, today, earlier))
    assert genres["sku1"] == {"A", "B"} and genres["sku2"] == {"C"}
    assert genres["sku40"] == {"C"} and genres["sku39"] == {"B"}


def test_values_of_activities_and_users_keep_their_ids(known):
    log = shop_log(TODAY, devices=("tv", "web", "app"), countries=("it", "fr", "de"))
    dataset = dataset_of_shop(FEATURED, log, known)
    found = {each.name: each for each in dataset.features}
    assert found["device"].values == (*known.features["device"].values, "tv")
    assert found["user_country"].values == (*known.features["user_country"].values, "it")
    assert found["price"] == known.features["price"]  # the edges of its buckets
    countries = dataset.timelines.users["user_country"]
    assert [found["user_country"].values[i - 1] for i in countries[:3]] == ["it", "fr", "de"]


@pytest.mark.parametrize(
    ("column", "earlier", "ids"),
    [
        # New values stand behind, the more frequent first.
        (["c", "a", "d", "d", None, "b"], ("b", "a"), [4, 2, 3, 3, 0, 1]),
        # A column that would be refused in a first run: it is constant, or has no value.
        (["a", "a"], ("b", "a"), [2, 2]),
        ([None, None], ("b", "a"), [0, 0]),
        # Whole floats are saved as integers.
        ([2.0, 0.5, 1.0, 3.0, 3.0], (1, 2, 0.5), [2, 3, 1, 4, 4]),
        ([7, 2, 1, None], (1, 2), [3, 2, 1, 0]),
        ([2**53 + 1, 2**53], (2**53, 2**53 + 1), [2, 1]),
    ],
    ids=str,
)
def test_a_column_is_encoded_as_in_the_earlier_run(column, earlier, ids):
    dtype = pl.String if isinstance(earlier[0], str) else None
    known = Feature("kind", "activity", "id", len(earlier), earlier)
    feature, found = encode_values(pl.Series("kind", column, dtype=dtype), "activity", "-f", known)
    assert found.tolist() == ids and found.dtype == np.int32
    assert feature.values[: len(earlier)] == earlier
    assert feature.size == len(feature.values) == max(*ids, len(earlier))


def test_buckets_keep_their_edges():
    """A first run would give each of a few numbers an id of its own."""
    known = Feature("price", "activity", "number", 3, (10.0, 20.0))
    column = pl.Series("price", [5, 10, 19, None, 500])
    feature, ids = encode_values(column, "activity", "-f", known)
    assert feature == known
    assert ids.tolist() == [1, 2, 2, 0, 3]


@pytest.mark.parametrize(
    ("column", "earlier", "told"),
    [
        (["1", "x"], (1, 2), "kind had numbers in the run .* such as 1, and has text in the log"),
        ([1, 2], ("1", "x"), "kind had text in the run .* such as '1', and has numbers in the log"),
    ],
)
def test_a_column_that_has_changed_its_type_is_refused(column, earlier, told):
    known = Feature("kind", "activity", "id", 2, earlier)
    with pytest.raises(UserError, match=told):
        encode_values(pl.Series("kind", column), "activity", "-f", known)


def test_labels_that_the_log_no_longer_has_stay_labels(known):
    dataset = dataset_of_shop(FEATURED, shop_log(TODAY, ratings=3), known)
    assert [head.values for head in dataset.heads] == [(1.0, 2.0, 3.0, 4.0)]
    assert set(dataset.labels["rating"]) == {1, 2, 3}


def test_new_labels_are_put_in_their_order(known):
    log = shop_log(TODAY)
    halves = pl.when(pl.int_range(pl.len()) % 7 == 0).then(2.5).otherwise("rating").alias("rating")
    dataset = dataset_of_shop(FEATURED, replace(log, log=log.log.with_columns(halves)), known)
    assert [head.values for head in dataset.heads] == [(1.0, 2.0, 2.5, 3.0, 4.0)]


def test_the_summary_counts_the_items_of_the_log_alone(known):
    dataset = dataset_of_shop(FEATURED, shop_log(TODAY), known)
    assert dataset.log_summary.items == 34 and dataset.vocabulary.size == 38


@pytest.mark.parametrize(
    ("items", "forgets", "line"),
    [
        (YESTERDAY, False, "the same items"),
        (
            TODAY,
            False,
            "8 items are new, 4 of its 30 have left the log and stay (--forget-items drops them)",
        ),
        (TODAY, True, "8 items are new, 4 of its 30 have left the log and are dropped"),
    ],
)
def test_one_line_tells_how_the_items_differ(known, items, forgets, line):
    given = replace(known, forgets_items=forgets)
    dataset = dataset_of_shop(FEATURED, shop_log(items), given)
    assert given.describe(dataset.vocabulary, dataset.timelines.items) == [f"{SOURCE}: {line}"]


def test_items_of_another_type_are_refused(known):
    rows = {"user": [1, 1, 1, 1], "item": [1, 2, 3, 4], "timestamp": [1, 2, 3, 4]}
    log = replace(shop_log(TODAY), log=pl.DataFrame(rows), items=no_items(pl.Int64))
    config = data_config()
    with pytest.raises(
        UserError,
        match=r"--from-run=runs/monday has text as items, such as 'sku\d+', and the log has whole "
        r"numbers, such as 1; write them alike, or omit --from-run",
    ):
        make_dataset(order_log(log, config.filters), config, seed=0, known=known)
