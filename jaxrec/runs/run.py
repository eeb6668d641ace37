"""Finished runs, as the Python API returns them."""

from dataclasses import dataclass
from pathlib import Path

from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.report import render_table
from jaxrec.runs.summary import Summary


@dataclass(frozen=True)
class Run:
    """A finished run: its directory, and its figures with their protocol.

    Attributes:
        path: the run directory.
        summary: the figures of the model and the baselines on the test and validation targets.

    Example::

        run = jaxrec.Run.load("runs/shop")
        print(run.report())
        print(run.summary.test.means["recall@10"])
    """

    path: Path
    summary: Summary

    @classmethod
    def load(cls, path: str | Path) -> "Run":
        """Load a finished run from its directory.

        Raises:
            UserError: the run is not finished, or a file of it is damaged.
        """
        directory = RunDirectory(Path(path))
        directory.require_finished()
        return cls(directory.path, directory.summary())

    def report(self) -> str:
        """Return the test figures of the model and its baselines as a text table."""
        return render_table(self.summary)
