"""Descriptions of a page's items from a user's table of titles, genres and years."""

import io
import zipfile

import pytest

from demo.describe import describe_exports
from demo.exports import choose_exports
from jaxrec.data.sources.item_table import ItemTableConfig
from jaxrec.errors import UserError
from jaxrec.runtime import Recommender, bundle


@pytest.fixture
def exports(models):
    return choose_exports([models["bow"], models["cnn"]])


@pytest.fixture
def items(exports) -> list:
    return bundle.parse_bundle(exports[0].data, exports[0].path).items


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_every_model_gets_the_descriptions_and_nothing_else_changes(tmp_path, exports, items):
    table = tmp_path / "films.csv"
    table.write_text(
        f"item,title,genres,year\n{items[2]},Bläuling,Drama|Nature,1987\n{items[0]},Ash,,\n"
        "-5,Of another log,Drama,1990\n"
    )
    described, output = describe_exports(exports, str(table), ItemTableConfig())
    assert output.splitlines()[0] == f"{table}: 2 of {len(items)} items described"
    for before, after in zip(exports, described, strict=True):
        old, new = (bundle.parse_bundle(each.data, each.path) for each in (before, after))
        assert new.catalogue[0] == entry(1, items[0], title="Ash")
        assert new.catalogue[1] == entry(2, items[1])
        assert new.catalogue[2] == entry(
            3, items[2], title="Bläuling", genres=["Drama", "Nature"], year=1987
        )
        assert new.catalogue[3:] == [entry(i + 1, items[i]) for i in range(3, len(items))]
        hashes = {**old.model["members"], bundle.CATALOGUE: new.model["members"][bundle.CATALOGUE]}
        assert new.model == {**old.model, "members": hashes}
        assert (new.graph, new.items) == (old.graph, old.items)
        parts, others = members(before.data), members(after.data)
        assert list(parts) == list(others)
        changed = {name for name in parts if parts[name] != others[name]}
        assert changed == {bundle.CATALOGUE, bundle.MODEL}
        assert (after.path, after.model) == (before.path, before.model)


def entry(number: int, item, title=None, genres=None, year=None) -> dict:
    return {"id": number, "item": item, "title": title, "genres": genres, "year": year}


def test_recommendations_have_the_new_titles(tmp_path, exports, items):
    table = tmp_path / "names.tsv"
    rows = [f"{item}\tNumber {item}" for item in items]
    table.write_text("\n".join(["key\tlabel", *rows]))
    config = ItemTableConfig(key="key", title="label")
    (described, *_), output = describe_exports(exports, str(table), config)
    assert f"{len(items)} of {len(items)} items described" in output
    (tmp_path / "own.tflite").write_bytes(described.data)
    found = Recommender.load(tmp_path / "own.tflite").recommend(items[:2], 5)
    assert [each.title for each in found] == [f"Number {each.item}" for each in found]


def test_a_table_in_movielens_format(tmp_path, exports, items):
    table = tmp_path / "films.dat"
    lines = [f"{items[4]}::Été (1999)::Drama|Comedy", f"{items[5]}::Ash: The End (2000)::Drama"]
    table.write_bytes("\n".join(lines).encode("latin-1"))
    config = ItemTableConfig(columns="item,title,genres", encoding="latin-1")
    (described, *_), output = describe_exports(exports, str(table), config)
    catalogue = bundle.parse_bundle(described.data, described.path).catalogue
    assert catalogue[4] == entry(5, items[4], title="Été (1999)", genres=["Drama", "Comedy"])
    assert catalogue[5] == entry(6, items[5], title="Ash: The End (2000)", genres=["Drama"])
    assert f"2 of {len(items)} items described" in output


def test_what_was_guessed_is_said(tmp_path, exports, items):
    table = tmp_path / "films.csv"
    table.write_text(f"item,Name\n{items[0]},Ash\n")
    _, output = describe_exports(exports, str(table), ItemTableConfig())
    assert "  note: item title: read from 'Name'" in output.splitlines()


def test_a_table_of_other_items_is_refused(tmp_path, exports):
    table = tmp_path / "films.csv"
    table.write_text("item,title\nabc,Ash\n")
    with pytest.raises(UserError, match="describes no item"):
        describe_exports(exports, str(table), ItemTableConfig())
