"""Small copies of every MovieLens layout, and the real ml-1m if it is on this machine."""

import hashlib
import re
from pathlib import Path
from zipfile import ZipFile

import polars as pl
import pytest

from jaxrec.data.sources import movielens
from jaxrec.data.sources.movielens import MOVIELENS, load_movielens
from jaxrec.errors import UserError
from tests import ROOT

RATINGS = [(6, 1193, 5.0, 978300760), (1, 3, 3.5, 978302109), (1, 1193, 4.0, 978300760)]
FLAGS = [0, 1, *[0] * 16, 1]  # Action, Western
FILES = {
    "ml-1m": {
        "ratings.dat": "6::1193::5::978300760\n1::3::3.5::978302109\n1::1193::4::978300760\n",
        "movies.dat": "3::Leçon: la (1995)::Action|Western\n1193::Cuckoo's Nest (1975)::Drama\n",
        "users.dat": "1::F::1::10::48067\n6::M::50::9::55117-1234\n",
    },
    "ml-100k": {
        "u.data": "6\t1193\t5\t978300760\n1\t3\t3.5\t978302109\n1\t1193\t4\t978300760\n",
        "u.item": f"3|Leçon: la (1995)|01-Jan-1995||http://x|{'|'.join(map(str, FLAGS))}\n"
        f"1193|Cuckoo's Nest (1975)||||{'|'.join('1' if i == 8 else '0' for i in range(19))}\n",
        "u.user": "1|24|F|technician|85711\n6|53|M|other|V0R2M\n",
    },
    "ml-latest-small": {
        "ratings.csv": "userId,movieId,rating,timestamp\n"
        "6,1193,5.0,978300760\n1,3,3.5,978302109\n1,1193,4.0,978300760\n",
        "movies.csv": "movieId,title,genres\n3,Leçon: la (1995),Action|Western\n"
        "1193,Cuckoo's Nest (1975),Drama\n",
    },
}
ENCODINGS = {"ml-1m": "latin-1", "ml-100k": "latin-1", "ml-latest-small": "utf-8"}


def write(root: Path, name: str, **changes: str) -> Path:
    """Write a small copy of release `name`; `changes` replaces ratings=, movies= or users=."""
    folder = root / name
    folder.mkdir(parents=True)
    roles = ("ratings", "movies", "users")
    for (file, text), role in zip(FILES[name].items(), roles, strict=False):
        text = changes.get(role, text)
        (folder / file).write_text(text, encoding=ENCODINGS[name])
    return folder


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("inside", [False, True], ids=["parent", "folder itself"])
def test_all_layouts_read_the_same(tmp_path, name, inside):
    folder = write(tmp_path, name)
    interactions = load_movielens(name, folder if inside else tmp_path)
    assert interactions.log.rows() == RATINGS
    assert interactions.log.schema == pl.Schema(
        {"user": pl.Int32, "item": pl.Int32, "rating": pl.Float64, "timestamp": pl.Int64}
    )
    assert interactions.items.rows() == [
        (3, "Leçon: la", ["Action", "Western"], 1995),
        (1193, "Cuckoo's Nest", ["Drama"], 1975),
    ]
    assert interactions.items.schema["year"] == pl.Int32


USERS = {
    "ml-1m": [(1, "F", 1.0, "10", "48067"), (6, "M", 50.0, "9", "55117-1234")],
    "ml-100k": [(1, "F", 24.0, "technician", "85711"), (6, "M", 53.0, "other", "V0R2M")],
}


