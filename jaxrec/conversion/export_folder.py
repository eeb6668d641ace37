"""The folder of an export: its files, and their hashes in the model.json beside them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrec.errors import UserError
from jaxrec.runtime import bundle
from jaxrec.runtime.signature import require_signature

# The key of model.json that has the hashes, and the file that is always among them.
FILES, MODEL_FILE = "files", "model.tflite"


def describe_files(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the size and the SHA-256 of each file, by its name."""
    return {
        name: {"bytes": len(content), "sha256": bundle.sha256(content)}
        for name, content in files.items()
    }


def read_export(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read the files of an export.

    Returns:
        The content of model.json, and that of each file that it lists, by its name.

    Raises:
        UserError: if the folder is not an export, is older than the list of files, lacks one, or
            has another .tflite file.
        OSError: if a file cannot be read.
    """
    path = folder / bundle.MODEL
    if not path.is_file():
        raise UserError(f"{folder} has no {bundle.MODEL}; give a folder of `jaxrec export`")
    try:
        model = json.loads(path.read_bytes())
        names = list(model.get(FILES, []))
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); export its run again") from None
    if MODEL_FILE not in names:
        raise UserError(
            f"{path} is of an older version, without the hashes of its files; export its run again"
        )
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise UserError(f"{folder} lacks {name}, which its {bundle.MODEL} lists; copy it again")
    for other in sorted(folder.glob("*.tflite")):
        if other.name not in names:
            raise UserError(f"{other} is not a file of this export; move it to another folder")
    return model, {name: (folder / name).read_bytes() for name in names}


def require_hashes(folder: Path, model: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Check that files of an export have the hashes of its model.json.

    Raises:
        UserError: if one has not.
    """
    for name, expected in describe_files(files).items():
        if model[FILES][name] != expected:
            raise UserError(
                f"{folder / name} differs from its hash in {bundle.MODEL}; copy or export it again"
            )


def verify_export(folder: Path, public_key: str) -> dict[str, Any]:
    """Check the hashes and the signatures of all files of an export.

    Args:
        public_key: the text of a PEM file.

    Returns:
        The content of model.json.

    Raises:
        UserError: if a file is missing, damaged or not signed with the key.
        OSError: if a file cannot be read.
    """
    model, files = read_export(folder)
    signature = folder / bundle.SIGNATURE
    signed = signature.read_bytes() if signature.is_file() else None
    path = folder / bundle.MODEL
    require_signature(path.read_bytes(), signed, public_key, str(path))
    require_hashes(folder, model, files)
    for name, content in files.items():
        if name.endswith(".tflite"):
            bundle.parse_bundle(content, folder / name, public_key)
    return model
