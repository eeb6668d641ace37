"""Parts of a table: written one by one, kept after an interruption, and joined at the end."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from jaxrec.cli.fingerprint import describe_differences
from jaxrec.errors import UserError
from jaxrec.files import read_json, replacing, write_json


@dataclass(frozen=True)
class TableParts:
    """The parts of a table, in a folder beside it.

    Attributes:
        table: the file of the table, .csv or Parquet.
        count: number of parts.
    """

    table: Path
    count: int

    @property
    def folder(self) -> Path:
        """The folder of the parts."""
        return self.table.with_name(self.table.name + ".parts")

    def path(self, number: int) -> Path:
        """Return the file of a part, numbered from 0, which is Parquet.

        It has no suffix of Parquet, so that it is not read as a file of a log.
        """
        return self.folder / f"{number:06}.part"

    def open(self, fingerprint: Mapping[str, Any]) -> str | None:
        """Create the folder, or keep the parts of an interrupted command of the same inputs.

        Returns:
            Why the parts of an earlier command are discarded, if they are.

        Raises:
            UserError: the folder contains other files.
        """
        settings, discarded = self.folder / "settings.json", None
        if settings.exists():
            different = describe_differences(read_json(settings), fingerprint)
            if not different:
                return None
            discarded = f"{self.folder} has unfinished lists of other inputs ({different})"
            self._remove()
        # A killed command may have left a temporary file, with a dot.
        elif self.folder.exists() and any(
            not each.name.startswith(".") for each in self.folder.iterdir()
        ):
            raise UserError(f"{self.folder} contains other files; give another --out")
        self.folder.mkdir(parents=True, exist_ok=True)  # and the folder of the table
        write_json(settings, fingerprint)
        return discarded

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not yet written."""
        return [number for number in range(self.count) if not self.path(number).exists()]

    def write(self, number: int, rows: pl.DataFrame) -> None:
        """Write one part, atomically."""
        with replacing(self.path(number)) as file:
            rows.write_parquet(file)

    def join(self) -> int:
        """Write the table from its parts, atomically, and remove them; return its number of rows.

        The table is streamed, so that it need not fit in memory.
        """
        paths = [self.path(number) for number in range(self.count)]
        rows = pl.scan_parquet(paths, glob=False)
        with replacing(self.table) as file:
            (rows.sink_csv if is_csv(self.table) else rows.sink_parquet)(file)
        height = rows.select(pl.len()).collect().item()
        self._remove()
        return height

    def _remove(self) -> None:
        """Remove the folder; its settings last, so that an interruption leaves a valid one."""
        for path in self.folder.glob("*.part"):
            path.unlink()
        shutil.rmtree(self.folder)


def is_csv(path: Path) -> bool:
    """Return whether a table is written as CSV, rather than as Parquet."""
    return path.suffix.lower() == ".csv"
