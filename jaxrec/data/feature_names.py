"""Names of features: the columns and the features of the moment that a configuration requests."""

import re
from keyword import iskeyword
from zoneinfo import available_timezones

from jaxrec.data.data_config import DataConfig
from jaxrec.errors import UserError
from jaxrec.schema import AGE, ITEM, Owner

# Columns of a table that cannot be features.
_RESERVED_COLUMNS: dict[Owner, tuple[str, ...]] = {
    "item": (ITEM, "title"),
    "activity": ("user", ITEM, "timestamp"),
    "user": ("user", ITEM),
}

# Other inputs of an exported file, beside the features of activities and users.
_OTHER_INPUTS = ("history", "candidates", "items")
_INPUT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

# Features of the moment, and the number of values of each; ids start at 1.
MOMENTS = {"hour": 24, "weekday": 7}


def feature_names(config: DataConfig, owner: Owner) -> list[str]:
    """Parse the names of the requested features of items, activities or users.

    Raises:
        UserError: a name is repeated, or cannot be that of a feature.
    """
    flag, given = f"--{owner}-features", getattr(config, f"{owner}_features")
    names = given.split(",") if given else []
    used_names = [*_OTHER_INPUTS, *([AGE] if config.time_gaps else []), *moment_names(config)]
    if owner == "activity":
        used_names += [input_of_user(name).lower() for name in feature_names(config, "user")]
    for name in names:
        if names.count(name) > 1 or name in ("", *_RESERVED_COLUMNS[owner]):
            raise UserError(
                f"{flag}={given}: {name!r} is empty, repeated or reserved; give other columns, "
                "each once"
            )
        if owner == "item":
            continue
        input_name = input_of_user(name) if owner == "user" else name
        if not _INPUT_NAME.fullmatch(name) or iskeyword(input_name) or input_name == "self":
            raise UserError(
                f"{flag}={given}: {name!r} cannot be the name of an input; rename the column to a "
                "Python identifier of ASCII letters, digits and _, not a keyword"
            )
        # TensorFlow's input names are case-insensitive.
        if input_name.lower() in used_names:
            raise UserError(f"{flag}={given}: another input is named {name!r}; rename the column")
        used_names.append(input_name.lower())
    return names


def moment_names(config: DataConfig) -> list[str]:
    """Parse the names of the requested features of the moment.

    Raises:
        UserError: a name is unknown or repeated, or the time zone is unknown or has no effect.
    """
    names = config.time_features.split(",") if config.time_features else []
    for name in names:
        if name not in MOMENTS or names.count(name) > 1:
            raise UserError(
                f"--time-features={config.time_features}: {name!r} is unknown or repeated; give "
                f"{', '.join(MOMENTS)}, each once"
            )
    if config.time_zone != DataConfig.time_zone:
        if not names:
            raise UserError(f"--time-zone={config.time_zone} needs --time-features")
        if config.time_zone not in available_timezones():
            raise UserError(
                f"--time-zone={config.time_zone} is unknown; give a name such as Europe/Berlin"
            )
    return names


def input_of_user(name: str) -> str:
    """Return the input name of a user feature, given its column."""
    return f"user_{name}"
