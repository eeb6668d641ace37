"""The output of `--help` and `--help-all`: a command's description, its flags and their groups.

The text of a flag is the docstring under its field; the heading of a section is the first line of
its dataclass's docstring. `--help` omits groups, and fields that are `advanced`.
"""

import ast
import inspect
import textwrap
from dataclasses import MISSING, Field, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import tyro

from jaxrec.config.fields import flag_of

# Column at which the texts of flags begin.
_INDENT = 32
_KINDS = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}


class _Flag(NamedTuple):
    name: str
    text: str
    is_advanced: bool


class _Section(NamedTuple):
    """The flags of a dataclass.

    Attributes:
        group: the prefix of their names, or empty.
        heading: the line above them.
    """

    group: str
    heading: str
    flags: list[_Flag]


def render_help(flags: type, about: str, *, everything: bool, width: int) -> str:
    """Format the help of a command.

    Args:
        flags: the dataclass of its flags.
        about: the description of the command, with examples.
        everything: whether to list groups and advanced flags too.
        width: the width of a line, in characters.
    """
    sections = _sections(flags, None)
    groups = [each for each in sections if each.group]
    flat = [each for each in sections if not each.group]
    blocks, is_whole = [about.strip()], everything or not groups
    for section in [*flat, *groups] if everything else flat:
        shown = [each for each in section.flags if everything or not each.is_advanced]
        is_whole &= len(shown) == len(section.flags)
        if shown:
            rows = [_row(each.name, each.text, width) for each in shown]
            blocks.append("\n".join([section.heading, *rows]))
    if groups and not everything:
        rows = [_row(f"--{each.group}.*", each.heading, width) for each in groups]
        blocks.append("\n".join(["Groups of flags, listed by --help-all", *rows]))
    if not is_whole:
        blocks.append("These are the most common flags. --help-all lists all.")
    return "\n\n".join(blocks)


def _row(name: str, text: str, width: int) -> str:
    lines = textwrap.wrap(text, width - _INDENT, break_on_hyphens=False, break_long_words=False)
    first = f"  {name}"
    if lines and len(first) + 2 <= _INDENT:
        first = first.ljust(_INDENT) + lines.pop(0)
    return "\n".join([first, *(" " * _INDENT + line for line in lines)]).rstrip()


def _sections(kind: type, default: Any) -> list[_Section]:
    """Return a section for each dataclass that the flags of a command consist of.

    Args:
        default: an instance with the defaults; None: the defaults of the class.
    """
    hints, docs = get_type_hints(kind, include_extras=True), _field_docs(kind)
    defaults = {
        spec.name: _default(spec) if default is None else getattr(default, spec.name)
        for spec in fields(kind)
    }
    parts = [
        part
        for value in defaults.values()
        if is_dataclass(value)
        for part in _sections(type(value), value)
    ]
    own = [
        _Flag(
            _name(kind, spec.name, hints[spec.name], defaults[spec.name]),
            docs.get(spec.name, "") + _format_default(defaults[spec.name]),
            spec.metadata.get("advanced", False),
        )
        for spec in fields(kind)
        if not is_dataclass(defaults[spec.name])
    ]
    section = _Section(getattr(kind, "group", ""), _field_docs(kind)[""], own)
    # The settings that all training commands share come before a command's own flags.
    return [*parts, section] if is_dataclass(next(iter(defaults.values()))) else [section, *parts]


def _default(spec: Field[Any]) -> Any:
    return spec.default if spec.default_factory is MISSING else spec.default_factory()


def _format_default(default: Any) -> str:
    if default is MISSING:
        return " (required)"
    is_hidden = default in (None, ()) or isinstance(default, bool)
    return "" if is_hidden else f" (default: {default})"


def _name(kind: type, field: str, hint: Any, default: Any) -> str:
    """Return a flag as it is typed, with a placeholder for its value."""
    if tyro.conf.Positional in getattr(hint, "__metadata__", ()):
        return f"{field.upper()} ..."
    flag = flag_of(kind, field)
    if isinstance(default, bool):
        return flag.replace("--", "--no-", 1) if default else flag
    hint = get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
    choices = [each for each in (hint, *get_args(hint)) if get_origin(each) is Literal]
    if choices:
        return f"{flag}={{{','.join(get_args(choices[0]))}}}"
    return f"{flag}={next(_KINDS[each] for each in (hint, *get_args(hint)) if each in _KINDS)}"


def _field_docs(kind: type) -> dict[str, str]:
    """Return the docstring under each field of a dataclass; "" has the first line of its own."""
    found = {"": (inspect.getdoc(kind) or "").partition("\n")[0]}
    for base in reversed(kind.__mro__):
        if is_dataclass(base):
            try:
                source = inspect.getsource(base)
            except OSError:  # defined interactively, or installed without its source
                continue
            (tree,) = ast.parse(textwrap.dedent(source)).body
            assert isinstance(tree, ast.ClassDef)
            for field, below in pairwise(tree.body):
                match field, below:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        found[name] = " ".join(text.split())
    return found
