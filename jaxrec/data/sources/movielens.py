"""MovieLens in its three published layouts, downloaded where GroupLens has a checksum.

F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM TiiS 5(4), 2015.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import platformdirs
import polars as pl

from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.download import fetch, unpack
from jaxrec.data.sources.text_lines import scan_lines
from jaxrec.errors import UserError

HOME = "https://grouplens.org/datasets/movielens/"
_ARCHIVES = "https://files.grouplens.org/datasets/movielens"
_CHECKSUMS: dict[str, tuple[Literal["sha256", "md5"], str]] = {
    "ml-1m": ("sha256", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),
    "ml-100k": ("md5", "0e33842e24a9c977be4e0107933c0723"),
}


class _File(NamedTuple):
    name: str
    line: str  # the regular expression of a line
    header: str | None = None


class _Layout(NamedTuple):
    encoding: Literal["latin-1", "utf-8"]
    ratings: _File
    movies: _File
    users: _File | None = None


_RATING = (
    r"(?<user>[0-9]{1,9})",
    r"(?<item>[0-9]{1,9})",
    r"(?<rating>[0-9]{1,9}(?:\.[0-9]+)?)",
    r"(?<timestamp>[0-9]{1,18})",
)
_DAT_MOVIE = r"(?<item>[0-9]{1,9})::(?<title>.*)::(?<genres>[^:]*)"
# Two dates and a URL follow the title; genres is one flag for each of _GENRES.
_TABS_MOVIE = r"(?<item>[0-9]{1,9})\|(?<title>[^|]*)(?:\|[^|]*){3}\|(?<genres>[01](?:\|[01]){18})"
_CSV_MOVIE = r'(?<item>[0-9]{1,9}),(?<title>"(?:[^"]|"")*"|[^",]*),(?<genres>[^,]*)'
_DAT_USER = (
    r"(?<user>[0-9]{1,9})::(?<gender>[FM])::(?<age>[0-9]{1,3})::(?<occupation>[0-9]{1,2})::"
    r"(?<zip>.*)"
)
_TABS_USER = (
    r"(?<user>[0-9]{1,9})\|(?<age>[0-9]{1,3})\|(?<gender>[FM])\|(?<occupation>[^|]*)\|(?<zip>.*)"
)
_DAT = _Layout(
    "latin-1",
    _File("ratings.dat", "::".join(_RATING)),
    _File("movies.dat", _DAT_MOVIE),
    _File("users.dat", _DAT_USER),
)
_TABS = _Layout(
    "latin-1",
    _File("u.data", "\t".join(_RATING)),
    _File("u.item", _TABS_MOVIE),
    _File("u.user", _TABS_USER),
)
_CSV = _Layout(
    "utf-8",
    _File("ratings.csv", ",".join(_RATING), "userId,movieId,rating,timestamp"),
    _File("movies.csv", _CSV_MOVIE, "movieId,title,genres"),
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


def load_movielens(
    name: str, data_dir: str | Path | None = None, *, with_users: bool = False
) -> Interactions:
    """Load a MovieLens release, in the order of its file; years are split off the titles.

    Args:
        name: one of MOVIELENS.
        data_dir: the folder that holds the folder `name`, or that folder itself; None downloads
            ml-1m and ml-100k once, to the user's cache.
        with_users: also read the gender, age, occupation and zip code of the users.

    Raises:
        UserError: if the name is unknown, a file is missing or damaged, the download fails, or the
            release does not describe its users.
    """
    if name not in _LAYOUTS:
        raise UserError(f"there is no data set {name!r}; choose one of {', '.join(MOVIELENS)}")
    layout = _LAYOUTS[name]
    files = [layout.ratings, layout.movies]
    if with_users:
        if layout.users is None:
            raise UserError(f"{name} does not describe its users; omit --user-features")
        files.append(layout.users)
    names = [file.name for file in files]
    folder = _download(name, names) if data_dir is None else _locate(name, names, Path(data_dir))
    rating_columns = [
        pl.col("user", "item").cast(pl.Int32),
        pl.col("rating").cast(pl.Float64),
        pl.col("timestamp").cast(pl.Int64),
    ]
    users = None
    if with_users and layout.users:
        columns = [pl.col("user").cast(pl.Int32), "gender", pl.col("age").cast(pl.Float64)]
        users = _read(folder, layout.users, layout.encoding, [*columns, "occupation", "zip"])
    return Interactions(
        _read(folder, layout.ratings, layout.encoding, rating_columns),
        _read(folder, layout.movies, layout.encoding, _movie_columns(layout)),
        users,
        ticks_per_second=1,
    )


def _locate(name: str, files: Sequence[str], data_dir: Path) -> Path:
    """Return the release's folder, which is `data_dir` or inside it."""
    folder = data_dir / name
    # Four releases share their file names, so a folder named after another release is refused.
    is_another = data_dir.resolve().name in set(MOVIELENS) - {name}
    is_not_inside = not (folder / files[0]).is_file()
    if is_not_inside and not is_another and (data_dir / files[0]).is_file():
        folder = data_dir
    for file in files:
        if not (folder / file).is_file():
            raise UserError(
                f"{folder / file} is missing; get {name} from {HOME} and give --data-dir, "
                f"the folder that contains {name}/"
            )
    return folder


def _download(name: str, files: Sequence[str]) -> Path:
    """Return the release's folder in the user's cache; the first call downloads it."""
    if name not in _CHECKSUMS:
        raise UserError(
            f"{name} is not downloaded automatically; get it from {HOME} and give --data-dir, the "
            f"folder that contains {name}/"
        )
    folder = Path(platformdirs.user_cache_dir("jaxrec")) / name
    if not all((folder / file).is_file() for file in files):
        algorithm, digest = _CHECKSUMS[name]
        archive = folder.with_name(f"{name}.zip")
        fetch(f"{_ARCHIVES}/{name}.zip", archive, algorithm=algorithm, digest=digest)
        everything = filter(None, _LAYOUTS[name][1:])
        unpack(archive, [f"{name}/{file.name}" for file in everything], folder)
        archive.unlink(missing_ok=True)
    return folder


def _movie_columns(layout: _Layout) -> list[pl.Expr]:
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
    return [
        pl.col("item").cast(pl.Int32),
        title.str.replace(_TITLE, "${1}${3}").str.strip_chars().alias("title"),
        genres.replace(_NO_GENRES, None).str.split("|").alias("genres"),
        title.str.extract(_TITLE, 2).cast(pl.Int32).alias("year"),
    ]


def _read(
    folder: Path, file: _File, encoding: str, columns: Sequence[pl.Expr | str]
) -> pl.DataFrame:
    """Parse each line and select `columns`; raise for the first one of an unexpected form."""
    path = folder / file.name
    lines = scan_lines(path if encoding == "utf-8" else path.read_text(encoding).encode())
    header = [file.header] if file.header else []
    first = lines.head(len(header)).collect()["line"].to_list()
    groups = lines.slice(len(header)).select(pl.col("line").str.extract_groups(f"^{file.line}$"))
    frame = groups.unnest("line").select(columns).collect()
    bad = [len(header) + row for row in frame[:, 0].is_null().arg_true().head(1)]
    if first and first != header:
        bad = [0]
    if bad:
        line = lines.slice(bad[0], 1).collect().item()
        raise UserError(
            f"{path}, line {bad[0] + 1}: {line[:60].rstrip()!r} is not as published; get a new "
            f"copy of the data set from {HOME}"
        )
    if frame.is_empty():
        raise UserError(f"{path} is empty; get a new copy of the data set from {HOME}")
    return frame
