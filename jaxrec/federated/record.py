"""The record of federated rounds in a run directory: their settings and privacy guarantee.

It is the file `federated.json`, beside the files of any run (jaxrec/runs/directory.py).
"""

import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jaxrec.config.experiment import Config
from jaxrec.config.fields import differing_flags
from jaxrec.data.dataset import Dataset
from jaxrec.errors import UserError
from jaxrec.federated.accounting import Guarantee
from jaxrec.federated.settings import FederatedConfig
from jaxrec.files import read_json, reading, rename_keys, write_json
from jaxrec.runs.directory import RunDirectory

RECORD = "federated.json"

# Keys of the records of runs of format 8, with their names today.
_RENAMED = {"begins_with": "initial_model", "privacy_said": "privacy_statement"}
_RENAMED_SETTINGS = {"share": "shared_parameters"}


@dataclass(frozen=True)
class FederatedRecord:
    """The facts that are recorded before the first round.

    Attributes:
        settings: the fields of `FederatedConfig`, and their values.
        initial_model: the digest of the initial model.
        clients: the number of clients.
        privacy: the guarantee; None without noise.
        privacy_statement: the guarantee in words.
    """

    settings: dict[str, Any]
    initial_model: str
    clients: int
    privacy: Guarantee | None
    privacy_statement: list[str]


def begin_federated_run(
    out: RunDirectory, config: Config, dataset: Dataset, record: FederatedRecord
) -> None:
    """Write the first files of a run directory, all or none, in place of an older directory.

    Args:
        dataset: the clients' log with the vocabulary of the source. The item counts of that
            vocabulary are those of the source's log; those of the clients are private.
    """
    out.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.path.parent, prefix=f".{out.path.name}.") as folder:
        begun = RunDirectory(Path(folder) / "run")
        begun.begin(config, dataset)
        write_json(begun.path / RECORD, asdict(record))
        if out.path.exists():
            shutil.rmtree(out.path)
        begun.path.rename(out.path)


def load_record(out: RunDirectory) -> FederatedRecord:
    """Load the record of a run directory.

    Raises:
        UserError: the run is not one of federated rounds, or the file is damaged.
    """
    path = out.path / RECORD
    if not path.exists():
        raise UserError(f"--out={out.path} is not a federated run; give another folder")
    saved = read_json(path)
    with reading(path):
        saved = rename_keys(saved, _RENAMED)
        settings = rename_keys(saved["settings"], _RENAMED_SETTINGS)
        privacy = saved["privacy"] and Guarantee(**saved["privacy"])
        return FederatedRecord(**{**saved, "settings": settings, "privacy": privacy})


def require_same_settings(out: RunDirectory, settings: FederatedConfig) -> None:
    """Raise unless a run was begun with these settings.

    Raises:
        UserError: the settings differ, or the run is not one of federated rounds.
    """
    saved = load_record(out).settings
    with reading(out.path / RECORD):
        different = differing_flags(FederatedConfig(**saved), settings)
    if different:
        raise UserError(
            f"{out.path} was begun with other settings ({'; '.join(different)}); give its flags to "
            "resume it, --overwrite to replace it, or another --out"
        )


def require_same_model(out: RunDirectory, digest: str) -> None:
    """Raise unless a run was begun with this initial model.

    Raises:
        UserError: the digests differ.
    """
    if load_record(out).initial_model != digest:
        raise UserError(
            f"{out.path} began with another model than --run-dir has now; start again with "
            "--overwrite"
        )
