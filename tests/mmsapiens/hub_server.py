"""A small hub on this machine: the routes by which files are asked for, and what may go wrong."""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_a_token_that_may"


@dataclass
class File:
    """A file of a repository, and how it is served."""

    content: bytes
    size: int | None = None
    """What the hub says, if it is not that of the content."""
    sha256: str | None = None
    """Likewise."""
    cut_at: int | None = None
    """After so many bytes of the first answer the connection is closed."""
    hold_at: int | None = None
    """After so many bytes of the first answer the server waits for the test's end."""

    @property
    def etag(self) -> str:
        return self.sha256 or hashlib.sha256(self.content).hexdigest()


@dataclass
class Hub:
    """Serves ``files``, by repository and path, from another host than it says what they are."""

    files: dict[tuple[str, str], File] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    status: int | None = None
    """What it answers, whatever it is asked."""
    log: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and range of each request."""
    tokens: dict[str, set[str | None]] = field(default_factory=dict)
    """What was sent as authorization, by kind of route."""
    holding: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Hub:
        hub = self

        class Handler(_Handler):
            def do_HEAD(self) -> None:
                self.answer(hub)

            do_GET = do_HEAD

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def files_url(self) -> str:
        return f"http://localhost:{self._server.server_port}/files"

    def ranges(self) -> list[str | None]:
        """The ranges that were asked of the files themselves."""
        return [r for method, path, r in self.log if method == "GET" and "/files/" in path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Says nothing."""

    def reply(self, status: int, headers: dict[str, object], length: int = 0) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": length}.items():
            self.send_header(name, str(value))
        self.end_headers()

    def answer(self, hub: Hub) -> None:
        if self.path.startswith("/api/"):  # for the name of the client's caller: not our matter
            self.reply(404, {})
            return
        hub.log.append((self.command, self.path, self.headers["Range"]))
        is_file = self.path.startswith("/files/")
        kind = "files" if is_file else "hub"
        hub.tokens.setdefault(kind, set()).add(self.headers["Authorization"])
        if hub.status is not None:
            self.reply(hub.status, {})
        elif is_file:
            self.send_file(hub)
        else:
            self.resolve(hub)

    def resolve(self, hub: Hub) -> None:
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        assert match and match[2] in ("main", COMMIT), self.path
        repository, path = match[1], match[3]
        file = hub.files.get((repository, path))
        if repository not in {name for name, _ in hub.files}:
            self.reply(401, {"X-Error-Code": "RepoNotFound"})
        elif repository in hub.gated and self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.reply(401, {"X-Error-Code": "GatedRepo"})
        elif file is None:
            self.reply(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            headers = {
                "Location": f"{hub.files_url}/{repository}/{path}",
                "X-Repo-Commit": COMMIT,
                "X-Linked-Etag": f'"{file.etag}"',
                "X-Linked-Size": len(file.content) if file.size is None else file.size,
            }
            self.reply(302, headers)

    def send_file(self, hub: Hub) -> None:
        _, _, *repository, path = self.path.split("/", 4)
        file = hub.files["/".join(repository), path]
        begin = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "bytes=0-")[1])
        body, total = file.content[begin:], len(file.content)
        headers = {"ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        if self.headers["Range"]:
            headers["Content-Range"] = f"bytes {begin}-{total - 1}/{total}"
        self.reply(206 if self.headers["Range"] else 200, headers, len(body))
        cut, hold = file.cut_at, file.hold_at
        file.cut_at = file.hold_at = None
        self.wfile.write(body[: cut or hold])
        if cut or hold:
            self.close_connection = True
        if hold:
            hub.holding.set()
            hub.ended.wait(60)
