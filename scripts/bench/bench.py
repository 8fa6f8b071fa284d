"""Gateways side by side on one machine: straight to a simulated provider, through nginx, through ajar.

The gateway has one core to itself, load generator and provider share another. Targets are measured in turn, round by
round, so that a machine that speeds up or slows down does so for all; each number is the median of the rounds.
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import string
import subprocess
import sys
import tempfile
import time
from statistics import median

HERE = pathlib.Path(__file__).resolve().parent
ANSWER_BYTES, STREAM_CHUNKS = 1024, 64
# Keys are the columns of a sample, in the order of the tables.
WHOLE = {"rps": "req/s", "p50_ms": "p50 ms", "p99_ms": "p99 ms", "cpu_ms": "CPU ms/req", "rss_mb": "RSS MB"}
STREAM = {"streams_per_s": "streams/s", "ttft_p50_ms": "TTFT p50 ms", "ttft_p99_ms": "TTFT p99 ms",
          "gap_p99_ms": "worst gap p99 ms", "cpu_ms": "CPU ms/stream"}


class Target:
    """A listening gateway, or the provider itself where `pid` is None."""

    def __init__(self, name, port, pid=None):
        self.name, self.port, self.pid = name, port, pid

    def cpu_ns(self):
        tasks = pathlib.Path(f"/proc/{self.pid}/task").glob("*/schedstat") if self.pid else []
        return sum(int(task.read_text().split()[0]) for task in tasks)

    def rss_mb(self):
        if not self.pid:
            return None
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


class Fleet:
    """The provider and the gateways before it, started together in a folder of their own."""

    def __init__(self, args, gap="0ms"):
        self.args, self.processes = args, []
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="ajar-bench-"))
        try:
            self.targets = self.start(gap)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self.targets

    def __exit__(self, *_):
        self.stop()

    def start(self, gap):
        upstream = free_port()
        self.spawn("provider", self.args.load_core, [
            self.args.examples / "provider_sim", "--listen", f"127.0.0.1:{upstream}",
            "--canned", str(ANSWER_BYTES), "--tokens", str(STREAM_CHUNKS), "--gap", gap], upstream)
        targets = [Target("direct", upstream), self.nginx(upstream)]
        if self.args.ajar.exists():
            off, on = "{ store: none }", f"{{ store: sqlite, path: {self.dir}/ajar.db, retention: 1d, commit_interval: 50ms }}"
            targets += [self.ajar("ajar, record off", upstream, off), self.ajar("ajar, all on", upstream, on)]
        else:
            print(f"no `{self.args.ajar}`: measuring without ajar", file=sys.stderr)
        return targets

    def nginx(self, upstream):
        listen = free_port()
        config = self.render("nginx.conf", listen=listen, upstream=upstream)
        master = self.spawn("nginx", self.args.gateway_core, ["nginx", "-c", config, "-p", self.dir, "-e", self.dir / "start.log"], listen)
        return Target("nginx", listen, worker_of(master))

    def ajar(self, name, upstream, record):
        listen, operator = free_port(), free_port()
        policies = self.dir / "policies"
        policies.mkdir(exist_ok=True)
        shutil.copy(HERE / "policy.yaml", policies)
        config = self.render("ajar.yaml", listen=listen, operator=operator, upstream=upstream, record=record)
        command = [self.args.ajar, *self.args.ajar_args.split(), config]
        process = self.spawn(name, self.args.gateway_core, command, listen)
        return Target(name, listen, process.pid)

    def render(self, template, **values):
        path = self.dir / f"{len(self.processes)}-{template}"
        path.write_text(string.Template((HERE / template).read_text()).safe_substitute(dir=self.dir, **values))
        return path

    def spawn(self, name, core, command, port):
        log = open(self.dir / f"{len(self.processes)}.log", "w")
        environment = {**os.environ, "AJAR_BENCH_PROVIDER_KEY": "bench-provider-key"}
        process = subprocess.Popen(pinned(core, command), stdout=log, stderr=log, env=environment)
        self.processes.append(process)
        if not wait_for(port, process):
            sys.exit(f"{name} did not start:\n{pathlib.Path(log.name).read_text()[-2000:]}")
        return process

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(timeout=30)
        shutil.rmtree(self.dir, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    """Whether `port` accepts connections within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.01)
    return False


