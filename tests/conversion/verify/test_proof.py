"""The limits of the proof: each recipe's tolerances, and the errors beyond them."""

from dataclasses import replace

import pytest

from jaxrec.conversion.verify.distance import Parity
from jaxrec.conversion.verify.proof import (
    MIN_OVERLAP,
    ORDER_TOLERANCE,
    SCORE_TOLERANCE,
    check_limits,
)
from jaxrec.errors import FailedCheckError

EQUAL = Parity(10, 0.0, 0.0, 0.0, 0.0, 1.0, "history 3 (empty): [0]")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"score_error": 1.1 * SCORE_TOLERANCE}, "in its scores"),
        ({"score_error": float("nan")}, "in its scores"),
        ({"context_error": 1.1 * SCORE_TOLERANCE}, "in its queries"),
        ({"order_error": 1.1 * ORDER_TOLERANCE}, "in its order of the items"),
        ({"head_errors": {"rating": 1.1e-5}}, "in its outputs of the rating head"),
        ({"head_errors": {"rating": float("nan")}}, "in its outputs of the rating head"),
        ({"overlap": MIN_OVERLAP["float32"] - 0.01}, "in its top ten"),
        ({"adapting_error": 1.1e-3}, "in its adapters"),
        ({"adapting_error": float("nan")}, "in its adapters"),
    ],
    ids=str,
)
def test_float32_is_checked_against_every_limit(change, complaint):
    check_limits(EQUAL, "float32")
    parity = Parity(**{**vars(EQUAL), **change})
    with pytest.raises(FailedCheckError, match=f"the float32 file .*{complaint}.*history 3 .empty"):
        check_limits(parity, "float32")


def test_quantized_files_are_checked_by_the_overlap_of_lists():
    check_limits(Parity(10, 0.5, 0.5, 0.5, 0.0, 0.9, "", head_errors={"rating": 0.1}), "int8")
    with pytest.raises(FailedCheckError, match="in its outputs of the rating head"):
        check_limits(Parity(10, 0.0, 0.0, 0.0, 0.0, 0.9, "", head_errors={"rating": 0.3}), "int8")
    with pytest.raises(
        FailedCheckError, match="the int8 file differs from its model in its top ten"
    ):
        check_limits(Parity(10, 0.0, 0.0, 0.0, 0.0, 0.5, ""), "int8")
    with pytest.raises(
        FailedCheckError, match="the float16 file differs from its model in its top ten"
    ):
        check_limits(Parity(10, 0.0, 0.0, 0.0, 0.0, 0.9, ""), "float16")


# int8 has a step of the largest entry divided by 127; float16 has steps of 2^-10 in [1, 2).
@pytest.mark.parametrize(
    ("recipe", "most"), [("float32", 0.0), ("float16", 0.5 * 2**-10), ("int8", 0.5 / 127)]
)
def test_vectors_may_differ_by_half_a_rounding_step(recipe, most):
    check_limits(replace(EQUAL, vector_error=most), recipe)
    for error in (1.01 * most + 1e-9, float("nan")):
        with pytest.raises(
            FailedCheckError, match=f"the {recipe} file differs from its model in its item vectors"
        ):
            check_limits(replace(EQUAL, vector_error=error), recipe)
