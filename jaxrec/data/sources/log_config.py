"""Settings of a user's own log: the roles of its columns and the format of its file."""

from dataclasses import dataclass
from typing import ClassVar

from jaxrec.config.fields import check, flag_of
from jaxrec.data.interactions import TimeUnit

# The value of --log.time for a log without times.
NO_TIMES = "none"


@dataclass(frozen=True)
class LogConfig:
    """A log of your own: which of its columns is what, and how it is written."""

    group: ClassVar = "log"
    user: str = "user"
    """your log's column of users"""
    item: str = "item"
    """your log's column of items"""
    time: str = "timestamp"
    """your log's column of times: numbers or dates; none: there are no times, and the order of the
    file counts"""
    rating: str | None = None
    """your log's column of ratings, if it has one"""
    event: str | None = None
    """your log's column of what kind of event each row is (view, cart, buy), if it has one"""
    columns: str | None = None
    """the names of your log's columns, if its first line does not hold them:
    user,item,rating,timestamp"""
    separator: str | None = None
    """what stands between the fields of your log, tab for a tab; by default it is found out"""
    encoding: str | None = None
    """the encoding of your log, such as latin-1; by default UTF-8, or what its first bytes say"""
    time_format: str | None = None
    """how your log writes its dates, if not as ISO 8601: %d.%m.%Y %H:%M for 31.12.2024 23:59"""
    time_unit: TimeUnit = "auto"
    """what your log's numbers of time count; auto: what makes them times since 1970"""
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
