"""The place of a file in the order of the versions that are shipped one after the other."""

import os
import time
from dataclasses import dataclass

from jaxrec.conversion.previous_file import PreviousFile
from jaxrec.data.log_summary import format_utc
from jaxrec.errors import UserError


@dataclass(frozen=True)
class Release:
    """The place of a file in the order of its versions.

    Attributes:
        created: the time of the export, as in "2026-12-01T12:00:00Z".
        sequence: one more than that of the previous file; 1 for the first.
        parent: SHA-256 of the previous file, in hexadecimal; None for the first.
    """

    created: str
    sequence: int = 1
    parent: str | None = None


def next_release(previous: PreviousFile | None) -> Release:
    """Return the release that follows a file, created now or at SOURCE_DATE_EPOCH.

    Args:
        previous: the file that is replaced; None: there is none.

    Raises:
        UserError: if SOURCE_DATE_EPOCH is invalid.
    """
    created = format_utc(_now())
    if previous is None:
        return Release(created)
    # Files without a sequence are older than all others.
    sequence = previous.bundle.model.get("sequence", 0)
    return Release(created, sequence + 1, previous.sha256)


def _now() -> int:
    """Return the seconds since 1970, or SOURCE_DATE_EPOCH, which makes exports reproducible.

    Raises:
        UserError: if SOURCE_DATE_EPOCH is not a whole number.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        return int(time.time())
    if not given.isdecimal() or int(given) >= 253_402_300_800:  # the year 10000
        raise UserError(
            f"SOURCE_DATE_EPOCH={given} is not a time in seconds since 1970; change or unset it"
        )
    return int(given)
