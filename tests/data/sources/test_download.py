"""Downloads from a local server, and malicious or damaged zip files."""

import hashlib
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from jaxrec.data.sources import download
from jaxrec.data.sources.download import fetch, unpack
from jaxrec.errors import UserError

CONTENT = b"1::1193::5::978300760\n" * 40_000  # more than one chunk
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/truncated" else CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_download_is_complete_in_a_new_folder(server, tmp_path, algorithm):
    destination = tmp_path / "cache" / "data.zip"
    digest = hashlib.new(algorithm, CONTENT).hexdigest()
    fetch(f"{server}/data", destination, algorithm=algorithm, digest=digest)
    assert destination.read_bytes() == CONTENT
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.parametrize(
    ("page", "digest", "message"),
    [
        ("data", "0" * 64, f"is {DIGEST}, not {'0' * 64}; the file was discarded"),
        ("truncated", DIGEST, f", not {DIGEST}; "),
        ("missing", DIGEST, "404"),
    ],
)
def test_a_failed_download_keeps_the_existing_file(server, tmp_path, page, digest, message):
    destination = tmp_path / "data.zip"
    destination.write_bytes(b"old")
    with pytest.raises(UserError, match=message):
        fetch(f"{server}/{page}", destination, algorithm="sha256", digest=digest)
    assert destination.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [destination]


def test_an_interrupted_download_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupted(url: str) -> Iterator[bytes]:
        yield CONTENT
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(f"{server}/data", tmp_path / "data.zip", algorithm="sha256", digest=DIGEST)
    assert not list(tmp_path.iterdir())


def test_an_unreachable_address_names_the_remedies(tmp_path):
    with HTTPServer(("127.0.0.1", 0), Handler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}/data"
    with pytest.raises(UserError) as error:
        fetch(url, tmp_path / "data.zip", algorithm="sha256", digest=DIGEST)
    for part in (url, "--data-dir", "--dataset=synthetic"):
        assert part in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_write_error_is_not_reported_as_a_network_error(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        fetch(f"{server}/data", tmp_path / "file/data.zip", algorithm="sha256", digest=DIGEST)


MEMBERS = ("set/a.dat", "set/b.dat")


def make_zip(path: Path, *extra: str | ZipInfo) -> Path:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name in ("set/", *MEMBERS, "set/README", *extra):
            archive.writestr(name, b"" if name == "set/" else b"content")
    return path


def test_unpack_extracts_only_the_expected_members(tmp_path):
    unpack(make_zip(tmp_path / "set.zip"), MEMBERS, tmp_path / "cache" / "set")
    assert sorted(p.name for p in (tmp_path / "cache").rglob("*")) == ["a.dat", "b.dat", "set"]
    assert (tmp_path / "cache/set/a.dat").read_bytes() == b"content"


def link_entry() -> ZipInfo:
    link = ZipInfo("set/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return link


@pytest.mark.parametrize(
    "member",
    ["../evil", "set/../../evil", "/evil", "C:/evil", "C:evil", "set\\..\\..\\evil", link_entry()],
    ids=str,
)
def test_a_zip_with_a_path_outside_is_refused(tmp_path, member):
    archive = make_zip(tmp_path / "set.zip", member)
    name = member if isinstance(member, str) else member.filename
    with pytest.raises(UserError) as error:
        unpack(archive, MEMBERS, tmp_path / "set")
    assert repr(name) in str(error.value)
    assert list(tmp_path.iterdir()) == [archive]


def test_a_missing_member_is_named(tmp_path):
    with pytest.raises(UserError, match=r"lacks 'set/c\.dat'"):
        unpack(make_zip(tmp_path / "set.zip"), (*MEMBERS, "set/c.dat"), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def flip_byte(content: bytes) -> bytes:
    """Flip a byte of the compressed data, past the first local header and its name."""
    offset = content.index(b"set/a.dat") + len("set/a.dat") + 2
    return content[:offset] + bytes([content[offset] ^ 0xFF]) + content[offset + 1 :]


@pytest.mark.parametrize(
    "change", [lambda _: b"", lambda _: b"no zip", lambda c: c[:-30], flip_byte],
    ids=["empty", "text", "cut", "damaged"],
)  # fmt: skip
def test_a_broken_zip_is_refused(tmp_path, change):
    archive = make_zip(tmp_path / "set.zip")
    archive.write_bytes(change(archive.read_bytes()))
    with pytest.raises(UserError, match="not a valid zip"):
        unpack(archive, MEMBERS, tmp_path / "set")
    assert list(tmp_path.iterdir()) == [archive]


def test_a_zip_bomb_is_refused_by_its_declared_size(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "MAX_UNPACKED_BYTES", 13)
    monkeypatch.setattr(download, "_extract", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(UserError, match="more than 13 bytes"):
        unpack(make_zip(tmp_path / "set.zip"), MEMBERS, tmp_path / "set")


def test_a_zip_bomb_is_refused_by_its_unpacked_size(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "set.zip")
    with ZipFile(archive) as source:
        entries = [source.getinfo(name) for name in MEMBERS]
        monkeypatch.setattr(download, "_check_members", lambda *_: entries)
        monkeypatch.setattr(download, "MAX_UNPACKED_BYTES", 13)
        with pytest.raises(UserError, match="more than 13 bytes"):
            unpack(archive, MEMBERS, tmp_path / "set")
    assert list(tmp_path.iterdir()) == [archive]


def test_unpacking_twice_is_idempotent(tmp_path):
    archive = make_zip(tmp_path / "set.zip")
    unpack(archive, MEMBERS, tmp_path / "set")
    unpack(archive, MEMBERS, tmp_path / "set")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.dat", "b.dat", "set", "set.zip"]


def test_missing_members_of_a_folder_are_unpacked(tmp_path):
    archive = make_zip(tmp_path / "set.zip")
    unpack(archive, MEMBERS, tmp_path / "set")
    (tmp_path / "set/a.dat").unlink()
    (tmp_path / "set/b.dat").write_bytes(b"older")
    unpack(archive, MEMBERS, tmp_path / "set")
    assert (tmp_path / "set/a.dat").read_bytes() == b"content"
    assert (tmp_path / "set/b.dat").read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 2
