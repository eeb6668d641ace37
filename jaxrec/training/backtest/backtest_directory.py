"""The directory of a backtest: its runs, and its figures as JSON and as a plot.

    <date>-scratch/    the run that was trained from scratch at the start of a period
    <date>-warm/       the run that continued the one of the period before; none at the first
    backtest.json      the settings, and the figures of each period and of all after the first
    backtest.png       the same as a plot

The figures are written after each period. Each run is a run directory, which can be exported.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxrec.config.experiment import Config
from jaxrec.errors import UserError
from jaxrec.files import read_json, reading, write_json
from jaxrec.runs.directory import RunDirectory

FIGURES, PLOT = "backtest.json", "backtest.png"


@dataclass(frozen=True)
class BacktestDirectory:
    """The folder of a backtest, begun or not."""

    path: Path

    def run(self, date: str, variant: str) -> RunDirectory:
        """Return the directory of a run."""
        return RunDirectory(self.path / f"{date.replace(':', '')}-{variant}")

    def check(self, settings: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Raise, before any work is done, if a backtest must not write to this directory.

        Args:
            settings: the value of each flag that determines the figures.

        Raises:
            UserError: the directory holds other files, a backtest that is neither resumed nor
                overwritten, or one with other settings.
        """
        flag, path = f"--backtest-dir={self.path}", self.path / FIGURES
        if resume and overwrite:
            raise UserError("--resume and --overwrite exclude each other; give one of them")
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{flag} is a file; give a folder")
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        if not path.exists():
            raise UserError(f"{flag} contains other files and no backtest; give another folder")
        if overwrite:
            return
        if not resume:
            raise UserError(
                f"{self.path} contains a backtest; give --resume to continue it, --overwrite to "
                "replace it, or another --backtest-dir"
            )
        saved = read_json(path)
        with reading(path):
            before = saved["settings"]
            different = [
                f"{name}: {before.get(name)}, not {value}"
                for name, value in settings.items()
                if before.get(name) != value and name != "--data-dir"
            ]
        if different:
            raise UserError(
                f"{self.path} is a backtest with other settings ({'; '.join(different)}); give its "
                "flags to continue it, --overwrite to replace it, or another --backtest-dir"
            )

    def begin(self, settings: Mapping[str, Any], *, overwrite: bool) -> None:
        """Create the directory and save the settings; `overwrite` removes an older backtest."""
        if overwrite and self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / FIGURES).exists():
            self.save({"settings": settings})

    def save(self, figures: Mapping[str, Any]) -> None:
        """Write the settings and the figures so far."""
        write_json(self.path / FIGURES, figures)


def default_path(config: Config) -> Path:
    """Return the default directory of a backtest."""
    return Path("runs") / f"backtest-{config.data.name}-{config.model.encoder}"
