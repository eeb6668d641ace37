"""MovieLens in its three published layouts, downloaded where GroupLens gives a checksum.

F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM TiiS 5(4), 2015.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

import platformdirs
import polars as pl

from jaxrec.data.download import fetch, unpack
from jaxrec.data.interactions import Interactions
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
    encoding: str
    header: str | None
    line: str  # what a line looks like; in a file of movies its groups are id, title, genres


class _Layout(NamedTuple):
    ratings: _File
    movies: _File
    separator: str  # stands between user, item, rating and timestamp


_LOG = {"user": pl.Int32, "item": pl.Int32, "rating": pl.Float64, "timestamp": pl.Int64}
_RATING = (r"\d{1,9}", r"\d{1,9}", r"\d+(?:\.\d+)?", r"\d{1,18}")
_DAT = _Layout(
    _File("ratings.dat", "latin-1", None, "::".join(_RATING)),
    _File("movies.dat", "latin-1", None, r"(\d{1,9})::(.*)::([^:]*)"),
    "::",
)
_TABS = _Layout(
    _File("u.data", "latin-1", None, "\t".join(_RATING)),
    # id, title, two dates and an address, then one flag a genre
    _File("u.item", "latin-1", None, r"(\d{1,9})\|([^|]*)(?:\|[^|]*){3}\|([01](?:\|[01]){18})"),
    "\t",
)
_CSV = _Layout(
    _File("ratings.csv", "utf-8", "userId,movieId,rating,timestamp", ",".join(_RATING)),
    _File(
        "movies.csv",
        "utf-8",
        "movieId,title,genres",
        r'(\d{1,9}),("(?:[^"]|"")*"|[^",]*),([^,]*)',
    ),
    ",",
)
_LAYOUTS = {"ml-1m": _DAT, "ml-100k": _TABS} | dict.fromkeys(
    ("ml-latest-small", "ml-20m", "ml-25m", "ml-32m"), _CSV
)
MOVIELENS = tuple(_LAYOUTS)

# The order of the flags in u.item.
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
    file = layout.ratings
    names = file.header.split(",") if file.header else list(_LOG)
    schema: dict[str, type[pl.DataType]] = {}
    for name, dtype in zip(names, _LOG.values(), strict=True):
        if schema and layout.separator == "::":
            # Polars separates by one byte, so an empty column stands inside each "::".
            schema[f"before {name}"] = pl.Boolean
        schema[name] = dtype
    try:
        frame = pl.read_csv(
            folder / file.name,
            separator=layout.separator[0],
            has_header=file.header is not None,
            schema=schema,
            quote_char=None,
        )
    except pl.exceptions.PolarsError:
        _refuse(folder, file)
    # Polars fills a short row with nulls.
    nulls = tuple(frame.height if dtype is pl.Boolean else 0 for dtype in schema.values())
    ratings = frame[names[2]]
    if not (frame.height and frame.null_count().row(0) == nulls and ratings.is_finite().all()):
        _refuse(folder, file)
    return frame.select(pl.col(old).alias(new) for old, new in zip(names, _LOG, strict=True))


def _read_movies(folder: Path, layout: _Layout) -> pl.DataFrame:
    rows = []
    for item, title, genres in _lines(folder, layout.movies):
        if layout is _TABS:
            flags = zip(_GENRES.split("|"), genres.split("|"), strict=True)
            genres = "|".join(genre for genre, flag in flags if flag == "1")
        if title.startswith('"') and layout is _CSV:
            title = title[1:-1].replace('""', '"')
        rows.append((int(item), title, None if genres in _NO_GENRES else genres.split("|")))
    if not rows:
        _refuse(folder, layout.movies)
    schema = {"item": pl.Int32, "title": pl.String, "genres": pl.List(pl.String)}
    title = pl.col("title")
    return pl.DataFrame(rows, schema, orient="row").with_columns(
        title=title.str.replace(_TITLE, "${1}${3}").str.strip_chars(),
        year=title.str.extract(_TITLE, 2).cast(pl.Int32),
    )


def _lines(folder: Path, file: _File) -> Iterator[tuple[str, ...]]:
    """Yield the groups of each line below the header; refuse the first unlike the release."""
    with (folder / file.name).open(encoding=file.encoding, errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            is_header = number == 1 and file.header is not None
            pattern = re.escape(file.header) if is_header and file.header else file.line
            match = re.fullmatch(pattern, line.rstrip("\n"))
            if match is None:
                raise UserError(
                    f"{folder / file.name}, line {number}: {line[:60].rstrip()!r} is not as "
                    f"published; get a fresh copy of the data set from {HOME}"
                )
            if not is_header:
                yield match.groups()


def _refuse(folder: Path, file: _File) -> NoReturn:
    """Name the line that the fast parser stumbled over."""
    for _ in _lines(folder, file):
        pass
    raise UserError(
        f"{folder / file.name} is empty or damaged; get a fresh copy of the data set from {HOME}"
    )
