"""Tier C: what nobody can look into, and what means something without saying it."""

import base64
import gzip
import io
import json
import zipfile
import zlib

import canaries
import encoders
import gateway
import places
from client import Message
from recognised import NAMES
from stage import Case, Stage

_KEYS = {"app": "{ app: other }"}
_MEDIA = ("image", "linked image", "audio", "file")
_LETTERS = {
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64 for URLs": lambda data: base64.urlsafe_b64encode(data).decode(),
    "base64 in lines": lambda data: base64.encodebytes(data).decode(),
    "base32": lambda data: base64.b32encode(data).decode(),
    "hexadecimal": bytes.hex,
}
_PLACES = ("user", "user part", "system", "assistant", "tool result", "tool arguments", "metadata", "unknown field",
           "tool description")


def opaque(random, _):
    """An archive, a picture, a recording or something encrypted, with an identifier in it."""
    canary = canaries.identifier(random)
    inside, data = random.choice(list(_CONTAINERS.items()))
    data = data(canary.text.encode(), random)
    if random.random() < 0.3:
        kind = random.choice(_MEDIA)
        body, note = places.media(kind, base64.b64encode(data).decode()), kind
    else:
        letters, place = random.choice(list(_LETTERS)), random.choice(_PLACES)
        body, note = places.BODY[place](_LETTERS[letters](data)), f"{letters}, {place}"
    return _case(canary, body, f"{canary.kind} in {inside}, {note}")


def disguised(random, _):
    """An identifier or a name in a way that only a reader with wit undoes."""
    canary = canaries.identifier(random) if random.random() < 0.7 else canaries.named(random, NAMES)
    how, disguise = random.choice(list(encoders.DISGUISES.items()))
    body = places.BODY["user"](f"Here is a riddle for you: {disguise(canary.text)}")
    return _case(canary, body, f"{canary.kind}, {how}", how)


def _case(canary, body, note, row=""):
    return Case([Message(json.dumps(body).encode(), {}, "app")], [(canary.needle, False)], note, row=row)


def _encrypted(data, random):
    return bytes(a ^ b for a, b in zip(data.ljust(random.randint(400, 3000), b"."), random.randbytes(3000)))


def _archive(data, random):
    return gzip.compress(data + random.randbytes(random.randint(400, 2000)), mtime=0)


def _zip(data, random):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a.txt"), data)
        archive.writestr(zipfile.ZipInfo("b.bin"), random.randbytes(random.randint(400, 2000)))
    return written.getvalue()


def _picture(data, random):
    """A picture whose rows hold the text."""
    def chunk(kind, content):
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    rows = b"".join(b"\0" + random.randbytes(64) for _ in range(16)) + b"\0" + data.ljust(64, b"\0")[:64]
    head = (64).to_bytes(4, "big") + (17).to_bytes(4, "big") + b"\x08\0\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _recording(data, random):
    sound = random.randbytes(random.randint(600, 2000)) + data
    form = b"WAVEfmt \x10\0\0\0\1\0\1\0" + b"\x40\x1f\0\0" * 2 + b"\1\0\x08\0data"
    return b"RIFF" + (36 + len(sound)).to_bytes(4, "little") + form + sound


_CONTAINERS = {"something encrypted": _encrypted, "an archive": _archive, "a zip": _zip, "a picture": _picture,
               "a recording": _recording}


def stages(_):
    """Opaque under both shipped sets, disguised under the strict one."""
    def stage(name, shipped, make, mark, weight):
        policy = gateway.with_names(gateway.without(gateway.shipped(shipped), "conversations"), NAMES)
        return Stage(name, "C", policy, _KEYS, make, mixed=True, mark=mark, weight=weight, about=f"`{shipped}`")

    return [stage("opaque", "strict", opaque, "zero", 3), stage("opaque-balanced", "balanced", opaque, "published", 0.5),
            stage("disguised", "strict", disguised, "published", 0.5)]
