"""Vectors of the embedded engine beside those of llama.cpp's own server: the same model file, the same texts, through HTTP.

Prints the lowest cosine between both vectors of a text, and fails where that is below the mark or where both count another
number of tokens. The engine is asked for each text by itself, as the server is, and for all at once, which it batches: that
rounds otherwise where weights are quantised, in the server as well, and has a mark of its own. A model that does not say how
it pools is tried with each way of pooling, in copies of its file that say so.
"""

import argparse
import contextlib
import json
import math
import operator
import pathlib
import struct
import sys
import tempfile
import urllib.error
import urllib.request

from local import Server, free_port

MARK = 0.9999
MARK_TOGETHER = 0.999
POOLINGS = {"mean": 1, "first": 2, "last": 3}
# Values of GGUF's types of one size, in bytes; strings are type 8, lists type 9.
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
CONTEXT = 512

RIVER = "The river rose in the night, and by the morning the lower fields were a lake with the tops of fences in it. "
TEXTS = [
    "a",
    "Hello.",
    "What is the capital of France?",
    "Paris is the capital of France.",
    "  two spaces before, and a line's end behind\n",
    "42, 3.14159 and -1e-9",
    "SELECT id, at FROM request WHERE cost_uusd IS NULL ORDER BY seq;",
    'fn main() { println!("{}", "ajar"); }',
    "naïve façade, Zürich, Łódź, smörgåsbord",
    "Die Donau fließt durch Ulm, Wien und Budapest ins Schwarze Meer.",
    "Быстрая лиса перепрыгивает через ленивую собаку.",
    "敏捷的棕色狐狸跳过了懒狗。",
    "素早い茶色の狐が怠け者の犬を飛び越える。",
    "الثعلب البني السريع يقفز فوق الكلب الكسول.",
    "השועל החום המהיר קופץ מעל הכלב העצלן.",
    "तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है।",
    "🦊 jumps over 🐶, twice 👩‍👩‍👧",
    RIVER,
    RIVER * 4,
    RIVER * 15,
]

POLICY = """ajar: policy/v1
name: embeddings
authority: base
classes: [public, internal]
default_class: internal
destinations:
  local: { via: embedded, model: engine, boundary: host, serves: [embeddings] }
routes:
  - { id: everything, order: 900, candidates: [local] }
"""
CONFIG = """server: {{ listen: 127.0.0.1:{port}, operator: 127.0.0.1:{operator} }}
policies: {dir}/policies
local:
  engine: {{ model: {model}, context: {context}, sequences: 2, threads: {threads} }}
anonymous: {{ allow: loopback }}
record: {{ store: sqlite, path: {dir}/ajar.db }}
"""


