"""The static folder: page, runtime and models, with a list of hashes for updates.

    index.html ...                  the files of demo/page/
    jaxrec/                         the package that recommends, clients/web/src/
    runtime/                        LiteRT.js
    models/<name>-<hash>.tflite     models, each with its catalogue and card inside
    models.json                     the list of models; the first is shown first
    release.js                      the hash of every file above, for the service worker

A model and its catalogue are one file, and the browser caches a release as a whole or not at all.
So files of two releases are never mixed.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.exports import Export
from jaxrec.errors import UserError
from jaxrec.runtime.bundle import sha256

PAGE = Path(__file__).parent / "page"
_PACKAGE = PAGE.parents[1] / "clients" / "web" / "src"
MODELS = "models.json"
RELEASE = "release.js"
# Not part of a release: the browser fetches it again to detect a new release.
_WORKER = "service_worker.js"
# Browsers do not resolve names of packages, and the page's policy allows no import map.
_IMPORTS = {
    b'from "jaxrec"': b'from "./jaxrec/index.js"',
    b'import "jaxrec/worker"': b'import "./jaxrec/worker.js"',
}
# The entry for Node.js.
_NOT_FOR_BROWSERS = "node.js"


def write_page(folder: Path, exports: Sequence[Export], runtime: Mapping[str, bytes]) -> None:
    """Write a page to a folder, and replace an older page in one step.

    Raises:
        UserError: the folder has other files than a page.
        OSError: the folder cannot be written.
    """
    if folder.exists() and not (folder / RELEASE).is_file() and any(folder.iterdir()):
        raise UserError(f"{folder} contains files other than a page; give another --folder")
    files = {path.name: _resolve_imports(path.read_bytes()) for path in sorted(PAGE.iterdir())}
    files |= {
        f"jaxrec/{path.name}": path.read_bytes()
        for path in sorted(_PACKAGE.glob("*.js"))
        if path.name != _NOT_FOR_BROWSERS
    }
    files |= {f"runtime/{name}": content for name, content in runtime.items()}
    files |= {model_path(export): export.data for export in exports}
    files[MODELS] = json.dumps([_entry(export) for export in exports], indent=2).encode()
    files[RELEASE] = _release(files)
    _replace(folder, files)


def model_path(export: Export) -> str:
    """Return a model's path in the folder, which includes a hash of its content."""
    return f"models/{export.model['encoder']}-{sha256(export.data)[:16]}.tflite"


def _resolve_imports(content: bytes) -> bytes:
    """Replace the names of packages in the imports of a file by their paths in the folder."""
    for name, path in _IMPORTS.items():
        content = content.replace(name, path)
    return content


def _entry(export: Export) -> dict[str, object]:
    file = {"path": model_path(export), "sha256": sha256(export.data), "bytes": len(export.data)}
    return file | {name: export.model[name] for name in ("run", "encoder", "recipe")}


def _release(files: Mapping[str, bytes]) -> bytes:
    """Return the hashes as a script that the service worker imports."""
    hashes = {name: sha256(content) for name, content in files.items() if name != _WORKER}
    listed = json.dumps(hashes, indent=2, sort_keys=True)
    release = {"version": sha256(listed.encode()), "files": hashes}
    return f"self.RELEASE = {json.dumps(release, indent=2, sort_keys=True)};\n".encode()


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder under a temporary name, and rename it to replace the old one."""
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
