"""The positive control: the same traffic under policies that permit everything. What is sent must be found, or the rig is
blind and its zeros mean nothing."""

import gateway
from stage import Stage, needles_of, strings_of

# As much as the scanner must decode by itself of the hundred cases of a stage; the rest, JSON in JSON in an encoding that needs
# escapes itself, it must find as it was written.
DECODED = 0.9


def opened(stage):
    """The stage with every door of its policy open, and without its fault."""
    return Stage(name=f"{stage.tier}-{stage.name}", tier="control", policy=gateway.permissive(stage.policy), keys=stage.keys,
                 make=stage.make, mixed=True, about=f"cases as in {stage.tier}/{stage.name}")


def found(seen):
    """The cases that could be found; those that were, and those that were by decoding what left."""
    sent = {name: case for name, case in seen.cases.items() if not case.stripped and case.row not in _NEVER_SENT}
    needles = needles_of(sent.values())
    decoded, strings = set(), set()
    for request in seen.crossing.requests:
        decoded |= needles.in_bytes(request.body)
        strings |= strings_of(request.body)
    together = "\n\0\n".join(strings)
    as_written = {name for name, case in sent.items() if case.written and case.written in together}
    return sent.keys(), decoded & sent.keys() | as_written, decoded & sent.keys()


# Header fields, the query and the client's name of the model stay here under any policy, and so does what another dialect has no
# word for; what is cut is nowhere whole.
_NEVER_SENT = ("cut", "query string", "cookie", "user agent", "baggage", "traceparent", "idempotency key", "custom header",
               "organisation", "session", "model", "messages: thought", "messages: unknown field", "responses: reasoning",
               "responses: metadata", "responses: unknown field")
