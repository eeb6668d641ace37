"""Vocabularies: ids by popularity, round trips, and the detection of damaged files."""

import json
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.vocabulary import Vocabulary, build_vocabulary, index_items, load_vocabulary
from jaxrec.errors import UserError
from jaxrec.schema import PAD

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=5)
logs = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5), min_size=1),
    st.lists(texts, min_size=1),
)


def vocabulary_of(items: pl.Series, is_training_target: np.ndarray) -> Vocabulary:
    values = items.unique().sort()
    vocabulary, rows = build_vocabulary(values, index_items(items, values), is_training_target)
    assert vocabulary.values.equals(values[rows])
    return vocabulary


def test_ids_are_ordered_by_training_count_then_raw_value():
    items = pl.Series(["e", "b", "a", "c", "a", "b", "d", "c", "c", "e"])
    is_training_target = np.array([False] + [True] * 6 + [False] * 3)
    vocabulary = vocabulary_of(items, is_training_target)
    ids = vocabulary.encode(items)
    # Training counts: a and b 2, c 1 (3 in all, of which 2 must not count), d 1, e 0.
    assert vocabulary.values.to_list() == ["a", "b", "c", "d", "e"]
    assert vocabulary.counts.tolist() == [0, 2, 2, 1, 1, 0]
    assert ids.tolist() == [5, 2, 1, 3, 1, 2, 4, 3, 3, 5]
    assert ids.dtype == np.int32
    assert vocabulary.size == 5


def test_ties_are_ordered_by_number_or_by_text():
    for raw, expected in (
        ([100, 9, 10, -1], [-1, 9, 10, 100]),
        (["100", "9", "10", "-1"], ["-1", "10", "100", "9"]),
    ):
        vocabulary = vocabulary_of(pl.Series(raw), np.ones(4, bool))
        assert vocabulary.values.to_list() == expected


@given(items=logs, data=st.data())
def test_every_item_has_one_id_and_popular_items_have_small_ids(items, data):
    flags = data.draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items)))
    vocabulary = vocabulary_of(pl.Series(items), np.array(flags))
    ids = vocabulary.encode(pl.Series(items))
    values = vocabulary.values.to_list()
    assert sorted(values) == sorted(set(items))
    assert [values[i - 1] for i in ids] == items
    counts = Counter(item for item, flag in zip(items, flags, strict=True) if flag)
    assert vocabulary.counts.tolist() == [0, *(counts[value] for value in values)]
    assert values == sorted(values, key=lambda value: (-counts[value], value))


@pytest.mark.parametrize("known", [[30, 10], ["30", "ten"]])
def test_an_unknown_item_becomes_padding(known):
    vocabulary = Vocabulary(pl.Series(known), np.array([0, 2, 1]))
    unknown = 20 if isinstance(known[0], int) else "20"
    ids = vocabulary.encode(pl.Series([known[1], unknown, known[0], known[1]]))
    assert ids.tolist() == [2, PAD, 1, 2]
    assert ids.dtype == np.int32
    assert vocabulary.encode(pl.Series([], dtype=vocabulary.values.dtype)).tolist() == []


@given(items=logs)
def test_a_vocabulary_survives_a_round_trip(tmp_path_factory, items):
    vocabulary = vocabulary_of(pl.Series(items), np.ones(len(items), bool))
    ids = vocabulary.encode(pl.Series(items))
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.json"
    vocabulary.save(path)
    loaded = load_vocabulary(path)
    assert loaded.values.to_list() == vocabulary.values.to_list()
    assert loaded.values.dtype == vocabulary.values.dtype
    assert loaded.counts.tolist() == vocabulary.counts.tolist()
    assert loaded.digest == vocabulary.digest
    assert loaded.encode(pl.Series(items)).tolist() == ids.tolist()


def test_the_digest_depends_on_values_order_and_type_but_not_on_counts():
    def digest(values, counts=(0, 1, 1)):
        return Vocabulary(pl.Series(values), np.array(counts)).digest

    assert digest([1, 2]) == digest([1, 2], (0, 5, 3))
    # The last pair would be equal if values were joined without delimiters.
    different = [[1, 2], [2, 1], [1, 3], ["1", "2"], ["1,", "2"], ["1", ",2"]]
    assert len({digest(values) for values in different}) == len(different)


def save_vocabulary(tmp_path):
    path = tmp_path / "vocabulary.json"
    Vocabulary(pl.Series(["a", "b"]), np.array([0, 2, 1])).save(path)
    return path, json.loads(path.read_text())


@pytest.mark.parametrize(
    "change",
    [
        {"values": ["b", "a"]},
        {"values": ["a"]},
        {"values": []},
        {"digest": "0" * 64},
        {"digest": None},
        {"counts": [0, 2]},
        {"counts": [0, 2, 1, 1]},
    ],
    ids=str,
)
def test_values_that_do_not_match_their_digest_are_refused(tmp_path, change):
    path, content = save_vocabulary(tmp_path)
    path.write_text(json.dumps(content | change))
    with pytest.raises(UserError, match=r"vocabulary\.json does not match its own digest"):
        load_vocabulary(path)


@pytest.mark.parametrize("key", ["values", "counts", "digest"])
def test_a_vocabulary_without_a_required_key_is_refused(tmp_path, key):
    path, content = save_vocabulary(tmp_path)
    del content[key]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"vocabulary\.json is damaged.*train the run again"):
        load_vocabulary(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"values": ["a", "b"], "cou',
        "[1, 2]",
        '{"values": ["a", 1], "counts": [0, 1, 1], "digest": ""}',
        '{"values": ["a", "b"], "counts": ["many"], "digest": ""}',
    ],
)
def test_a_malformed_vocabulary_is_refused(tmp_path, text):
    path = tmp_path / "vocabulary.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"vocabulary\.json is damaged"):
        load_vocabulary(path)


def test_a_missing_vocabulary_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"vocabulary\.json is missing.*run directory"):
        load_vocabulary(tmp_path / "vocabulary.json")


@given(items=logs, data=st.data())
def test_known_items_stand_first_in_their_order(items, data):
    values = pl.Series(items).unique().sort()
    unknown = data.draw(st.lists(st.sampled_from(items), unique=True))
    known = pl.Series([value for value in values if value not in unknown], dtype=values.dtype)
    known = known.shuffle(seed=data.draw(st.integers(0, 9)))
    numbers = index_items(pl.Series(items), values)
    vocabulary, rows = build_vocabulary(values, numbers, np.ones(len(items), bool), known)
    assert vocabulary.values.to_list()[: len(known)] == known.to_list()
    counts = Counter(items)
    others = vocabulary.values.to_list()[len(known) :]
    assert others == sorted(unknown, key=lambda value: (-counts[value], value))
    assert vocabulary.counts.tolist() == [0, *(counts[value] for value in vocabulary.values)]
    assert vocabulary.values.equals(values[rows])
