"""One stretch of traffic against one ajar under one policy, and what was seen of it."""

import json
import random
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import client
import provider
import wire
from blake3 import blake3
from gateway import CLOSED, Gateway
from netns import OUTSIDE
from scan import Needles

_EXTERNAL = ("gpt", "gpt2")
_EXPECTED = {(provider.EVERYWHERE, 80), (OUTSIDE, 53)}
_PIECE = 1 << 18


@dataclass
class Case:
    """One trial: requests of one client, one after the other, and what must not be seen of them outside."""

    messages: list
    # Texts by which it is known, and whether they are random throughout.
    needles: list = field(default_factory=list)
    # In words: what was written, how and where.
    note: str = ""
    # As it is written in the body, for the control.
    written: str = ""
    # It may leave.
    public: bool = False
    # The request may leave, and the canary may not.
    stripped: bool = False
    # What the answer must say again.
    echo: str = ""
    name: str = ""
    row: str = ""


@dataclass
class Stage:
    """How ajar is set up, what happens meanwhile, and which cases are sent."""

    name: str
    tier: str
    policy: str
    keys: dict
    # Makes a case from a source of randomness and a number.
    make: object
    options: dict = field(default_factory=dict)
    home: dict = field(default_factory=dict)
    closed: dict = field(default_factory=dict)
    # Called with the gateway before the traffic, and with the gateway and an event that ends it beside the traffic.
    before: object = None
    beside: object = None
    after: object = None
    # Something may leave, so that bytes outside are no leak by themselves.
    mixed: bool = False
    weight: float = 1.0
    # What must hold: `zero` leaks, nothing (`published`), all `restored`, or the largest share that may be kept at home.
    mark: object = "zero"
    # In words, for the report.
    about: str = ""

    def case(self, seed, index):
        """The case of a number: the same one every time."""
        name = f"{self.tier}/{self.name}/{seed}/{index}"
        case = self.make(random.Random(name), index)
        case.name = name
        return case


@dataclass
class Seen:
    """What was seen of a stage."""

    stage: Stage
    trials: int = 0
    outcomes: Counter = field(default_factory=Counter)
    # By case: how it was seen.
    leaks: dict = field(default_factory=dict)
    # What is wrong apart from leaks, such as a ledger that does not verify.
    faults: list = field(default_factory=list)
    public: int = 0
    bodies: int = 0
    payload: int = 0
    # Canaries found in response headers, and at rest.
    in_headers: set = field(default_factory=set)
    at_rest: set = field(default_factory=set)
    # Replies by case.
    replies: dict = field(default_factory=dict)
    cases: dict = field(default_factory=dict)
    crossing: object = None
    entered: int = 0

    def forget(self, but):
        """Keeps no more than the report needs: the cases that it names."""
        self.cases = {name: case for name, case in self.cases.items() if name in but}
        self.replies, self.crossing = {}, None


def run(rig, stage, cases):
    """Sends the cases of a stage, and looks at everything that can be seen of them."""
    seen = Seen(stage, cases={case.name: case for case in cases})
    seen.trials = sum(not case.public for case in cases)
    rig.home.ask("script", stage.home)
    rig.outside.ask("script", stage.closed)
    _collect(rig)
    with Gateway(rig.lab, rig.ajar, stage.policy, stage.keys, **stage.options) as gateway:
        if stage.before:
            stage.before(gateway)
        _traffic(rig, stage, gateway, cases, seen)
        metrics = b""
        with suppress(OSError):
            metrics = gateway.metrics()
        ledger = gateway.copy_of_ledger()
        gateway.terminate()
        frames, dropped = _collect(rig)
        seen.crossing = wire.crossing(frames)
        if dropped:
            seen.faults.append(f"the recorder lost {dropped} frames")
        _judge_crossing(seen)
        _judge_ledger(seen, gateway, ledger)
        _judge_at_rest(seen, {**gateway.at_rest(), "metrics": metrics})
    if stage.after:
        stage.after(rig)
    return seen


