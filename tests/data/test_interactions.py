"""Filters of a log: their order, their result and their errors."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.data_config import DataConfig
from jaxrec.data.interactions import FilterConfig, Interactions, filter_log
from jaxrec.data.sources.item_table import ItemTableConfig
from jaxrec.data.sources.load import load_interactions
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.errors import UserError
from tests.small_data import log_of, no_items

RATED = ("user", "item", "timestamp", "rating")


def test_low_ratings_go_first_then_rare_items_then_short_users_once_each():
    log = log_of(
        [
            ("u3", "c", 1, 4.0),
            ("u1", "a", 2, 5.0),
            # Low ratings. If ratings were filtered after users, u3 would stay with c; if after
            # items, e would have two interactions and stay with u1.
            ("u3", "a", 3, 1.0),
            ("u2", "e", 3, 1.0),
            ("u1", "e", 3, 5.0),
            # d is rare. If users were filtered before items, u4 would have two and stay with a.
            ("u4", "d", 4, 5.0),
            ("u4", "a", 5, 5.0),
            ("u2", "b", 6, 3.0),
            ("u1", "b", 7, 5.0),
            ("u2", "a", 8, 5.0),
            # c has u3 and u1. Without u3 it has u1 alone, but stays: filters run once.
            ("u1", "c", 9, 5.0),
        ],
        RATED,
    )
    kept = filter_log(
        log,
        FilterConfig(min_rating=3.0, min_item_interactions=2, min_user_interactions=2),
    )
    # In the order of the source; a rating of exactly 3 passes.
    assert kept.log.select("user", "item").rows() == [
        ("u1", "a"),
        ("u2", "b"),
        ("u1", "b"),
        ("u2", "a"),
        ("u1", "c"),
    ]
    assert kept.items.equals(log.items)


@given(
    rows=st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(), st.sampled_from([1.0, 2.0])),
        min_size=1,
        max_size=30,
    ),
    min_rating=st.sampled_from([None, 1.0, 1.5]),
    min_item=st.integers(1, 4),
    min_user=st.integers(1, 4),
)
def test_filtering_matches_plain_counting(rows, min_rating, min_item, min_user):
    rows = [(user, item, time % 2**60, rating) for user, item, time, rating in rows]
    expected = [row for row in rows if min_rating is None or row[3] >= min_rating]
    items = Counter(row[1] for row in expected)
    expected = [row for row in expected if items[row[1]] >= min_item]
    users = Counter(row[0] for row in expected)
    expected = [row for row in expected if users[row[0]] >= min_user]
    filters = FilterConfig(min_item, min_user, min_rating)
    if expected:
        kept = filter_log(log_of(rows, RATED), filters)
        assert kept.log.rows() == expected
    else:
        with pytest.raises(UserError):
            filter_log(log_of(rows, RATED), filters)


def test_without_a_minimum_rating_ratings_are_optional():
    log = log_of([(1, 1, 1), (1, 2, 2)])
    kept = filter_log(log, FilterConfig(min_item_interactions=1, min_user_interactions=2))
    assert kept.log.equals(log.log)


def test_a_minimum_rating_without_ratings_names_both_flags():
    with pytest.raises(UserError, match=r"--min-rating=3\.5.*--log.rating"):
        filter_log(log_of([(1, 1, 1)]), FilterConfig(min_rating=3.5))


def test_an_empty_log_has_an_error_of_its_own():
    with pytest.raises(UserError, match=r"has no interactions.*--dataset"):
        filter_log(Interactions(log_of([(1, 1, 1)]).log.clear(), no_items()), FilterConfig())


def test_when_nothing_is_left_the_message_names_the_flags_and_their_values():
    config = FilterConfig(min_item_interactions=2, min_user_interactions=7)
    rows = [(user, max(user, 1), 1) for user in range(1200)]
    with pytest.raises(UserError) as error:
        filter_log(log_of(rows), config)
    said = "none of 1,200 rows is left: 1,198 by --min-item-interactions=2, 2 by --min-user"
    assert said in str(error.value)


def test_interactions_with_wrong_columns_are_refused():
    log = log_of([(1, 1, 1)])
    with pytest.raises(ValueError, match=r"lacks the columns \['timestamp', 'user'\]"):
        Interactions(log.log.select("item"), log.items)
    with pytest.raises(ValueError, match="the item table has"):
        Interactions(log.log, pl.DataFrame({"item": [1], "title": ["one"]}))


def test_an_unknown_dataset_lists_the_known_ones():
    with pytest.raises(UserError, match=r"--dataset=movielens.*synthetic.*ml-1m.*\.csv"):
        load_interactions(DataConfig(dataset="movielens"), seed=0)


@pytest.mark.parametrize(
    "config",
    [
        DataConfig(dataset="ml-1m", log=LogConfig(user="who")),
        DataConfig(dataset="synthetic", items="films.csv"),
        DataConfig(dataset="synthetic", data_dir="here"),
        DataConfig(dataset="ml-1m", synthetic=SyntheticConfig(users=20)),
        DataConfig(dataset="log.csv", synthetic=SyntheticConfig(items=20)),
        DataConfig(dataset="log.csv", data_dir="here"),
    ],
)
def test_a_flag_of_another_source_is_refused(config):
    with pytest.raises(UserError, match=r"^--[a-z.-]+=.* needs --dataset=.*$"):
        load_interactions(config, seed=0)


def test_item_table_flags_without_an_item_table_are_refused():
    with pytest.raises(UserError, match=r"^--item-table\.key=nr needs --items=FILE$"):
        load_interactions(
            DataConfig(dataset="log.csv", item_table=ItemTableConfig(key="nr")), seed=0
        )
