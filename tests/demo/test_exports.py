"""The choice of the exports that a page shows."""

import json
import os
import shutil

import pytest

from demo.exports import choose_exports
from jaxrec.errors import UserError
from jaxrec.runtime import bundle
from tests.bundles import encode_catalogue, rewrite_bundle


def copy_export(root, name, model, age):
    """Copy a model to an export folder and set its modification time `age` seconds back."""
    path = root / name / "export" / "model.tflite"
    path.parent.mkdir(parents=True)
    shutil.copy(model, path)
    os.utime(path, (10**9 - age, 10**9 - age))
    return path


def write_fake_export(path, encoder, age):
    """Write a model file with a valid archive but no valid graph."""
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
        bundle.CATALOGUE: encode_catalogue([]),
    }
    path.parent.mkdir(parents=True)
    path.write_bytes(bundle.pack_bundle(graph, members))
    os.utime(path, (10**9 - age, 10**9 - age))
    return path


def test_exports_are_found_at_any_depth(tmp_path):
    runs = tmp_path / "runs"
    bow = write_fake_export(runs / "bow" / "export" / "model.tflite", "bow", age=30)
    cnn = write_fake_export(runs / "more" / "small-cnn" / "export" / "model.tflite", "cnn", age=20)
    write_fake_export(tmp_path / "elsewhere" / "export" / "model.tflite", "rnn", age=10)
    rnn = runs / "more" / "sweep-x" / "rnn-n10-seed0" / "export" / "model.tflite"
    rnn.parents[1].mkdir(parents=True)
    rnn.parent.symlink_to(tmp_path / "elsewhere" / "export")
    chosen = choose_exports([], runs)
    assert [each.path for each in chosen] == [rnn, cnn, bow]
    assert chosen[0].written.timestamp() == 10**9 - 10


def model_of_other_items(models, tmp_path):
    """Write a model of the same encoder with another vocabulary."""
    whole = bundle.read_bundle(models["cnn"])
    items = [f"other {item}" for item in whole.items]
    digest = "0" * 64
    rewrite_bundle(
        models["cnn"],
        tmp_path / "foreign.tflite",
        vocabulary_json={"digest": digest, "values": items},
        model_json={**whole.model, "vocabulary": {"size": len(items), "sha256": digest}},
    )
    return tmp_path / "foreign.tflite"


def test_the_newest_export_of_each_encoder_is_chosen(tmp_path, models):
    copy_export(tmp_path, "old-bow", models["bow"], age=50)
    bow = copy_export(tmp_path, "bow", models["bow"], age=30)
    rnn = copy_export(tmp_path, "rnn", models["rnn"], age=20)
    copy_export(tmp_path, "old-rnn", models["rnn"], age=60)
    copy_export(tmp_path, "foreign", model_of_other_items(models, tmp_path), age=25)
    assert [each.path for each in choose_exports([], tmp_path)] == [rnn, bow]


def test_a_damaged_export_is_skipped_unless_it_is_requested(tmp_path, models):
    newest = copy_export(tmp_path, "rnn", models["rnn"], age=1)
    damaged = copy_export(tmp_path, "bow", models["bow"], age=2)
    damaged.write_bytes(b"damaged")
    os.utime(damaged, (1, 1))
    assert [each.path for each in choose_exports([], tmp_path)] == [newest]
    with pytest.raises(UserError, match="is not a jaxrec model"):
        choose_exports([damaged])


def test_requested_exports_are_files_or_folders_in_the_given_order(models):
    chosen = choose_exports([models["cnn"].parent, models["bow"]])
    assert [each.path for each in chosen] == [models["cnn"], models["bow"]]
    assert chosen[0].data == models["cnn"].read_bytes()
    assert [each.model["encoder"] for each in chosen] == ["cnn", "bow"]


def test_models_of_other_items_are_refused_on_one_page(tmp_path, models):
    with pytest.raises(UserError, match="has other items than"):
        choose_exports([models["bow"], model_of_other_items(models, tmp_path)])


def test_no_export_at_all_is_refused(tmp_path):
    with pytest.raises(UserError, match="to_tflite"):
        choose_exports([], tmp_path)
