"""A golden case: a call that a model file must answer, or refuse, in every runtime."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Case(NamedTuple):
    """One call of a model.

    Attributes:
        name: what the case shows.
        call: the method.
        arguments: its arguments as JSON values; those with defaults may be left out.
        is_refused: true if every runtime must refuse the call with an error.
    """

    name: str
    call: str
    arguments: Mapping[str, Any]
    is_refused: bool = False


def accepted(call: str, name: str, /, **arguments: Any) -> Case:
    """Return a case whose call has a result."""
    return Case(name, call, arguments)


def refused(call: str, name: str, /, **arguments: Any) -> Case:
    """Return a case whose call is an error."""
    return Case(name, call, arguments, is_refused=True)
