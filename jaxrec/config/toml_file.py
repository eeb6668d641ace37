"""Configurations as TOML: the keys are the names of the flags, and a group of flags is a table.

encoder = "transformer"
history-length = 50

[transformer]
blocks = 1
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tomli_w

from jaxrec.config.fields import flag_of, flag_values, renamed_flags
from jaxrec.errors import UserError
from jaxrec.files import rename_keys, replacing

# Version of the layout of run directories. Readers refuse all but this one and the previous one, in
# which some settings and keys have other names.
FORMAT = 9
_PREVIOUS_FORMAT = 8

Settings = TypeVar("Settings")

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}


def as_table(config: Any) -> dict[str, Any]:
    """Return a configuration as a TOML table, without fields that are None: TOML has no null."""
    table: dict[str, Any] = {}
    for spec in fields(config):
        value = getattr(config, spec.name)
        if is_dataclass(value):
            inner = as_table(value)
            table |= inner if _is_flat(value) else {_key(spec.name): inner}
        elif value is not None:
            table[_key(spec.name)] = value
    return table


def write_table(table: Mapping[str, Any], path: Path) -> None:
    """Write a table as a TOML file, with the version of the format."""
    with replacing(path) as file:
        tomli_w.dump({"format": FORMAT, **table}, file)


def read_table(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings: a recipe, or the configuration of a run.

    Raises:
        UserError: the file is missing, is not TOML, or has another format.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(
            f"{path} is not a file; give --config=FILE, a TOML file of settings"
        ) from None
    except ValueError as error:
        raise UserError(f"{path} is not valid TOML ({error}); correct it") from None
    require_format(table.pop("format", FORMAT), path)
    return table


def require_format(found: Any, path: Path) -> None:
    """Raise unless a file has the run format of this version or of the previous one.

    Raises:
        UserError: the format is another one.
    """
    if found not in (FORMAT, _PREVIOUS_FORMAT):
        raise UserError(
            f"{path} has run format {found}, this version reads {FORMAT}; train the run again"
        )


def with_table(config: Settings, table: Mapping[str, Any], path: Path) -> Settings:
    """Return a configuration with the values of a table in place of its own.

    Args:
        path: the file of the table, for error messages.

    Raises:
        UserError: a key is unknown, or a value has another type or is out of range.
    """
    remaining = dict(table)
    replaced = _apply_table(config, remaining, path)
    renamed = renamed_flags(config)
    for key in remaining:
        if new_name := renamed.get(flag_of(config, key)):
            raise UserError(f"{path}: {_name(config, key)} is now {new_name[2:]}")
        known = [name[2:] for name in flag_values(config)]
        near = difflib.get_close_matches(_name(config, key), known, n=1)
        remedy = f"did you mean {near[0]}?" if near else "--help-all lists all settings"
        raise UserError(f"{path} has {_name(config, key)}, which is not a setting; {remedy}")
    return replaced


def with_new_names(config: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of an older run with the new names of renamed settings outside groups."""
    new_names = {old[2:]: new[2:] for old, new in renamed_flags(config).items()}
    return rename_keys(table, new_names)


def _apply_table(config: Any, table: dict[str, Any], path: Path) -> Any:
    """Return a configuration with the table's values of its fields; these leave the table."""
    hints, found = get_type_hints(type(config)), {}
    for spec in fields(config):
        value, key = getattr(config, spec.name), _key(spec.name)
        if is_dataclass(value) and _is_flat(value):
            found[spec.name] = _apply_table(value, table, path)
        elif key in table and is_dataclass(value):
            inner = table.pop(key)
            if not isinstance(inner, dict):
                raise UserError(f"{path}: {key} is {inner!r}; give a table, [{key}]")
            found[spec.name] = with_table(value, inner, path)
        elif key in table:
            found[spec.name] = _typed(table.pop(key), hints[spec.name], _name(config, key), path)
    try:
        return replace(config, **found)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _typed(value: Any, hint: Any, name: str, path: Path) -> Any:
    """Return a value converted to the type of its field.

    Raises:
        UserError: the value has another type, or is none of the choices.
    """
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise UserError(f"{path}: {name} is {value!r}; give {', '.join(get_args(hint))}")
        return value
    kind = next(each for each in _KINDS if each is hint or each in get_args(hint))
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise UserError(f"{path}: {name} is {value!r}; give {_KINDS[kind]}")
    return value


def _is_flat(config: Any) -> bool:
    return not hasattr(config, "group")


def _key(name: str) -> str:
    return name.replace("_", "-")


def _name(config: Any, key: str) -> str:
    return flag_of(config, key)[2:]
