"""Events: a log may have several kinds of them, and some kinds alone may be predicted."""

import numpy as np
from jaxtyping import Bool

from jaxrec.data.data_config import DataConfig
from jaxrec.data.labels import values_in
from jaxrec.data.ordered import OrderedLog
from jaxrec.errors import UserError


def require_events(config: DataConfig) -> None:
    """Refuse kinds of events that no column can have.

    Raises:
        UserError: --target-events names nothing, or there is no --log.event.
    """
    if _target_events(config) and config.log.event is None:
        raise UserError(
            f"--target-events={config.target_events} needs --log.event, the column of your log "
            "that says what kind of event each row is"
        )


def are_targets(log: OrderedLog, config: DataConfig) -> Bool[np.ndarray, " n"]:
    """Tell which activities are to be predicted: those of --target-events, or all.

    Raises:
        UserError: there are no events, or none of a kind.
    """
    asked = _target_events(config)
    if not asked:
        return np.ones(len(log.items), bool)
    # A kind whose rows were all dropped is no mistake.
    kinds = values_in(log.source["event"], asked, f"--target-events={config.target_events}")
    return log.columns["event"].is_in(kinds).to_numpy()


def _target_events(config: DataConfig) -> list[str]:
    asked = config.target_events
    kinds = asked.split(",") if asked is not None else []
    if "" in kinds or len(set(kinds)) < len(kinds):
        raise UserError(f"--target-events={asked}: give kinds of events, each once, as in buy,cart")
    return kinds
