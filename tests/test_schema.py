"""The schema: saving, loading, and rejection of damaged files."""

import pytest

from jaxrec.errors import UserError
from jaxrec.schema import Feature, HeadSpec, Schema


def test_a_schema_round_trips_through_its_file(tmp_path):
    features = (
        Feature("genre", "item", "ids", 18),
        Feature("rating", "activity", "id", 2, (1, "good")),
        Feature("user_age", "user", "number", 2, (18.5,)),
    )
    schema = Schema(3000, 64, features, (HeadSpec("rating", 0.5, (1.0, 3.5)),))
    schema.save(tmp_path / "schema.json")
    assert Schema.load(tmp_path / "schema.json") == schema
    assert schema.rows == 3001


@pytest.mark.parametrize(
    "content",
    ["3", '{"items": 3}', '{"items": 3, "width": 4, "heads": [], "features": [{"name": "x"}]}'],
)
def test_a_damaged_schema_is_rejected(tmp_path, content):
    (tmp_path / "schema.json").write_text(content)
    with pytest.raises(UserError, match=r"schema\.json is damaged.*train the run again"):
        Schema.load(tmp_path / "schema.json")
