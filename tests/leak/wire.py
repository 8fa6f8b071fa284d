"""What crossed a wire: frames to streams of bytes, and streams to HTTP requests."""

import ipaddress
import struct
from dataclasses import dataclass, field


@dataclass
class Request:
    """One HTTP request as it stood on the wire."""

    head: bytes
    body: bytes

    @property
    def path(self):
        return self.head.split(b" ", 2)[1].decode("latin-1")


@dataclass
class Crossing:
    """All that left the gateway."""

    requests: list = field(default_factory=list)
    # Bytes of TCP that are no whole request, of UDP, and of any other protocol.
    rest: list = field(default_factory=list)
    # Names that were asked for.
    names: set = field(default_factory=set)
    # (address, port) of attempts to connect.
    connections: set = field(default_factory=set)
    # Bytes above IP and TCP headers, all together.
    payload: int = 0


def crossing(frames):
    """Puts the frames of one direction together."""
    result, streams, order = Crossing(), {}, []
    for frame in frames:
        packet = _ip(frame)
        if packet is None:
            continue
        protocol, source, target, data = packet
        if protocol == 6:
            _segment(result, streams, order, source, target, data)
        elif protocol == 17:
            _datagram(result, target, data)
        elif protocol != 58 or data[:1] not in _NEIGHBOURS:
            result.rest.append(data)
            result.payload += len(data)
    for stream in order:
        requests, rest = http_requests(stream.joined())
        result.requests += requests
        if rest:
            result.rest.append(rest)
    return result


# Router and neighbour discovery, multicast membership: the kernel's, without content.
_NEIGHBOURS = [bytes([kind]) for kind in (130, 131, 132, 133, 134, 135, 136, 143)]


class _Stream:
    def __init__(self, first):
        self.first = first
        self.pieces = {}

    def joined(self):
        joined, at = bytearray(), 0
        for offset in sorted(self.pieces):
            piece = self.pieces[offset]
            if offset > at:
                joined += b"\0[missing]\0"
                at = offset
            joined += piece[max(0, at - offset):]
            at = max(at, offset + len(piece))
        return bytes(joined)


def _ip(frame):
    kind = frame[12:14]
    if kind == b"\x08\x00":
        header = (frame[14] & 15) * 4
        total = struct.unpack_from(">H", frame, 16)[0]
        # The length field is zero where the kernel hands over more than it can say.
        end = 14 + total if total else len(frame)
        source = ipaddress.IPv4Address(frame[26:30])
        target = ipaddress.IPv4Address(frame[30:34])
        return frame[23], source, target, frame[14 + header:end]
    if kind == b"\x86\xdd":
        following, at = frame[20], 54
        while following in (0, 43, 60):
            following, at = frame[at], at + 8 + frame[at + 1] * 8
        source = ipaddress.IPv6Address(frame[22:38])
        return following, source, ipaddress.IPv6Address(frame[38:54]), frame[at:]
    return None


def _segment(result, streams, order, source, target, data):
    source_port, target_port, number = struct.unpack_from(">HHI", data)
    flow, flags = (source, source_port, target, target_port), data[13]
    if flags & 2:
        result.connections.add((str(target), target_port))
        streams[flow] = _Stream(number + 1)
        order.append(streams[flow])
    payload = data[(data[12] >> 4) * 4:]
    if not payload:
        return
    result.payload += len(payload)
    stream = streams.get(flow)
    if stream is None:
        # Opened before this stretch of the recording began.
        stream = streams[flow] = _Stream(number)
        order.append(stream)
    offset = (number - stream.first) & 0xFFFFFFFF
    if len(payload) > len(stream.pieces.get(offset, b"")):
        stream.pieces[offset] = payload


def _datagram(result, target, data):
    port, payload = struct.unpack_from(">H", data, 2)[0], data[8:]
    result.connections.add((str(target), port))
    if port == 53:
        result.names.add(dns_name(payload))
    result.rest.append(payload)
    result.payload += len(payload)


def dns_name(query):
    """The name that a DNS query asks for."""
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    return ".".join(labels)


def http_requests(data):
    """The whole requests at the beginning of a stream, and the bytes after them."""
    requests = []
    while True:
        head, mark, after = data.partition(b"\r\n\r\n")
        if not mark or b" HTTP/1." not in head.split(b"\r\n", 1)[0]:
            return requests, data
        body = _body(head, after)
        if body is None:
            return requests, data
        body, data = body
        requests.append(Request(head, body))


def _body(head, after):
    fields = headers(head)
    if "chunked" in fields.get("transfer-encoding", ""):
        body = bytearray()
        while True:
            size, mark, after = after.partition(b"\r\n")
            if not mark:
                return None
            size = int(size.split(b";")[0], 16)
            if len(after) < size + 2:
                return None
            body += after[:size]
            after = after[size + 2:]
            if size == 0:
                return bytes(body), after
    length = int(fields.get("content-length", 0))
    return (after[:length], after[length:]) if len(after) >= length else None


def headers(head):
    """The header fields of a head, names in small letters."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
