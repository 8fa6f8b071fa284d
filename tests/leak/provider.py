"""Providers that speak OpenAI's chat completions, and the recorder of what reaches the outside; each in its own process.

Both are driven over a pipe: `(verb, argument)` there, an answer back.
"""

import json
import multiprocessing
import random
import socket
import struct
import threading
import time

from netns import OUTSIDE_INTERFACE

HOME_PORT = 9001
# Where something could be expected to listen: web, proxies, DNS over TLS, telemetry, logs, databases, mail.
OUTSIDE_PORTS = (80, 443, 25, 514, 587, 853, 1080, 3000, 3128, 4317, 4318, 5432, 6379, 8000, 8080, 8443, 9090, 9200, 9411,
                 11434, 14268)
# What every name stands for.
EVERYWHERE = "203.0.113.7"
_MARK = b"ajar-leak-recorded-until-here:"
_ETH_ALL, _OUTGOING = 3, 4
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_FORCE_BUFFER = 33


class Process:
    """A child process in a namespace, and the pipe to it."""

    def __init__(self, target, namespace):
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._lock = threading.Lock()
        self._process = context.Process(target=_serve, args=(target, namespace, theirs), daemon=True)
        self._process.start()
        self.ask("ready")

    def ask(self, verb, argument=None):
        """Asks it to do something, and waits for the answer."""
        with self._lock:
            self._pipe.send((verb, argument))
            answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self):
        """Ends it."""
        self._process.terminate()
        self._process.join(5)


def _serve(target, namespace, pipe):
    namespace.enter()
    verbs = target()
    while True:
        try:
            verb, argument = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            pipe.send(verbs[verb](argument) if verb in verbs else None)
        except Exception as error:  # noqa: BLE001: it is raised again on the other side
            pipe.send(error)


def home():
    """A model at home, on the gateway's own loopback."""
    service = Service()
    service.listen("127.0.0.1", HOME_PORT)
    return {"script": service.set_script, "count": service.take_count}


def outside():
    """Everything else in the world."""
    service, recorder = Service(), Recorder()
    for port in OUTSIDE_PORTS:
        service.listen("0.0.0.0", port)
        service.listen("::", port)
    threading.Thread(target=_names, daemon=True).start()
    return {"script": service.set_script, "count": service.take_count, "collect": recorder.collect}


class Recorder:
    """Keeps every frame that arrives from the gateway."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, _FORCE_BUFFER, 256 << 20)
        self._socket.bind((OUTSIDE_INTERFACE, 0))
        self._frames, self._until, self._lock = [], {}, threading.Lock()
        threading.Thread(target=self._record, daemon=True).start()

    def collect(self, token):
        """What arrived before the datagram with this token, and how many frames the kernel dropped."""
        deadline = time.monotonic() + 10
        while token not in self._until:
            if time.monotonic() > deadline:
                raise RuntimeError("the recorder is blind: it did not see its own mark")
            time.sleep(0.002)
        with self._lock:
            frames, self._frames = self._frames, []
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        return frames, struct.unpack("II", statistics)[1]

    def _record(self):
        while True:
            frame, (_, _, kind, _, _) = self._socket.recvfrom(1 << 17)
            if kind == _OUTGOING:
                continue
            at = frame.find(_MARK)
            if at >= 0:
                self._until[frame[at + len(_MARK):]] = True
                continue
            with self._lock:
                self._frames.append(frame)


def mark(token, address):
    """Sends the datagram that ends a stretch of the recording; to be called inside the gateway's namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(_MARK + token, (address, 9))


def _names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", 53))
    while True:
        query, client = server.recvfrom(4096)
        end = query.index(b"\0", 12) + 5
        answer = query[:2] + b"\x81\x80\0\1" + b"\0\1\0\0\0\0" + query[12:end]
        if query[end - 4:end - 2] == b"\0\1":
            answer += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(EVERYWHERE)
        else:
            answer = answer[:6] + b"\0\0" + answer[8:]
        server.sendto(answer, client)


class Service:
    """The HTTP side of a provider."""

    def __init__(self):
        self._script, self._count = {}, 0

    def set_script(self, script):
        """How it behaves from now on: `fault`, and whether it `echo`es."""
        self._script = script

    def take_count(self, _):
        """How many whole requests it had since it was asked last."""
        count, self._count = self._count, 0
        return count

    def listen(self, address, port):
        """Accepts connections on a port."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.socket(family, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind((address, port))
        server.listen(512)
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()

    def _accept(self, server):
        while True:
            connection, _ = server.accept()
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection, connection.makefile("rb") as reader:
                while self._one(connection, reader):
                    pass
        except (OSError, ValueError):
            pass

    def _one(self, connection, reader):
        if not reader.readline():
            return False
        length = 0
        while (line := reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = reader.read(length)
        self._count += 1
        return self._answer(connection, body)

    def _answer(self, connection, body):
        script = self._script
        fault = script.get("fault")
        if fault == "hang":
            time.sleep(3)
            return False
        if fault == "500":
            return _send(connection, 500, b'{"error":{"message":"boom","type":"server_error"}}')
        if fault == "429":
            return _send(connection, 429, b'{"error":{"message":"full","type":"rate_limit"}}', b"retry-after: 1\r\n")
        if fault == "garbage":
            return _send(connection, 200, b'{"choices": 7, "nonsense')
        request = json.loads(body)
        text = _asked(request) if script.get("echo") else "Certainly."
        if fault == "empty":
            text = ""
        if "messages" not in request:
            return _send(connection, 200, json.dumps(_other(request, text)).encode())
        cuts = random.Random(body)
        answer = _events(request, text, cuts) if request.get("stream") else _whole(request, text)
        if fault == "reset":
            connection.sendall(answer[:len(answer) // 2])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        for piece in _pieces(answer, cuts) if script.get("cut") and request.get("stream") else [answer]:
            connection.sendall(piece)
        return True


def _send(connection, status, body, more=b""):
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % (status, len(body))
    connection.sendall(head + more + b"\r\n" + body)
    return True


def _asked(request):
    said = [message for message in request.get("messages", []) if message.get("role") == "user"]
    content = said[-1].get("content") if said else ""
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content or ""


def _frame(request, kind, choices):
    return {"id": "chatcmpl-1", "object": kind, "created": 1700000000, "model": request.get("model", ""), "choices": choices}


def _other(request, text):
    """An answer to what is no chat: whatever is asked for is in it."""
    return {**_frame(request, "list", [{"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}]), "usage": _USAGE,
            "data": [{"object": "embedding", "index": 0, "embedding": [0.6, -0.8]}], "results": [{"flagged": False}]}


_USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def _whole(request, text):
    message = {"role": "assistant", "content": text, "refusal": None}
    answer = _frame(request, "chat.completion", [
        {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}])
    body = json.dumps({**answer, "usage": _USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def _events(request, text, cuts):
    deltas, at = [{"role": "assistant", "content": ""}], 0
    while at < len(text):
        length = cuts.choice((1, 1, 2, 3, 5, 8, 21))
        deltas.append({"content": text[at:at + length]})
        at += length
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    events = [_frame(request, "chat.completion.chunk", choice) for choice in choices]
    if request.get("stream_options", {}).get("include_usage"):
        events.append({**_frame(request, "chat.completion.chunk", []), "usage": _USAGE})
    data = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    body = data.encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(body)
    return head + body


def _pieces(data, cuts):
    at = 0
    while at < len(data):
        length = cuts.choice((1, 7, 40, 200, 1000, 5000))
        yield data[at:at + length]
        at += length
