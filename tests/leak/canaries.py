"""What must not leave: unique texts that nothing recognises, identifiers with valid check digits, names, markings, secrets."""

import base64
import json
import string
from dataclasses import dataclass

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
MARKINGS = ("STRICTLY CONFIDENTIAL", "COMPANY CONFIDENTIAL", "INTERNAL USE ONLY", "NOT FOR DISTRIBUTION", "DO NOT DISTRIBUTE")


@dataclass
class Canary:
    """Something to be found again: its kind, as it is written, and the part of that which gives it away."""

    kind: str
    text: str
    needle: str


def opaque(random):
    """80 random bits that no detector knows: `CNRY-` and 16 characters."""
    body = "".join(random.choices(_BASE32, k=16))
    return Canary("opaque", f"CNRY-{body}", body)


def names(random, count=300):
    """Code names for a dictionary."""
    start = "b br d dr f g gr h k kr l m n p pr r s st t tr v z".split()
    ends = "al an ar en er il in or ul un".split()

    def word(syllables):
        return "".join(random.choice(start) + random.choice(ends) for _ in range(syllables)).capitalize()

    return [f"{word(3)} {word(2)}" if random.random() < 0.5 else word(4) for _ in range(count)]


def identifier(random, kind=None):
    """A valid identifier of a kind, with the word that names it where it needs one."""
    kind = kind or random.choice(list(IDENTIFIERS))
    text = IDENTIFIERS[kind](random)
    word = _WORDS.get(kind)
    return Canary(kind, f"{word} {text}" if word else text, text)


def secret(random, kind=None):
    """A key of a known form, or contact data: recognised by form, without a checksum."""
    kind = kind or random.choice(list(SECRETS))
    text = SECRETS[kind](random)
    return Canary(kind, text, text)


def marking(random):
    """A marking of documents."""
    text = random.choice(MARKINGS)
    return Canary("marking", text, text)


def named(random, dictionary):
    """A name of the dictionary."""
    text = random.choice(dictionary)
    return Canary("name", text, text)


# === check digits

def luhn(digits):
    """The digit that makes the sum of the Luhn algorithm a multiple of ten."""
    total = 0
    for i, c in enumerate(reversed(digits)):
        n = int(c) * (2 if i % 2 == 0 else 1)
        total += n - 9 if n > 9 else n
    return str(-total % 10)


def _digits(random, count):
    return "".join(random.choices(string.digits, k=count))


def _date(random, low=50, high=99):
    """Year of two digits, month, day."""
    return f"{random.randint(low, high):02}", f"{random.randint(1, 12):02}", f"{random.randint(1, 28):02}"


def _weighted(digits, weights):
    return sum(int(d) * w for d, w in zip(digits, weights))


def _until(make):
    """Tries again where a number has no check digit."""
    def again(random):
        while (made := make(random)) is None:
            pass
        return made
    return again


def card(random):
    """A payment card, in one of the ways that it is written."""
    prefix = random.choice(("4", str(random.randint(51, 55)), random.choice(("34", "37")), "6011"))
    length = 15 if prefix.startswith("3") else 16
    digits = prefix + _digits(random, length - 1 - len(prefix))
    digits += luhn(digits)
    separator = random.choice(("", " ", "-"))
    groups = (4, 4, 4, 4) if length == 16 else (4, 6, 5)
    return _grouped(digits, groups, separator)


def _grouped(digits, groups, separator):
    at, pieces = 0, []
    for size in groups:
        pieces.append(digits[at:at + size])
        at += size
    return separator.join(pieces)


def iban(random):
    """A bank account, together or in groups of four."""
    country, letters, figures = random.choice((("DE", 0, 18), ("NL", 4, 10), ("GB", 4, 14), ("AT", 0, 16), ("ES", 0, 20)))
    account = "".join(random.choices(string.ascii_uppercase, k=letters)) + _digits(random, figures)
    as_number = "".join(str(int(c, 36)) for c in f"{account}{country}00")
    text = f"{country}{98 - int(as_number) % 97:02}{account}"
    return " ".join(text[i:i + 4] for i in range(0, len(text), 4)) if random.random() < 0.5 else text


