"""The demo server: serves the files of one folder, on localhost only."""

import socket
import threading
from http.client import HTTPConnection

import pytest

from demo.server import HOST, make_server
from jaxrec.errors import UserError


@pytest.fixture
def port(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "site"
    (folder / "runtime").mkdir(parents=True)
    (folder / "index.html").write_text("page")
    (folder / "a.wasm").write_bytes(b"\0asm")
    (folder / "page.js").write_text("1")
    with make_server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def get(port: int, path: str, method: str = "GET"):
    connection = HTTPConnection(HOST, port)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_responses_have_content_type_and_security_headers(port):
    for path, kind in (
        ("/", "text/html"),
        ("/page.js", "text/javascript"),
        ("/a.wasm", "application/wasm"),
    ):
        response, _ = get(port, path)
        assert response.status == 200
        assert response.headers["Content-Type"] == kind
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        *("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "//../secret.txt"),
        *("/runtime/../../secret.txt", "/runtime/", "/nothing", "/..\\secret.txt", "/%00"),
    ],
)
def test_no_file_outside_the_folder_and_no_directory_listing_is_served(port, path):
    response, body = get(port, path)
    assert response.status in (404, 400)
    assert b"secret" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_methods_that_write_are_rejected(port, method):
    response, _ = get(port, "/", method)
    assert response.status == 501


def test_the_server_listens_only_on_localhost(tmp_path):
    with make_server(tmp_path, 0) as server:
        assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("port", [-1, 65536])
def test_an_invalid_port_is_rejected(tmp_path, port):
    with pytest.raises(UserError, match="give another --port"):
        make_server(tmp_path, port)


def test_a_port_in_use_is_rejected(tmp_path):
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is not available"):
            make_server(tmp_path, port)
