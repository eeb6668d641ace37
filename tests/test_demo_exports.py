"""Which exports a page gets."""

import json
import os
import shutil

import pytest

from demo.exports import choose_exports
from jaxrec.errors import UserError
from jaxrec.runtime import bundle
from tests.bundles import packed, rewritten


def put(root, name, model, age):
    """Make an export that is so many seconds old."""
    path = root / name / "export" / "model.tflite"
    path.parent.mkdir(parents=True)
    shutil.copy(model, path)
    os.utime(path, (10**9 - age, 10**9 - age))
    return path


def invented(path, encoder, age):
    """Write a file that no runtime could run, but whose archive is a whole one."""
    graph = b"graph"
    model = {
        **{
            "format": bundle.FORMAT,
            "run": path.parents[1].name,
            "encoder": encoder,
            "recipe": "int8",
        },
        "graph": {"bytes": len(graph), "sha256": bundle.sha256(graph)},
        "vocabulary": {"size": 0, "sha256": "0" * 64},
    }
    members = {
        bundle.MODEL: json.dumps(model).encode(),
        bundle.VOCABULARY: b'{"values": []}',
        bundle.CATALOGUE: packed([]),
    }
    path.parent.mkdir(parents=True)
    path.write_bytes(bundle.pack_bundle(graph, members))
    os.utime(path, (10**9 - age, 10**9 - age))
    return path


def test_exports_are_found_however_deep_they_lie(tmp_path):
    runs = tmp_path / "runs"
    bow = invented(runs / "bow" / "export" / "model.tflite", "bow", age=30)
    cnn = invented(runs / "more" / "small-cnn" / "export" / "model.tflite", "cnn", age=20)
    invented(tmp_path / "elsewhere" / "export" / "model.tflite", "rnn", age=10)
    rnn = runs / "more" / "sweep-x" / "rnn-n10-seed0" / "export" / "model.tflite"
    rnn.parents[1].mkdir(parents=True)
    rnn.parent.symlink_to(tmp_path / "elsewhere" / "export")
    chosen = choose_exports([], runs)
    assert [each.path for each in chosen] == [rnn, cnn, bow]
    assert chosen[0].written.timestamp() == 10**9 - 10


def foreign(models, tmp_path):
    """Give a model of the same encoder that knows other items."""
    whole = bundle.read_bundle(models["cnn"])
    items = [f"other {item}" for item in whole.items]
    digest = "0" * 64
    rewritten(
        models["cnn"],
        tmp_path / "foreign.tflite",
        vocabulary_json={"digest": digest, "values": items},
        model_json={**whole.model, "vocabulary": {"size": len(items), "sha256": digest}},
    )
    return tmp_path / "foreign.tflite"


def test_the_newest_and_the_newest_of_each_other_encoder(tmp_path, models):
    put(tmp_path, "old-bow", models["bow"], age=50)
    bow = put(tmp_path, "bow", models["bow"], age=30)
    rnn = put(tmp_path, "rnn", models["rnn"], age=20)
    put(tmp_path, "old-rnn", models["rnn"], age=60)
    put(tmp_path, "foreign", foreign(models, tmp_path), age=25)
    assert [each.path for each in choose_exports([], tmp_path)] == [rnn, bow]


def test_a_damaged_companion_is_passed_over_but_not_what_was_asked_for(tmp_path, models):
    newest = put(tmp_path, "rnn", models["rnn"], age=1)
    damaged = put(tmp_path, "bow", models["bow"], age=2)
    damaged.write_bytes(b"damaged")
    os.utime(damaged, (1, 1))
    assert [each.path for each in choose_exports([], tmp_path)] == [newest]
    with pytest.raises(UserError, match="is no model of jaxrec"):
        choose_exports([damaged])


def test_named_exports_are_files_or_folders_in_their_order(models):
    chosen = choose_exports([models["cnn"].parent, models["bow"]])
    assert [each.path for each in chosen] == [models["cnn"], models["bow"]]
    assert chosen[0].data == models["cnn"].read_bytes()
    assert [each.model["encoder"] for each in chosen] == ["cnn", "bow"]


def test_models_of_one_page_share_their_items(tmp_path, models):
    with pytest.raises(UserError, match="knows other items than"):
        choose_exports([models["bow"], foreign(models, tmp_path)])


def test_nothing_to_show(tmp_path):
    with pytest.raises(UserError, match="to_tflite"):
        choose_exports([], tmp_path)