def worker_of(master):
    """The process that does nginx's work; the master opens the port shortly before it forks."""
    children = pathlib.Path(f"/proc/{master.pid}/task/{master.pid}/children")
    for _ in range(1000):
        if workers := children.read_text().split():
            return int(workers[0])
        time.sleep(0.01)
    sys.exit("nginx started no worker")


def pinned(core, command):
    return ["taskset", "-c", str(core), *map(str, command)]


def sample_whole(args, target, concurrency):
    command = ["wrk", "-t1", f"-c{concurrency}", f"-d{args.seconds}s", "-s", HERE / "post.lua",
               f"http://127.0.0.1:{target.port}/v1/chat/completions"]
    before = target.cpu_ns()
    output = subprocess.run(pinned(args.load_core, command), capture_output=True, text=True, check=True).stdout
    cpu = target.cpu_ns() - before
    result = json.loads(output.split("RESULT ")[1])
    if result["errors"] or not result["requests"]:
        sys.exit(f"{target.name}: {result['errors']} of {result['requests']} requests failed")
    return {"rps": result["requests"] / result["seconds"], "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"],
            "cpu_ms": cpu / 1e6 / result["requests"] if target.pid else None, "rss_mb": target.rss_mb()}


def sample_stream(args, target, concurrency):
    command = [args.examples / "loadgen", "--target", f"127.0.0.1:{target.port}",
               "-c", str(concurrency), "-d", f"{args.seconds}s"]
    command += ["--key", os.environ["BENCH_KEY"]] if "BENCH_KEY" in os.environ else []
    before = target.cpu_ns()
    run = subprocess.run(pinned(args.load_core, command), capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{target.name}: {run.stderr}")
    result = json.loads(run.stdout)
    result["cpu_ms"] = (target.cpu_ns() - before) / 1e6 / result["streams"] if target.pid else None
    return result


def measure(args, targets, sample, concurrency):
    """Medians by target name, of rounds in which every target had its turn."""
    samples = {target.name: [] for target in targets}
    for target in targets:
        sample(args, target, concurrency)  # warm up: connections, caches, the allocator
    for _ in range(args.rounds):
        for target in targets:
            samples[target.name].append(sample(args, target, concurrency))
    return {name: medians(rows) for name, rows in samples.items()}


def medians(rows):
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {key: None if None in values else median(values) for key, values in columns.items()}


def print_table(title, columns, results):
    rate = next(iter(columns))
    print(f"\n### {title}\n")
    print("| | " + " | ".join([*columns.values(), "rate × nginx", "CPU × nginx"]) + " |")
    print("|---" * (len(columns) + 3) + "|")
    nginx = results["nginx"]
    for name, row in results.items():
        cells = [number(row[key]) for key in columns]
        cells += [number(ratio(row[key], nginx[key])) for key in (rate, "cpu_ms")]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def ratio(value, base):
    return None if value is None or not base else value / base


def number(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=pathlib.Path, required=True, help="folder of `provider_sim` and `loadgen`")
    parser.add_argument("--ajar", type=pathlib.Path, required=True, help="the gateway's binary; left out if absent")
    parser.add_argument("--ajar-args", default="serve --config", help="its arguments before the path of the config")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--gateway-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=min(1, os.cpu_count() - 1))
    return parser.parse_args()


def main():
    args = parse()
    print(f"{os.cpu_count()} cores, {args.rounds} rounds of {args.seconds} s, load average {os.getloadavg()[0]:.1f}. "
          "Where direct is no faster than a gateway, the core of load generator and provider is the limit: compare CPU.")
    with Fleet(args) as targets:
        for concurrency in (1, 16, 64):
            results = measure(args, targets, sample_whole, concurrency)
            print_table(f"Whole answers, 370 B in, 1 KB out, c={concurrency}", WHOLE, results)
        for concurrency in (1, 64):
            results = measure(args, targets, sample_stream, concurrency)
            print_table(f"Streams of {STREAM_CHUNKS} chunks, no pause, c={concurrency}", STREAM, results)
    with Fleet(args, gap="5ms") as targets:
        results = measure(args, targets, sample_stream, 16)
        print_table(f"Streams of {STREAM_CHUNKS} chunks 5 ms apart, c=16", STREAM, results)


if __name__ == "__main__":
    main()
