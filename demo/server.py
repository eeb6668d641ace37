"""A web server for one static folder."""

import re
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from demo.folder import PAGE
from jaxrec.errors import UserError

# The loopback interface: the page is for the user of this machine, not for the network.
HOST = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """Handler that serves files with a content security policy, and lists no folder."""

    # Fixed, because the types that a system has registered vary.
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
        # A policy inside the page does not apply to its service worker; this header does.
        self.send_header("Content-Security-Policy", f"{self._policy}; frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        # The page caches its files itself, by hash; Last-Modified is only accurate to a second.
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
        """Log nothing: the browser's console reports missing files."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that disconnects in the middle of a file is not an error.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def make_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server that listens on the loopback interface; port 0 selects a free port.

    Raises:
        UserError: the port is not available.
    """
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', page)
    handler = partial(_Handler, directory=str(folder), policy=" ".join(policy.split()))
    try:
        return _Server((HOST, port), handler)
    except (OSError, OverflowError) as error:
        raise UserError(f"port {port} is not available ({error}); give another --port") from None
