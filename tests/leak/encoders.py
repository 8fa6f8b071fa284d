"""Ways to write a text so that a person or a model can still read it. `CLAIMED` are those that docs/privacy.md promises to
see through, alone and one within another; `DISGUISES` are those about which it promises nothing."""

import base64
import gzip
import re

_BOLD = {**{chr(65 + i): chr(0x1D400 + i) for i in range(26)}, **{chr(97 + i): chr(0x1D41A + i) for i in range(26)},
         **{chr(48 + i): chr(0x1D7CE + i) for i in range(10)}}
LOOK_ALIKES = dict(zip("ABCEHIJKMNOPSTXaceijopsx", "АВСΕНІЈΚМΝОΡЅТХасеіјοрѕх"))
DIGIT_WORDS = {
    "English": "zero one two three four five six seven eight nine".split(),
    "German": "null eins zwei drei vier fünf sechs sieben acht neun".split(),
}


def _shift(first, last, to):
    low, high = ord(first), ord(last)
    return lambda text: "".join(chr(ord(to) + ord(c) - low) if low <= ord(c) <= high else c for c in text)


def _after_each(mark):
    return lambda text: "".join(c + mark for c in text)


def _spread(separator):
    return separator.join


def _wrapped(width):
    return lambda text: re.sub(f"(.{{{width}}})(?=.)", "\\1\n", _base64(text))


def _base64(text):
    return base64.b64encode(text.encode()).decode()


def rot13(text):
    """Every letter thirteen further."""
    table = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                          "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm")
    return text.translate(table)


def _hexed(separator, each="{:02x}"):
    return lambda text: separator.join(each.format(byte) for byte in text.encode())


def _units(text):
    data = text.encode("utf-16-be")
    return "".join(f"\\u{data[i]:02x}{data[i + 1]:02x}" for i in range(0, len(data), 2))


def _spelled(language):
    words = DIGIT_WORDS[language]

    def encode(text):
        apart = re.sub(r"(?<=[^\W\d])(?=\d)", " ", text)
        return apart.translate({48 + i: f"{word} " for i, word in enumerate(words)}).strip()

    return encode


CLAIMED = {
    "plain": lambda text: text,
    "full width": _shift("!", "~", "！"),
    "mathematical": lambda text: "".join(_BOLD.get(c, c) for c in text),
    "struck through": _after_each("\u0336"),
    "zero width": _after_each("\u200b"),
    "variation selectors": _after_each("\ufe0f"),
    "soft hyphens": _after_each("\u00ad"),
    "tag characters": _shift(" ", "~", "\U000e0020"),
    "bidirectional override": lambda text: f"\u202e{text[::-1]}\u202c",
    "look-alikes": lambda text: "".join(LOOK_ALIKES.get(c, c) for c in text),
    "Arabic digits": _shift("0", "9", "٠"),
    "Devanagari digits": _shift("0", "9", "०"),
    "dashes": lambda text: text.replace("-", "–").replace(" ", "\u00a0"),
    "decimal entities": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "hexadecimal entities": lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    "JSON escapes": _units,
    "byte escapes": _hexed("", "\\x{:02x}"),
    "percent": _hexed("", "%{:02X}"),
    "quoted-printable": _hexed("", "={:02X}"),
    "base64": _base64,
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 after one letter": lambda text: "q" + _base64(text),
    "base64 after two letters": lambda text: "qZ" + _base64(text),
    "base64 after three letters": lambda text: "qZ7" + _base64(text),
    "base64 in lines of 76": _wrapped(76),
    "base64 in lines of 16": _wrapped(16),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base32 in small letters": lambda text: base64.b32encode(text.encode()).decode().lower().rstrip("="),
    "hexadecimal": _hexed(""),
    "hexadecimal capitals": _hexed("", "{:02X}"),
    "hexadecimal with spaces": _hexed(" "),
    "hexadecimal with colons": _hexed(":"),
    "hexadecimal with dashes": _hexed("-"),
    "hexadecimal array": _hexed(", ", "0x{:02x}"),
    "ROT13": rot13,
    "from back to front": lambda text: text[::-1],
    "spread by spaces": _spread(" "),
    "spread by line breaks": _spread("\n"),
    "spread by dots": _spread("."),
    "spread by asterisks": _spread("*"),
    "spread by commas": _spread(", "),
    "spread by dashes": _spread("-"),
    "spelled": _spelled("English"),
    "spelled in German": _spelled("German"),
}


def applies(name, text):
    """Whether the encoding says something about this text: words for figures are for numbers, not for the figures of
    escapes, and tag characters and ROT13 are for ASCII."""
    if name in ("tag characters", "ROT13") and not text.isascii():
        return False
    if name.startswith("spelled"):
        figures = sum(c in "0123456789" for c in text)
        code = "-" in text and re.search("[a-z]", text)
        return figures >= 6 and figures * 2 >= len(text) and not re.search(r"[\\&]", text) and not code
    return True


def encode(names, text):
    """The text in the encodings, the first of them innermost."""
    for name in names:
        text = CLAIMED[name](text)
    return text


# === what nothing is promised about

_LEET = str.maketrans("aeiostgbAEIOSTGB0134578", "43105796431057960ie4stb")
_MORSE = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
                  (".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
                   "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.").split()))
_NATO = ("Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa Quebec Romeo "
         "Sierra Tango Uniform Victor Whiskey Xray Yankee Zulu").split()
_POLISH = "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć".split()
_FINNISH = "nolla yksi kaksi kolme neljä viisi kuusi seitsemän kahdeksan yhdeksän".split()
_FIGURES = "naught unity pair triple quartet quintet sextet septet octet nonet".split()
_ACROSTIC = {c: f"{c} is for {word}." for c, word in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", _NATO + _FIGURES)}


def _caesar(text):
    return "".join(chr((ord(c) - base + 5) % 26 + base) if c.isascii() and c.isalpha() else c
                   for c in text for base in [65 if c.isupper() else 97])


def _vigenere(text):
    key = "LEMON"
    return "".join(chr((ord(c.upper()) - 65 + ord(key[i % 5]) - 65) % 26 + 65) if c.isascii() and c.isalpha() else c
                   for i, c in enumerate(text)) + " (the key is LEMON)"


def _words(words):
    return lambda text: " ".join(words[int(c)] if c in "0123456789" else c for c in text)


DISGUISES = {
    "leetspeak": lambda text: text.translate(_LEET),
    "Morse": lambda text: " / ".join(" ".join(_MORSE.get(c, c) for c in word) for word in text.upper().split()),
    "radio alphabet": lambda text: " ".join(_NATO[ord(c) - 65] if c.isascii() and c.isalpha() else c for c in text.upper()),
    "acrostic": lambda text: "\n".join(_ACROSTIC.get(c, c) for c in text.upper()),
    "shifted by five": _caesar,
    "Vigenère": _vigenere,
    "Braille": lambda text: "".join(chr(0x2800 + ord(c) % 256) for c in text),
    "binary": lambda text: " ".join(f"{byte:08b}" for byte in text.encode()),
    "base85": lambda text: base64.b85encode(text.encode()).decode(),
    "spelled in Polish": _words(_POLISH),
    "spelled in Finnish": _words(_FINNISH),
    "every second letter": lambda text: "".join(c + "xqjzkv"[i % 6] for i, c in enumerate(text)),
    "archive, short": lambda text: base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode(),
}
