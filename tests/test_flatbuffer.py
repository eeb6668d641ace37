"""The flatbuffer: what is refused, and that putting it in order changes nothing but the order."""

from dataclasses import replace

import pytest

from jaxrec.conversion.flatbuffer import Facts, check_operations
from jaxrec.errors import FailedCheckError

GOOD = Facts(
    operators={"EMBEDDING_LOOKUP": 3, "FULLY_CONNECTED": 9, "TOPK_V2": 1},
    lookups={"recommend": 1, "encode": 1, "score": 1, "vectors": 1},
    weight_bytes=1000,
    tables=1,
    has_state=False,
)


def test_builtin_operations_with_one_lookup_and_one_table_pass():
    check_operations(GOOD, lookups=1, tables=1)
    check_operations(replace(GOOD, tables=2), lookups=1, tables=2)
    # Items alone have vectors, whatever else there is of an activity.
    two = {"recommend": 2, "encode": 2, "score": 2, "vectors": 1}
    check_operations(replace(GOOD, lookups=two, tables=2), lookups=2, tables=2)


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        (replace(GOOD, operators={"CUSTOM FlexTopKV2": 1}), "not built in: .*FlexTopKV2"),
        (
            replace(GOOD, operators={"UNIDIRECTIONAL_SEQUENCE_LSTM": 1}),
            "keeps state.*UNIDIRECTIONAL_SEQUENCE_LSTM",
        ),
        (replace(GOOD, has_state=True), "keeps state.*variables"),
        (replace(GOOD, lookups={"recommend": 2, "encode": 1}), "looks ids up more than once"),
        (replace(GOOD, lookups={"recommend": 0, "encode": 1}), "looks ids up .* not at all"),
        (replace(GOOD, lookups={"recommend": 1, "vectors": 2}), "looks ids up more than once"),
        (replace(GOOD, tables=2), "holds 2 tables, not 1"),
    ],
)
def test_what_some_runtime_could_not_load_is_refused(facts, complaint):
    with pytest.raises(FailedCheckError, match=complaint):
        check_operations(facts, lookups=1, tables=1)
