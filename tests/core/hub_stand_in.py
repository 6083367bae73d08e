"""A small Hub on loopback with the real one's shapes: model info, redirects to a store of large files, ETag, ranges, and its troubles."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class StandIn:
    """`models` are files by model name. What goes wrong is set by a test, and `asked` is what was asked."""

    models: dict[str, dict[str, bytes]]
    gated: set[str] = field(default_factory=set)
    token: str = "hf_right"
    cut_after: int | None = None  # bytes of a large file, once
    busy: int = 0  # so many requests for large files are told to wait
    block_s: float = 0.0  # between blocks of a large file
    broken: set[str] = field(default_factory=set)  # large files served with a wrong byte
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    created: list[dict[str, Any]] = field(default_factory=list)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked_for(self, start: str) -> list[dict[str, str]]:
        return [headers for method, path, headers in self.asked if method == "GET" and path.startswith(start)]

    def info(self, name: str, detailed: bool) -> dict[str, Any]:
        files = self.models[name]
        siblings: list[dict[str, Any]] = []
        for file, content in files.items():
            entry: dict[str, Any] = {"rfilename": file}
            if detailed:
                entry |= {"size": len(content), "blobId": git_id(content)}
                if is_large(file):
                    entry["lfs"] = {"size": len(content), "sha256": sha256(content), "pointerSize": 134}
            siblings.append(entry)
        return {
            "id": name,
            "modelId": name,
            "sha": COMMIT,
            "downloads": 1234,
            "likes": 56,
            "gated": "auto" if name in self.gated else False,
            "private": False,
            "tags": ["safetensors", "llama", "license:apache-2.0"],
            "lastModified": "2026-01-02T03:04:05.000Z",
            "config": {"model_type": "llama"},
            "safetensors": {"parameters": {"BF16": 1_100_048_384}, "total": 1_100_048_384},
            "siblings": siblings,
        }


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_large(file: str) -> bool:
    return file.endswith((".safetensors", ".bin", ".gguf"))


class Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        """Making a repository and uploading small files to it: create, ask how each file is sent, commit."""
        hub, path = self.stand_in, urlsplit(self.path).path
        body = self._body()
        hub.asked.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        if self.headers.get("authorization") != f"Bearer {hub.token}":
            return self._send(401, headers={"X-Error-Message": "Invalid username or password."})
        if path == "/api/repos/create":
            said = json.loads(body)
            hub.created.append(said)
            return self._json({"url": f"{hub.url}/{said['organization']}/{said['name']}"})
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if path.endswith("/preupload/main"):
            sent = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self._json({"files": sent})
        if path.endswith("/commit/main"):
            lines = [json.loads(line) for line in body.splitlines()]
            for line in lines:
                if line["key"] == "file":
                    hub.uploaded[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self._json(
                {"commitOid": COMMIT, "commitUrl": f"{hub.url}/me/mine/commit/{COMMIT}", "hookOutput": ""}
            )
        return self._send(404)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        hub, parts = self.stand_in, urlsplit(self.path)
        hub.asked.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        if parts.path == "/api/models":
            return self._list(parse_qs(parts.query))
        if found := re.fullmatch(r"/api/models/(.+?)(/revision/(.+))?", parts.path):
            name, revision = found[1], found[3]
            if name not in hub.models:
                return self._send(
                    404, headers={"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
                )
            if revision not in (None, "main", COMMIT):
                return self._send(
                    404, headers={"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}
                )
            return self._json(hub.info(name, "blobs" in parts.query))
        if found := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", parts.path):
            return self._resolve(found[1], found[3])
        if found := re.fullmatch(r"/store/(.+?)/-/(.+)", parts.path):
            return self._store(found[2], hub.models[found[1]][found[2]])
        return self._send(404)

    def _list(self, query: dict[str, list[str]]) -> None:
        wanted = query.get("search", [""])[0]
        self._json([self.stand_in.info(name, False) for name in self.stand_in.models if wanted in name])

    def _resolve(self, name: str, file: str) -> None:
        hub = self.stand_in
        if name in hub.gated and self.headers.get("authorization") != f"Bearer {hub.token}":
            return self._send(401, headers={"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        content = hub.models.get(name, {}).get(file)
        if content is None:
            return self._send(404, headers={"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
        common = {"X-Repo-Commit": COMMIT}
        if not is_large(file):
            return self._send(200, content, {**common, "ETag": f'"{git_id(content)}"'})
        linked = {"X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content))}
        elsewhere = f"http://localhost:{hub.port}/store/{name}/-/{file}"
        return self._send(302, headers={**common, **linked, "Location": elsewhere})

    def _store(self, file: str, content: bytes) -> None:
        hub = self.stand_in
        if hub.busy > 0:
            hub.busy -= 1
            return self._send(429, headers={"Retry-After": "1"})
        if file in hub.broken:
            content = content[:-1] + bytes([content[-1] ^ 1])
        first = int(found[1]) if (found := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
        part = content[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", f'"{sha256(content)}"')
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        stop, hub.cut_after = hub.cut_after, None
        if stop is not None:
            self.wfile.write(part[:stop])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return None
        for at in range(0, len(part), 65536):
            self.wfile.write(part[at : at + 65536])
            if hub.block_s:
                threading.Event().wait(hub.block_s)
        return None

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass  # a client that goes away in the middle is what is tested


@contextmanager
def serving(models: dict[str, dict[str, bytes]]) -> Iterator[StandIn]:
    hub = StandIn(models)
    server = _Quiet(("127.0.0.1", 0), type("Bound", (Handler,), {"stand_in": hub}))
    hub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
