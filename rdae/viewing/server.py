"""A server for one viewer on this machine: it serves the viewer, the files that were given, their models, nothing else.

It listens on 127.0.0.1 alone, where other programs and, through a browser, other web sites could ask it too. So every
path begins with a random token that only the address which is opened has; a request for another host than this one is
refused (a name of a stranger's may be made to point here); what can be asked for is a table that is made beforehand, so
that no path leads out of it; and no page of another site may embed or read an answer.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import secrets
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from rdae.errors import RdaeError
from rdae.networks import slices
from rdae.viewing.files import ShownFile

HOST = "127.0.0.1"
MAX_ADDRESS = 60_000  # characters: http.server reads lines of 65,536
IDLE_S = 60.0  # after which a connection on which nothing comes is closed

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # The next two let a page use threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Of pictures nothing stays on the disk, and the next server has another address anyway.
    "Cache-Control": "no-store",
}
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}
BYTES = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"

_FILE = re.compile(r"files/([0-9]{1,6})(?:/[^/]*)?")
_MODEL = re.compile(rf"models/([0-9a-f]{{8}}){re.escape(slices.SUFFIX)}")


class ViewerServer(http.server.ThreadingHTTPServer):
    """Serves a viewer and files to look at, on a port that was free; each connection has a thread."""

    daemon_threads = True

    def __init__(self, files: Sequence[ShownFile], viewer: Path) -> None:
        """Listen, from now on; `serve_forever` answers.

        viewer: the folder that was built, with viewer/index.html in it. RdaeError if the files are too many to be named
        in one address.
        """
        super().__init__((HOST, 0), _Handler)
        self.token = secrets.token_urlsafe(16)
        self.files = files
        self.pages = {
            path.relative_to(viewer).as_posix(): path
            for path in sorted(viewer.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }
        # Quoted twice: the page takes an address out of its own, and asks for that.
        addresses = (f"../files/{i}/{quote(os.fsencode(file.name))}" for i, file in enumerate(files))
        names = "&".join(f"file={quote(address)}" for address in addresses)
        self.url = f"http://{HOST}:{self.server_port}/{self.token}/viewer/index.html?{names}"
        if len(self.url) > MAX_ADDRESS:
            self.server_close()
            raise RdaeError(f"{len(files)} files are too many for one address")
        # A model takes a second or two, in which the browser starts.
        self._pool = ThreadPoolExecutor(1)
        self._models: dict[str, Future[bytes]] = {}
        for file in files:
            if file.weights is not None and file.model not in self._models:
                self._models[file.model] = self._pool.submit(slices.slice_of, file.weights)

    def server_close(self) -> None:
        """Stop to listen, and drop models that nobody has asked for yet."""
        super().server_close()
        with contextlib.suppress(AttributeError):  # there are none yet
            self._pool.shutdown(wait=False, cancel_futures=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that went away in the middle of an answer."""

    def find(self, path: str) -> tuple[str, bytes] | None:
        """Media type and bytes of what lies at a path below the token; None: nothing does.

        RdaeError or OSError if it is there and cannot be had.
        """
        if path in self.pages:
            page = self.pages[path]
            return MEDIA_TYPES.get(page.suffix, BYTES), page.read_bytes()
        if (found := _FILE.fullmatch(path)) and int(found[1]) < len(self.files):
            file = self.files[int(found[1])]
            return file.media_type, file.data
        if (found := _MODEL.fullmatch(path)) and found[1] in self._models:
            return BYTES, self._models[found[1]].result()
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection."""

    server: ViewerServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hosts = self.headers.get_all("Host") or []
        port = self.server.server_port
        if len(hosts) != 1 or hosts[0] not in {f"{HOST}:{port}", f"localhost:{port}"}:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        path = self.path.partition("?")[0].partition("#")[0]
        _, token, *rest = path.split("/", 2) if path.startswith("/") else ("", "")
        if not rest or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            found = self.server.find(rest[0])
        except (RdaeError, OSError) as error:
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, TEXT, str(error).encode())
            return
        if found is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send(HTTPStatus.OK, *found)

    def _send(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Refuse, in words of our own: none of a request's."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:  # which http.server says of every method but ours
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self.close_connection = True
        self._send(status, TEXT, f"{status.value} {status.phrase}\n".encode())

    def version_string(self) -> str:
        """Nothing of this machine's Python."""
        return "rdae"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Keep the terminal for errors."""
