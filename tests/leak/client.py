"""Clients: threads in the clients' namespace, each with one connection that is kept."""

import json
import queue
import socket
import threading
import time
from dataclasses import dataclass

from netns import GATEWAY

PORT = 8080
_PATIENCE = 30


@dataclass
class Message:
    """One request to be sent."""

    body: bytes
    headers: dict
    # The name of the key that it is sent with.
    key: str
    path: str = "/v1/chat/completions"
    # The connection is closed as soon as the request is sent.
    leaves: bool = False


@dataclass
class Reply:
    """What came back; `status` 0 where nothing whole did."""

    status: int
    head: bytes = b""
    body: bytes = b""

    def header(self, name):
        """A header field's value, or an empty one."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name:
                return value.strip().decode("latin-1")
        return ""

    @property
    def served_by(self):
        return self.header(b"x-ajar-served-by")

    def outcome(self):
        """Who answered, or how it was refused."""
        if self.status == 0:
            return "connection closed"
        if self.status == 200:
            return f"answered by {self.served_by}"
        try:
            error = json.loads(self.body)["error"]
        except (ValueError, KeyError, TypeError):
            return f"{self.status}"
        # Anthropic's shape has the code in its details.
        return f"{self.status} {error.get('code') or error['details']['error_code']}"

    def content(self):
        """The words of the answer, streamed or not."""
        if b"text/event-stream" not in self.head:
            return json.loads(self.body)["choices"][0]["message"]["content"]
        words = []
        for line in self.body.decode().split("\n"):
            if line.startswith("data: {"):
                for choice in json.loads(line[6:]).get("choices", []):
                    words.append(choice["delta"].get("content") or "")
        return "".join(words)


class Connection:
    """A connection that is opened anew where it broke."""

    def __init__(self):
        self._socket = self._reader = None

    def exchange(self, message):
        """Sends a request and reads the answer."""
        data = encode(message)
        try:
            if self._socket is None:
                self._open()
            self._socket.sendall(data)
            if message.leaves:
                self._close()
                return Reply(0)
            return self._read()
        except (OSError, ValueError):
            self._close()
            return Reply(0)

    def _open(self):
        deadline = time.monotonic() + _PATIENCE
        while self._socket is None:
            try:
                self._socket = socket.create_connection((GATEWAY, PORT), timeout=_PATIENCE)
            except ConnectionRefusedError:
                # It is being started again.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def _close(self):
        if self._socket is not None:
            self._reader.close()
            self._socket.close()
        self._socket = self._reader = None

    def _read(self):
        lines = []
        while (line := self._reader.readline()) not in (b"\r\n", b""):
            lines.append(line)
        if not lines:
            raise ValueError("closed")
        head = b"".join(lines)
        status, fields = int(head.split(b" ", 2)[1]), head.lower()
        if b"transfer-encoding: chunked" in fields:
            body = self._chunks()
        else:
            at = fields.find(b"content-length:")
            length = int(fields[at + 15:fields.index(b"\r\n", at)]) if at >= 0 else 0
            body = self._reader.read(length)
        if b"connection: close" in fields:
            self._close()
        return Reply(status, head, body)

    def _chunks(self):
        body = bytearray()
        while True:
            size = int(self._reader.readline(), 16)
            piece = self._reader.read(size + 2)
            if len(piece) < size + 2:
                raise ValueError("cut off")
            if size == 0:
                return bytes(body)
            body += piece[:-2]


def encode(message):
    """The bytes of a request on the wire."""
    fields = {"host": "gateway", "content-type": "application/json", "content-length": len(message.body), **message.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {message.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + message.body


def _converse(connection, messages):
    """The answers to the turns of a conversation. Where one is lost, there is no next: what was not read declares nothing."""
    replies = []
    for message in messages:
        replies.append(connection.exchange(message))
        if replies[-1].status == 0:
            break
    return replies


def send_all(namespace, cases, on_reply, on):
    """Sends the messages of each case in order, the cases beside each other on so many threads; `on_reply` gets
    a case and its replies."""
    waiting = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    failures = []

    def work():
        namespace.enter()
        connection = Connection()
        try:
            while True:
                case = waiting.get_nowait()
                on_reply(case, _converse(connection, case.messages))
        except queue.Empty:
            pass
        except Exception as error:  # noqa: BLE001: it is raised again where all are waited for
            failures.append(error)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(on)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
