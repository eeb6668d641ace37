"""File formats of logs: one small log reads the same from all of them."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from jaxrec.data.data_config import DataConfig
from jaxrec.data.sources.load import load_interactions
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.own_log import load_table
from jaxrec.errors import UserError

NAMES = ("user", "item", "stars", "timestamp")
ROWS = [(1, 'the "odd" one', 5, 10), (2, "plain", 3, 20), (1, "naïve", 4, 30)]
LOG = pl.DataFrame(
    [(user, item, time) for user, item, _, time in ROWS],
    schema=["user", "item", "timestamp"],
    orient="row",
)


def text(separator: str = ",", header: bool = True, quoted: bool = True) -> str:
    def field(value: object) -> str:
        doubled = str(value).replace('"', '""')
        return f'"{doubled}"' if quoted and '"' in str(value) else str(value)

    rows = [NAMES, *ROWS] if header else ROWS
    return "".join(separator.join(map(field, row)) + "\n" for row in rows)


def zstd(data: bytes, path: Path) -> None:
    # Only the reader is tested, so Polars may write the file.
    lines = pl.DataFrame({"line": data.decode().splitlines()})
    lines.write_csv(
        path,
        include_header=False,
        separator="\x1e",
        quote_style="never",
        compression="zstd",
        check_extension=False,
    )


def load(path: Path | str, **config: Any):
    return load_table(str(path), LogConfig(**config))


@pytest.mark.parametrize(
    ("name", "separator", "config"),
    [
        ("log.csv", ",", {}),
        ("log.csv", ";", {}),
        ("log.csv", "\t", {}),
        ("log.tsv", "\t", {}),
        ("LOG.TXT", "|", {}),
        ("log.txt", "\x01", {}),
        ("log.dat", ";", {"separator": ";"}),
        ("log.txt", "\t", {"separator": "tab"}),
        ("log.txt", "¦", {"separator": "¦"}),
    ],
)
def test_separators(tmp_path, name, separator, config):
    path = tmp_path / name
    path.write_text(text(separator, quoted=len(separator.encode()) == 1))
    assert load(path, **config).log.equals(LOG)


def test_a_separator_of_two_characters_as_in_movielens(tmp_path):
    path = tmp_path / "ratings.dat"
    path.write_text(text("::", header=False, quoted=False))
    assert load(path, columns=",".join(NAMES)).log.equals(LOG)


def test_spaces_are_the_separator_without_another_one(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("user item timestamp\n1 a 5\n")
    assert load(path).log.rows() == [(1, "a", 5)]


@pytest.mark.parametrize(
    "row",
    ["1;a,b;2024-05-01", "1;a b;2024-05-01", "1;a|b;2024-05-01"],
    ids=["comma", "space", "bar"],
)
def test_separator_characters_within_fields_are_kept(tmp_path, row):
    path = tmp_path / "log.csv"
    path.write_text(f"user;item;timestamp\n{row}\n")
    assert load(path).log["item"].to_list() == [row.split(";")[1]]


def test_a_detected_separator_is_noted(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(text(";"))
    (note,) = load(path).notes
    assert note == f"{path}: field separator inferred as ';'"
    assert load(path, separator=";").notes == ()
    path.write_text(text(","))
    assert load(path).notes == ()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".dat", ".inter"])
def test_files_without_a_header(tmp_path, suffix):
    path = tmp_path / f"log{suffix}"
    path.write_text("1\ta\t5\t10\n2\tb\t3\t20\n")
    log = load(path, columns="user,item,stars,timestamp").log
    assert log.rows() == [(1, "a", 10), (2, "b", 20)]


def test_a_header_that_looks_like_data_is_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(text(header=False))
    with pytest.raises(UserError, match=r"looks like data; name its 4 columns with --log.columns"):
        load(path)


def test_names_that_do_not_match_the_columns_are_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(text(header=False))
    with pytest.raises(UserError, match=r"first line has 4 fields, '1', .* and 3 names were given"):
        load(path, columns="user,item,timestamp")
    with pytest.raises(UserError, match=r"--log.columns=user,user names 'user' twice"):
        load(path, columns="user,user")


def test_the_header_of_recbole(tmp_path):
    path = tmp_path / "log.inter"
    path.write_text(
        'user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t"Heroes" (live)\t3\t10.0\n'
    )
    log = load(path, user="user_id", item="item_id", rating="rating").log
    assert log.rows() == [(1, '"Heroes" (live)', 10.0, 3.0)]


@pytest.mark.parametrize(
    "suffix", [".csv.gz", ".CSV.GZ", ".csv", ".jsonl.gz", ".csv.zst", ".dat.zst"]
)
def test_compressed_files(tmp_path, suffix):
    """Compression is detected by the first bytes, so gzip may be named .csv."""
    path = tmp_path / f"log{suffix}"
    data = (json_lines() if "json" in suffix else text()).encode()
    zstd(data, path) if suffix.endswith("zst") else path.write_bytes(gzip.compress(data))
    assert load(path).log.equals(LOG)


def test_a_compressed_file_with_a_separator_of_two_characters(tmp_path):
    path = tmp_path / "log.dat.gz"
    path.write_bytes(gzip.compress(text("::", quoted=False).encode()))
    assert load(path).log.equals(LOG)
    path = tmp_path / "log.dat.zst"
    zstd(text("::", quoted=False).encode(), path)
    assert load(path).log.equals(LOG)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_an_invalid_row_of_a_compressed_file_is_reported_with_its_line(tmp_path, suffix):
    path = tmp_path / f"log{suffix}"
    path.write_bytes(gzip.compress(b'user,item,timestamp\n1,"a\nb",5\n2,,6\n'))
    with pytest.raises(UserError, match=r"line 4: column 'item' is empty"):
        load(path)
    path.write_bytes(gzip.compress(b"user,item,timestamp\n1,a,5\n2,b,6,7\n"))
    with pytest.raises(UserError, match=r"line 3: '2,b,6,7' has 4 fields and the first line has 3"):
        load(path)


def test_a_truncated_compressed_file_is_refused(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(text().encode() * 500)[:-40])
    with pytest.raises(UserError, match=r"log\.csv\.gz cannot be read") as error:
        load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
def test_encodings(tmp_path, encoding):
    path = tmp_path / "log.csv"
    path.write_bytes(text().encode(encoding))
    given = None if encoding in ("utf-8-sig", "utf-16") else encoding
    assert load(path, encoding=given).log.equals(LOG)


def test_an_unknown_or_wrong_encoding_is_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(text().encode("latin-1"))
    with pytest.raises(
        UserError, match=r"not UTF-8; give --log.encoding, such as --log.encoding=latin-1"
    ):
        load(path)
    with pytest.raises(UserError, match=r"--log.encoding=klingon is unknown"):
        load(path, encoding="klingon")
    with pytest.raises(UserError, match=r"log\.csv is not utf-8 .*change --log.encoding"):
        load(path, encoding="utf-8")


def json_lines() -> str:
    return "".join(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in ROWS)


def test_json_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json_lines())
    assert load(path).log.equals(LOG)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"user": 1, "item": "a"', "line 2: .*is not a JSON object"),
        ("[1, 2]", "line 2: .*is not a JSON object"),
        ('{"user": 1, "item": "a"}', "row 2: column 'timestamp' is empty"),
        ('{"user": 1, "item": "a", "timestamp": "soon"}', "row 2: column 'timestamp' has 'soon'"),
    ],
)
def test_invalid_json_lines_are_refused(tmp_path, line, message):
    path = tmp_path / "log.jsonl"
    path.write_text(f'{{"user": 1, "item": "a", "timestamp": 5}}\n{line}\n')
    with pytest.raises(UserError, match=message) as error:
        load(path)
    assert "\n" not in str(error.value)


def test_parquet_files_of_a_folder_or_pattern_are_read_in_name_order(tmp_path):
    for name, rows in (("part-1", LOG[1:]), ("part-0", LOG[:1])):
        (tmp_path / "log").mkdir(exist_ok=True)
        rows.write_parquet(tmp_path / "log" / f"{name}.parquet")
    (tmp_path / "log" / "_SUCCESS").touch()
    assert load(tmp_path / "log").log.equals(LOG)
    assert load(tmp_path / "*" / "part-*.parquet").log.equals(LOG)
    with pytest.raises(UserError, match=r"nothing.* contains no \.parquet file; give --dataset"):
        load(tmp_path / "log" / "nothing*")


def test_hive_partitions_are_read_as_a_column(tmp_path):
    for item in ("a", "b"):
        (tmp_path / "log" / f"item={item}").mkdir(parents=True)
        rows = pl.DataFrame({"user": [1], "timestamp": [5]})
        rows.write_parquet(tmp_path / "log" / f"item={item}" / "0.parquet")
    assert load(tmp_path / "log").log.rows() == [(1, "a", 5), (1, "b", 5)]


def test_an_invalid_row_is_reported_with_its_file(tmp_path):
    for number, item in enumerate(["a", None]):
        rows = pl.DataFrame({"user": [1, 2], "item": ["x", item], "timestamp": [5, 6]})
        rows.write_parquet(tmp_path / f"{number}.parquet")
    with pytest.raises(UserError, match=r"1\.parquet, row 2: column 'item' is empty"):
        load(tmp_path)


def test_brackets_in_a_file_name_are_not_a_pattern(tmp_path):
    path = tmp_path / "log[1].csv"
    path.write_text(text())
    assert load(path).log.equals(LOG)


def test_long_or_unusual_headers_are_abbreviated(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(",".join(f"c{number}" for number in range(2000)) + "\n1\n")
    with pytest.raises(UserError, match=r"'c11' and 1,988 more") as error:
        load(path)
    assert len(str(error.value)) < 400
    path.write_text("user, what, when\n1,a,5\n")
    with pytest.raises(UserError, match=r"only 'user', ' what', ' when'"):
        load(path)
    path.write_text("user,item,item,timestamp\n1,a,b,5\n")
    with pytest.raises(UserError, match=r"2 columns 'item'; rename all but one"):
        load(path)
    path.write_text("user,item,timestamp,x,x\n1,a,5,1,2\n")
    assert load(path).log.rows() == [(1, "a", 5)]


def test_one_column_for_two_roles_is_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(text())
    with pytest.raises(UserError, match=r"--log.user and --log.item both name .* 'user'"):
        load(path, item="user")
    with pytest.raises(UserError, match=r"--log.item and --log.time both name .* 'item'"):
        load(path, time="item")


def test_a_folder_may_be_a_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("shop").mkdir()
    LOG.write_parquet("shop/0.parquet")
    assert load_interactions(DataConfig(dataset="shop"), seed=0).log.equals(LOG)
