"""The record of federated rounds in a run directory: their settings, and what they guarantee.

It is `federated.json`, beside the files of any run (jaxrec/runs/directory.py).
"""

import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jaxrec.config.experiment import Config
from jaxrec.config.fields import differing
from jaxrec.data.dataset import Dataset
from jaxrec.errors import UserError
from jaxrec.federated.accounting import Guarantee
from jaxrec.federated.settings import FederatedConfig
from jaxrec.files import read_json, reading, write_json
from jaxrec.runs.directory import RunDirectory

RECORD = "federated.json"


@dataclass(frozen=True)
class FederatedRecord:
    """What is recorded before the first round.

    Attributes:
        settings: the fields of `FederatedConfig`, and their values.
        begins_with: the digest of the initial model.
        clients: how many there are.
        privacy: what the noise guarantees; None without noise.
        privacy_said: the same in sentences.
    """

    settings: dict[str, Any]
    begins_with: str
    clients: int
    privacy: Guarantee | None
    privacy_said: list[str]


def begin_federated_run(
    out: RunDirectory, config: Config, dataset: Dataset, record: FederatedRecord
) -> None:
    """Begin a run directory, complete or not at all, in the place of an older one.

    Args:
        dataset: the log of the clients with the vocabulary of the source, whose counts are those of
            the log that it learned from. The counts of clients are private.
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
        UserError: it is not one of federated rounds, or the file is damaged.
    """
    path = out.path / RECORD
    if not path.exists():
        raise UserError(f"--out={out.path} is no run of federated rounds; name another folder")
    saved = read_json(path)
    with reading(path):
        privacy = saved["privacy"] and Guarantee(**saved["privacy"])
        return FederatedRecord(**{**saved, "privacy": privacy})


def require_same_settings(out: RunDirectory, settings: FederatedConfig) -> None:
    """Refuse to continue a run by other settings.

    Raises:
        UserError: the settings differ, or it is not a run of federated rounds.
    """
    saved = load_record(out).settings
    with reading(out.path / RECORD):
        different = differing(FederatedConfig(**saved), settings)
    if different:
        raise UserError(
            f"{out.path} was begun with other settings ({'; '.join(different)}); give its flags to "
            "resume it, --overwrite to replace it, or another --out"
        )


def require_same_model(out: RunDirectory, digest: str) -> None:
    """Refuse to continue a run from another initial model.

    Raises:
        UserError: the digests differ.
    """
    if load_record(out).begins_with != digest:
        raise UserError(
            f"{out.path} began with another model than --run-dir has now; start anew with "
            "--overwrite"
        )
