"""Spark: the engine for logs that no machine holds. It needs Java, and the extra `spark`.

Spark deals the rows out, which is a shuffle, and calls the steps on its workers; each has this
package, and the folders of the log and of what is prepared. The steps themselves are not Spark's:
they are NumPy and Polars, the same as on one machine, for a bucket fits into a worker's memory.
"""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl

from jaxrec.data.preparation.workshop import BUCKET, ROW, Workshop
from jaxrec.data.sources.table_file import Parquet
from jaxrec.errors import UserError
from jaxrec.files import read_json, write_json


@dataclass(frozen=True)
class Spark:
    """A cluster, or the cores of this machine.

    Attributes:
        master: as spark-submit takes it.
    """

    master: str

    def deal(self, shop: Workshop) -> dict[int, int]:
        """Write each row of the log to its bucket; what was not ended is begun anew.

        Raises:
            UserError: the log is no Parquet.
        """
        state = shop.folder / "dealt.json"
        if not state.exists():
            write_json(state, self._deal(shop))
        return {int(bucket): count for bucket, count in read_json(state).items()}

    def _deal(self, shop: Workshop) -> dict[str, int]:
        """Deal all rows out; count those of each bucket."""
        file = shop.opened.file
        if not isinstance(file, Parquet):
            raise UserError(
                f"--engine=spark reads Parquet, and {file.path} is none; write it as Parquet, or "
                "leave the engine out"
            )
        session, functions = self._session()
        reader = session.read
        if file.path.is_dir():
            reader = reader.option("basePath", str(file.path))
        rows = reader.parquet(*map(str, file.files))
        heights = [_height([each]) for each in file.files]
        begins = accumulate(heights, initial=0)
        firsts = {each.absolute(): first for each, first in zip(file.files, begins, strict=False)}
        # Spark names a file by its address, with one slash or three.
        paths = [urlsplit(address).path for address in rows.inputFiles()]
        told = [(path, firsts[Path(unquote(path))]) for path in paths]
        files = functions.broadcast(session.createDataFrame(told, "path string, first long"))
        path = functions.regexp_replace("_metadata.file_path", "^file:/+", "/")
        user = functions.col(f"`{shop.opened.config.user}`")
        if dict(rows.dtypes)[shop.opened.config.user] == "binary":
            user = functions.lower(functions.hex(user))
        text = functions.coalesce(user.cast("string"), functions.lit(""))
        dealt = rows.join(files, path == files["path"])
        dealt = dealt.select(
            *(functions.col(f"`{name}`") for name in shop.opened.flags),
            (functions.col("first") + functions.col("_metadata.row_index")).alias(ROW),
            (functions.crc32(text.cast("binary")) % shop.buckets).cast("int").alias(BUCKET),
        )
        raw = shop.folder / "raw"
        dealt.repartition(shop.buckets, BUCKET).write.partitionBy(BUCKET).parquet(
            str(raw), mode="overwrite", compression="lz4"
        )
        counts = {
            folder.name.partition("=")[2]: _height(sorted(folder.glob("*.parquet")))
            for folder in sorted(raw.glob(f"{BUCKET}=*"))
        }
        found = sum(counts.values())
        assert found == sum(heights), f"{found} rows dealt out of {sum(heights)}"
        return counts

    def each(self, step: Callable[[int], None], buckets: Sequence[int], said: str) -> None:
        """Call a step for each bucket, on all workers.

        Raises:
            UserError: the first of those that were raised.
        """
        session, _ = self._session()
        session.sparkContext.setJobDescription(said)

        def called(bucket: int) -> str | None:
            try:
                step(bucket)
            except UserError as error:
                return str(error)
            return None

        # A few buckets a task: each task starts a process.
        shares = session.sparkContext.parallelize(buckets, -(-len(buckets) // 4))
        for error in shares.map(called).collect():
            if error is not None:
                raise UserError(error)

    def _session(self) -> tuple[Any, Any]:
        """Give the session, begun if need be, and the module of functions.

        Raises:
            UserError: Spark or Java is not there.
        """
        try:
            from pyspark.sql import SparkSession, functions
        except ImportError:
            raise UserError(
                "--engine=spark needs PySpark; install the extra: pip install -e '.[spark]'"
            ) from None
        if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
            raise UserError("--engine=spark needs Java 17 or later; install it")
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.master(self.master).appName("jaxrec")
        settings = {
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        }
        if self.master.startswith("local"):
            settings |= {
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.driver.host": "127.0.0.1",
                "spark.ui.enabled": "false",
            }
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        return session, functions


def _height(files: Sequence[Path]) -> int:
    """Count rows by what the files say of themselves."""
    counts = (pl.scan_parquet(each, glob=False).select(pl.len()).collect().item() for each in files)
    return sum(counts)
