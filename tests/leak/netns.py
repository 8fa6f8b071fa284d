"""Three network namespaces in a row: clients, the gateway, and an outside that answers for every address.

    clients 198.18.1.1 --veth-- 198.18.1.2 gateway 198.18.2.2 --veth-- 198.18.2.1 outside

The gateway's default route leads outside, and outside every address is local: whatever the gateway connects to arrives
there instead of being lost.
"""

import ctypes
import os
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

GATEWAY = "198.18.1.2"
OUTSIDE = "198.18.2.1"
# The interface outside, on which everything that leaves the gateway arrives.
OUTSIDE_INTERFACE = "g1"
_PREFIX = "ajar-leak-"
_RESOLVERS = Path("/etc/netns")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Impossible(Exception):
    """Namespaces cannot be made here, and why."""


class Namespace:
    """One network namespace, by name."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"

    def command(self, *words):
        """The words of a command that runs in it."""
        return ["ip", "netns", "exec", self.name, *words]

    def ip(self, *words):
        """Runs `ip` in it."""
        _run("ip", "-netns", self.name, *words)

    def enter(self):
        """Moves the calling thread into it, for good: sockets that it makes belong there."""
        _set_namespace(self.path)

    @contextmanager
    def inside(self):
        """Moves the calling thread into it for a while."""
        own = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
        try:
            self.enter()
            yield
        finally:
            _set_namespace(f"/proc/self/fd/{own}")
            os.close(own)


class Lab:
    """The three namespaces; leaving the `with` removes them."""

    def __init__(self):
        names = [f"{_PREFIX}{os.getpid()}-{side}" for side in ("clients", "gateway", "outside")]
        self.clients, self.gateway, self.outside = map(Namespace, names)

    def __enter__(self):
        _check()
        _remove_stale()
        try:
            self._make()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        """Removes them and their resolver's file; what is not there is no mistake."""
        for namespace in (self.clients, self.gateway, self.outside):
            _remove(namespace.name)

    def _make(self):
        for namespace in (self.clients, self.gateway, self.outside):
            _run("ip", "netns", "add", namespace.name)
            namespace.ip("link", "set", "lo", "up")
        self._join(self.clients, "c0", "198.18.1.1", self.gateway, "c1", GATEWAY, "fd00:1::")
        self._join(self.gateway, "g0", "198.18.2.2", self.outside, OUTSIDE_INTERFACE, OUTSIDE, "fd00:2::")
        self.open_route()
        self.outside.ip("route", "add", "local", "0.0.0.0/0", "dev", "lo")
        self.outside.ip("-6", "route", "add", "local", "::/0", "dev", "lo")
        resolver = _RESOLVERS / self.gateway.name
        resolver.mkdir(parents=True)
        (resolver / "resolv.conf").write_text(f"nameserver {OUTSIDE}\noptions timeout:1 attempts:1\n")

    def open_route(self):
        """Leads everything outside."""
        self.gateway.ip("route", "replace", "default", "via", OUTSIDE)
        self.gateway.ip("-6", "route", "replace", "default", "via", "fd00:2::2")

    def close_route(self):
        """Leads nothing outside but what is addressed to the neighbour itself."""
        self.gateway.ip("route", "del", "default")
        self.gateway.ip("-6", "route", "del", "default")

    @staticmethod
    def _join(left, left_link, left_address, right, right_link, right_address, six):
        _run("ip", "link", "add", left_link, "netns", left.name, "type", "veth",
             "peer", "name", right_link, "netns", right.name)
        ends = ((left, left_link, left_address, 1), (right, right_link, right_address, 2))
        for namespace, link, address, last in ends:
            namespace.ip("address", "add", f"{address}/30", "dev", link)
            namespace.ip("-6", "address", "add", f"{six}{last}/64", "dev", link, "nodad")
            namespace.ip("link", "set", link, "up")


def _set_namespace(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        if _libc.setns(fd, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns", path)
    finally:
        os.close(fd)


def _check():
    if shutil.which("ip") is None:
        raise Impossible("there is no `ip`: scripts/install-deps.sh --leak installs it")
    if os.geteuid() != 0:
        raise Impossible("making network namespaces needs root")
    probe = f"{_PREFIX}{os.getpid()}-probe"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    _remove(probe)
    if done.returncode != 0:
        raise Impossible(f"network namespaces are not allowed here: {done.stderr.strip()}")


def _remove_stale():
    """Removes what a run that was killed left behind."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    for name in re.findall(rf"^{_PREFIX}\d+-\w+", listed, re.MULTILINE):
        if not Path(f"/proc/{name.split('-')[2]}").exists():
            _remove(name)


def _remove(name):
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    shutil.rmtree(_RESOLVERS / name, ignore_errors=True)


def _run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise Impossible(f"`{' '.join(words)}` failed: {done.stderr.strip()}")
