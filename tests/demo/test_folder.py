"""The static folder of the demo: a complete release, replaced atomically."""

import json
from pathlib import Path

import pytest

from demo import folder as demo_folder
from demo.exports import choose_exports
from demo.folder import model_path, write_page
from jaxrec.errors import UserError
from jaxrec.runtime.bundle import sha256

RUNTIME = {"a.js": b"loader", "a.wasm": b"wasm"}


@pytest.fixture
def exports(models):
    return choose_exports([models["bow"], models["cnn"]])


def release(folder: Path) -> dict:
    script = (folder / "release.js").read_text()
    return json.loads(script.removeprefix("self.RELEASE = ").removesuffix(";\n"))


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_file_is_in_the_release_with_its_hash(tmp_path, exports):
    write_page(tmp_path / "site", exports, RUNTIME)
    written = files(tmp_path / "site")
    listed = release(tmp_path / "site")["files"]
    assert set(written) == {*listed, "release.js", "service_worker.js"}
    assert listed == {name: sha256(written[name]) for name in listed}
    assert written["runtime/a.wasm"] == b"wasm"


def test_models_json_lists_the_exported_models(tmp_path, exports, models):
    write_page(tmp_path / "site", exports, RUNTIME)
    listed = json.loads((tmp_path / "site" / "models.json").read_text())
    assert [(each["encoder"], each["bytes"]) for each in listed] == [
        (encoder, models[encoder].stat().st_size) for encoder in ("bow", "cnn")
    ]
    for each, export in zip(listed, exports, strict=True):
        assert each["path"] == model_path(export)
        assert sha256((tmp_path / "site" / each["path"]).read_bytes()) == each["sha256"]


def test_the_release_version_depends_only_on_the_content(tmp_path, exports):
    write_page(tmp_path / "site", exports, RUNTIME)
    first = files(tmp_path / "site")
    write_page(tmp_path / "site", exports, RUNTIME)
    assert files(tmp_path / "site") == first
    write_page(tmp_path / "site", exports[:1], RUNTIME)
    assert release(tmp_path / "site")["version"] not in first["release.js"].decode()
    assert len(list((tmp_path / "site" / "models").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_of_unrelated_files_is_left_unchanged(tmp_path, exports):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="files other than a page"):
        write_page(tmp_path, exports, RUNTIME)
    assert files(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_failed_write_keeps_the_previous_page(tmp_path, exports, monkeypatch):
    write_page(tmp_path / "site", exports, RUNTIME)
    before = files(tmp_path / "site")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo_folder.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_page(tmp_path / "site", exports[:1], RUNTIME)
    monkeypatch.undo()
    assert files(tmp_path / "site") == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
