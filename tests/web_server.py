"""A server on this machine that misbehaves as it is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Web:
    """Files by their path, and how they are sent.

    Attributes:
        files: what there is.
        requests: path and Range header of everything that was asked for.
        breaks: bytes after which a connection breaks off; None for never.
        resumes: whether parts are sent when they are asked for.
        shift: how many bytes too late a part begins.
        extra: sent after the end, with no length announced.
        moved: addresses to which a path is redirected.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    breaks: int | None = None
    resumes: bool = True
    shift: int = 0
    extra: bytes = b""
    moved: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def serving() -> Iterator[Web]:
    """A server that runs as long as it is needed."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            web.requests.append((self.path, wanted))
            if self.path in web.moved:
                self.send_response(302)
                self.send_header("Location", web.moved[self.path])
                self.end_headers()
                return
            content = web.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and web.resumes else 0
            begin = first + web.shift if first else 0
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            if not web.extra:
                self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            self.wfile.write((content[begin:] + web.extra)[: web.breaks])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        web.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()
