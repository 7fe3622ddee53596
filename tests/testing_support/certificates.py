"""Certificates for tests, made by the command openssl: an authority, and what it signs."""

import subprocess


class Authority:
    """Signs certificates for this machine. `roots` is the PEM file of its own."""

    def __init__(self, folder, name="authority"):
        self._folder, self._name = folder, name
        self.roots, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self.roots, "-days", "2",
                 "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")

    def sign(self, name, days=1):
        """PEM files of a certificate and its key."""
        key, request, certificate, extensions = (
            self._folder / f"{name}.{kind}" for kind in ("key", "csr", "pem", "ext"))
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl("req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.roots, "-CAkey", self._key,
                 "-CAcreateserial", "-out", certificate, "-days", str(days), "-extfile", extensions)
        return certificate, key


_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)