def us_ssn(random):
    area = random.choice([n for n in range(100, 772) if n != 666])
    return f"{area:03}-{random.randint(10, 99):02}-{random.randint(1000, 9999):04}"


def us_itin(random):
    return f"9{random.randint(10, 99):02}-{random.choice((70, 75, 80, 85, 88, 90, 91, 94, 97))}-{random.randint(1000, 9999)}"


def ca_sin(random):
    digits = random.choice("12345679") + _digits(random, 7)
    return digits + luhn(digits)


def uk_nino(random):
    first, second = random.choice("ABCEGHJKLMPRSTWX"), random.choice("ABCEGHJKLMPRSTWX")
    if first + second in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"):
        return None
    return f"{first}{second}{_digits(random, 6)}{random.choice('ABCD')}"


def uk_nhs(random):
    digits = random.choice("46") + _digits(random, 8)
    check = 11 - _weighted(digits, range(10, 1, -1)) % 11
    return None if check == 10 else _grouped(digits + str(check % 11), (3, 3, 4), " ")


def de_steuer_id(random):
    digits = random.sample(string.digits, 9)
    digits.append(random.choice(digits))
    random.shuffle(digits)
    # A digit that is there twice must not stand three times in a row, which two cannot; the first is not zero.
    if digits[0] == "0":
        return None
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return "".join(digits) + str((11 - product) % 10)


def fr_nir(random):
    year, month, _ = _date(random)
    digits = f"{random.choice('12')}{year}{month}{random.randint(1, 95):02}{random.randint(1, 899):03}{random.randint(1, 899):03}"
    if digits[5:7] == "20":
        return None
    return f"{digits}{97 - int(digits) % 97:02}"


