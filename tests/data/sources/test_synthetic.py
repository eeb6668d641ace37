import hashlib
import itertools

import numpy as np
import polars as pl
import pytest

from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.synthetic import (
    MAX_ITEMS,
    MAX_SCANNED_ITEMS,
    MIN_ITEMS,
    MIN_LENGTH,
    synthetic_world,
)
from jaxrec.data.sources.titles import GENRES, NUMERALS, ONCE, YEARS, title
from jaxrec.errors import UserError


@pytest.fixture(scope="module")
def world() -> Interactions:
    return synthetic_world(users=1500, items=400, seed=3)


def histories(world: Interactions) -> list[np.ndarray]:
    """Return one array of item-table rows per user, in the order of the log."""
    rows = world.items.select("item", row=pl.int_range(pl.len()))
    log = world.log.join(rows, on="item", maintain_order="left")
    return [np.array(rows) for rows in log.group_by("user", maintain_order=True).agg("row")["row"]]


def recall_of_table(histories: list[np.ndarray], items: int, *, lag: int) -> float:
    """Return recall@10 of the last items, by counts of the pairs `lag` apart in the rest."""
    counts = np.zeros((items, items))
    for history in histories:
        np.add.at(counts, (history[: -1 - lag], history[lag:-1]), 1)
    hits = 0
    for history in histories:
        scores = counts[history[-1 - lag]]
        scores[history[:-1]] = -1
        hits += history[-1] in np.argsort(-scores, kind="stable")[:10]
    return hits / len(histories)


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    first, again, other = (synthetic_world(users=20, items=50, seed=seed) for seed in (1, 1, 2))
    assert first.log.equals(again.log)
    assert first.items.equals(again.items)
    assert not first.log.equals(other.log)
    assert not first.items.equals(other.items)


def test_the_catalogue_does_not_depend_on_the_number_of_users() -> None:
    few, many = (synthetic_world(users=users, items=50, seed=1) for users in (5, 50))
    assert few.items.equals(many.items)


def test_the_log_looks_like_a_server_log(world: Interactions) -> None:
    log = world.log
    assert log.schema == {
        "user": pl.Int64,
        "item": pl.Int64,
        "timestamp": pl.Int64,
        "rating": pl.Float64,
    }
    assert log.null_count().sum_horizontal().item() == 0
    assert log["timestamp"].is_sorted()
    assert not log["user"].is_sorted()
    assert set(log["rating"].unique()) == {1, 2, 3, 4, 5}
    ties = log.group_by("user").agg(tied=pl.len() - pl.col("timestamp").n_unique())["tied"].sum()
    assert 0.02 < ties / log.height < 0.1


def test_no_user_sees_an_item_twice(world: Interactions) -> None:
    assert not world.log.select("user", "item").is_duplicated().any()


def test_raw_ids_are_unlike_dense_ids(world: Interactions) -> None:
    for ids in (world.log["user"].unique(), world.items["item"]):
        assert ids.n_unique() == len(ids)
        assert ids.cast(int).to_numpy().max() > 2 * len(ids)
    assert not world.items["item"].is_sorted()


def test_histories_vary_in_length_within_the_limits(world: Interactions) -> None:
    lengths = world.log.group_by("user").len()["len"].to_numpy()
    assert len(lengths) == 1500
    assert MIN_LENGTH <= lengths.min() < 10
    assert 150 < lengths.max() <= 200  # half of the catalogue
    assert 55 < lengths.mean() < 80
    assert np.median(lengths) < lengths.mean() - 5  # skewed


def test_popularity_has_a_heavy_head_and_a_long_tail(world: Interactions) -> None:
    counts = np.sort(world.log.group_by("item").len()["len"].to_numpy())[::-1]
    tenth = len(world.items) // 10
    # With ZIPF_EXPONENT = 0, genres and series alone give 0.18 and 4.
    assert counts[:tenth].sum() / counts.sum() > 0.2
    assert counts[:tenth].mean() > 5 * counts[-tenth:].mean()
    assert counts[0] < 0.8 * 1500


