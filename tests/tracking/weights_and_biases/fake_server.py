"""A stand-in for the W&B server: answers what wandb 0.31 asks, and remembers what it was sent."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VIEWER = {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
NO_ONE = {"data": {"serverInfo": {"features": []}, "viewer": VIEWER}}


class FakeServer(ThreadingHTTPServer):
    """Knows a run once it was sent, and how far its curve goes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.queries: list[tuple[str, dict[str, Any]]] = []
        self.rows: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.exit_codes: list[int] = []
        self.sweep = ""
        self.commands: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self, name: str) -> list[dict[str, Any]]:
        """Variables of all queries of one name."""
        return [variables for query, variables in self.queries if query == name]

    def answer(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        """A query's answer; an unknown one gets the user."""
        self.queries.append((name, variables))
        if name == "UpsertBucket":
            project = {"id": "p", "name": variables["project"], "entity": {"id": "e", "name": "me"}}
            bucket = {"id": "b", "name": variables["name"], "project": project}
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": not self.rows}}}
        if name == "RunResumeStatus":
            model = {"id": "p", "name": "p", "entity": {"id": "e", "name": "me"}}
            return {"data": {"model": model | {"bucket": self._known_run(variables["name"])}}}
        if name == "CreateRunFiles":
            files = [{"name": f, "uploadUrl": f"{self.url}/up/{f}"} for f in variables["files"]]
            answer = {"runID": "b", "uploadHeaders": [], "files": files}
            return {"data": {"createRunFiles": answer}}
        if name == "SweepWithRuns":
            sweep = {"name": variables["sweep"], "config": self.sweep, "runs": {"edges": []}}
            return {"data": {"project": {"sweep": sweep}}}
        if name == "CreateAgent":
            return {"data": {"createAgent": {"agent": {"id": "a"}}}}
        if name == "Heartbeat":
            commands = json.dumps(self._commands(json.loads(variables["runState"])))
            return {"data": {"agentHeartbeat": {"agent": {"id": "a"}, "commands": commands}}}
        if name == "UpsertView2":
            view = {"id": "v", "name": variables["name"]}
            return {"data": {"upsertView": {"view": view, "inserted": True}}}
        return NO_ONE

    def _commands(self, running: dict[str, bool]) -> list[dict[str, Any]]:
        """The next for a sweep's agent; with none left it is to go once its runs have ended."""
        if self.commands:
            return [self.commands.pop(0)]
        return [] if running else [{"type": "exit"}]

    def _known_run(self, name: str) -> dict[str, Any] | None:
        if not self.rows:
            return None
        return {
            "name": name, "historyLineCount": len(self.rows), "eventsLineCount": 0,
            "logLineCount": 0, "historyTail": json.dumps([json.dumps(self.rows[-1])]),
            "eventsTail": "[]", "summaryMetrics": json.dumps(self.summary), "config": "{}",
            "tags": [], "wandbConfig": json.dumps({"t": {}}),
        }  # fmt: skip

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is none of the tests' business."""

    def take_stream(self, content: dict[str, Any]) -> None:
        """Rows of curves, the summary, and how the run ended."""
        files = content.get("files", {})
        for line in files.get("wandb-history.jsonl", {}).get("content", []):
            self.rows.append(json.loads(line))
        for line in files.get("wandb-summary.json", {}).get("content", []):
            self.summary = json.loads(line)
        if content.get("complete"):
            self.exit_codes.append(content["exitcode"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeServer

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def do_POST(self) -> None:
        content = json.loads(self._body())
        answer: dict[str, Any] = {}
        if self.path == "/graphql":
            name = re.search(r"(?:query|mutation)\s+(\w+)", content["query"])
            found = name.group(1) if name else ""
            answer = self.server.answer(found, content.get("variables") or {})
        else:
            self.server.take_stream(content)
        self._reply(answer)

    def do_PUT(self) -> None:
        self._body()
        self._reply({})

    def do_GET(self) -> None:
        self._reply({})

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serve() -> Iterator[FakeServer]:
    """A running server."""
    server = FakeServer()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
