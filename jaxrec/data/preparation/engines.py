"""Engines: who deals the rows of a log out to buckets, and calls the steps for each bucket."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import polars as pl
from tqdm import tqdm

from jaxrec.data.preparation.workshop import BUCKET, ROW, Workshop, as_parquet, bucket_of
from jaxrec.data.sources.own_log import LogFile
from jaxrec.data.sources.table_file import explained
from jaxrec.files import read_json, write_json


@runtime_checkable
class Engine(Protocol):
    """What the preparation asks of an engine."""

    def deal(self, shop: Workshop) -> dict[int, int]:
        """Write each row of the log to its bucket; go on where an earlier call ended.

        Returns:
            How many rows each bucket has, if it has any.
        """
        ...

    def each(self, step: Callable[[int], None], buckets: Sequence[int], said: str) -> None:
        """Call a step for each bucket, in any order; `said` is what it does."""
        ...


@dataclass(frozen=True)
class Local:
    """This machine: Polars streams the log.

    Attributes:
        rows_at_once: how many rows are in memory while they are dealt out.
    """

    rows_at_once: int

    def deal(self, shop: Workshop) -> dict[int, int]:
        """Write each row of the log to its bucket; go on where an earlier call ended."""
        state = shop.folder / "dealt.json"
        counts = read_json(state) if state.exists() else {}
        done = sum(counts.values())
        with tqdm(desc="read", unit="row", initial=done) as bar:
            for batch in self._batches(shop.opened, done):
                for bucket, count in self._deal(batch, done, shop).items():
                    counts[str(bucket)] = counts.get(str(bucket), 0) + count
                done += batch.height
                write_json(state, counts)
                bar.update(batch.height)
        return {int(bucket): count for bucket, count in counts.items()}

    def _batches(self, opened: LogFile, done: int) -> Iterator[pl.DataFrame]:
        """Read all rows but those that are done, as they are written."""
        with explained(opened.file.path, opened.file.explain):
            rows = opened.file.scan(list(opened.flags)).slice(done)
            yield from rows.collect_batches(chunk_size=self.rows_at_once, maintain_order=True)

    def _deal(self, batch: pl.DataFrame, first: int, shop: Workshop) -> dict[int, int]:
        # A batch that was left in the middle is dealt out again, to files of the same names.
        numbers = pl.int_range(first, first + batch.height, eager=True).alias(ROW)
        buckets = bucket_of(batch[shop.opened.config.user], shop.buckets)
        dealt = batch.with_columns(numbers, buckets.alias(BUCKET)).partition_by(
            BUCKET, include_key=False, as_dict=True
        )
        counts = {}
        for (bucket,), rows in dealt.items():
            folder = shop.raw(bucket)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{first:015}.parquet").write_bytes(as_parquet(rows))
            counts[bucket] = rows.height
        return counts

    def each(self, step: Callable[[int], None], buckets: Sequence[int], said: str) -> None:
        """Call a step for each bucket, one after the other: Polars uses all cores for each."""
        for bucket in tqdm(buckets, desc=said, unit="bucket"):
            step(bucket)
