"""Finds canaries in bytes, in the clear and through what was done to them. Shares nothing with ajar's own detectors."""

import base64
import binascii
import html
import re
import unicodedata
import zlib
from urllib.parse import unquote

from encoders import DIGIT_WORDS, LOOK_ALIKES, rot13

# Consecutive characters of an opaque canary that count as a leak: 50 bits.
SHINGLE = 10
_GRAM = 8
DEPTH = 4
# Most readings of one piece of bytes.
_MOST = 400
_FOLDS = {ord(other): plain for plain, other in LOOK_ALIKES.items()}
_ESCAPES = re.compile(r"\\(?:u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*|x[0-9a-fA-F]{2}(?:\\x[0-9a-fA-F]{2})*|[nrtbf\"\\/])")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{10,}")
_WRAPPED = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{8,}+(?:\s+[A-Za-z0-9+/_-]{2,})+={0,2}")
_BASE32 = re.compile(r"[A-Z2-7]{14,}|[a-z2-7]{14,}")
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]{2}(?:(?:[\s:,-]|0x)*[0-9a-fA-F]{2}){4,}")
_WORDS = {word: str(i) for words in DIGIT_WORDS.values() for i, word in enumerate(words)}
_SPELLED = re.compile("|".join(sorted(_WORDS, key=len, reverse=True)), re.IGNORECASE)
_PERCENT = re.compile("%[0-9a-fA-F]{2}")
_QUOTED = re.compile("=([0-9A-F]{2})")


class Needles:
    """Canaries to be looked for, by a name each."""

    def __init__(self):
        self._by_gram = {}

    def __len__(self):
        return len(self._by_gram)

    def add(self, name, text, opaque=False):
        """Looks for a text; of an opaque one also for any ten characters in a row."""
        plain = squeezed(fold(text))
        for form in {plain, plain[::-1], rot13(plain)}:
            pieces = [form[i:i + SHINGLE] for i in range(len(form) - SHINGLE + 1)] if opaque else [form]
            for piece in pieces:
                # Few figures stand by chance in other numbers: these must also stand alone.
                alone = piece.isdigit() and len(piece) < 14
                self._by_gram.setdefault(piece[:_GRAM], []).append((piece, alone, name))

    def in_text(self, text):
        """The names of what stands in one reading."""
        plain = squeezed(text)
        grams = {plain[i:i + _GRAM] for i in range(len(plain) - _GRAM + 1)}
        found = set()
        for gram in grams & self._by_gram.keys():
            for piece, alone, name in self._by_gram[gram]:
                if piece in plain and not (alone and not _stands_alone(piece, text)):
                    found.add(name)
        return found

    def in_bytes(self, data):
        """The names of what stands in these bytes, read in every way."""
        found = set()
        for text in readings(data):
            found |= self.in_text(text)
        return found


def _stands_alone(figures, text):
    between = r"[^0-9A-Za-z]{0,3}"
    return re.search(rf"(?<!\d){between.join(figures)}(?!\d)", text) is not None


def squeezed(text):
    """Letters and figures alone, in small letters: what is spread, linked or capitalised is the same."""
    return "".join(filter(str.isalnum, text)).lower()


def fold(text):
    """Compatibility forms, marks, invisible characters, figures of all scripts and look-alikes."""
    if text.isascii():
        return text
    folded = []
    for c in unicodedata.normalize("NFKD", text):
        if 0xE0020 <= ord(c) <= 0xE007E:
            folded.append(chr(ord(c) - 0xE0000))
        elif unicodedata.category(c) in ("Mn", "Me", "Cf"):
            continue
        elif c.isdecimal():
            folded.append(str(unicodedata.digit(c)))
        else:
            folded.append(c)
    return "".join(folded).translate(_FOLDS)


def readings(data, depth=DEPTH):
    """Every way to read some bytes: as they are, and decoded again and again until nothing new comes of it."""
    seen, last = set(), _texts(data)
    for level in range(depth + 1):
        following = []
        for text in last:
            if text in seen or len(seen) >= _MOST:
                continue
            seen.add(text)
            yield text
            if level < depth:
                following += _decoded(text, level)
        last = following


def _texts(data):
    texts = [data.decode("utf-8", "replace")]
    if b"\0" in data:
        texts += [data.decode(name, "replace") for name in ("utf-16-le", "utf-16-be")]
    return texts + [text for piece in _inflated(data) for text in _texts(piece)]


def _inflated(data):
    for match in re.finditer(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]", data):
        try:
            yield zlib.decompressobj(47).decompress(data[match.start():], 1 << 20)
        except zlib.error:
            continue


def _decoded(text, level):
    """What the text says if one layer is undone, in each way that seems to apply."""
    made = [fold(text)]
    if "\\" in text:
        made.append(_unescaped(text))
    if "&" in text:
        made.append(html.unescape(text))
    if _PERCENT.search(text):
        made.append(unquote(text))
    if _QUOTED.search(text):
        made.append(_bytes_of(_QUOTED, text))
    if _SPELLED.search(text):
        made.append(_SPELLED.sub(lambda match: _WORDS[match.group().lower()], text))
    made += _radix(text)
    if level < 2:
        made += [text[::-1], rot13(text), *_closed_up(text)]
    return [new for new in made if new and new != text]


def _closed_up(text):
    """Characters that one sign separates, put together."""
    for separator in (" ", "\n", ".", "*", ", ", "-"):
        sign = re.escape(separator)
        for match in re.finditer(rf"(?s)(?:.{sign}){{9,}}.", text):
            yield match.group()[::1 + len(separator)]


def _unescaped(text):
    return _ESCAPES.sub(lambda match: _escape(match.group()), text)


def _escape(escape):
    kind = escape[1]
    if kind == "u":
        return bytes.fromhex(escape.replace("\\u", "")).decode("utf-16-be", "replace")
    if kind == "x":
        return bytes.fromhex(escape.replace("\\x", "")).decode("utf-8", "replace")
    return _CONTROL.get(kind, kind)


def _bytes_of(pattern, text):
    raw = re.sub(pattern.pattern.encode(), lambda match: bytes([int(match.group(1), 16)]), text.encode())
    return raw.decode("utf-8", "replace")


def _radix(text):
    for runs, decode in ((_BASE64, _base64), (_WRAPPED, _base64), (_BASE32, _base32), (_HEX, _hex)):
        for match in runs.finditer(text):
            for data in decode(match.group()):
                if _is_text(data):
                    yield data.decode("utf-8", "replace")
                yield from (reading for piece in _inflated(data) for reading in _texts(piece))


def _base64(run):
    run = re.sub(r"\s", "", run).replace("-", "+").replace("_", "/").rstrip("=")
    for start in range(4):
        piece = run[start:]
        piece = piece[:-1] if len(piece) % 4 == 1 else piece
        yield base64.b64decode(piece + "=" * (-len(piece) % 4))


def _base32(run):
    run = run.upper()
    while len(run) % 8 in (1, 3, 6):
        run = run[:-1]
    yield base64.b32decode(run + "=" * (-len(run) % 8))


def _hex(run):
    digits = re.sub("0x|[^0-9a-fA-F]", "", run)
    for start in (0, 1):
        piece = digits[start:]
        yield binascii.unhexlify(piece[:len(piece) // 2 * 2])


def _is_text(data):
    """Whether most of it can be read."""
    if len(data) < 5:
        return False
    text = data.decode("utf-8", "replace")
    unreadable = sum(unicodedata.category(c) in ("Cc", "Cn", "Co", "Cs") and not c.isspace() for c in text) + text.count("\ufffd")
    return unreadable * 5 <= len(text)
