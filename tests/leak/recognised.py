"""Tier B: what a checksum or a dictionary recognises, in every encoding of every encoding and in every place; and, published
apart, what is recognised by its form alone."""

import json
import random as randomness

import canaries
import gateway
import places
from client import Message
from declared import encoded, placed
from stage import Case, Stage

_KEYS = {"app": "{ app: other }"}
_KINDS = list(canaries.IDENTIFIERS)
# The same in every run, as the policy has them.
NAMES = canaries.names(randomness.Random("dictionary"))


def case(random, index):
    """An identifier, a name or a marking."""
    made = index % 32
    if made < len(_KINDS):
        canary = canaries.identifier(random, _KINDS[made])
    elif made < 30:
        canary = canaries.named(random, NAMES)
    else:
        canary = canaries.marking(random)
    return _written(random, canary)


def by_form(random, _):
    """A key or contact data."""
    return _written(random, canaries.secret(random))


def _written(random, canary):
    way = random.random()
    if way < 0.1:
        return _cut(random, canary)
    if way < 0.13 and canary.text.isdigit() and canary.text[0] != "0":
        return _number(random, canary)
    row = random.choice([*places.OFF_BODY] if way > 0.95 else [*places.TRANSLATED] if way > 0.7 else [*places.BODY])
    chosen, text = encoded(random, canary.text, for_header=row in places.OFF_BODY)
    body, headers, path = placed(random, row, text)
    note = f"{canary.kind}, {row}, {' in '.join(reversed(chosen)) or 'plain'}"
    # The client's name of the model is read, and never sent on.
    return _case(random, canary, body, note, row, text, headers, path, stripped=row in places.OFF_BODY and row != "model")


def _cut(random, canary):
    how, at = random.choice(places.CUT), random.randint(1, len(canary.text) - 1)
    return _case(random, canary, places.cut(how, canary.text[:at], canary.text[at:]), f"{canary.kind}, cut {how}", "cut", "")


def _number(random, canary):
    number = int(canary.text)
    body = random.choice((places.said(x_extra=number), places.said(metadata={"ticket": number}), places.said(x_extra=[[number]])))
    return _case(random, canary, body, f"{canary.kind}, number of JSON", "number", "")


def _case(random, canary, body, note, row, text, headers=None, path="/v1/chat/completions", stripped=False):
    body["stream"] = random.random() < 0.3
    message = Message(json.dumps(body).encode(), headers or {}, "app", path)
    return Case([message], [(canary.needle, False)], note, text, stripped=stripped, row=row)


def stages(_):
    """The stages of both tiers. What conversations rose to is left out: it would keep home what was not recognised."""
    def stage(tier, shipped, make, mark):
        policy = gateway.with_names(gateway.without(gateway.shipped(shipped), "conversations"), NAMES)
        return Stage(shipped, tier, policy, _KEYS, make, mixed=True, mark=mark, about=f"`{shipped}`")

    return [stage("B", "strict", case, "zero"), stage("B", "balanced", case, "zero"), stage("P", "strict", by_form, "published")]
