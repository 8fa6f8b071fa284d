"""One ajar in the gateway's namespace, with its files in a folder of its own."""

import hashlib
import hmac
import os
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import urllib.request
from contextlib import closing
from pathlib import Path

from netns import GATEWAY
from provider import HOME_PORT

_ROOT = Path(__file__).resolve().parents[2]
_OPERATOR = "127.0.0.1:8081"
_PATIENCE = 60
_LOCAL = "{ via: home, model: open-1b, boundary: host, tier: local, price: { input: 0, output: 0 } }"
# Where the closed model is; asking for the name is part of what is recorded.
CLOSED = "api.provider.example"


class NotStarted(Exception):
    """ajar did not come up, and what it said."""


# === policies

def shipped(name, embedded=False):
    """A policy set as it is shipped, its tests left out; the local model is the one at home unless it is `embedded`."""
    text = (_ROOT / "policies" / name / "policy.yaml").read_text()
    text = without(text, "tests")
    if embedded:
        return text
    return serving(re.sub(r"\{ via: embedded[^}]*\}", _LOCAL, text))


def own(name):
    """A policy of the rig."""
    return serving((Path(__file__).parent / "policies" / f"{name}.yaml").read_text())


def serving(policy):
    """The policy with every model serving whatever can be asked for."""
    return re.sub(r"(model: [^,}]+), boundary", r"\1, serves: [chat, completions, embeddings, moderations], boundary", policy)


def without(policy, *sections):
    """The policy without some of its sections."""
    pieces = re.split(r"(?m)^(?=[a-z_]+:)", policy)
    return "".join(piece for piece in pieces if piece.split(":", 1)[0] not in sections)


def with_names(policy, names):
    """The policy with a dictionary whose names are restricted."""
    listed = ", ".join(f'"{name}"' for name in names)
    detector = f"detectors:\n  names: {{ kind: dictionary, words: [{listed}] }}\n"
    rule = "classify:\n  - { id: named, raise: restricted, when: finding.names }\n"
    return policy.replace(_line(policy, "detectors:"), detector, 1).replace(_line(policy, "classify:"), rule, 1)


def _line(policy, beginning):
    return re.search(rf"(?m)^{beginning}.*\n", policy).group()


def permissive(policy):
    """The policy with every door open: what it keeps at home must leave under this one, or the rig is blind."""
    policy = without(policy, "guards", "invariants", "budgets", "sealed")
    return re.sub(r"accepts: \w+", "accepts: restricted", policy)


# === the process

