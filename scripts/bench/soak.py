"""The embedded engine under a load that does not end: how much memory it takes, and whether it gives all sequences back.

Conversations of random length, at random moments cancelled, some of which begin alike; once a minute the
resident memory is printed, at the end the least and the most of the second half.
"""

import argparse
import http.client
import json
import pathlib
import random
import shutil
import tempfile
import threading
import time
import urllib.request

from local import CONFIG, POLICY, Server, free_port

WORDS = "river valley crow fox cheese stone winter bridge lantern harbour letter garden".split()


def prompt(dice):
    """Some begin alike, so that prefixes are shared, parked and pushed out."""
    begin = f"You are helper number {dice.randrange(8)}. " + "Be brief and friendly. " * dice.randrange(1, 12)
    return begin + " ".join(dice.choices(WORDS, k=dice.randrange(4, 120)))


def converse(port, until, seed, counts):
    dice = random.Random(seed)
    while time.time() < until:
        body = {"model": "bench", "messages": [{"role": "user", "content": prompt(dice)}],
                "max_tokens": dice.randrange(1, 80), "stream": True, "temperature": dice.choice([0, 1])}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        lines, leaves = 0, dice.randrange(1, 40) if dice.random() < 0.3 else None
        while response.readline():
            lines += 1
            if leaves is not None and lines > leaves:
                break
        ended = "cancelled" if leaves is not None and lines > leaves else str(response.status)
        counts[ended] = counts.get(ended, 0) + 1
        connection.close()


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ajar", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--clients", type=int, default=6)
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ajar-soak-"))
    port, operator = free_port(), free_port()
    (folder / "policies").mkdir()
    (folder / "policies" / "policy.yaml").write_text(POLICY)
    (folder / "ajar.yaml").write_text(CONFIG.format(port=port, operator=operator, dir=folder, model=args.model.resolve(),
                                                    context=1024, sequences=4, threads=1))
    ready = f"http://127.0.0.1:{operator}/readyz"
    server = Server("ajar", [args.ajar.resolve(), "serve", "--config", folder / "ajar.yaml"], port, ready, folder)
    try:
        began, counts, sizes = time.time(), {}, []
        until = began + 60 * args.minutes
        clients = [threading.Thread(target=converse, args=(port, until, n, counts)) for n in range(args.clients)]
        for client in clients:
            client.start()
        while time.time() < until:
            time.sleep(min(60, max(0.0, until - time.time())))
            sizes.append(resident_mib(server.process.pid))
            print(f"{(time.time() - began) / 60:.0f} min: {sizes[-1]:.0f} MiB resident, requests {counts}", flush=True)
        for client in clients:
            client.join()
        time.sleep(1)
        engine = json.load(urllib.request.urlopen(ready))["engines"][0]
        half = sizes[len(sizes) // 2:]
        print(f"second half: {min(half):.0f} to {max(half):.0f} MiB; at the end {engine['free_slots']} of 4 sequences free, "
              f"{engine['queue']} waiting; requests {counts}")
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
