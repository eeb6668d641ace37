"""The index of raw items: lookup, and errors on unknown values."""

import re

import numpy as np
import pytest

from jaxrec.errors import UserError
from jaxrec.runtime.item_index import NO_ITEM, ItemIndex, as_list

NUMBERS = ItemIndex([1193, 661, 914])
TEXTS = ItemIndex(["a", "ü"])


def refused(message: str):
    return pytest.raises(UserError, match=f"^{re.escape(message)}$")


def test_ids_run_from_one():
    assert NUMBERS.ids_of([914, 5, 1193]) == [3, NO_ITEM, 1]
    assert TEXTS.ids_of(("ü", 1)) == [2, NO_ITEM]


def test_numpy_values_are_found():
    assert NUMBERS.ids_of(np.array([661, 5])) == [2, NO_ITEM]
    assert TEXTS.ids_of(np.array(["a", "b"])) == [1, NO_ITEM]


def test_values_that_cannot_be_items_are_unknown():
    assert NUMBERS.ids_of([[1193], None, float("nan"), {}]) == [NO_ITEM] * 4


def test_a_single_value_is_no_list():
    with refused("the items are '1193' (str), not a list; give ['1193']"):
        NUMBERS.ids_of("1193")
    with refused("the candidates are 1193 (int), not a list; give [1193]"):
        NUMBERS.ids_of(1193, "candidates")
    with refused("the items are b'ab' (bytes), not a list; give [b'ab']"):
        NUMBERS.require_any_known(b"ab")
    assert as_list((each for each in "ab"), "letters") == ["a", "b"]


def test_at_least_one_item_must_be_known():
    assert NUMBERS.require_any_known([5, 661]) == [NO_ITEM, 2]
    assert NUMBERS.require_any_known([]) == []
    known = "the model has 3 items, such as 1193 (int)"
    with refused(f"all items are unknown, such as '1193' (str); {known}"):
        NUMBERS.require_any_known(["1193", "661"])
    with refused(f"all candidates are unknown, such as [1193] (list); {known}"):
        NUMBERS.require_any_known(iter([[1193]]), "candidates")
    with refused(
        "all items are unknown, such as 7 (int); the model has 2 items, such as 'a' (str)"
    ):
        TEXTS.require_any_known([7])


def test_a_required_item_must_be_known():
    assert NUMBERS.require_id(914) == 3
    with refused("unknown item '914' (str); the model has 3 items, such as 1193 (int)"):
        NUMBERS.require_id("914")


def test_a_long_value_is_truncated_in_the_message():
    with pytest.raises(UserError) as error:
        NUMBERS.require_any_known(["x" * 1000])
    assert len(str(error.value)) < 200