class Gateway:
    """A running ajar; leaving the `with` stops it and removes its files."""

    def __init__(self, lab, ajar, policy, keys, **options):
        self._lab, self._ajar, self._options = lab, Path(ajar).resolve(), options
        self._process = None
        self._attributes = keys
        self._policy = policy
        self.folder = Path(tempfile.mkdtemp(prefix="ajar-leak-"))
        self.keys = {name: f"ajar-{secrets.token_hex(20)}" for name in keys}

    def __enter__(self):
        try:
            self._write()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        """Kills it, if it runs, and removes its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        """Starts it, and waits until it serves."""
        environment = {**os.environ, "OPENAI_API_KEY": "sk-of-the-rig", "NO_COLOR": "1",
                       "RUST_LOG": self._options.get("log", "info")}
        command = [str(self._ajar), "serve", "--config", str(self.folder / "ajar.yaml")]
        if "small" in self._options:
            # A file system of its own, so that its disk can be full.
            mount = f"mount -t tmpfs -o size=1m none {self._small} && exec \"$@\""
            command = ["sh", "-c", mount, "sh", *command]
        with open(self.folder / "log", "ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                self._lab.gateway.command(*command), stdout=log, stderr=log, env=environment, cwd=_ROOT)
        self._wait(before)

    def _wait(self, before):
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if b"Serving." in self.log()[before:]:
                return
            time.sleep(0.01)
        raise NotStarted(self.log().decode(errors="replace").strip())

    @property
    def root(self):
        """The file system as it sees it."""
        return Path(f"/proc/{self._process.pid}/root")

    def replace_policy(self, text):
        """Puts another policy in the place of its own, as editors do."""
        new = self.folder / "policy.new"
        new.write_text(text)
        new.replace(self.folder / "policies" / "policy.yaml")

    def reload(self):
        """Asks for a reload."""
        self._process.send_signal(signal.SIGHUP)

    def terminate(self):
        """Asks it to stop, and waits until it has."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_PATIENCE)

    def kill(self):
        """Kills it."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait(_PATIENCE)

    # === what it wrote

    def log(self):
        """All that it logged."""
        return (self.folder / "log").read_bytes()

    def metrics(self):
        """Its metrics, as text; to be asked while it runs."""
        with self._lab.gateway.inside():
            with urllib.request.urlopen(f"http://{_OPERATOR}/metrics", timeout=_PATIENCE) as answer:
                return answer.read()

    def copy_of_ledger(self):
        """A copy of its egress ledger, taken while it runs where its file system is its own; else the file itself."""
        if self._ledger.parent == self.folder:
            return self._ledger
        for path in (self.root / self._small.relative_to("/")).glob("ledger.db*"):
            shutil.copy(path, self.folder / path.name)
        return self.folder / "ledger.db"

    def audit_verifies(self, ledger):
        """Whether the egress ledger verifies, and what is said of it."""
        command = [str(self._ajar), "audit", "verify", "--config", str(self.folder / "ajar.yaml"), "--ledger", str(ledger)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT)
        return done.returncode == 0, (done.stdout + done.stderr).strip()

    @staticmethod
    def hashes_sent(ledger):
        """The hashes of all bodies that the ledger says were sent outside, in hexadecimal, one for each entry."""
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT body FROM entry WHERE kind = 'sent' AND boundary = 'external'").fetchall()
        return [body.hex() for body, in rows]

    def at_rest(self):
        """Every file that it wrote, by name, but for the rig's own."""
        own_files = {"ajar.yaml", "pepper", "policy.yaml", "policy.new"}
        paths = [path for path in self.folder.rglob("*") if path.is_file() and path.name not in own_files]
        return {path.name: path.read_bytes() for path in paths}

    # === its configuration

    @property
    def _small(self):
        """Where the file system is that is its own."""
        return self.folder / "small"

    @property
    def _engine(self):
        """An engine whose model is none, for policies that have one."""
        if "via: embedded" not in self._policy:
            return "{}"
        model = self.folder / "broken.gguf"
        model.write_bytes(b"GGUF, and nothing more")
        return f"{{ broken: {{ model: {model} }} }}"

    @property
    def _ledger(self):
        return (self._small if self._options.get("small") == "ledger" else self.folder) / "ledger.db"

    def _write(self):
        pepper = secrets.token_hex(32)
        (self.folder / "policies").mkdir()
        self._small.mkdir()
        (self.folder / "policies" / "policy.yaml").write_text(self._policy)
        (self.folder / "pepper").write_text(pepper)
        (self.folder / "ajar.yaml").write_text(self._config(pepper))

    def _config(self, pepper):
        options, folder = self._options, self.folder
        entries = []
        for name, attributes in self._attributes.items():
            digest = hmac.new(pepper.encode(), self.keys[name].encode(), hashlib.sha256).hexdigest()
            entries.append(f'  - {{ name: {name}, hash: "hmac-sha256:{digest}", attributes: {attributes} }}\n')
        record = (self._small if options.get("small") == "record" else folder) / "ajar.db"
        home = options.get("home", f"http://127.0.0.1:{HOME_PORT}/v1")
        return f"""
server:
  listen: {GATEWAY}:8080
  operator: {_OPERATOR}
  limits: {{ drain: 2s, deadline: 30s }}
policies: {folder}/policies
pepper: {folder}/pepper
models: {{ unknown_model: auto }}
local: {self._engine}
providers:
  openai:
    dialect: openai
    base_url: http://{CLOSED}/v1
    credential: {{ env: OPENAI_API_KEY }}
    grammars: true
    timeouts: {{ connect: 1s, first_byte: {options.get("patience", "20s")}, idle: 1s }}
  home:
    dialect: openai
    base_url: {home}
    grammars: true
    timeouts: {{ connect: 1s, first_byte: {options.get("patience", "20s")}, idle: 1s }}
{options.get("home_fields", "")}
keys:
{"".join(entries)}
anonymous: {{ allow: none }}
headers: {{ client.label: x-ajar-label }}
record: {{ store: sqlite, path: {record}, commit_interval: 10ms }}
ledger: {{ audit: {options.get("audit", "best_effort")}, path: {self._ledger}, key: {folder}/ledger.key }}
cache: {{ memory: 16 MiB, ttl: 1h }}
"""
