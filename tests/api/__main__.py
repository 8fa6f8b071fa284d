"""Sends what the OpenAPI document allows, and what it forbids, to a running gateway: 0 server errors, and every answer is one that
the document knows.

A provider simulator stands behind, once for each dialect that providers speak. Cases are made by schemathesis; how many of
them, `--cases` says, for all dialects together. Run it in an environment that has `requirements.txt` installed.
"""

import argparse
import collections
import json
import os
import pathlib
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "docs/openapi.json"
# What providers speak.
WIRES = ["openai", "openai-responses", "anthropic", "gemini"]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"

POLICY = """\
ajar: policy/v1
name: api
authority: base
classes: [public, internal, confidential]
default_class: internal
attributes:
  key.app: { one_of: [api, other], default: other }
detectors:
  card: { kind: checksum, recognizers: [pan_luhn, iban_mod97] }
classify:
  - { id: cards, raise: confidential, when: finding.card }
destinations:
  chat:    { via: provider, model: some-model, boundary: external, region: us, accepts: confidential, tier: cheap, usd_per_1k: 0.60 }
  others:  { via: others, model: some-model, boundary: external, region: us, accepts: confidential, tier: cheap, usd_per_1k: 0.60,
             serves: [completions, embeddings, moderations] }
  kept:    { via: sink/responses, boundary: host, accepts: internal, store: text, retention: 1h }
budgets:
  - { id: key-day, per: key, window: day, limit: 1000000 USD, ladder: [{ at: 1.00, refuse: budget_exhausted }] }
routes:
  - { id: everything, order: 900, candidates: [chat, others], on_empty: { refuse: policy_unsatisfiable } }
"""
CONFIG = string.Template("""\
server: { listen: 127.0.0.1:$listen, operator: 127.0.0.1:$operator }
policies: $dir/policies
models: { unknown_model: auto }
providers:
  provider: { dialect: $wire, base_url: "http://127.0.0.1:$upstream/v1" }
  others: { dialect: openai, base_url: "http://127.0.0.1:$upstream/v1" }
anonymous: { allow: loopback, attributes: { app: api } }
record: { store: sqlite, path: $dir/ajar.db, retention: 1d, commit_interval: 50ms }
ledger: { audit: best_effort, path: $dir/ledger.db, key: $dir/ledger.key, retention: 1d }
pepper: $dir/pepper
cache: { memory: 16 MiB, ttl: 1h }
""")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """A gateway before a simulator that speaks `wire`, in a folder of its own."""

    def __init__(self, args, wire):
        self.listen, self.operator, upstream = free_port(), free_port(), free_port()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="ajar-api-"))
        (self.dir / "policies").mkdir()
        (self.dir / "policies/api.yaml").write_text(POLICY)
        config = CONFIG.substitute(listen=self.listen, operator=self.operator, upstream=upstream, wire=wire,
                                   dir=self.dir)
        (self.dir / "ajar.yaml").write_text(config)
        self.log = (self.dir / "log").open("w")
        self.processes = [self.spawn(args.simulator, "--listen", f"127.0.0.1:{upstream}", "--tokens", "4"),
                          self.spawn(args.ajar, "serve", "--config", self.dir / "ajar.yaml")]

    def spawn(self, *command):
        environment = {**os.environ, "RUST_LOG": "error"}
        return subprocess.Popen([str(part) for part in command], stdout=self.log, stderr=self.log, env=environment)

    def wait(self):
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.operator}/readyz", timeout=2) as answer:
                    return answer.status
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"the gateway did not start:\n{(self.dir / 'log').read_text()}")

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(timeout=30)
        self.log.close()


def run(args, url, tag, per_operation, folder):
    """One run of schemathesis: how many cases by status, and whether all went well."""
    events = folder / f"{tag}.ndjson"
    command = [args.schemathesis, "run", DOCUMENT, "--url", url, "--include-tag", tag, "--max-examples", per_operation,
               "--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--workers", 2, "--continue-on-failure",
               "--report", "ndjson", "--report-ndjson-path", events, "--warnings", "off", "--generation-database", "none",
               "--suppress-health-check", "all", "--seed", args.seed, "--request-timeout", 20, "--no-color"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                          cwd=folder)
    # Where it could not make a case, it says so, and ends as with a failure.
    failed = done.returncode != 0 and ("Failures:" in done.stdout or "Test cases:" not in done.stdout)
    if done.returncode != 0:
        print(done.stdout[-args.tail:] if failed else "schemathesis could not make some of its cases", done.stderr[-2000:])
    return statuses(events), not failed


def statuses(events):
    """The statuses of all answers in a report."""
    counted = collections.Counter()

    def walk(value):
        if isinstance(value, dict):
            if isinstance(value.get("status_code"), int):
                counted[value["status_code"]] += 1
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    for line in events.read_text().splitlines():
        walk(json.loads(line))
    return counted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ajar", type=pathlib.Path, required=True)
    parser.add_argument("--simulator", type=pathlib.Path, required=True)
    parser.add_argument("--schemathesis", default="schemathesis")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tail", type=int, default=6_000, help="characters of a failed run's report that are shown")
    args = parser.parse_args()
    operations = sum(1 for item in json.loads(DOCUMENT.read_text())["paths"].values() for key in item if key != "servers")
    # The two phases before make some hundreds of cases of their own.
    per_operation = max(10, args.cases // len(WIRES) // operations)
    total, well = collections.Counter(), True
    for wire in WIRES:
        gateway = Gateway(args, wire)
        try:
            gateway.wait()
            for tag, port in [("data", gateway.listen), ("operator", gateway.operator)]:
                counted, passed = run(args, f"http://127.0.0.1:{port}", tag, per_operation, gateway.dir)
                total.update(counted)
                well &= passed
                print(f"{wire}, {tag}: {sum(counted.values())} answers, {'all as described' if passed else 'FAILED'}")
        finally:
            gateway.stop()
    answers = ", ".join(f"{status}: {count}" for status, count in sorted(total.items()))
    server_errors = sum(count for status, count in total.items() if status >= 500 and status != 503)
    print(f"{sum(total.values())} answers ({answers}); {server_errors} server errors")
    sys.exit(0 if well and server_errors == 0 else 1)


if __name__ == "__main__":
    main()
