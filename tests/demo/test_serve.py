"""The serve command of the demo."""

import os
import re
import shutil
import signal
import subprocess
import sys
from http.server import ThreadingHTTPServer
from urllib.request import urlopen

import pytest

from demo.serve import main
from jaxrec.runtime import bundle
from tests import ROOT
from tests.exports import run_script


@pytest.fixture
def folder(tmp_path, models):
    """Build a directory whose runs/ has one export per encoder, written a second apart."""
    for second, (encoder, path) in enumerate(models.items()):
        export = tmp_path / "runs" / encoder / "export"
        shutil.copytree(path.parent, export)
        os.utime(export / path.name, (1.7e9 + second, 1.7e9 + second))
    return tmp_path


def test_it_serves_the_newest_export_until_it_is_stopped(folder):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "demo" / "serve.py"), "--port=0"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        lines = [process.stdout.readline() for _ in range(5)]
        assert [line.split(":")[0] for line in lines[:3]] == ["rnn", "cnn", "bow"]
        for line in lines[:3]:
            name = line.split(":")[0]
            assert re.search(
                rf": {name}, [\d,]+ bytes, written \d{{4}}-\d\d-\d\d \d\d:\d\d, ", line
            )
            assert line.endswith(f" runs/{name}/export/model.tflite\n")
        assert "build/demo: " in lines[3] and "static host" in lines[3]
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", lines[4])
        with urlopen(address) as response:
            assert b"What next?" in response.read()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert (folder / "build" / "demo" / "release.js").is_file()


def test_titles_come_from_an_item_table(folder, models, monkeypatch, capsys):
    items = bundle.read_bundle(models["rnn"]).items
    (folder / "films.csv").write_text(f"item,title\n{items[0]},Bläuling\n", encoding="utf-16")
    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", lambda _: None)
    monkeypatch.chdir(folder)
    assert main(["--port=0", "--items=films.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"films.csv: 1 of {len(items)} items described"
    shown = sorted((folder / "build" / "demo" / "models").iterdir())
    assert len(shown) == 3
    for path in shown:
        titles = [entry["title"] for entry in bundle.read_bundle(path).catalogue]
        assert titles == ["Bläuling"] + [None] * (len(items) - 1)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--items=films.csv"], "films.csv is not a file"),
        (
            ["--item-table.title=name"],
            "--item-table.title=name needs --items=FILE",
        ),
        (["--export=nowhere.tflite"], "nowhere.tflite: No such file"),
        (["--export=runs"], "runs/model.tflite: No such file"),
        (["--folder=runs"], "runs contains files other than a page"),
        (["--port=99999"], "port 99999 is not available"),
        (["--prot=1"], "--prot"),
    ],
)
def test_an_invalid_flag_is_one_line_with_exit_code_2(folder, monkeypatch, capsys, flags, words):
    monkeypatch.chdir(folder)
    assert main(["--port=0", *flags]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert not (folder / "build").exists()


def test_a_missing_export_names_the_command_that_writes_one(tmp_path):
    done = run_script("demo/serve.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "to_tflite.py" in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_teaches(capsys):
    assert main(["--help-all"]) == 0
    text = capsys.readouterr().out
    assert "python demo/serve.py" in text
    assert "--export" in text and "static host" in text
    assert "--items" in text and "--item-table.title" in text and "--item-table.encoding" in text
