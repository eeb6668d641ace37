"""Remakes: new films that take the place of others as time passes."""

import numpy as np
import polars as pl

from jaxrec.data.gaps import DAY
from jaxrec.data.sources.synthetic import synthetic_world

YEAR = 365 * DAY


def test_the_same_films_are_seen_at_the_same_times_under_newer_names():
    before, after = (synthetic_world(users=200, items=100, seed=1, drift=d) for d in (0.0, 2.0))
    assert after.log.drop("item").equals(before.log.drop("item"))
    titles = after.items.select("item", pl.col("title").str.replace(r" \(remake \d+\)$", ""))
    seen = after.log.join(titles, on="item", maintain_order="left")["title"]
    original = before.log.join(before.items, on="item", maintain_order="left")["title"]
    assert seen.equals(original)


def test_a_remake_replaces_a_film_for_good():
    world = synthetic_world(users=400, items=40, seed=2, drift=3.0)
    parts = world.items["title"].str.extract_groups(
        r"^(?<film>.*?)(?: \(remake (?<number>\d+)\))?$"
    )
    names = parts.struct.unnest().with_columns(pl.col("number").cast(pl.Int64).fill_null(0))
    log = world.log.join(pl.concat([world.items, names], how="horizontal"), on="item")
    ordered = log.sort("timestamp").with_columns(rise=pl.col("number").diff().over("film"))
    assert ordered["number"].to_numpy().max() > 3
    assert (ordered["rise"].drop_nulls() >= 0).all()


def test_the_rate_is_the_mean_number_of_remakes_of_a_film_in_a_year():
    world = synthetic_world(users=100, items=2000, seed=0, drift=1.5)
    first, last = 1_640_995_200, world.log["timestamp"].to_numpy().max()
    years = (last - first) / YEAR
    # The standard deviation of a Poisson count is the root of its mean.
    expected = 1.5 * years * 2000
    assert abs(len(world.items) - 2000 - expected) < 4 * np.sqrt(expected)


def test_ids_and_titles_are_unique_and_no_user_sees_an_item_twice():
    world = synthetic_world(users=200, items=60, seed=3, drift=4.0)
    assert world.items["item"].is_unique().all()
    assert world.items["title"].is_unique().all()
    assert not world.log.select("user", "item").is_duplicated().any()
    again = synthetic_world(users=200, items=60, seed=3, drift=4.0)
    assert world.log.equals(again.log) and world.items.equals(again.items)
