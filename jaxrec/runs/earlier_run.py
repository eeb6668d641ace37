"""Earlier runs that a run starts from or learns from: whether they are finished, and fit."""

from dataclasses import replace
from pathlib import Path

from jaxrec.config.fields import differing_flags
from jaxrec.data.data_config import DataConfig
from jaxrec.data.prepared import is_prepared
from jaxrec.data.sources.movielens import MOVIELENS
from jaxrec.errors import UserError
from jaxrec.runs.directory import RunDirectory

# The places of a log and of its tables, and how they are read: a newer log may be another file.
_PLACES = ("dataset", "log", "items", "item_table", "users", "user_table")


def finished_run(flag: str, path: str) -> RunDirectory:
    """Return the directory of a finished run.

    Args:
        flag: the flag that names it, for error messages.

    Raises:
        UserError: it is no finished run.
    """
    directory = RunDirectory(Path(path))
    if not directory.is_finished:
        raise UserError(f"{flag}={directory.path} is not a finished run; train it first")
    return directory


def data_differences(earlier: DataConfig, later: DataConfig, *ignored: str) -> list[str]:
    """Return each setting in which the data of two runs differ, as "--flag: earlier, not later".

    Logs of the user may be different files, such as those of two days. Their split must be the
    same: the earlier run may have been trained on targets that the later one is evaluated on.

    Args:
        ignored: names of other fields that may differ.
    """
    names = ["data_dir", *ignored]
    is_own = not {earlier.dataset, later.dataset} & {"synthetic", *MOVIELENS}
    # Shuffled pairs are alike in the same log alone.
    if is_own and later.split != "random-pairs":
        names += _PLACES
    # Those of a prepared log were given to `jaxrec prepare`.
    if is_prepared(earlier.dataset) or is_prepared(later.dataset):
        names.append("filters")
    alike = replace(earlier, **{name: getattr(later, name) for name in names})
    return differing_flags(alike, later)
