"""Shapes of the exported graph: defaults and limits for a catalogue."""

import pytest

from jaxrec.conversion.graph.shapes import Shapes, choose_shapes
from jaxrec.errors import UserError


def choose_with_defaults(**requested) -> Shapes:
    defaults = {
        "batch_size": 1,
        "history_length": 10,
        "top_k": None,
        "candidates": 100,
        "keep_seen": False,
        "vocabulary_size": 300,
    }
    return choose_shapes(**{**defaults, **requested})


def test_top_k_defaults_to_100_or_the_items_outside_the_history():
    assert choose_with_defaults() == Shapes(1, 10, 100, 100, False)
    assert choose_with_defaults(vocabulary_size=60).top_k == 50
    assert choose_with_defaults(vocabulary_size=60, keep_seen=True).top_k == 60
    assert choose_with_defaults(top_k=290).top_k == 290


@pytest.mark.parametrize(
    ("requested", "message"),
    [
        ({"top_k": 291}, "--top-k=291 is out of range; give 1 to 290"),
        ({"top_k": 301, "keep_seen": True}, "--top-k=301 is out of range; give 1 to 300"),
        ({"top_k": 0}, "--top-k=0"),
        ({"candidates": 0}, "--candidates=0"),
        ({"batch_size": 0}, "--batch-size=0"),
        ({"batch_size": 5000}, "--batch-size=5000"),
        (
            {"history_length": 300},
            "leaves none to recommend after a history of 300; give --keep-seen",
        ),
    ],
)
def test_values_out_of_range_are_rejected_with_the_limit(requested, message):
    with pytest.raises(UserError) as error:
        choose_with_defaults(**requested)
    assert message in str(error.value)
