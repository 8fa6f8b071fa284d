"""The embedded engine beside llama.cpp's own server, both through HTTP: same model file, threads and prompts, in turn.

Each pair measures both, one right after the other, and the next pair the other way round, so that a machine that speeds
up or slows down does so for both. What is compared is the ratio within a pair; the table tells the median of the pairs
and their range.
"""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from statistics import geometric_mean, median

HERE = pathlib.Path(__file__).resolve().parent
POLICY = """ajar: policy/v1
name: bench
authority: base
classes: [public, internal]
default_class: internal
destinations:
  local: { via: embedded, model: engine, boundary: host, tier: local, usd_per_1k: 0 }
routes:
  - { id: everything, order: 900, candidates: [local], on_empty: { refuse: policy_unsatisfiable } }
tests:
  - { name: everything stays here, given: {}, expect: { external: none } }
"""
CONFIG = """server: {{ listen: 127.0.0.1:{port}, operator: 127.0.0.1:{operator} }}
policies: {dir}/policies
models: {{ unknown_model: auto }}
local:
  engine: {{ model: {model}, context: {context}, sequences: {sequences}, threads: {threads}, queue: 64 }}
anonymous: {{ allow: loopback }}
record: {{ store: sqlite, path: {dir}/ajar.db, retention: 1d, commit_interval: 50ms }}
cache: {{ memory: 64 MiB, ttl: 1h }}
"""


class Server:
    """A running server, asked for chat completions."""

    def __init__(self, name, command, port, ready, folder):
        self.name, self.port = name, port
        self.log = folder / f"{name}.log"
        self.process = subprocess.Popen(command, stdout=open(self.log, "w"), stderr=subprocess.STDOUT, cwd=folder)
        deadline = time.time() + 120
        while time.time() < deadline and self.process.poll() is None:
            try:
                if urllib.request.urlopen(ready, timeout=1).status == 200:
                    return
            except OSError:
                time.sleep(0.2)
        sys.exit(f"{name} did not start:\n{self.log.read_text()[-2000:]}")

    def ask(self, prompt, tokens, **more):
        """Seconds to the first token, and the number of tokens, without the one that ends the answer."""
        body = {"model": "bench", "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens,
                "temperature": 0, "stream": True, "stream_options": {"include_usage": True}, **more}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        began, first, generated, ended = time.perf_counter(), None, 0, False
        # Without the header the gateway's cache of answers would answer a repeated prompt.
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != 200:
            sys.exit(f"{self.name} answered {response.status}: {response.read()[:500]}")
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if any(choice["delta"].get("content") for choice in event["choices"]) and first is None:
                first = time.perf_counter() - began
            ended = ended or any(choice.get("finish_reason") == "stop" for choice in event["choices"])
            if event.get("usage"):
                generated = event["usage"]["completion_tokens"]
        connection.close()
        if first is None:
            sys.exit(f"{self.name} generated no text: is the model an instruction-tuned one?")
        # llama.cpp's server counts the token that ends an answer, ajar does not.
        return first, generated - (ended and self.name == "llama-server")

    def ask_at_once(self, prompts, tokens):
        """Tokens per second over all, and the mean of the seconds to the first token."""
        answers = [None] * len(prompts)

        def one(index):
            answers[index] = self.ask(prompts[index], tokens)

        threads = [threading.Thread(target=one, args=(index,)) for index in range(len(prompts))]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        if None in answers:
            sys.exit(f"{self.name} did not answer")
        return sum(count for _, count in answers) / took, sum(first for first, _ in answers) / len(answers)

    def copy(self, text, **more):
        """Tokens per second behind the first while it says `text` again."""
        began = time.perf_counter()
        first, count = self.ask(f"Repeat this text exactly, and then repeat it again:\n{text}\n{text}", 300, **more)
        return (count - 1) / (time.perf_counter() - began - first)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(args, folder):
    port, operator, other = free_port(), free_port(), free_port()
    sequences = max(args.concurrency)
    (folder / "policies").mkdir()
    (folder / "policies" / "policy.yaml").write_text(POLICY)
    config = folder / "ajar.yaml"
    config.write_text(CONFIG.format(port=port, operator=operator, dir=folder, model=args.model, context=args.context,
                                    sequences=sequences, threads=args.threads))
    ajar = Server("ajar", [args.ajar, "serve", "--config", config], port, f"http://127.0.0.1:{operator}/readyz", folder)
    command = [args.llama_server, "-m", args.model, "--host", "127.0.0.1", "--port", str(other), "-t", str(args.threads),
               "-tb", str(args.threads), "-np", str(sequences), "-c", str(args.context * sequences)]
    return ajar, Server("llama-server", command, other, f"http://127.0.0.1:{other}/health", folder)


def prompts(kind, number, pair):
    """Prompts that begin differently: nothing of one is of use to the next, or to the next pair."""
    return [f"{kind} {pair}.{index}: write a long story about a river, a valley and number {pair * 100 + index}."
            for index in range(number)]


