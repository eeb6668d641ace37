"""Engines, which partition the rows of a log into buckets and call the steps for each bucket."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import polars as pl

from jaxrec.data.preparation.bucket_steps import BUCKET, ROW, Workspace, as_parquet, assign_buckets
from jaxrec.data.progress import show_progress
from jaxrec.data.sources.log_file import LogFile
from jaxrec.data.sources.table_file import read_errors
from jaxrec.files import read_json, write_json


@runtime_checkable
class Engine(Protocol):
    """The interface of an engine to the preparation."""

    def partition(self, workspace: Workspace) -> dict[int, int]:
        """Write each row of the log to its bucket; resume where an earlier call stopped.

        Returns:
            The number of rows of each bucket that has any.
        """
        ...

    def run_step(self, step: Callable[[int], None], buckets: Sequence[int], label: str) -> None:
        """Call a step for each bucket, in any order; `label` names it in the progress bar."""
        ...


@dataclass(frozen=True)
class Local:
    """The engine of a single machine: Polars streams the log.

    Attributes:
        rows_at_once: the number of rows in memory while the log is partitioned.
    """

    rows_at_once: int

    def partition(self, workspace: Workspace) -> dict[int, int]:
        """Write each row of the log to its bucket; resume where an earlier call stopped."""
        state = workspace.folder / "dealt.json"
        counts = read_json(state) if state.exists() else {}
        done = sum(counts.values())
        with show_progress(unit="row", initial=done, label="read") as progress:
            for batch in self._batches(workspace.opened, done):
                for bucket, count in self._partition(batch, done, workspace).items():
                    counts[str(bucket)] = counts.get(str(bucket), 0) + count
                done += batch.height
                write_json(state, counts)
                progress.update(batch.height)
        return {int(bucket): count for bucket, count in counts.items()}

    def _batches(self, opened: LogFile, done: int) -> Iterator[pl.DataFrame]:
        """Yield the rows after the first `done` in batches, as they are written."""
        with read_errors(opened.file.path, opened.file.raise_row_error):
            rows = opened.file.scan(list(opened.flags)).slice(done)
            yield from rows.collect_batches(chunk_size=self.rows_at_once, maintain_order=True)

    def _partition(self, batch: pl.DataFrame, first: int, workspace: Workspace) -> dict[int, int]:
        # After an interruption within a batch, all of it is written again, to the same file names.
        numbers = pl.int_range(first, first + batch.height, eager=True).alias(ROW)
        buckets = assign_buckets(batch[workspace.opened.config.user], workspace.buckets)
        partitioned = batch.with_columns(numbers, buckets.alias(BUCKET)).partition_by(
            BUCKET, include_key=False, as_dict=True
        )
        counts = {}
        for (bucket,), rows in partitioned.items():
            folder = workspace.raw(bucket)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{first:015}.parquet").write_bytes(as_parquet(rows))
            counts[bucket] = rows.height
        return counts

    def run_step(self, step: Callable[[int], None], buckets: Sequence[int], label: str) -> None:
        """Call a step for each bucket in turn; Polars uses all cores within a step."""
        for bucket in show_progress(buckets, unit="bucket", label=label):
            step(bucket)
