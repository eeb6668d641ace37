"""Sizes: the widths, the dropout and the epochs that make a model small, medium or large."""

from pathlib import Path
from typing import Any, Literal, TypeVar

from jaxrec.config.toml_file import read_table, with_table
from jaxrec.errors import UserError

Settings = TypeVar("Settings")

Size = Literal["small", "medium", "large"]

# As tables of settings; medium has the defaults. docs/models.md has the figures.
SIZES: dict[str, dict[str, Any]] = {
    "small": {"embedding-dim": 16, "hidden-units": 24, "dropout": 0.05, "epochs": 15},
    "medium": {},
    "large": {"embedding-dim": 96, "hidden-units": 192, "epochs": 25},
}


def with_size(config: Settings, size: str | None, path: Path | None) -> Settings:
    """Return a configuration with the settings of a size, and then those of a file.

    Args:
        config: the defaults.
        size: the size; None: the defaults.
        path: a TOML file of settings; None: there is none.

    Raises:
        UserError: the size is unknown, the file cannot be read, a setting in it is unknown or
            invalid, or it is one of the size's.
    """
    if size is not None and size not in SIZES:
        raise UserError(f"--size={size} is unknown; give {', '.join(SIZES)}")
    preset = SIZES[size] if size else {}
    table = {} if path is None else read_table(path)
    if repeated := preset.keys() & table.keys():
        raise UserError(f"{path} has {min(repeated)}, which --size={size} sets; omit --size")
    return with_table(config, {**preset, **table}, path or Path(f"--size={size}"))
