"""Settings of a user's own log: the roles of its columns and the format of its file."""

from dataclasses import dataclass
from typing import ClassVar

from jaxrec.config.fields import check, flag_of
from jaxrec.data.interactions import TimeUnit

# The value of --log.time for a log without times.
NO_TIMES = "none"


@dataclass(frozen=True)
class LogConfig:
    """Your own log: the roles of its columns, and its format."""

    group: ClassVar = "log"
    user: str = "user"
    """column of users; default: `user`, or the one with a common name, such as userId"""
    item: str = "item"
    """column of items; default: `item`, or the one with a common name, such as product_id"""
    time: str = "timestamp"
    """column of times, numbers or dates; default: `timestamp`, or the one with a common name, such
    as created_at; none: there are no times, and the rows are in order"""
    newest_first: bool = False
    """with --log.time=none: the rows run from the newest to the oldest"""
    rating: str | None = None
    """column of ratings, if there is one"""
    event: str | None = None
    """column of kinds of events (view, cart, buy), if there is one"""
    columns: str | None = None
    """column names of a log without a header: user,item,rating,timestamp"""
    separator: str | None = None
    """field separator, tab for a tab; default: inferred"""
    encoding: str | None = None
    """encoding, such as latin-1; default: UTF-8, or UTF-16 by a byte order mark"""
    time_format: str | None = None
    """strftime format of dates that are not ISO 8601: %d.%m.%Y %H:%M for 31.12.2024 23:59"""
    time_unit: TimeUnit = "auto"
    """unit of numeric times; auto: the one that makes them times since 1970"""
    drop_incomplete: bool = False
    """drop rows without a user, item, time, rating or event, instead of refusing them"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def roles(self) -> dict[str, str | None]:
        """The column of each role, by the flag of the role; None for a role without a column."""
        columns = {
            "user": self.user,
            "item": self.item,
            "time": None if self.time == NO_TIMES else self.time,
            "rating": self.rating,
            "event": self.event,
        }
        return {flag_of(self, role): column for role, column in columns.items()}
