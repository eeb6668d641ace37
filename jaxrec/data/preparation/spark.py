"""The Spark engine, for logs that exceed one machine. It needs Java and the extra `spark`.

Spark partitions the rows in a shuffle and calls the steps on its workers. Each worker needs this
package and access to the folders of the log and of the output. The steps are the same NumPy and
Polars code as on one machine, because a bucket fits into a worker's memory.
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

from jaxrec.data.preparation.bucket_steps import BUCKET, ROW, Workspace
from jaxrec.data.sources.table_file import Parquet
from jaxrec.errors import UserError
from jaxrec.files import read_json, write_json


@dataclass(frozen=True)
class Spark:
    """The engine of a Spark cluster, or of Spark on the cores of this machine.

    Attributes:
        master: the master URL, as for spark-submit.
    """

    master: str

    def partition(self, workspace: Workspace) -> dict[int, int]:
        """Write each row of the log to its bucket; an interrupted call starts over.

        Raises:
            UserError: if the log is not in Parquet files.
        """
        state = workspace.folder / "dealt.json"
        if not state.exists():
            write_json(state, self._partition(workspace))
        return {int(bucket): count for bucket, count in read_json(state).items()}

    def _partition(self, workspace: Workspace) -> dict[str, int]:
        """Write all rows to their buckets; return the number of rows of each bucket."""
        file = workspace.opened.file
        if not isinstance(file, Parquet):
            raise UserError(
                f"--engine=spark reads only Parquet, and {file.path} is not Parquet; convert it, "
                "or omit --engine"
            )
        session, functions = self._session()
        reader = session.read
        if file.path.is_dir():
            reader = reader.option("basePath", str(file.path))
        rows = reader.parquet(*map(str, file.files))
        heights = [_count_rows([each]) for each in file.files]
        begins = accumulate(heights, initial=0)
        firsts = {each.absolute(): first for each, first in zip(file.files, begins, strict=False)}
        # Spark names a file by its URI, which begins with file:/ or file:///.
        paths = [urlsplit(address).path for address in rows.inputFiles()]
        first_rows = [(path, firsts[Path(unquote(path))]) for path in paths]
        files = functions.broadcast(session.createDataFrame(first_rows, "path string, first long"))
        path = functions.regexp_replace("_metadata.file_path", "^file:/+", "/")
        user = functions.col(f"`{workspace.opened.config.user}`")
        if dict(rows.dtypes)[workspace.opened.config.user] == "binary":
            user = functions.lower(functions.hex(user))
        # The same text, and below the same hash, as in `assign_buckets`.
        text = functions.coalesce(user.cast("string"), functions.lit(""))
        partitioned = rows.join(files, path == files["path"])
        partitioned = partitioned.select(
            *(functions.col(f"`{name}`") for name in workspace.opened.flags),
            (functions.col("first") + functions.col("_metadata.row_index")).alias(ROW),
            (functions.crc32(text.cast("binary")) % workspace.buckets).cast("int").alias(BUCKET),
        )
        raw = workspace.folder / "raw"
        partitioned.repartition(workspace.buckets, BUCKET).write.partitionBy(BUCKET).parquet(
            str(raw), mode="overwrite", compression="lz4"
        )
        counts = {
            folder.name.partition("=")[2]: _count_rows(sorted(folder.glob("*.parquet")))
            for folder in sorted(raw.glob(f"{BUCKET}=*"))
        }
        found = sum(counts.values())
        assert found == sum(heights), f"{found} rows written out of {sum(heights)}"
        return counts

    def run_step(self, step: Callable[[int], None], buckets: Sequence[int], label: str) -> None:
        """Call a step for each bucket, on all workers.

        Raises:
            UserError: the error of the first bucket that raised one.
        """
        session, _ = self._session()
        session.sparkContext.setJobDescription(label)

        def called(bucket: int) -> str | None:
            try:
                step(bucket)
            except UserError as error:
                return str(error)
            return None

        # A few buckets per task, because each task starts a process.
        tasks = session.sparkContext.parallelize(buckets, -(-len(buckets) // 4))
        for error in tasks.map(called).collect():
            if error is not None:
                raise UserError(error)

    def _session(self) -> tuple[Any, Any]:
        """Return the Spark session, created if necessary, and the module of SQL functions.

        Raises:
            UserError: if PySpark or Java is missing.
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


def _count_rows(files: Sequence[Path]) -> int:
    """Return the number of rows of Parquet files, read from their metadata."""
    counts = (pl.scan_parquet(each, glob=False).select(pl.len()).collect().item() for each in files)
    return sum(counts)
