"""A small Hugging Face Hub: dataset repositories with revisions, over HTTP, in memory.

It speaks what ``huggingface_hub`` and ``datasets`` use to publish a dataset and to load it: create,
info, tree, preupload, Git LFS batch and upload, commit as NDJSON, resolve with ranges. Faults are
answers that a test puts in line.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.servers.listening import listening

TOKEN = "hf_" + "s" * 34


@dataclass
class HubRepo:
    """One repository: its files by revision, the newest last."""

    private: bool
    revisions: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit({".gitattributes": b"*.parquet filter=lfs"})

    @property
    def head(self) -> str:
        return list(self.revisions)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        return self.revisions[self.head]

    def commit(self, files: dict[str, bytes]) -> str:
        name = hashlib.sha1(f"{len(self.revisions)}".encode()).hexdigest()
        self.revisions[name] = files
        return name


@dataclass
class Hub:
    """What the server holds and was asked."""

    repos: dict[str, HubRepo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    faults: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    before_commit: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    endpoint: str = ""

    def count(self, part: str) -> int:
        """Requests whose line has a part."""
        return sum(part in request for request in self.requests)


@contextmanager
def hub_server() -> Iterator[Hub]:
    """Serve an empty hub until the block ends."""
    hub = Hub()

    class Handler(_HubHandler):
        served = hub

    with listening(Handler) as port:
        hub.endpoint = f"http://127.0.0.1:{port}"
        yield hub


class _HubHandler(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.served.requests.append(f"{method} {path}")
        for part, answers in self.served.faults.items():
            if part in f"{method} {path}" and answers:
                status, headers = answers.pop(0)
                return self._json({"error": f"fault for {TOKEN}"}, status, headers)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" and method != "PUT":
            return self._json({"error": "Invalid username or password."}, 401)
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if parts[0] == "upload" and method == "PUT":
            return self._upload(parts[1], body)
        if parts[:2] == ["api", "datasets"] and len(parts) >= 4:
            return self._api("/".join(parts[2:4]), parts[4:], body)
        if parts[0] == "datasets" and path.endswith("/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        if parts[0] == "datasets" and len(parts) > 5 and parts[3] == "resolve":
            return self._resolve(method, "/".join(parts[1:3]), parts[4], "/".join(parts[5:]))
        return self._json({"error": "Entry not found"}, 404)

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        url = f"{self.served.endpoint}/datasets/{name}"
        if name in self.served.repos:
            return self._json({"error": "You already created this dataset repo", "url": url}, 409)
        self.served.repos[name] = HubRepo(
            private=bool(asked.get("private")) or asked.get("visibility") == "private"
        )
        return self._json({"url": url, "name": name})

    def _api(self, name: str, rest: list[str], body: bytes) -> None:
        repo = self.served.repos.get(name)
        if repo is None:
            return self._json({"error": "Repository not found"}, 404, _RepoNotFound)
        match rest:
            case [] | ["revision", _]:
                return self._info(name, repo, rest[1] if rest else "main")
            case ["tree", revision, *below]:
                return self._json(_tree(self._at(repo, revision), "/".join(below)))
            case ["paths-info", revision]:
                files = self._at(repo, revision)
                asked = json.loads(body)["paths"]
                return self._json([e for e in _tree(files, "") if e["path"] in asked])
            case ["preupload", _]:
                return self._json({"files": [_mode(f) for f in json.loads(body)["files"]]})
            case ["commit", _]:
                return self._commit(name, repo, body)
        return self._json({"error": "Entry not found"}, 404)

    def _at(self, repo: HubRepo, revision: str) -> dict[str, bytes]:
        return repo.files if revision == "main" else repo.revisions.get(revision, {})

    def _info(self, name: str, repo: HubRepo, revision: str) -> None:
        sha = repo.head if revision == "main" else revision
        files = [{"rfilename": path} for path in self._at(repo, sha)]
        known = {"_id": name, "id": name, "author": name.split("/")[0], "disabled": False}
        more = {"sha": sha, "private": repo.private, "gated": False, "siblings": files, "tags": []}
        self._json(known | more)

    def _batch(self, asked: dict[str, Any]) -> None:
        found = []
        for each in asked["objects"]:
            entry = {"oid": each["oid"], "size": each["size"]}
            if each["oid"] not in self.served.objects:
                href = f"{self.served.endpoint}/upload/{each['oid']}"
                entry["actions"] = {"upload": {"href": href}}
            found.append(entry)
        self._json({"transfer": "basic", "objects": found})

    def _upload(self, oid: str, body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            return self._json({"error": "wrong checksum"}, 422)
        self.served.objects[oid] = body
        return self._json({})

    def _commit(self, name: str, repo: HubRepo, body: bytes) -> None:
        while self.served.before_commit:
            others_name, files = self.served.before_commit.pop()
            others = self.served.repos[others_name]
            others.commit(others.files | files)
        lines = [json.loads(line) for line in body.splitlines()]
        if lines[0]["value"].get("parentCommit") not in (None, repo.head):
            return self._json({"error": "A commit has happened since. Please refresh."}, 412)
        files = dict(repo.files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.served.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        oid = repo.commit(files)
        url = f"{self.served.endpoint}/datasets/{name}/commit/{oid}"
        return self._json({"commitUrl": url, "commitOid": oid, "success": True})

    def _resolve(self, method: str, name: str, revision: str, path: str) -> None:
        repo = self.served.repos.get(name)
        content = None if repo is None else self._at(repo, revision).get(path)
        if repo is None or content is None:
            return self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        sha = repo.head if revision == "main" else revision
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": sha,
            "Accept-Ranges": "bytes",
        }
        status, wanted = 200, self.headers.get("Range")
        if wanted and method == "GET":
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            end = min(int(last or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{end}/{len(content)}"
            content, status = content[int(first) : end + 1], 206
        return self._send(content, status, headers, method)

    def _json(
        self, value: object, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        kind = {"Content-Type": "application/json"}
        self._send(json.dumps(value).encode(), status, kind | (headers or {}), self.command)

    def _send(self, body: bytes, status: int, headers: dict[str, str], method: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if method != "HEAD":
            self.wfile.write(body)


_RepoNotFound = {"X-Error-Code": "RepoNotFound"}


def _mode(file: dict[str, Any]) -> dict[str, Any]:
    large = file["path"].endswith(".parquet")
    return {
        "path": file["path"],
        "uploadMode": "lfs" if large else "regular",
        "shouldIgnore": False,
    }


def _tree(files: dict[str, bytes], below: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    folders: set[str] = set()
    for path, content in files.items():
        if below and not path.startswith(f"{below}/"):
            continue
        folders |= {path[:at] for at, mark in enumerate(path) if mark == "/"}
        digest = hashlib.sha1(content).hexdigest()
        entries.append({"type": "file", "oid": digest, "size": len(content), "path": path})
    own = [name for name in folders if not below or name.startswith(f"{below}/")]
    return entries + [
        {"type": "directory", "oid": "0" * 40, "size": 0, "path": name} for name in sorted(own)
    ]
