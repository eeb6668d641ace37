"""MovieLens in its three published layouts, downloaded where GroupLens gives a checksum.

F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM TiiS 5(4), 2015.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import platformdirs
import polars as pl

from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.download import fetch, unpack
from jaxrec.errors import UserError

HOME = "https://grouplens.org/datasets/movielens/"


class _Download(NamedTuple):
    url: str
    algorithm: Literal["sha256", "md5"]
    digest: str


_DOWNLOADS = {
    "ml-1m": _Download(
        "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        "sha256",
        "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    ),
    "ml-100k": _Download(
        "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        "md5",
        "0e33842e24a9c977be4e0107933c0723",
    ),
}


class _File(NamedTuple):
    name: str
    encoding: Literal["latin-1", "utf-8"]
    header: str | None


class _Layout(NamedTuple):
    ratings: _File
    separator: str  # stands between user, item, rating and timestamp
    movies: _File
    movie: str  # what a line of movies looks like


_RATING = (
    r"(?<user>[0-9]{1,9})",
    r"(?<item>[0-9]{1,9})",
    r"(?<rating>[0-9]{1,9}(?:\.[0-9]+)?)",
    r"(?<timestamp>[0-9]{1,18})",
)
_DAT = _Layout(
    _File("ratings.dat", "latin-1", None),
    "::",
    _File("movies.dat", "latin-1", None),
    r"(?<item>[0-9]{1,9})::(?<title>.*)::(?<genres>[^:]*)",
)
_TABS = _Layout(
    _File("u.data", "latin-1", None),
    "\t",
    _File("u.item", "latin-1", None),
    # two dates and an address follow the title; genres is one flag for each of _GENRES
    r"(?<item>[0-9]{1,9})\|(?<title>[^|]*)(?:\|[^|]*){3}\|(?<genres>[01](?:\|[01]){18})",
)
_CSV = _Layout(
    _File("ratings.csv", "utf-8", "userId,movieId,rating,timestamp"),
    ",",
    _File("movies.csv", "utf-8", "movieId,title,genres"),
    r'(?<item>[0-9]{1,9}),(?<title>"(?:[^"]|"")*"|[^",]*),(?<genres>[^,]*)',
)
_LAYOUTS = {"ml-1m": _DAT, "ml-100k": _TABS} | dict.fromkeys(
    ("ml-latest-small", "ml-20m", "ml-25m", "ml-32m"), _CSV
)
MOVIELENS = tuple(_LAYOUTS)

_GENRES = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|"
    "Film-Noir|Horror|Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
_NO_GENRES = ("", "unknown", "(no genres listed)")

# "Heat (1995)", "Cosmos (2009– )", "The Great Giving (1995) (V)": name, year, suffix
_TITLE = r"^(.*?)\s*\((\d{4})(?:[-–]\d*\s*)?\)(\s*\([^()]*\))?\s*$"  # noqa: RUF001


def load_movielens(name: str, data_dir: str | Path | None = None) -> Interactions:
    """Read a MovieLens release: rows in the order of its file, years taken out of the titles.

    Args:
        name: one of MOVIELENS.
        data_dir: the folder that holds the folder `name`, or that folder itself; None downloads
            ml-1m and ml-100k once, to the user's cache.

    Raises:
        UserError: the name is unknown, a file is missing or damaged, the download fails.
    """
    if name not in _LAYOUTS:
        raise UserError(f"there is no data set {name!r}; choose one of {', '.join(MOVIELENS)}")
    layout = _LAYOUTS[name]
    folder = _downloaded(name, layout) if data_dir is None else _given(name, layout, Path(data_dir))
    return Interactions(_read_ratings(folder, layout), _read_movies(folder, layout))


def _given(name: str, layout: _Layout, data_dir: Path) -> Path:
    """Find the release in a folder of the user."""
    candidates = [data_dir / name]
    # Four releases share their files' names: the folder of another one is not taken for this one.
    if data_dir.resolve().name not in set(MOVIELENS) - {name}:
        candidates.append(data_dir)
    found = [folder for folder in candidates if (folder / layout.ratings.name).is_file()]
    folder = found[0] if found else candidates[0]
    for file in (layout.ratings, layout.movies):
        if not (folder / file.name).is_file():
            raise UserError(
                f"{folder / file.name} is missing; get {name} from {HOME} and give --data-dir, "
                f"the folder that holds {name}/"
            )
    return folder


def _downloaded(name: str, layout: _Layout) -> Path:
    """Return the release's folder in the user's cache, filled on the first call."""
    if name not in _DOWNLOADS:
        raise UserError(
            f"{name} is not downloaded for you; get it from {HOME} and give --data-dir, the "
            f"folder that holds {name}/"
        )
    folder = Path(platformdirs.user_cache_dir("jaxrec")) / name
    files = (layout.ratings.name, layout.movies.name)
    if not all((folder / file).is_file() for file in files):
        source = _DOWNLOADS[name]
        archive = folder.with_name(f"{name}.zip")
        fetch(source.url, archive, algorithm=source.algorithm, digest=source.digest)
        unpack(archive, [f"{name}/{file}" for file in files], folder)
        archive.unlink(missing_ok=True)
    return folder


def _read_ratings(folder: Path, layout: _Layout) -> pl.DataFrame:
    columns = [
        pl.col("user", "item").cast(pl.Int32),
        pl.col("rating").cast(pl.Float64),
        pl.col("timestamp").cast(pl.Int64),
    ]
    return _read(folder, layout.ratings, layout.separator.join(_RATING), columns)


def _read_movies(folder: Path, layout: _Layout) -> pl.DataFrame:
    title, genres = pl.col("title"), pl.col("genres")
    if layout is _CSV:
        title = title.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"')
    if layout is _TABS:
        flags = enumerate(_GENRES.split("|"))
        genres = pl.concat_str(
            [pl.when(genres.str.slice(2 * i, 1) == "1").then(pl.lit(name)) for i, name in flags],
            separator="|",
            ignore_nulls=True,
        )
    columns = [
        pl.col("item").cast(pl.Int32),
        title.str.replace(_TITLE, "${1}${3}").str.strip_chars().alias("title"),
        genres.replace(_NO_GENRES, None).str.split("|").alias("genres"),
        title.str.extract(_TITLE, 2).cast(pl.Int32).alias("year"),
    ]
    return _read(folder, layout.movies, layout.movie, columns)


def _read(folder: Path, file: _File, pattern: str, columns: Sequence[pl.Expr]) -> pl.DataFrame:
    """Make `columns` of the groups of each line; refuse the first that is unlike the release."""
    path = folder / file.name
    lines = pl.scan_csv(
        path if file.encoding == "utf-8" else path.read_text(file.encoding).encode(),
        has_header=False,
        separator="\n",  # one column: the line as it stands
        quote_char=None,
        schema={"line": pl.String},
        encoding="utf8-lossy",
        raise_if_empty=False,
        glob=False,
    ).select(pl.col("line").fill_null(""))
    header = [file.header] if file.header else []
    first = lines.head(len(header)).collect()["line"].to_list()
    groups = lines.slice(len(header)).select(pl.col("line").str.extract_groups(f"^{pattern}$"))
    frame = groups.unnest("line").select(columns).collect()
    bad = [len(header) + row for row in frame[:, 0].is_null().arg_true().head(1)]
    if first and first != header:
        bad = [0]
    if bad:
        line = lines.slice(bad[0], 1).collect().item()
        raise UserError(
            f"{path}, line {bad[0] + 1}: {line[:60].rstrip()!r} is not as published; get a fresh "
            f"copy of the data set from {HOME}"
        )
    if frame.is_empty():
        raise UserError(f"{path} is empty; get a fresh copy of the data set from {HOME}")
    return frame
