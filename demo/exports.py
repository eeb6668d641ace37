"""The exports of a page: the newest, and those of other encoders with the same vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jaxrec.errors import UserError
from jaxrec.files import find_below
from jaxrec.runtime import bundle

# Path of the file within a run directory.
MODEL = "export/model.tflite"


@dataclass(frozen=True)
class Export:
    """One model that the page can run.

    Attributes:
        path: the file that it was read from.
        data: the content of the .tflite file, which was checked to be intact.
        model: the content of its model.json.
    """

    path: Path
    data: bytes
    model: dict[str, Any]

    @property
    def vocabulary(self) -> str:
        """Return the hash of the vocabulary, which all models of a page share."""
        return self.model["vocabulary"]["sha256"]

    @property
    def written(self) -> datetime:
        """Return the time at which the file was written on this machine, in local time."""
        return datetime.fromtimestamp(self.path.stat().st_mtime)


def choose_exports(named: Sequence[Path], root: Path = Path("runs")) -> list[Export]:
    """Read the named exports, or by default the newest one and its companions.

    Companions are the newest export of each other encoder with the same vocabulary.

    Args:
        named: .tflite files, or folders with a model.tflite; the first is shown first.
        root: the folder that is searched at any depth if none is named.

    Raises:
        UserError: there is no export, one is damaged, or they do not share a vocabulary.
        OSError: an export cannot be read.
    """
    if not named:
        return _newest(root)
    exports = [_read(path / Path(MODEL).name if path.is_dir() else path) for path in named]
    for each in exports[1:]:
        if each.vocabulary != exports[0].vocabulary:
            raise UserError(
                f"{each.path} has other items than {exports[0].path}; serve each on its own page"
            )
    return exports


def _newest(root: Path) -> list[Export]:
    paths = sorted(find_below(root, MODEL), key=lambda path: path.stat().st_mtime, reverse=True)
    if not paths:
        raise UserError(
            f"no export under {root}/; write one with `python convert/to_tflite.py`, or give one "
            "with --export"
        )
    first = _read(paths[0])
    chosen = {first.model["encoder"]: first}
    for path in paths[1:]:
        try:
            export = _read(path)
        except UserError:
            continue  # damaged or of an older format, and not named by the user
        if export.vocabulary == first.vocabulary:
            chosen.setdefault(export.model["encoder"], export)
    return list(chosen.values())


def _read(path: Path) -> Export:
    data = path.read_bytes()
    return Export(path, data, bundle.parse_bundle(data, path).model)
