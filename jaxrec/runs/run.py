"""A finished run, as it is read in Python."""

from dataclasses import dataclass
from pathlib import Path

from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.report import render_table
from jaxrec.runs.summary import Summary


@dataclass(frozen=True)
class Run:
    """A finished run: its directory, and its figures with the protocol they were taken by.

    Attributes:
        path: the run directory.
        summary: the figures, on the test and validation targets, of the model and the baselines.

    Example:
        run = jaxrec.Run.load("runs/shop")
        print(run.report())
        print(run.summary.test.means["recall@10"])
    """

    path: Path
    summary: Summary

    @classmethod
    def load(cls, path: str | Path) -> "Run":
        """Load a run that was trained before.

        Raises:
            UserError: it is no finished run, or it is damaged.
        """
        directory = RunDirectory(Path(path))
        directory.require_finished()
        return cls(directory.path, directory.summary())

    def report(self) -> str:
        """Return the table of the test figures of the model and its baselines."""
        return render_table(self.summary)
