"""Fields of configurations: their limits, their choices, and the flags that set them.

A configuration is a frozen dataclass whose `__post_init__` calls `check`. The docstring under each
field is what help prints for its flag. A configuration with a `group` is a group of flags on the
command line (`--transformer.blocks`) and a table of a TOML file. The fields of one without a group
stand beside those of the configuration that it is part of, which annotates it as `Flat`.
"""

from dataclasses import field, fields, is_dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro

from jaxrec.errors import UserError

Part = TypeVar("Part")

# Without a prefix on the command line.
Flat = Annotated[Part, tyro.conf.arg(name="")]


def setting(
    default: Any, low: float | None = None, high: float | None = None, *, advanced: bool = False
) -> Any:
    """Declare a field of a configuration.

    Args:
        low: the least value that is allowed ...
        high: ... and the largest.
        advanced: `--help` leaves it out, and `--help-all` shows it.
    """
    limits = {} if low is None else {"low": low, "high": high}
    return field(default=default, metadata={**limits, "advanced": advanced})


def flag_of(config: Any, name: str) -> str:
    """Return the flag of a field.

    Args:
        config: the configuration that has the field, or its class.
    """
    group = getattr(config, "group", "")
    return "--" + (f"{group}.{name}" if group else name).replace("_", "-")


def check(config: Any) -> None:
    """Refuse a value beyond its limits, both of which are allowed, or that is none of its choices.

    Raises:
        UserError: which flag.
    """
    hints = get_type_hints(type(config)).items()
    choices = {name: get_args(hint) for name, hint in hints if get_origin(hint) is Literal}
    for spec in fields(config):
        value, flag = getattr(config, spec.name), flag_of(config, spec.name)
        if "low" in spec.metadata:
            low, high = spec.metadata["low"], spec.metadata["high"]
            if value is not None and not low <= value <= high:
                raise UserError(
                    f"{flag}={_plain(value)} is out of range; give it {_plain(low)} to "
                    f"{_plain(high)}"
                )
        elif value not in choices.get(spec.name, (value,)):
            raise UserError(f"{flag}={value} is unknown; give {', '.join(choices[spec.name])}")


def values(config: Any) -> dict[str, Any]:
    """Return the value of each flag of a configuration, of the parts inside it too."""
    found = {}
    for spec in fields(config):
        value = getattr(config, spec.name)
        found |= values(value) if is_dataclass(value) else {flag_of(config, spec.name): value}
    return found


def changed(config: Any, *names: str) -> dict[str, Any]:
    """Return the flags whose value is not the default, of some fields or of all."""
    names = names or tuple(spec.name for spec in fields(config))
    default, found = type(config)(), {}
    for name in names:
        value = getattr(config, name)
        if is_dataclass(value):
            found |= changed(value)
        elif value != getattr(default, name):
            found[flag_of(config, name)] = value
    return found


def refuse_unused(config: Any, reader: str, *names: str) -> None:
    """Refuse settings that nothing reads: none is ignored in silence.

    Args:
        reader: the flag that makes them be read.
        names: fields of the configuration; by default all.

    Raises:
        UserError: one is not the default.
    """
    for flag, value in changed(config, *names).items():
        raise UserError(f"{flag}={value} is of use to {reader} alone; give it")


def differing(old: Any, new: Any) -> list[str]:
    """Name each flag in which two configurations of one class differ: "--flag: old, not new"."""
    before, after = values(old), values(new)
    return [
        f"{flag}: {before[flag]}, not {after[flag]}"
        for flag in before
        if before[flag] != after[flag]
    ]


def _plain(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
