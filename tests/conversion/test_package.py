"""The files of an export, beside older ones."""

from jaxrec.conversion import package


def test_an_export_removes_older_batch_models_and_the_signature(tmp_path):
    for name in ("model-batch4.tflite", "model.tflite", "model.json.sig", "notes.txt"):
        (tmp_path / name).write_bytes(b"old")
    package.write_package(tmp_path, {"model.tflite": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "model.tflite": b"new",
        "notes.txt": b"old",
    }
