"""The static folder: page, runtime and models, with a list of hashes by which it updates.

    index.html ...                  the page as it stands in demo/page/
    runtime/                        LiteRT.js
    models/<name>-<hash>.tflite     each with its catalogue and card inside
    models.json                     which models there are, the first being shown first
    release.js                      the hash of every file above, for the service worker

A model and its catalogue are one file, and a release is kept by the browser as a whole or not at
all: nothing new can meet anything old.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.exports import Export
from jaxrec.errors import UserError
from jaxrec.runtime.bundle import sha256

PAGE = Path(__file__).parent / "page"
MODELS = "models.json"
RELEASE = "release.js"
# Not of the release itself: the browser asks for it anew to learn of a release.
_WORKER = "service_worker.js"


def gather(folder: Path, exports: Sequence[Export], runtime: Mapping[str, bytes]) -> None:
    """Put a page together in a folder, replacing an older one in one step.

    Raises:
        UserError: the folder holds something else.
        OSError: it cannot be written.
    """
    if folder.exists() and not (folder / RELEASE).is_file() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other things than a page; give another --folder")
    files = {path.name: path.read_bytes() for path in sorted(PAGE.iterdir())}
    files |= {f"runtime/{name}": content for name, content in runtime.items()}
    files |= {model_path(export): export.data for export in exports}
    files[MODELS] = json.dumps([_entry(export) for export in exports], indent=2).encode()
    files[RELEASE] = _release(files)
    _replace(folder, files)


def model_path(export: Export) -> str:
    """Give a model's place in the folder; another content has another place."""
    return f"models/{export.model['encoder']}-{sha256(export.data)[:16]}.tflite"


def _entry(export: Export) -> dict[str, object]:
    file = {"path": model_path(export), "sha256": sha256(export.data), "bytes": len(export.data)}
    return file | {name: export.model[name] for name in ("run", "encoder", "recipe")}


def _release(files: Mapping[str, bytes]) -> bytes:
    """Write the hashes down as a script that the service worker imports."""
    hashes = {name: sha256(content) for name, content in files.items() if name != _WORKER}
    listed = json.dumps(hashes, indent=2, sort_keys=True)
    release = {"version": sha256(listed.encode()), "files": hashes}
    return f"self.RELEASE = {json.dumps(release, indent=2, sort_keys=True)};\n".encode()


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder beside the old one and let it take its place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as place:
        new, old = Path(place) / "new", Path(place) / "old"
        for name, content in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