@pytest.mark.parametrize("lag", [1, 2])
def test_order_matters(world: Interactions, lag: int) -> None:
    ordered = histories(world)
    rng = np.random.default_rng(0)
    # Only the history is shuffled; the target stays last.
    shuffled = [np.append(rng.permutation(history[:-1]), history[-1]) for history in ordered]
    items = len(world.items)
    recall = recall_of_table(ordered, items, lag=lag)
    assert recall > 1.5 * recall_of_table(shuffled, items, lag=lag)


def test_the_catalogue_has_titles_genres_and_years(world: Interactions) -> None:
    items = world.items
    assert items.schema == {
        "item": pl.Int64,
        "title": pl.String,
        "genres": pl.List(pl.String),
        "year": pl.Int32,
    }
    assert items["title"].is_unique().all()
    assert items["year"].is_between(*YEARS).all()
    assert set(items["genres"].explode()) == set(GENRES)
    assert set(items["genres"].list.len()) == {1, 2, 3}
    assert (items["genres"].list.n_unique() == items["genres"].list.len()).all()


def test_a_sequel_follows_its_first_part_and_shares_its_genres(world: Interactions) -> None:
    rows = {row["title"]: row for row in world.items.iter_rows(named=True)}
    sequels = 0
    for name, part in itertools.product(rows, range(1, len(NUMERALS))):
        if sequel := rows.get(name + NUMERALS[part]):
            sequels += 1
            assert sequel["year"] > rows[name]["year"]
            assert sequel["genres"] == rows[name]["genres"]
    assert sequels > 50


def test_titles_are_unique_within_and_across_genres() -> None:
    first = {title(genre, number) for genre in range(len(GENRES)) for number in range(500)}
    assert len(first) == 500 * len(GENRES)
    for genre in range(0, len(GENRES), 8):
        assert len({title(genre, number) for number in range(2 * ONCE)}) == 2 * ONCE


@pytest.mark.parametrize(("users", "items"), [(1, MIN_ITEMS), (1, 400), (50, 30), (500, MIN_ITEMS)])
def test_small_worlds_are_complete(users: int, items: int) -> None:
    for seed in range(5):
        world = synthetic_world(users=users, items=items, seed=seed)
        lengths = world.log.group_by("user").len()["len"]
        assert len(lengths) == users
        assert lengths.is_between(MIN_LENGTH, items // 2).all()
        assert len(world.items) == world.items["title"].n_unique() == items
        assert not world.log.select("user", "item").is_duplicated().any()


def test_no_user_of_a_large_world_sees_an_item_twice() -> None:
    """Above MAX_SCANNED_ITEMS, an unseen item is not found by scanning all items."""
    world = synthetic_world(users=300, items=MAX_SCANNED_ITEMS + 1, seed=0)
    assert not world.log.select("user", "item").is_duplicated().any()
    assert world.items["title"].n_unique() == MAX_SCANNED_ITEMS + 1


@pytest.mark.parametrize("users", [0, -1])
def test_a_world_needs_a_user(users: int) -> None:
    with pytest.raises(UserError, match=rf"--synthetic.users={users} is below the minimum of 1"):
        synthetic_world(users=users)


@pytest.mark.parametrize("items", [MIN_ITEMS - 1, MAX_ITEMS + 1])
def test_a_catalogue_has_limits(items: int) -> None:
    with pytest.raises(UserError, match=rf"--synthetic.items={items} is outside 10\.\.10,000,000"):
        synthetic_world(items=items)


def test_a_seed_gives_the_same_world_in_every_version() -> None:
    log = synthetic_world(users=20, items=50, seed=1).log
    assert hashlib.sha256(log.write_csv().encode()).hexdigest() == (
        "79088c1a1c20ac5becc8e54e53ed7521eb24e783e76367db3e12bca2e75669ea"
    )
