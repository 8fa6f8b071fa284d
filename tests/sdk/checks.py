"""Runs a client's checks against a running gateway and tells of each in a line.

A client is a program `CLIENT BASE_URL API_KEY MODEL [WORD…]`. BASE_URL ends with /v1. MODEL may be anything the gateway
answers, also a small local model, so the checks are about the protocol and not about what is said; the word `scripted` is
for a model that says what `tests/gateway/clients.rs` scripts: it thinks, calls tools and looks at images when told to. Other
models must refuse, in type, to look and to think. The gateway must refuse unknown models, card numbers, and answers of
a million tokens.
"""

import sys
from importlib.metadata import version

BASE_URL, API_KEY, MODEL = sys.argv[1:4]
WORDS = sys.argv[4:]
SCRIPTED = "scripted" in WORDS

# What all clients say.
PING = "Say one word."
# What a small model answers at length, too, where it does not roll dice.
LONG = "Write a long story about a river and its valley."
ONE_CITY, TWO_CITIES = "How is the weather in Ulm?", "How is the weather in two cities?"
NAME_A_CITY, THINK = "Name a city.", "think hard"
LOOK, CARD = "What is in the picture?", "Is 4111 1111 1111 1111 valid?"
TOO_MUCH = 1_000_000
# A pixel.
PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
# Of one value each, so that any model gives them.
CITY_SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Ulm"]}}, "required": ["city"],
               "additionalProperties": False}

CHECKS = []


def check(subject):
    """`@check` is a check; `@check("tools")` is one that a cell of the table in docs/compatibility.md stands for."""
    def of_feature(function):
        CHECKS.append((subject, function))
        return function

    if isinstance(subject, str):
        return of_feature
    CHECKS.append((None, subject))
    return subject


def scripted(subject):
    """As `check`, for what only a scripted model does."""
    return check(subject) if SCRIPTED else (lambda function: function) if isinstance(subject, str) else subject


class Refused(Exception):
    """The gateway refused, in type, what the model cannot do."""


def unless_refused(error, attempt):
    """What a scripted model answers; any other must refuse by `error`."""
    if SCRIPTED:
        return attempt()
    try:
        attempt()
    except error as caught:
        raise Refused(describe(caught)) from caught
    raise AssertionError("a model that cannot do it did not refuse")


def describe(error):
    code = getattr(error, "error_code", None) or getattr(error, "code", None)
    return f"{error.status_code} {code}"


def expect(error, code, attempt):
    """`attempt` must fail by `error` with ajar's `code` in it."""
    try:
        attempt()
    except error as caught:
        assert caught.message and isinstance(caught.body, dict) and code in str(caught.body), caught
        return
    raise AssertionError(f"no {error.__name__}")


def run(*packages):
    """Runs all checks of the client that `packages` make; exit status 1 if any failed."""
    print("client  " + ", ".join(f"{package} {version(package)}" for package in packages))
    failed = 0
    for feature, function in CHECKS:
        name = (f"[{feature}] " if feature else "") + function.__name__.replace("_", " ")
        try:
            print(f"ok      {name}" + (f" ({detail})" if (detail := function()) else ""))
        except Refused as refusal:
            print(f"refused {name} ({refusal})")
        except Exception as error:
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(failed > 0)
