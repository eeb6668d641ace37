"""The names of features: which columns, and which moments, a configuration asks for."""

import re
from keyword import iskeyword
from zoneinfo import available_timezones

from jaxrec.data.data_config import DataConfig
from jaxrec.errors import UserError
from jaxrec.schema import AGE, ITEM, Owner

# What a table has beside features.
_NO_FEATURES: dict[Owner, tuple[str, ...]] = {
    "item": (ITEM, "title"),
    "activity": ("user", ITEM, "timestamp"),
    "user": ("user", ITEM),
}

# Features of activities and users are inputs of a file, beside these.
_OTHER_INPUTS = ("history", "candidates", "items")
_INPUT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

_MANY: dict[Owner, str] = {"item": "items", "activity": "activities", "user": "users"}

# What is known of a moment, and how many values it has: ids from 1.
MOMENTS = {"hour": 24, "weekday": 7}


def feature_names(config: DataConfig, owner: Owner) -> list[str]:
    """Cut the features of items, activities or users that were asked for.

    Raises:
        UserError: one is named twice, or cannot be one.
    """
    flag, asked = f"--{owner}-features", getattr(config, f"{owner}_features")
    names = asked.split(",") if asked else []
    taken = [*_OTHER_INPUTS, *([AGE] if config.time else []), *moment_names(config)]
    if owner == "activity":
        taken += [input_of_user(name).lower() for name in feature_names(config, "user")]
    for name in names:
        if names.count(name) > 1 or name in ("", *_NO_FEATURES[owner]):
            raise UserError(
                f"{flag}={asked} has {name!r}; give columns that several {_MANY[owner]} share, "
                "each once"
            )
        if owner == "item":
            continue
        input_name = input_of_user(name) if owner == "user" else name
        if not _INPUT_NAME.fullmatch(name) or iskeyword(input_name) or input_name == "self":
            raise UserError(
                f"{flag}={asked}: {name!r} is to be the name of an input, of letters, digits and _ "
                "alone, and no word of Python's; rename the column"
            )
        # TensorFlow does not tell capitals apart.
        if input_name.lower() in taken:
            raise UserError(f"{flag}={asked}: {name!r} is another input's name; rename the column")
        taken.append(input_name.lower())
    return names


def moment_names(config: DataConfig) -> list[str]:
    """Cut what is to be known of the moment.

    Raises:
        UserError: one is unknown or named twice; or a zone is given without need, or unknown.
    """
    names = config.moment.split(",") if config.moment else []
    for name in names:
        if name not in MOMENTS or names.count(name) > 1:
            raise UserError(
                f"--moment={config.moment} has {name!r}; give {', '.join(MOMENTS)}, each once"
            )
    if config.time_zone != DataConfig.time_zone:
        if not names:
            raise UserError(f"--time-zone={config.time_zone} is of use to --moment alone; give it")
        if config.time_zone not in available_timezones():
            raise UserError(
                f"--time-zone={config.time_zone} is unknown; give one as Europe/Berlin or UTC"
            )
    return names


def input_of_user(name: str) -> str:
    """Name the input of a feature of users by its column."""
    return f"user_{name}"