def _collect(rig):
    token = random.randbytes(8).hex().encode()
    with rig.lab.gateway.inside():
        provider.mark(token, OUTSIDE)
    return rig.outside.ask("collect", token)


def _traffic(rig, stage, gateway, cases, seen):
    lock, over = threading.Lock(), threading.Event()
    for case in cases:
        for message in case.messages:
            message.headers["authorization"] = f"Bearer {gateway.keys[message.key]}"

    def note(case, replies):
        with lock:
            seen.replies[case.name] = replies
            if case.public:
                seen.public += 1
            else:
                seen.outcomes.update(reply.outcome() for reply in replies)

    beside = threading.Thread(target=stage.beside, args=(gateway, over)) if stage.beside else None
    if beside:
        beside.start()
    client.send_all(rig.lab.clients, cases, note, on=rig.threads)
    over.set()
    if beside:
        beside.join()


# === judging

def needles_of(cases):
    """Everything by which the cases are known."""
    needles = Needles()
    for case in cases:
        for text, opaque in case.needles:
            needles.add(case.name, text, opaque)
    return needles


def _judge_crossing(seen):
    crossing, stage = seen.crossing, seen.stage
    private = [case for case in seen.cases.values() if not case.public]
    needles = needles_of(private)
    for case in private:
        if not case.stripped and any(reply.served_by in _EXTERNAL for reply in seen.replies[case.name]):
            seen.leaks.setdefault(case.name, "answered outside")
    for request in crossing.requests:
        seen.bodies += 1
        for name in needles.in_bytes(request.head) | needles.in_bytes(request.body):
            seen.leaks.setdefault(name, "found in what left")
    for rest in crossing.rest:
        for name in needles.in_bytes(rest):
            seen.leaks.setdefault(name, "found in what left")
    seen.payload = crossing.payload
    if (crossing.payload or crossing.connections) and not stage.mixed and not seen.leaks:
        seen.leaks[f"{stage.tier}/{stage.name}"] = f"{crossing.payload} bytes outside, of nothing that is known"
    for address, port in crossing.connections - _EXPECTED:
        seen.leaks[f"{stage.tier}/{stage.name}, {address}:{port}"] = "a connection to where nobody should ask"
    for name in crossing.names - {CLOSED}:
        seen.leaks[f"{stage.tier}/{stage.name}, {name}"] = "a name that nobody should ask for"


def _judge_ledger(seen, gateway, ledger):
    sound, said = gateway.audit_verifies(ledger)
    if not sound:
        seen.faults.append(f"the ledger does not verify: {said}")
    entered = Counter(gateway.hashes_sent(ledger))
    seen.entered = sum(entered.values())
    sent = Counter(blake3(request.body) for request in seen.crossing.requests)
    for missing in sent - entered:
        seen.faults.append(f"a body outside is not in the ledger: {missing}")


def _judge_at_rest(seen, files):
    # The name of the model that a client asked for is recorded, whatever it is.
    asked = {text for case in seen.cases.values() if case.row == "model" for text, _ in case.needles}
    needles = needles_of(case for case in seen.cases.values() if not any(text in asked for text, _ in case.needles))
    for name, data in files.items():
        text = data.decode("latin-1")
        for at in range(0, len(text), _PIECE):
            seen.at_rest |= {(case, name) for case in needles.in_text(text[max(0, at - 200):at + _PIECE])}
    for name, replies in seen.replies.items():
        for reply in replies:
            seen.in_headers |= needles.in_text(reply.head.decode("latin-1"))


def strings_of(body):
    """Every string and key of a JSON body, those of JSON in strings included."""
    def walk(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)
        elif isinstance(value, str):
            yield value
            if value[:1] in "{[":
                with suppress(ValueError):
                    yield from walk(json.loads(value))
    return set(walk(json.loads(body)))
