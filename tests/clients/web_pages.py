"""Pages that use the JavaScript package, and a host that serves them from a folder."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from demo.litert_js import HOME, install_packages
from jaxrec.runtime import Recommender
from tests import ROOT

PACKAGE = ROOT / "clients" / "web"
MODEL = ROOT / "pretrained" / "small-rnn.tflite"
HISTORY = [2571, 260, 1196]


class _Handler(SimpleHTTPRequestHandler):
    """Handler that adds some headers to every response."""

    def __init__(self, *args: Any, headers: Mapping[str, str], **kwargs: Any):
        self._headers = headers
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        for name, value in self._headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a failed test has the errors of the page."""


@contextmanager
def host(folder: Path, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serve a folder, as a static host does, and yield its URL."""
    handler = partial(_Handler, directory=str(folder), headers=headers or {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def write_modules(folder: Path) -> None:
    """Link the package and LiteRT.js in a folder as npm lays them out, with an empty page."""
    install_packages()
    folder.mkdir(parents=True)
    (folder / "jaxrec").symlink_to(PACKAGE)
    (folder / "@litertjs").symlink_to(HOME / "node_modules" / "@litertjs")


def expected_items(k: int = 5) -> list:
    """Return the list that Python recommends after the history."""
    return [each.item for each in Recommender.load(MODEL).recommend(HISTORY, k)]