def measure(args, servers):
    """For each point, a list of pairs by the servers' names."""
    points = {}
    for pair in range(args.pairs):
        order = servers if pair % 2 == 0 else servers[::-1]
        for number in args.concurrency:
            both = {server.name: server.ask_at_once(prompts("Story", number, pair), args.tokens) for server in order}
            points.setdefault(("tokens/s", number), []).append({name: rate for name, (rate, _) in both.items()})
            points.setdefault(("first token", number), []).append({name: first for name, (_, first) in both.items()})
        long = f"Note {pair}: " + "the fox, the crow and the cheese. " * (args.repeated // 9) + "What is it about?"
        repeated = {}
        for server in order:
            server.ask(long, 4)
            repeated[server.name] = server.ask(long, 4)[0]
        points.setdefault(("first token, repeated prompt", args.repeated), []).append(repeated)
        # With a seed nothing is guessed.
        text = f"Song {pair}: " + "the red fox saw the blue crow, and the blue crow saw the red fox. " * 9
        ajar = next(server for server in servers if server.name == "ajar")
        copies = {"llama-server": ajar.copy(text, seed=1), "ajar": ajar.copy(text)}
        points.setdefault(("tokens/s of a copied text, without guesses and with", 1), []).append(copies)
        print(f"pair {pair + 1} of {args.pairs} done", file=sys.stderr)
    return points


def report(points):
    print("\n| | at once | llama-server | ajar | ajar ÷ llama-server: median (range) |\n|---|---|---|---|---|")
    ratios = {}
    for (kind, number), pairs in points.items():
        ours, theirs = ([pair[name] for pair in pairs] for name in ("ajar", "llama-server"))
        ratio = sorted(a / b for a, b in zip(ours, theirs))
        ratios.setdefault(kind, []).append(median(ratio))
        scale, unit = (1, "") if kind.startswith("tokens/s") else (1000, " ms")
        shown = f"{number} tokens" if "repeated" in kind else number
        print(f"| {kind} | {shown} | {median(theirs) * scale:.1f}{unit} | {median(ours) * scale:.1f}{unit} "
              f"| {median(ratio):.3f} ({ratio[0]:.3f} to {ratio[-1]:.3f}) |")
    print()
    for kind, all_of in ratios.items():
        print(f"{kind}: geometric mean {geometric_mean(all_of):.3f}, worst {(min if kind.startswith('tokens/s') else max)(all_of):.3f}")


def output(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return " ".join((done.stdout + done.stderr).split())


def built(server):
    """How `server` was built, where its build folder is still around it."""
    cache = server.parents[1] / "CMakeCache.txt"
    keys = ("CMAKE_BUILD_TYPE", "CMAKE_CXX_FLAGS:", "GGML_NATIVE", "GGML_AVX", "GGML_BLAS:", "GGML_CPU_REPACK")
    lines = cache.read_text().splitlines() if cache.is_file() else []
    return " ".join(line for line in lines if line.startswith(keys) and "ADVANCED" not in line) or "build flags unknown"


def describe(args):
    """Both builds and the machine, so that a number can be told from another machine's."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    lock = (HERE.parents[1] / "Cargo.lock").read_text()
    sys_crate = lock.split('name = "llama-cpp-sys-2"\nversion = "')[1].split('"')[0]
    commit = output(["git", "-C", HERE, "rev-parse", "--short", "HEAD"])
    print(f"machine: {os.cpu_count()} × {cpu}; load before: {os.getloadavg()[0]:.1f}")
    print(f"ajar: {output([args.ajar, '--version'])}, commit {commit}, llama-cpp-sys-2 {sys_crate}, {args.ajar_flags}")
    print(f"llama-server: {output([args.llama_server, '--version'])}; {built(args.llama_server)}")
    print(f"model: {args.model.name}; threads: {args.threads}; answers of {args.tokens} tokens; {args.pairs} pairs")


def main():
    numbers = lambda text: [int(number) for number in text.split(",")]  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ajar", type=pathlib.Path, required=True)
    parser.add_argument("--llama-server", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--ajar-flags", default="", help="how ajar was built, to be printed")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--context", type=int, default=1024, help="tokens per sequence")
    parser.add_argument("--concurrency", type=numbers, default=[1, 4, 8, 16])
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--repeated", type=int, default=500, help="tokens of the prompt that is asked twice, about")
    parser.add_argument("--pairs", type=int, default=10)
    args = parser.parse_args()
    args.ajar, args.llama_server, args.model = (path.resolve() for path in (args.ajar, args.llama_server, args.model))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ajar-bench-local-"))
    servers = ()
    try:
        servers = start(args, folder)
        describe(args)
        for server in servers:
            server.ask("Say hello.", 8)
        report(measure(args, servers))
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
