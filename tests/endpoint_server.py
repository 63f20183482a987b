"""A local OpenAI-compatible server that does as it is told: answers, faults, and a record of what it was sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass
class Fault:
    """One answer that is not the usual one: a status with headers and a body, after `seconds`, cut in the middle if `cut`."""

    status: int = 200
    body: str | Body = ""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cut: bool = False


def completion(text: str | None, finish: str = "stop", tokens: int = 7) -> Body:
    """A chat completion as OpenAI's servers write it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {
        "object": "chat.completion",
        "model": "served-1",
        "choices": [choice],
        "usage": {"completion_tokens": tokens},
    }


@dataclass
class Served:
    """The server while it runs: where, what it was sent, and the most requests it had at once.

    `faults` are what the next requests get, one each; after them `answer` says what is written.
    """

    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    answer: Callable[[Body], str | Body | None] = lambda body: f"Answer to: {body['messages'][-1]['content']}"
    bodies: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    seconds: float = 0.0
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> list[str]:
        """The last message of every request."""
        return [body["messages"][-1]["content"] for body in self.bodies]

    def reply(self, body: Body) -> Fault:
        with self.lock:
            fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            return fault
        said = self.answer(body)
        return Fault(body=said if isinstance(said, dict) else completion(said), seconds=self.seconds)


class _Handler(BaseHTTPRequestHandler):
    served: Served

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        served = self.served
        with served.lock:
            served.bodies.append(body)
            served.headers.append(dict(self.headers.items()))
            served.paths.append(self.path)
            served.at_once += 1
            served.most_at_once = max(served.most_at_once, served.at_once)
        reply = served.reply(body)
        time.sleep(reply.seconds)
        with served.lock:
            served.at_once -= 1
        self._send(reply)

    def _send(self, reply: Fault) -> None:
        content = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
        try:
            self.send_response(reply.status)
            for name, value in ({"Content-Type": "application/json"} | reply.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if reply.cut else content)
        except (BrokenPipeError, ConnectionResetError):
            return
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        return None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that give up are part of the tests."""


@contextmanager
def serving(faults: Sequence[Fault] = (), **settings: Any) -> Iterator[Served]:
    """Run the server on a free port of this machine."""
    served = Served(faults=list(faults), **settings)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"served": served}))
    served.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
