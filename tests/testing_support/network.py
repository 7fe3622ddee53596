"""A network that can be cut: a server and a job in network namespaces of their own, with one wire
between them. Needs root and Debian's iproute2."""

import functools
import os
import shutil
import subprocess

from testing_support.hostile import Trouble
from testing_support.processes import Server

_SERVER, _JOB = "10.99.0.1", "10.99.0.2"


@functools.cache
def why_not():
    """Why there can be no such network here; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "needs ip, of Debian's iproute2"
    tried = subprocess.run(["unshare", "--net", "ip", "link", "add", "type", "veth"],
                           capture_output=True, text=True)
    return f"no network namespaces: {tried.stderr.strip()}" if tried.returncode else None


class Cut(Trouble):
    """A real server at the end of a wire that is cut, so that packets vanish without a word, and
    then mended."""

    def __init__(self, folder):
        super().__init__(folder)
        self._names = [f"dimwatch-{os.getpid()}-{end}-{id(self):x}" for end in ("server", "job")]
        server, job = self._names
        self.prefix = ("ip", "netns", "exec", job)
        self._server = None
        try:
            for name in self._names:
                _ip("netns", "add", name)
                _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", server, "link", "add", "wire", "type", "veth", "peer", "wire", "netns", job)
            for name, address in ((server, _SERVER), (job, _JOB)):
                _ip("-n", name, "address", "add", f"{address}/24", "dev", "wire")
                _ip("-n", name, "link", "set", "wire", "up")
            self._server = Server(folder, "--insecure-allow-remote", host=_SERVER,
                                  prefix=("ip", "netns", "exec", server))
        except BaseException:
            self.close()
            raise
        self.address = self._server.grpc

    def worsen(self):
        _ip("-n", self._names[0], "link", "set", "wire", "down")

    def mend(self):
        _ip("-n", self._names[0], "link", "set", "wire", "up")

    def resent(self):
        """How many packets the job's kernel had to send again."""
        with subprocess.Popen([*self.prefix, "cat", "/proc/net/snmp"], text=True,
                              stdout=subprocess.PIPE) as reading:
            names, counts = (line.split() for line in reading.stdout if line.startswith("Tcp:"))
        return int(counts[names.index("RetransSegs")])

    def close(self):
        if self._server is not None:
            self._server.process.kill()
            self._server.stop()
        for name in self._names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


class CutForGood(Cut):
    """The same, never mended."""

    def mend(self):
        pass


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
