"""A web server for one folder and nothing else."""

import re
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from demo.folder import PAGE
from jaxrec.errors import UserError

# This machine alone: the page is for the person at it, not for the network.
HOST = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, lists no folder, and says with each what a page may do."""

    # Not left to what a system believes.
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
        ".tflite": "application/octet-stream",
    }

    def __init__(self, *args: Any, policy: str, **kwargs: Any):
        self._policy = policy
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        # A page's own policy does not bind its service worker; this one does.
        self.send_header("Content-Security-Policy", f"{self._policy}; frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        # The page keeps its files itself, by hash; a date has no more than seconds.
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def send_head(self) -> Any:
        try:
            return super().send_head()
        except ValueError:  # a null byte in the path
            self.send_error(404)
            return None

    def list_directory(self, path: Any) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the page's own console tells what is missing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that goes away in the middle of a file is no error.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def make_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Listen on this machine alone; port 0 takes a free one.

    Raises:
        UserError: the port cannot be had.
    """
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', page)
    handler = partial(_Handler, directory=str(folder), policy=" ".join(policy.split()))
    try:
        return _Server((HOST, port), handler)
    except (OSError, OverflowError) as error:
        raise UserError(f"port {port} cannot be had ({error}); give another --port") from None
