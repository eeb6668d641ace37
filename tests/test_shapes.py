"""Shapes: what can be asked for, given the catalogue."""

import pytest

from jaxrec.conversion.graph.shapes import Shapes, choose_shapes
from jaxrec.errors import UserError


def choose(**asked) -> Shapes:
    defaults = {
        "batch_size": 1,
        "history_length": 10,
        "top_k": None,
        "candidates": 100,
        "keep_seen": False,
        "vocabulary_size": 300,
    }
    return choose_shapes(**{**defaults, **asked})


def test_a_hundred_items_or_as_many_as_are_left_beside_a_history():
    assert choose() == Shapes(1, 10, 100, 100, False)
    assert choose(vocabulary_size=60).top_k == 50
    assert choose(vocabulary_size=60, keep_seen=True).top_k == 60
    assert choose(top_k=290).top_k == 290


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"top_k": 291}, "--top-k=291 is out of range; give it 1 to 290"),
        ({"top_k": 301, "keep_seen": True}, "--top-k=301 is out of range; give it 1 to 300"),
        ({"top_k": 0}, "--top-k=0"),
        ({"candidates": 0}, "--candidates=0"),
        ({"batch_size": 0}, "--batch-size=0"),
        ({"batch_size": 5000}, "--batch-size=5000"),
        ({"history_length": 300}, "leaves none beside a history of 300; give --keep-seen"),
    ],
)
def test_what_cannot_be_is_refused_with_the_limit(asked, said):
    with pytest.raises(UserError) as error:
        choose(**asked)
    assert said in str(error.value)
