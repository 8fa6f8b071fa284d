"""Tier R: originals leave as pseudonyms, and are themselves again in the answer, wherever a stream is cut."""

import json

import canaries
import gateway
import places
from client import Message
from stage import Case, Stage

_KEYS = {"app": "{ app: other }"}
# How many requests are of one conversation.
_TURNS = 10
_MAKERS = {"email": canaries.email, "phone": canaries.phone, "card": canaries.card, "iban": canaries.iban}
_SAID = ("Please write to {}.", "Call {} tomorrow, or {}.", "{} and {} are the same person; {} says so.", "Is {} valid?",
         'They answered: "{}" (twice).', "- {}\n- {}\n- {}\n", "{}", "In code: `send(\"{}\")`, and then {}'s reply.")
_BESIDE = ("system", "assistant", "tool result", "tool arguments", "JSON in a tool result", "metadata", "unknown field",
           "schema enum")


def case(random, index):
    """A text with up to three originals, perhaps another elsewhere, that is said again in the answer."""
    text, originals = random.choice(_SAID), []
    while "{}" in text:
        original = random.choice(list(_MAKERS.values()))(random)
        originals.append(original)
        text = text.replace("{}", original, 1)
    if "twice" in text:
        text += f" {random.choice(originals)}"
    body = {"model": places.MODEL, "messages": []}
    note = "said"
    if random.random() < 0.4:
        place = random.choice(_BESIDE)
        originals.append(canaries.email(random))
        body = places.BODY[place](originals[-1])
        note = f"said, and in {place}"
    body["messages"].append({"role": "user", "content": text})
    body["stream"] = random.random() < 0.5
    # A conversation remembers every original that it had, and all of them are looked for in each of its requests.
    session = {"x-ajar-session": f"talk-{index // _TURNS}"}
    message = Message(json.dumps(body).encode(), session, "app")
    return Case([message], [(original, False) for original in originals], note, stripped=True, echo=text)


def restored(seen):
    """How many answers came from outside, and how many of those say what was asked, to the letter."""
    outside = [case for case in seen.cases.values() if seen.replies[case.name][0].served_by == "gpt"]
    wrong = [case.name for case in outside if seen.replies[case.name][0].content() != case.echo]
    return len(outside), wrong


def stages(_):
    """One stage for each style of pseudonyms."""
    policy = gateway.own("pseudonyms")

    def stage(style):
        return Stage(style, "R", policy.replace("style: tag", f"style: {style}"), _KEYS, case, mixed=True, mark="restored",
                     closed={"echo": True, "cut": True}, home={"echo": True}, about=f"style `{style}`")

    return [stage("tag"), stage("surrogate")]