class Gguf:
    """Where the parts of a model file are, and its short values by key."""

    def __init__(self, path):
        self.bytes, self.at, self.values = path.read_bytes(), 8, {}
        tensors, entries = self.number("Q"), self.number("Q")
        for _ in range(entries):
            key = self.string()
            self.values[key] = self.value(self.number("I"))
        self.end_of_entries = self.at
        for _ in range(tensors):
            self.string()
            dimensions = self.number("I")
            self.at += 8 * dimensions + 4 + 8
        self.end_of_tensors = self.at

    def number(self, form):
        (number,) = struct.unpack_from("<" + form, self.bytes, self.at)
        self.at += struct.calcsize(form)
        return number

    def string(self):
        length = self.number("Q")
        self.at += length
        return self.bytes[self.at - length : self.at].decode()

    def value(self, kind):
        if kind == 8:
            return self.string()
        if kind == 9:
            kind, count = self.number("I"), self.number("Q")
            if kind in SIZES:
                self.at += SIZES[kind] * count
            else:
                for _ in range(count):
                    self.value(kind)
            return None
        if kind == 4:
            return self.number("I")
        self.at += SIZES[kind]
        return None

    def pooling_key(self):
        return self.values["general.architecture"] + ".pooling_type"

    def pooling(self, pooling, path):
        """Writes a copy that says how it pools."""
        alignment = self.values.get("general.alignment") or 32
        padded = lambda size: -(-size // alignment) * alignment  # noqa: E731
        key = self.pooling_key().encode()
        entry = struct.pack("<Q", len(key)) + key + struct.pack("<II", 4, pooling)
        entries = struct.pack("<Q", struct.unpack_from("<Q", self.bytes, 16)[0] + 1)
        head = self.bytes[:16] + entries + self.bytes[24 : self.end_of_entries] + entry
        head += self.bytes[self.end_of_entries : self.end_of_tensors]
        path.write_bytes(head.ljust(padded(len(head)), b"\0") + self.bytes[padded(self.end_of_tensors) :])


def vectors(server, texts):
    """One vector for each text, and the tokens of all."""
    body = json.dumps({"model": "local", "input": texts, "encoding_format": "float"}).encode()
    # Without the header the gateway's cache of answers would answer what was asked before.
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/embeddings", body, headers)
    try:
        answer = json.load(urllib.request.urlopen(request, timeout=600))
    except urllib.error.HTTPError as error:
        sys.exit(f"{server.name} answered {error.code}: {error.read()[:500]}")
    return [one["embedding"] for one in answer["data"]], answer["usage"]["prompt_tokens"]


def cosine(one, other):
    if len(one) != len(other):
        sys.exit(f"vectors of {len(one)} and {len(other)} numbers")
    return sum(map(operator.mul, one, other)) / math.hypot(*one) / math.hypot(*other)


@contextlib.contextmanager
def started(args, model, folder):
    port, operator, other = free_port(), free_port(), free_port()
    (folder / "policies").mkdir()
    (folder / "policies" / "policy.yaml").write_text(POLICY)
    config = folder / "ajar.yaml"
    form = {"port": port, "operator": operator, "dir": folder, "model": model, "context": CONTEXT, "threads": args.threads}
    config.write_text(CONFIG.format(**form))
    command = [args.llama_server, "-m", model, "--host", "127.0.0.1", "--port", str(other), "-t", str(args.threads), "-np", "1",
               "--embedding", "-c", str(CONTEXT), "-b", str(CONTEXT), "-ub", str(CONTEXT)]
    servers = []
    try:
        servers.append(Server("ajar", [args.ajar, "serve", "--config", config], port,
                              f"http://127.0.0.1:{operator}/readyz", folder))
        servers.append(Server("llama-server", command, other, f"http://127.0.0.1:{other}/health", folder))
        yield servers
    finally:
        for server in servers:
            server.stop()


def compare(args, model, name):
    """Whether both servers agree on all texts."""
    with tempfile.TemporaryDirectory(prefix="ajar-embeddings-") as folder, \
            started(args, model, pathlib.Path(folder)) as (ajar, llama):
        theirs = [vectors(llama, [text]) for text in TEXTS]
        alone = [vectors(ajar, [text]) for text in TEXTS]
        together, tokens = vectors(ajar, TEXTS)
    agrees = True
    for text, (their, counted), (our, ours) in zip(TEXTS, theirs, alone):
        if ours != counted:
            print(f"{text[:40]!r} has {ours} tokens, and {counted} by llama-server")
            agrees = False
    lowest = {
        "alone": min(cosine(our[0], their[0]) for (our, _), (their, _) in zip(alone, theirs)),
        "together": min(cosine(our, their[0]) for our, (their, _) in zip(together, theirs)),
    }
    length = max(abs(math.hypot(*vector) - 1) for vector in together)
    print(f"{name}: {len(TEXTS)} texts, {tokens} tokens, {len(together[0])} numbers; lowest cosine {lowest['alone']:.7f} alone, "
          f"{lowest['together']:.7f} together (marks {MARK}, {MARK_TOGETHER}); lengths are 1 to within {length:.1e}")
    return agrees and lowest["alone"] >= MARK and lowest["together"] >= MARK_TOGETHER and length < 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ajar", type=pathlib.Path, required=True)
    parser.add_argument("--llama-server", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.ajar, args.llama_server, args.model = (path.resolve() for path in (args.ajar, args.llama_server, args.model))
    gguf = Gguf(args.model)
    if gguf.values.get(gguf.pooling_key()):
        sys.exit(0 if compare(args, args.model, args.model.name) else 1)
    agree = []
    with tempfile.TemporaryDirectory(prefix="ajar-pooling-") as folder:
        for name, pooling in POOLINGS.items():
            copy = pathlib.Path(folder) / f"{name}.gguf"
            gguf.pooling(pooling, copy)
            agree.append(compare(args, copy, f"{args.model.name}, pooling by the {name}"))
            copy.unlink()
    sys.exit(0 if all(agree) else 1)


if __name__ == "__main__":
    main()
