"""Events: a log may have several kinds, and the targets may be restricted to some of them."""

import numpy as np
from jaxtyping import Bool

from jaxrec.data.data_config import DataConfig
from jaxrec.data.ordered import OrderedLog
from jaxrec.data.target_weights import parse_values
from jaxrec.errors import UserError


def require_events(config: DataConfig) -> None:
    """Check that --target-events is well-formed, and that a column of events is configured.

    Raises:
        UserError: --target-events is malformed, or --log.event is missing.
    """
    if _target_events(config) and config.log.event is None:
        raise UserError(
            f"--target-events={config.target_events} needs --log.event, the column with the kind "
            "of event of each row"
        )


def target_mask(log: OrderedLog, config: DataConfig) -> Bool[np.ndarray, " n"]:
    """Return a mask of the activities that may be targets: those of --target-events, or all.

    Raises:
        UserError: --target-events is malformed, or the log has no events of one of its kinds.
    """
    names = _target_events(config)
    if not names:
        return np.ones(len(log.items), bool)
    # Looked up in the source: a kind whose rows were all dropped is not an error.
    kinds = parse_values(log.source["event"], names, f"--target-events={config.target_events}")
    return log.columns["event"].is_in(kinds).to_numpy()


def _target_events(config: DataConfig) -> list[str]:
    given = config.target_events
    kinds = given.split(",") if given is not None else []
    if "" in kinds or len(set(kinds)) < len(kinds):
        raise UserError(f"--target-events={given}: give kinds of events, each once, as in buy,cart")
    return kinds
