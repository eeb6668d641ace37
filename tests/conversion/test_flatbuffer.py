"""Checks of the operations in a flatbuffer: which pass, and which are refused."""

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
    # The signature `vectors` looks up items alone, even if activities have a second table.
    two = {"recommend": 2, "encode": 2, "score": 2, "vectors": 1}
    check_operations(replace(GOOD, lookups=two, tables=2), lookups=2, tables=2)


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        (replace(GOOD, operators={"CUSTOM FlexTopKV2": 1}), "custom operations: .*FlexTopKV2"),
        (
            replace(GOOD, operators={"UNIDIRECTIONAL_SEQUENCE_LSTM": 1}),
            "keeps state.*UNIDIRECTIONAL_SEQUENCE_LSTM",
        ),
        (replace(GOOD, has_state=True), "keeps state.*variables"),
        (replace(GOOD, lookups={"recommend": 2, "encode": 1}), "wrong numbers of id lookups"),
        (replace(GOOD, lookups={"recommend": 0, "encode": 1}), "wrong numbers of id lookups"),
        (replace(GOOD, lookups={"recommend": 1, "vectors": 2}), "wrong numbers of id lookups"),
        (replace(GOOD, tables=2), "has 2 tables, not 1"),
    ],
)
def test_operations_that_not_every_runtime_loads_are_refused(facts, complaint):
    with pytest.raises(FailedCheckError, match=complaint):
        check_operations(facts, lookups=1, tables=1)