@pytest.mark.parametrize("name", USERS)
def test_users_are_read_on_request(tmp_path, name):
    folder = write(tmp_path, name)
    users = load_movielens(name, tmp_path, with_users=True).users
    assert users is not None
    assert users.rows() == USERS[name]
    assert users.columns == ["user", "gender", "age", "occupation", "zip"]
    (folder / [*FILES[name]][2]).unlink()
    assert load_movielens(name, tmp_path).users is None
    with pytest.raises(UserError, match=r"users?(\.dat)? is missing; get"):
        load_movielens(name, tmp_path, with_users=True)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ml-1m", "6::M::50::9"),
        ("ml-1m", "6::X::50::9::55117"),
        ("ml-1m", "6|M|50|9|55117"),
        ("ml-100k", "6|old|M|other|V0R2M"),
        ("ml-100k", ""),
    ],
)
def test_an_invalid_user_is_reported_with_its_line(tmp_path, name, line):
    good = FILES[name][[*FILES[name]][2]].splitlines()[0]
    write(tmp_path, name, users=f"{good}\n{line}\n{good}\n")
    with pytest.raises(UserError, match=f"line 2: {re.escape(repr(line))} is not as published"):
        load_movielens(name, tmp_path, with_users=True)


@pytest.mark.parametrize("name", [name for name in MOVIELENS if name not in USERS])
def test_the_other_releases_have_no_users(tmp_path, name):
    with pytest.raises(
        UserError, match=f"{name} does not describe its users; omit --user-features"
    ):
        load_movielens(name, tmp_path, with_users=True)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('7,"Postman, The (Postino, Il) (1994)",Drama', ("Postman, The (Postino, Il)", 1994)),
        ('7,"""Great"" Cats (1998)",Drama', ('"Great" Cats', 1998)),
        ("7,Babylon 5,Drama", ("Babylon 5", None)),
        ("7,2001: An Odyssey (1968) ,Drama", ("2001: An Odyssey", 1968)),
        ("7,Cosmos (2009\N{EN DASH} ),Drama", ("Cosmos", 2009)),
        ("7,The Great Giving (1995) (V),Drama", ("The Great Giving (V)", 1995)),
    ],
)
def test_titles_and_years(tmp_path, line, expected):
    write(tmp_path, "ml-latest-small", movies=f"movieId,title,genres\n{line}\n")
    assert load_movielens("ml-latest-small", tmp_path).items["title", "year"].row(0) == expected


def test_missing_genres_are_null(tmp_path):
    movies = "movieId,title,genres\n7,A (1999),(no genres listed)\n"
    write(tmp_path, "ml-latest-small", movies=movies)
    write(tmp_path, "ml-100k", movies="7|unknown||||1" + "|0" * 18 + "\n")
    for name in ("ml-latest-small", "ml-100k"):
        assert load_movielens(name, tmp_path).items["genres"].to_list() == [None]


@pytest.mark.parametrize(
    ("name", "separator"), [("ml-1m", "::"), ("ml-100k", "\t"), ("ml-20m", ",")]
)
@pytest.mark.parametrize(
    "bad", ["1|2|3", "1|2|3|4|5", "1|x|3|4", "1||3|4", "1|2|nan|4", "junk", ""]
)
def test_an_invalid_rating_is_reported_with_its_line(tmp_path, monkeypatch, name, separator, bad):
    layout = movielens._LAYOUTS[name]
    good, bad = (line.replace("|", separator) for line in ("1|2|3|4", bad))
    lines = [layout.ratings.header] if layout.ratings.header else []
    lines += [good] * 2000 + [bad, good]
    monkeypatch.setitem(FILES, "ml-20m", FILES["ml-latest-small"])
    monkeypatch.setitem(ENCODINGS, "ml-20m", "utf-8")
    folder = write(tmp_path, name, ratings="\n".join(lines) + "\n")
    with pytest.raises(UserError) as error:
        load_movielens(name, tmp_path)
    location = f"{folder / layout.ratings.name}, line {len(lines) - 1}: {bad!r}"
    assert location in str(error.value)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("ml-1m", {"ratings": ""}, r"ratings\.dat is empty"),
        ("ml-1m", {"movies": ""}, r"movies\.dat is empty"),
        ("ml-1m", {"ratings": "1:2:2::3::4\n"}, "line 1: '1:2:2::3::4'"),
        ("ml-1m", {"movies": "1::A (1999)::Drama\n2::B\n"}, r"movies\.dat, line 2: '2::B'"),
        ("ml-100k", {"movies": "1|A|||0|1\n"}, r"u\.item, line 1"),
        ("ml-latest-small", {"ratings": "userId,movieId,rating,timestamp\n"}, "is empty"),
        ("ml-latest-small", {"ratings": "a,b,c,d\n1,2,3,4\n"}, "line 1: 'a,b,c,d'"),
        ("ml-latest-small", {"movies": 'movieId,title,genres\n1,"A,B\n'}, "line 2: '1,\"A,B'"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, name, changes, message):
    write(tmp_path, name, **changes)
    with pytest.raises(UserError, match=message):
        load_movielens(name, tmp_path)


