"""Models that are not what they should be."""

import json
import zipfile
from pathlib import Path
from typing import Any

from jaxrec.runtime import bundle


def rewritten(path: Path, target: Path, **members: Any) -> None:
    """Write a model anew with other members in its archive: `catalogue_json=[...]`."""
    with zipfile.ZipFile(path) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    graph = bundle.read(path).graph
    new = {name.replace("_json", ".json"): value for name, value in members.items()}
    old |= {name: json.dumps(value).encode() for name, value in new.items()}
    target.write_bytes(bundle.pack(graph, old))
