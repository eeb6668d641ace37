"""Fingerprints: the inputs of a command, so that it continues only its own unfinished work."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from jaxrec.config.fields import flag_values
from jaxrec.data.sources.table_file import TableFile

# The keys of a fingerprint that are no flags, and the name of the input in messages.
FILES, MODEL = "files", "model_sha256"
_INPUTS = {FILES: "log", MODEL: "model"}


def take_fingerprint(
    flags: Any, ignored: Collection[str], log: TableFile, **others: Any
) -> dict[str, Any]:
    """Return all inputs of a result: flags, and the path, size and time of each file of the log.

    Args:
        flags: the flags of the command.
        ignored: names of the flags that do not affect the result.
        others: further inputs.

    Returns:
        A value as it is read back from JSON, to be compared with a saved one.
    """
    paths = getattr(log, "files", [log.path])
    values = {name: value for name, value in flag_values(flags).items() if name not in ignored}
    files = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
    return json.loads(json.dumps({**values, **others, FILES: files}))


def describe_differences(saved: Mapping[str, Any], requested: Mapping[str, Any]) -> str:
    """Describe the inputs that differ: the first flags, or what has changed under equal flags."""
    names = [name for name in requested if saved.get(name) != requested[name]]
    flags = [
        f"{name}: {saved.get(name)}, not {requested[name]}" for name in names if name not in _INPUTS
    ]
    return "; ".join(flags[:3] or [f"the {_INPUTS[name]} has changed" for name in names])
