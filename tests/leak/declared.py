"""Tier A: what is declared private, under every fault that can be brought about. Nothing of it may leave."""

import json
import re
import time
from urllib.parse import quote

import canaries
import encoders
import gateway
import places
from client import Message
from stage import Case, Stage

_KEYS = {"open": "{ desk: open }", "inner": "{ desk: inner }", "closed": "{ desk: closed }"}
_NOBODY = "http://127.0.0.1:9/v1"
_HOMELESS = "    credential: { file: /no/such/file }"
MODES = ("key", "label", "unknown label", "conversation", "ceiling")
_FILLER = "The committee met on Tuesday and agreed that the matter could wait until the next meeting. "


# === cases

def case(random, index):
    """A request that is declared private in one of the ways, with a canary anywhere in it."""
    return _private(random, MODES[index % len(MODES)])


def labelled(random, _):
    """A request that its client labels, for sets whose keys declare nothing."""
    made = _private(random, "label")
    for message in made.messages:
        message.key = "app"
    return made


def mixed(random, index):
    """Three private requests, and one that may leave."""
    return case(random, index) if index % 4 else public(random)


def huge(random, index):
    """As `case`, in bodies that are long or deep."""
    made = case(random, index)
    for message in made.messages:
        body = json.loads(message.body)
        size = random.choice((10_000, 100_000, 1_000_000))
        body["x_more"] = random.choice((_FILLER * (size // len(_FILLER)), _deep(60), list(range(size // 10))))
        message.body = json.dumps(body).encode()
    return made


def leaving(random, index):
    """As `mixed`, by clients that do not wait for the answer."""
    made = mixed(random, index)
    # Not from the turn that declares a conversation: what is not read declares nothing.
    made.messages[-1].leaves = random.random() < 0.5
    return made


def public(random):
    """A request that may leave, with a canary of its own."""
    canary = canaries.opaque(random)
    body = places.said({"role": "user", "content": f"The word is {canary.text}."}, stream=random.random() < 0.3)
    return Case([Message(json.dumps(body).encode(), {}, "open")], [(canary.needle, True)], "may leave", public=True)


def _private(random, mode):
    canary = canaries.opaque(random)
    row = random.choice([*places.BODY, *places.TRANSLATED, *places.OFF_BODY])
    chosen, text = encoded(random, canary.text, for_header=row in places.OFF_BODY)
    body, headers, path = placed(random, row, text)
    body["stream"] = random.random() < 0.3
    key = {"key": "closed", "ceiling": "inner"}.get(mode, "open")
    messages = [Message(json.dumps(body).encode(), headers, key, path)]
    if mode == "label":
        headers["x-ajar-label"] = "restricted"
    elif mode == "unknown label":
        headers["x-ajar-label"] = "no such word"
    elif mode == "conversation":
        headers["x-ajar-session"] = f"talk-{random.getrandbits(64):x}"
        first = json.dumps(places.said({"role": "user", "content": f"It is {canary.text}."})).encode()
        messages.insert(0, Message(first, {**headers, "x-ajar-label": "restricted"}, key))
    note = f"by {mode}, {row}, {' in '.join(reversed(chosen)) or 'plain'}"
    return Case(messages, [(canary.needle, True)], note, text, row=row)


def encoded(random, text, for_header=False, depth=None):
    """The text in no, one or two encodings, and their names; for a header only what fits into one."""
    for _ in range(100):
        chosen, made = [], text
        for _ in range(random.choice((0, 1, 2)) if depth is None else depth):
            name = random.choice([name for name in encoders.CLAIMED if name != "plain" and encoders.applies(name, made)])
            chosen.append(name)
            made = encoders.encode([name], made)
        if not for_header or re.fullmatch(r"[\x20-\x7e]{1,2000}", made):
            return chosen, made
    return [], text


def placed(random, row, text):
    """Body, headers and path of a request with the text in a place."""
    if row in places.BODY:
        before = random.choice(("", "", "Please look at this: ", _FILLER * random.choice((1, 30))))
        free = row in ("user", "user part", "system", "developer", "assistant", "tool result", "tool description", "metadata")
        return places.BODY[row](f"{before}{text}" if free else text), {}, "/v1/chat/completions"
    if row in places.TRANSLATED:
        path, make = places.TRANSLATED[row]
        return make(text), {}, path
    more = places.OFF_BODY[row](quote(text, safe="") if row == "query string" else text)
    body = {**places.said(), **more.get("fields", {})}
    return body, more.get("headers", {}), more.get("path", "/v1/chat/completions")


def _deep(levels):
    return {"a": _deep(levels - 1)} if levels else "bottom"


# === what happens meanwhile

def _reloading(policy):
    """Reloads all the time: the same policy, another order of its routes, and files that are wrong."""
    texts = [policy, policy.replace("candidates: [gpt, gpt2, local]", "candidates: [gpt2, gpt]"), "ajar: nonsense\n",
             policy.replace("default_class: internal", "default_class: none_such"), policy.replace("ttl: 24h", "ttl: 1h")]

    def beside(gateway, over):
        turn = 0
        while not over.wait(0.1):
            turn += 1
            gateway.replace_policy(texts[turn % len(texts)])
            gateway.reload()
    return beside


def _restarting(gateway, over):
    """Stops and starts it: asked to, and killed."""
    turn = 0
    while not over.wait(0.1):
        turn += 1
        if turn % 2:
            gateway.terminate()
        else:
            gateway.kill()
        gateway.start()


def _fill(gateway):
    """Fills its disk to the last byte."""
    time.sleep(0.2)
    with open(gateway.root / (gateway.folder / "small" / "ballast").relative_to("/"), "wb", buffering=0) as ballast:
        size = 1 << 16
        while size:
            try:
                ballast.write(b"x" * size)
            except OSError:
                size //= 2


# === stages

def stages(rig):
    """All stages of the tier."""
    policy = gateway.own("declared")
    embedded = policy.replace("via: home, model: open-1b", "via: embedded, model: broken")
    slow = policy.replace("attributes:", "detectors:\n  person: { kind: model, model: names@1, deadline: 1ms }\nattributes:") \
        .replace("classify:", "classify:\n  - { id: somebody, raise: restricted, when: finding.person }")
    budget = policy + ("budgets:\n  - { id: all, per: all, window: day, limit: 0.05 USD, "
                       "ladder: [{ at: 0.5, only: 'dest.boundary == \"host\"' }] }\n")

    def stage(name, about, **more):
        fields = {"tier": "A", "policy": policy, "keys": _KEYS, "make": case, "about": about, **more}
        return Stage(name, **fields)

    def shipped(name):
        return stage(name, f"the shipped set `{name}`, by the client's label", policy=gateway.shipped(name),
                     keys={"app": "{ app: other }"}, make=labelled, weight=2)

    return [
        stage("none", "no fault: home answers", weight=2, options={"log": "trace"}),
        shipped("strict"),
        shipped("balanced"),
        stage("home-missing", "home has no credential", options={"home_fields": _HOMELESS}),
        stage("engine-missing", "the embedded engine is not there", policy=embedded),
        stage("home-refused", "nobody listens at home", options={"home": _NOBODY}),
        stage("home-500", "home fails", home={"fault": "500"}),
        stage("home-full", "home is full (429)", home={"fault": "429"}),
        stage("home-hangs", "home does not answer in time", home={"fault": "hang"}, options={"patience": "200ms"}, weight=0.5),
        stage("home-resets", "home breaks off in the middle", home={"fault": "reset"}),
        stage("home-garbage", "home answers nonsense", home={"fault": "garbage"}),
        stage("home-empty", "home answers nothing", home={"fault": "empty"}),
        stage("closed-500", "the closed model fails", closed={"fault": "500"}, make=mixed, mixed=True),
        stage("closed-resets", "the closed model breaks off", closed={"fault": "reset"}, make=mixed, mixed=True),
        stage("closed-hangs", "the closed model does not answer", closed={"fault": "hang"}, make=mixed, mixed=True, weight=0.5,
              options={"patience": "200ms"}),
        stage("all-fail", "home and the closed model fail", home={"fault": "500"}, closed={"fault": "500"},
              make=mixed, mixed=True),
        stage("budget-out", "the budget is used up", policy=budget, make=mixed, mixed=True),
        stage("detector-late", "a detector that has a millisecond", policy=slow, make=mixed, mixed=True),
        stage("huge", "long and deep bodies", make=huge, weight=0.1),
        stage("client-leaves", "clients that do not wait", make=leaving, mixed=True),
        stage("reload", "reloads, good and bad, under traffic", make=mixed, mixed=True, beside=_reloading(policy), weight=2),
        stage("restart", "stopped, killed and started under traffic", make=mixed, mixed=True, beside=_restarting, weight=2,
              options={"audit": "required"}),
        stage("ledger-full", "the ledger's disk is full, `audit: required`", make=mixed, mixed=True, before=_fill,
              options={"small": "ledger", "audit": "required"}),
        stage("record-full", "the record's disk is full", make=mixed, mixed=True, before=_fill,
              options={"small": "record"}),
        stage("no-route", "no route outside", before=lambda _: rig.lab.close_route(), after=lambda rig: rig.lab.open_route()),
    ]