def test_a_missing_file_is_reported_with_the_remedy(tmp_path):
    with pytest.raises(UserError, match=r"ml-1m/ratings\.dat is missing; .*--data-dir"):
        load_movielens("ml-1m", tmp_path)
    (write(tmp_path, "ml-1m") / "movies.dat").unlink()
    with pytest.raises(UserError, match=r"ml-1m/movies\.dat is missing"):
        load_movielens("ml-1m", tmp_path)


def test_another_release_is_refused(tmp_path):
    folder = write(tmp_path, "ml-latest-small")
    with pytest.raises(UserError, match=r"ml-25m/ratings\.csv is missing"):
        load_movielens("ml-25m", folder)


@pytest.mark.parametrize("name", [name for name in MOVIELENS if name not in ("ml-1m", "ml-100k")])
def test_the_other_releases_say_where_to_get_them(name):
    with pytest.raises(UserError, match=f"{movielens.HOME} and give --data-dir"):
        load_movielens(name)


def test_an_unknown_name_lists_the_known():
    with pytest.raises(UserError, match="ml-1m, ml-100k"):
        load_movielens("ml-2m")


@pytest.mark.parametrize("name", ["ml-1m", "ml-100k"])
def test_a_download_is_verified_cached_and_read(tmp_path, monkeypatch, name):
    source = write(tmp_path / "source", name)
    archive = tmp_path / f"{name}.zip"
    with ZipFile(archive, "w") as served:
        for file in ("README", *FILES[name]):
            (source / file).touch()
            served.write(source / file, f"{name}/{file}")
    algorithm, _ = movielens._CHECKSUMS[name]
    digest = hashlib.new(algorithm, archive.read_bytes()).hexdigest()
    cache = tmp_path / "cache" / "jaxrec"
    monkeypatch.setattr(movielens.platformdirs, "user_cache_dir", lambda _: str(cache))
    monkeypatch.setattr(movielens, "_ARCHIVES", tmp_path.as_uri())

    monkeypatch.setitem(movielens._CHECKSUMS, name, (algorithm, "0" * len(digest)))
    with pytest.raises(UserError, match="the file was discarded"):
        load_movielens(name)
    assert not list(cache.iterdir())

    monkeypatch.setitem(movielens._CHECKSUMS, name, (algorithm, digest))
    assert load_movielens(name).log.rows() == RATINGS
    assert sorted(path.name for path in cache.rglob("*")) == sorted([name, *FILES[name]])
    # A cache of an older version, which did not keep the users.
    (cache / name / [*FILES[name]][2]).unlink()
    assert load_movielens(name).users is None
    for _ in "again", "from the cache":
        users = load_movielens(name, with_users=True).users
        assert users is not None
        assert users.rows() == USERS[name]
        archive.unlink(missing_ok=True)
    assert load_movielens(name).log.rows() == RATINGS
    assert sorted(path.name for path in cache.rglob("*")) == sorted([name, *FILES[name]])


def test_the_real_ml_1m():
    data_dir = ROOT.parent / "shared/data"
    if not (data_dir / "ml-1m").is_dir():
        pytest.skip(f"{data_dir / 'ml-1m'} is not on this machine")
    interactions = load_movielens("ml-1m", data_dir)
    assert interactions.log.height == 999_611
    assert interactions.log["user"].n_unique() == 6040
    assert interactions.log.row(0) == (1, 1193, 5.0, 978300540)
    assert interactions.items.height == 3883
    assert interactions.items.null_count().row(0) == (0, 0, 0, 0)