def es_dni(random):
    number = random.randint(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def es_nie(random):
    first, number = random.randrange(3), random.randint(1_000_000, 9_999_999)
    return f"{'XYZ'[first]}{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[int(f'{first}{number}') % 23]}"


_ODD = dict(zip(string.digits + string.ascii_uppercase,
                [1, 0, 5, 7, 9, 13, 15, 17, 19, 21] + [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
                                                      10, 22, 25, 24, 23]))


def it_codice_fiscale(random):
    letters = "".join(random.choices("BCDFGLMNPRSTVZ", k=6))
    year, _, day = _date(random)
    text = f"{letters}{year}{random.choice('ABCDEHLMPRST')}{day}{random.choice('ABCDEFGHIL')}{random.randint(100, 899)}"
    total = sum(_ODD[c] if i % 2 == 0 else int(c, 36) - (10 if c.isalpha() else 0) for i, c in enumerate(text))
    return text + chr(65 + total % 26)


def nl_bsn(random):
    digits = random.choice("12345678") + _digits(random, 7)
    check = _weighted(digits, range(9, 1, -1)) % 11
    return None if check == 10 else digits + str(check)


def be_national_number(random):
    year, month, day = _date(random)
    serial = f"{random.randint(1, 997):03}"
    return f"{year}.{month}.{day}-{serial}.{97 - int(year + month + day + serial) % 97:02}"


def ch_ahv(random):
    digits = "756" + _digits(random, 9)
    check = -_weighted(digits, (1, 3) * 6) % 10
    return _grouped(digits + str(check), (3, 4, 4, 2), ".")


def pl_pesel(random):
    digits = "".join(_date(random)) + _digits(random, 4)
    return digits + str(-_weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10)


def se_personnummer(random):
    day, serial = "".join(_date(random)), _digits(random, 3)
    return f"{day}-{serial}{luhn(day + serial)}"


def no_fodselsnummer(random):
    year, month, day = _date(random)
    digits = f"{day}{month}{year}{random.randint(0, 499):03}"
    first = -_weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -_weighted(digits + str(first), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return None if 10 in (first, second) else f"{digits}{first}{second}"


def fi_hetu(random):
    year, month, day = _date(random)
    serial = f"{random.randint(2, 899):03}"
    return f"{day}{month}{year}-{serial}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(day + month + year + serial) % 31]}"


def br_cpf(random):
    digits = _digits(random, 9)
    if len(set(digits)) == 1:
        return None
    for length in (10, 11):
        digits += str(_weighted(digits, range(length, 1, -1)) * 10 % 11 % 10)
    return f"{digits[:3]}.{digits[3:6]}.{digits[6:9]}-{digits[9:]}"


_TIMES = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043",
          "8765932104", "9876543210")
_PERMUTED = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258")


def in_aadhaar(random):
    digits, check = random.choice("23456789") + _digits(random, 10), 0
    for i, digit in enumerate(reversed(digits)):
        check = int(_TIMES[check][int(_PERMUTED[(i + 1) % 8][int(digit)])])
    return digits + "0432156789"[check]


def in_pan(random):
    letters = "".join(random.choices(string.ascii_uppercase, k=3))
    return f"{letters}P{random.choice(string.ascii_uppercase)}{random.randint(1000, 9999)}{random.choice(string.ascii_uppercase)}"


def sg_nric(random):
    series, digits = random.choice("ST"), _digits(random, 7)
    total = _weighted(digits, (2, 7, 6, 5, 4, 3, 2)) + (4 if series == "T" else 0)
    return f"{series}{digits}{'JZIHGFEDCBA'[total % 11]}"


def za_id(random):
    digits = "".join(_date(random)) + _digits(random, 4) + random.choice("01") + "8"
    return digits + luhn(digits)


IDENTIFIERS = {
    "card": card, "iban": iban, "us_ssn": us_ssn, "us_itin": us_itin, "ca_sin": ca_sin, "uk_nino": _until(uk_nino),
    "uk_nhs": _until(uk_nhs), "de_steuer_id": _until(de_steuer_id), "fr_nir": _until(fr_nir), "es_dni": es_dni, "es_nie": es_nie,
    "it_codice_fiscale": it_codice_fiscale, "nl_bsn": _until(nl_bsn), "be_national_number": be_national_number, "ch_ahv": ch_ahv,
    "pl_pesel": pl_pesel, "se_personnummer": se_personnummer, "no_fodselsnummer": _until(no_fodselsnummer), "fi_hetu": fi_hetu,
    "br_cpf": _until(br_cpf), "in_aadhaar": in_aadhaar, "in_pan": in_pan, "sg_nric": sg_nric, "za_id": za_id,
}
_WORDS = {"us_ssn": "SSN", "ca_sin": "SIN", "uk_nhs": "NHS", "nl_bsn": "BSN", "pl_pesel": "PESEL", "in_aadhaar": "aadhaar",
          "in_pan": "PAN"}


# === known by form

def _letters(random, count, alphabet=string.ascii_letters + string.digits):
    return "".join(random.choices(alphabet, k=count))


def email(random):
    """An address of somebody at a company."""
    first = random.choice("maria john anna peter lucia omar jens chloe".split())
    return f"{first}.{_letters(random, 8, string.ascii_lowercase)}@{_letters(random, 7, string.ascii_lowercase)}.com"


def phone(random):
    """A telephone number, written internationally."""
    return f"+49 30 {_digits(random, 8)}"


def _token(random):
    def part(text):
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    claims = json.dumps({"sub": _digits(random, 10), "name": "x"})
    return f"{part(json.dumps({'alg': 'HS256'}))}.{part(claims)}.{_letters(random, 43)}"


def _private_key(random):
    lines = "\n".join(_letters(random, 64) for _ in range(6))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"


SECRETS = {
    "aws": lambda random: "AKIA" + _letters(random, 16, _BASE32),
    "github": lambda random: "ghp_" + _letters(random, 36),
    "jwt": _token,
    "pem": _private_key,
    "email": email,
    "phone": phone,
}
