"""Fields of configurations: their limits, their choices, and the flags that set them.

A configuration is a frozen dataclass whose `__post_init__` calls `check`. The docstring under each
field is the help text of its flag. A configuration with a `group` is a group of flags on the
command line (`--transformer.blocks`) and a table of a TOML file. A configuration without a group is
annotated as `Flat` by the one that contains it, and its fields are on the same level.
"""

from dataclasses import MISSING, field, fields, is_dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro

from jaxrec.errors import UserError

Part = TypeVar("Part")

# Annotates a nested configuration whose flags have no prefix on the command line.
Flat = Annotated[Part, tyro.conf.arg(name="")]


def setting(
    default: Any,
    low: float | None = None,
    high: float | None = None,
    *,
    advanced: bool = False,
    old_name: str | None = None,
) -> Any:
    """Declare a field of a configuration.

    Args:
        low: the smallest allowed value.
        high: the largest allowed value.
        advanced: whether only `--help-all` lists the flag, and `--help` omits it.
        old_name: the name of the field in the previous version. Commands and settings files refuse
            it with an error that has the new name; the configurations of older runs may have it.
    """
    limits = {} if low is None else {"low": low, "high": high}
    return field(default=default, metadata={**limits, "advanced": advanced, "old_name": old_name})


def flag_of(config: Any, name: str) -> str:
    """Return the flag of a field.

    Args:
        config: the configuration that has the field, or its class.
    """
    group = getattr(config, "group", "")
    return "--" + (f"{group}.{name}" if group else name).replace("_", "-")


def renamed_flags(kind: Any) -> dict[str, str]:
    """Return the new name of each renamed flag of a configuration, including nested ones.

    Args:
        kind: the configuration, or its class.
    """
    found = {}
    for spec in fields(kind):
        old_name = spec.metadata.get("old_name")
        if old_name is not None:
            found[flag_of(kind, old_name)] = flag_of(kind, spec.name)
        elif spec.default_factory is not MISSING and is_dataclass(part := spec.default_factory()):
            found |= renamed_flags(part)
    return found


def check(config: Any) -> None:
    """Raise if a value is outside its limits, which are inclusive, or is none of its choices.

    Raises:
        UserError: a value is not allowed; the message names its flag.
    """
    hints = get_type_hints(type(config)).items()
    choices = {name: get_args(hint) for name, hint in hints if get_origin(hint) is Literal}
    for spec in fields(config):
        value, flag = getattr(config, spec.name), flag_of(config, spec.name)
        if "low" in spec.metadata:
            low, high = spec.metadata["low"], spec.metadata["high"]
            if value is not None and not low <= value <= high:
                raise UserError(
                    f"{flag}={_format_number(value)} is out of range; give "
                    f"{_format_number(low)} to {_format_number(high)}"
                )
        elif value not in choices.get(spec.name, (value,)):
            raise UserError(f"{flag}={value} is unknown; give {', '.join(choices[spec.name])}")


def flag_values(config: Any) -> dict[str, Any]:
    """Return the value of each flag of a configuration, including nested configurations."""
    found = {}
    for spec in fields(config):
        value = getattr(config, spec.name)
        found |= flag_values(value) if is_dataclass(value) else {flag_of(config, spec.name): value}
    return found


def changed_flags(config: Any, *names: str) -> dict[str, Any]:
    """Return the flags of the named fields, by default all, whose value is not the default."""
    names = names or tuple(spec.name for spec in fields(config))
    default, found = type(config)(), {}
    for name in names:
        value = getattr(config, name)
        if is_dataclass(value):
            found |= changed_flags(value)
        elif value != getattr(default, name):
            found[flag_of(config, name)] = value
    return found


def refuse_unused(config: Any, reader: str, *names: str) -> None:
    """Raise if an unused setting differs from its default, so that none is silently ignored.

    Args:
        reader: the flag with which the settings would be used.
        names: fields of the configuration; by default all.

    Raises:
        UserError: a setting is not the default.
    """
    for flag, value in changed_flags(config, *names).items():
        raise UserError(f"{flag}={value} needs {reader}")


def differing_flags(old: Any, new: Any) -> list[str]:
    """Return each flag in which two configurations of one class differ: "--flag: old, not new"."""
    before, after = flag_values(old), flag_values(new)
    return [
        f"{flag}: {before[flag]}, not {after[flag]}"
        for flag in before
        if before[flag] != after[flag]
    ]


def _format_number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
