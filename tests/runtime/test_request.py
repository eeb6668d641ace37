"""Requests: histories whose items are all unknown."""

import pytest

from jaxrec.errors import UserError
from jaxrec.runtime.interpreter import Port
from jaxrec.runtime.item_index import ItemIndex
from jaxrec.runtime.request import RequestBuilder, distinct_ids

BUILDER = RequestBuilder(ItemIndex(["A1", "A2"]), (), {"history": Port("int32", (1, 3))})
HINT = "the model has 2 items, such as 'A1' (str)"


def error_of(*histories: list, unknown: str = "error") -> str:
    with pytest.raises(UserError) as error:
        BUILDER.build_many(histories, None, None, unknown=unknown)
    return str(error.value)


def test_an_error_names_all_unknown_histories():
    assert error_of([], [7], ["A1", 7]) == (
        f"all items of histories[1] are unknown, such as 7 (int); {HINT}"
    )
    assert error_of(["Z"], ["A1"], [7]) == (
        f"all items of histories[0], [2] are unknown, such as 'Z' (str); {HINT}"
    )


def test_an_error_of_many_unknown_histories_is_one_readable_line():
    message = error_of(*[["Z"]] * 3000)
    assert message == (
        "all items of histories[0], [1], [2], [3], [4] and 2,995 more are unknown, such as 'Z' "
        f"(str); {HINT}"
    )


def test_popular_makes_an_unknown_history_an_empty_one():
    requests = BUILDER.build_many([["Z", 7], [], ["A2", "Z"]], None, None, unknown="popular")
    assert BUILDER.inputs(requests)["history"].tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 2]]
    single = BUILDER.build(["Z"], None, ["A1"], unknown="popular")
    assert (single.ids, single.exclude) == ([0], [1])


def test_another_value_of_unknown_is_refused():
    expected = 'unknown=\'skip\' is neither "error" nor "popular"; give one of them'
    assert error_of([], unknown="skip") == expected
    with pytest.raises(UserError, match=r"^unknown='skip' is neither"):
        BUILDER.build(["A1"], None, unknown="skip")


def test_distinct_ids_are_known_and_ascending():
    assert distinct_ids([3, 0, 7, 3, 1], 7).tolist() == [1, 3, 7]
    assert distinct_ids([0], 7).tolist() == distinct_ids([], 7).tolist() == []
