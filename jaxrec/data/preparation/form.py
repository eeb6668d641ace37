"""Form: of what types the columns of a log are, which all of its rows decide together.

Ids that are whole numbers in each row are integers; where one row has text, all are text. A part of
the rows does not know that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from jaxrec.data.interactions import TICKS_PER_SECOND
from jaxrec.data.sources.own_log import LogFile, ReadRows
from jaxrec.data.sources.tabular import Table, text_of
from jaxrec.data.sources.times import ticks_by_size
from jaxrec.errors import UserError

_NANOSECONDS = TICKS_PER_SECOND["nanoseconds"]


# Integers that a text has as 15.0 in each row. One that is written as 15 makes all of them text.
_WITH_POINT = "Int64 with a point"


@dataclass(frozen=True)
class Form:
    """What the rows of a log have in common.

    Attributes:
        dtypes: the name of Polars for the type of each column.
        said_ticks: the unit of the times, if they are dates or it is given.
        first: the least time ...
        last: ... and the greatest.
    """

    dtypes: dict[str, str]
    said_ticks: int | None
    first: float
    last: float

    @property
    def no_rows(self) -> pl.DataFrame:
        """A table of these types without a row."""
        return pl.DataFrame(schema={name: getattr(pl, each) for name, each in self.dtypes.items()})

    @property
    def ticks_per_second(self) -> int | None:
        """The unit of the times; None where it cannot be told."""
        return self.said_ticks or ticks_by_size(pl.Series([self.first, self.last]))


def form_of(rows: ReadRows, table: Table, opened: LogFile) -> Form:
    """Tell the form of some rows, of one at the least.

    Args:
        table: the same rows as they are written.
    """
    dtypes = {name: str(dtype) for name, dtype in rows.log.schema.items()}
    if not opened.file.is_typed:
        for name, column in (
            ("user", opened.config.user),
            ("item", opened.config.item),
        ):
            if (
                dtypes[name] == "Int64"
                and (rows.log[name].cast(pl.String) != table.frame[column]).any()
            ):
                dtypes[name] = _WITH_POINT
    return Form(dtypes, rows.ticks_per_second, *_ends(rows.log["timestamp"]))


def _ends(times: pl.Series) -> tuple[float, float]:
    numbers = times.to_numpy()
    return float(numbers.min()), float(numbers.max())


def common_form(forms: Sequence[Form], opened: LogFile) -> Form:
    """Tell the form of all rows by those of their parts.

    Raises:
        UserError: times are dates in some rows and numbers in others.
    """
    units = {each.said_ticks for each in forms}
    if None in units and len(units) > 1:
        raise UserError(
            f"{opened.file.path}: column {opened.config.time!r} holds dates in some rows "
            "and numbers in others; write all in one way"
        )
    said = max((unit for unit in units if unit), default=None)
    dtypes = {}
    for name in forms[0].dtypes:
        found = {each.dtypes[name] for each in forms}
        dtypes[name] = _common_type(found)
    if said == _NANOSECONDS:
        dtypes["timestamp"] = "Int64"
    first, last = min(each.first for each in forms), max(each.last for each in forms)
    return Form(dtypes, said, first, last)


def _common_type(names: set[str]) -> str:
    if "String" in names or names > {_WITH_POINT}:
        return "String"
    return "Float64" if "Float64" in names else "Int64" if names == {_WITH_POINT} else min(names)


def in_form(rows: ReadRows, table: Table, opened: LogFile, form: Form) -> pl.DataFrame:
    """Give rows the types that all rows have.

    Args:
        table: the same rows as they are written.
    """
    config = opened.config
    written = {
        "user": config.user,
        "item": config.item,
        "event": config.event,
        **{name: name for name in opened.others},
    }

    schema = form.no_rows.schema

    def column(name: str) -> pl.Series:
        values, dtype = rows.log[name], schema[name]
        if values.dtype == dtype:
            return values
        if dtype == pl.String:
            return text_of(table.plain(written[name])).alias(name)
        if name == "timestamp" and form.said_ticks == _NANOSECONDS:
            # Seconds of dates without a nanosecond are whole microseconds.
            return (values * 1e6).round().cast(pl.Int64) * 1000
        return values.cast(dtype)

    return pl.DataFrame([column(name) for name in schema])
