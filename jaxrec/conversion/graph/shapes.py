"""Shapes: sizes of a file that are fixed at export."""

from dataclasses import dataclass

from jaxrec.errors import UserError

DEFAULT_TOP_K = 100


@dataclass(frozen=True)
class Shapes:
    """Sizes of a file's inputs and outputs.

    Attributes:
        batch_size: B, histories per call.
        history_length: N.
        top_k: k, items that `recommend` returns.
        candidates: M, items that `score` takes.
        keep_seen: whether `recommend` may return items of the history.
    """

    batch_size: int
    history_length: int
    top_k: int
    candidates: int
    keep_seen: bool


def choose_shapes(
    *,
    batch_size: int,
    history_length: int,
    top_k: int | None,
    candidates: int,
    keep_seen: bool,
    vocabulary_size: int,
) -> Shapes:
    """Check the requested sizes, and set top_k by default to 100 or the largest possible.

    Raises:
        UserError: if a size is out of range, or a full history leaves no items to recommend.
    """
    most = vocabulary_size if keep_seen else vocabulary_size - history_length
    if most < 1:
        raise UserError(
            f"the catalogue of {vocabulary_size} items leaves none to recommend after a history "
            f"of {history_length}; give --keep-seen"
        )
    if top_k is None:
        top_k = min(DEFAULT_TOP_K, most)
    for flag, value, limit in (
        ("--top-k", top_k, most),
        ("--candidates", candidates, 100_000),
        ("--batch-size", batch_size, 4096),
    ):
        if not 1 <= value <= limit:
            raise UserError(f"{flag}={value} is out of range; give 1 to {limit}")
    return Shapes(batch_size, history_length, top_k, candidates, keep_seen)
