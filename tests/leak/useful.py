"""Tier U: what is not private and should be free to leave. Without it, keeping everything at home would pass."""

import base64
import gzip
import json
import os
import random as shuffle
import string
import uuid
from functools import cache
from pathlib import Path

import gateway
import places
from client import Message
from stage import Case, Stage

_KEYS = {"app": "{ app: other }"}
_TOPICS = ("photosynthesis", "the French Revolution", "binary search trees", "sourdough bread", "plate tectonics", "sonnets",
           "supply and demand", "vaccines", "black holes", "garbage collection", "the offside rule", "impressionism", "compost",
           "queueing theory", "type inference", "tides", "inflation", "chess openings", "the water cycle", "jazz harmony")
_WORDS = ("river", "window", "engine", "garden", "copper", "lantern", "market", "signal", "ladder", "meadow", "button", "island")
_ASKED = (
    "Explain {topic} to a beginner in three paragraphs.",
    "What are the main arguments about {topic}? Answer with a table.",
    "Write a limerick about {topic} and a {word}.",
    "Summarise the history of {topic} in {n} words.",
    "Compare {topic} with {topic2}.",
    "Give me {n} quiz questions about {topic}, with answers.",
    "If a {word} costs {n} euros and a {word2} {m}, how much are {k} of each?",
    "Solve for x: {n}x + {m} = {k}x - {j}. Show every step.",
    "What is the derivative of {n}x^3 - {m}x^2 + {k}?",
    "A train leaves at {h}:15 at {n} km/h. When does it arrive after {m} km?",
    "Write a Python function that reverses a linked list of {word}s. It must pass:\n\n```python\nassert f([{n}, {m}]) == [{m}, {n}]\n```",
    "Why does this not compile?\n\n```rust\nfn main() {{ let {word} = vec![{n}, {m}]; println!(\"{{}}\", {word}[{k}]) }}\n```",
    "Review this query: SELECT {word}, count(*) FROM {word2}s WHERE id > {n} GROUP BY {word} LIMIT {m};",
    "git bisect says {sha} is the first bad commit; before it, {sha2} was good. What do I do next?",
    "Our job {uuid} failed with exit code {small}. Where should I look?",
    "Parse this: {{\"id\": \"{uuid}\", \"{word}\": {n}, \"tags\": [\"{word2}\", \"v{small}.{k}\"]}}",
    "The checksum of {word}-{small}.{k}.tar.gz is sha256:{hash}. How do I verify it on Debian?",
    "Decode this header, please: {base64}",
    "2026-{month}-{day} {h}:{min}:07 WARN [{word}-{small}] retry {k} of {n} after {m} ms\nWhat does this line mean?",
    "Translate into German: the {word} stood beside the {word2} all winter.",
    "Erkläre {topic} in zwei Sätzen.", "Explique {topic} en deux phrases.", "Explica {topic} en dos frases.",
    "Spiega {topic} in due frasi.", "Leg {topic} uit in twee zinnen.", "Wyjaśnij w dwóch zdaniach: {topic}.",
    "Förklara {topic} i två meningar.", "Forklar {topic} i to setninger.", "Vysvětli ve dvou větách: {topic}.",
    "Selitä kahdella lauseella: {topic}.", "Explică în două fraze: {topic}.", "Magyarázd el két mondatban: {topic}.",
    "Объясни в двух предложениях: {topic}.", "Εξήγησε σε δύο προτάσεις: {topic}.", "{topic}を二文で説明してください。",
    "请用两句话解释 {topic}。", "{topic}을 두 문장으로 설명해 주세요.", "اشرح في جملتين: {topic}.", "दो वाक्यों में समझाइए: {topic}.",
    "İki cümleyle açıkla: {topic}.", "Поясни двома реченнями: {topic}.",
    "Write a polite letter of complaint about a broken {word}.", "Suggest {small} names for a shop that sells {word}s.",
    "The matrix [[{n}, {m}], [{k}, {j}]]: is it invertible?", "Is {n}{m}{k} prime?", "Convert {n} miles to kilometres.",
)
# Files of public prompts below the folder `AJAR_DATA`, and where the text is in a line.
_PROMPTS = (("traffic/mt_bench_questions.jsonl", lambda row: row["turns"][0]),
            ("traffic/arena_hard_v0.1_questions.jsonl", lambda row: row.get("prompt") or row["turns"][0]["content"]),
            ("traffic/HumanEval.jsonl.gz", lambda row: row["prompt"]),
            ("routing/routerarena_sub10.jsonl", lambda row: row["prompt"]),
            ("routing/routellm_gsm8k.jsonl", lambda row: row["prompt"]),
            ("routing/routellm_mmlu.jsonl", lambda row: row["prompt"]))


def case(random, index):
    """A prompt of our own."""
    text = random.choice(_ASKED).format(
        topic=random.choice(_TOPICS), topic2=random.choice(_TOPICS), word=random.choice(_WORDS), word2=random.choice(_WORDS),
        n=random.randint(11, 999), m=random.randint(11, 999), k=random.randint(2, 99), j=random.randint(2, 99),
        small=random.randint(1, 9), h=random.randint(10, 23), min=random.randint(10, 59), month=f"{random.randint(1, 12):02}",
        day=f"{random.randint(1, 28):02}", sha=_hex(random, 40), sha2=_hex(random, 12), hash=_hex(random, 64),
        uuid=uuid.UUID(int=random.getrandbits(128), version=4),
        base64=base64.b64encode(" ".join(random.choices(_WORDS, k=8)).encode()).decode())
    return _asked(f"{text}\n\n(Question {index})", "own prompt")


def real(_, index):
    """A prompt of a public benchmark."""
    texts = prompts()
    return _asked(texts[index % len(texts)], "public prompt")


@cache
def prompts():
    """All prompts of public benchmarks that are there; none without `AJAR_DATA`."""
    folder, texts = os.environ.get("AJAR_DATA"), []
    for name, text in _PROMPTS if folder else ():
        path = Path(folder) / name
        if path.is_file():
            with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
                texts += [text(json.loads(line)) for line in lines]
    texts = sorted(set(texts))
    shuffle.Random("prompts").shuffle(texts)
    return texts


def _asked(text, note):
    body = {"model": places.MODEL, "messages": [{"role": "user", "content": text}]}
    return Case([Message(json.dumps(body).encode(), {}, "app")], note=note)


def _hex(random, count):
    return "".join(random.choices(string.hexdigits[:16], k=count))


def kept(seen):
    """The cases that did not leave."""
    return [name for name, replies in seen.replies.items() if replies[0].served_by != "gpt"]


def stages(_):
    """Both shipped sets, as they are shipped."""
    def stage(name, shipped, make, mark):
        return Stage(name, "U", gateway.shipped(shipped), _KEYS, make, mixed=True, mark=mark, about=f"`{shipped}`")

    made = [stage("balanced", "balanced", case, 0.03), stage("strict", "strict", case, 0.15)]
    if prompts():
        made += [stage("balanced-public", "balanced", real, 0.03), stage("strict-public", "strict", real, 0.15)]
    return made
