"""The checks of a new model file before it replaces the one in use."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrec.errors import UserError
from jaxrec.runtime.bundle import Bundle
from jaxrec.runtime.item_index import NO_ITEM
from jaxrec.runtime.loaded_model import LoadedModel


def describe_order(model: Mapping[str, Any]) -> str:
    """Describe the place of a file among its versions.

    Args:
        model: the content of model.json.
    """
    sequence, created = _order(model)
    return f"sequence {sequence}, created {created or 'at an unknown time'}"


def require_not_older(new: Mapping[str, Any], current: Mapping[str, Any], name: str | Path) -> None:
    """Check that a file does not precede the one in use.

    Args:
        new: the content of its model.json.
        current: that of the file in use.
        name: the name of the new file in messages.

    Raises:
        UserError: if it does.
    """
    if _order(new) < _order(current):
        raise UserError(
            f"{name} is older than the model in use: {describe_order(new)}, not "
            f"{describe_order(current)}; give rollback=True to return to it"
        )


def load_proven(content: bytes, bundle: Bundle, name: str | Path) -> LoadedModel:
    """Load a file, and check that it recommends to new users and after a history.

    Args:
        bundle: the parsed content.
        name: the name of the file in messages.

    Raises:
        UserError: if it cannot be loaded, or returns no valid list.
    """
    try:
        loaded = LoadedModel(content, bundle)
        _require_lists(loaded)
    # The interpreter raises several kinds of exceptions for a graph that it cannot run.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{name} does not answer ({reason}); export its run again") from None
    return loaded


def _require_lists(loaded: LoadedModel) -> None:
    """Check the lists after an empty history, and after the first items.

    Raises:
        ValueError: if a list is empty, or has an unknown id or a score that is not finite.
    """
    size = len(loaded.items)
    # A file that excludes the history has no item to recommend after a history of all.
    first = loaded.items[: min(loaded.device.history_length, size - 1)]
    for what, history in {"an empty history": (), "the first items": first}.items():
        request = loaded.requests.build(history, None)
        ids, scores = loaded.device.recommend_all(loaded.inputs([request]))
        found = ids != NO_ITEM
        if not found.any():
            raise ValueError(f"no item is recommended after {what}")
        if ids.min() < NO_ITEM or ids.max() > size:
            raise ValueError(f"an id after {what} is not one of {size:,} items")
        if not np.isfinite(scores[found]).all():
            raise ValueError(f"a score after {what} is not finite")


def _order(model: Mapping[str, Any]) -> tuple[int, str]:
    """Return the place of a file among its versions; files without one come first."""
    return model.get("sequence", 0), model.get("created", "")
