"""Connections to a server."""

import ctypes
import os
import re

# gRPC writes lines to stderr at every connection to a server that talks nonsense; we warn once.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# With it gRPC 1.51 waits at every fork until its threads rest, which may be never: a training
# process hung for good when it started the workers of a DataLoader.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc  # noqa: E402  (reads its environment once)

_HTTPS = "https://"

_idle = []  # from the first channel on: one that never connects


def leave_alone(run):
    """In a forked child: what is gRPC's, and the run's, is never taken down, not even at its exit.
    It would look for threads that are not there, and abort."""
    for held in (*_idle, run):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))


class Credentials:
    """What a client shows to a server, and how it knows the server. What is None comes from the
    environment: DIMWATCH_TOKEN, DIMWATCH_TLS_ROOTS, DIMWATCH_TLS_CLIENT_CERTIFICATE and
    DIMWATCH_TLS_CLIENT_KEY.

    The last three are PEM files; they are read at every connection, so that they may be renewed.
    Raises ValueError for what cannot be right.
    """

    def __init__(self, token=None, tls_roots=None, tls_client_certificate=None,
                 tls_client_key=None):
        def given(value, name):
            return os.environ.get(f"DIMWATCH_{name}") or None if value is None else value

        self._token = given(token, "TOKEN")
        self._roots = given(tls_roots, "TLS_ROOTS")
        self._certificate = given(tls_client_certificate, "TLS_CLIENT_CERTIFICATE")
        self._key = given(tls_client_key, "TLS_CLIENT_KEY")
        if self._token and not re.fullmatch(r"[!-~]+", self._token):
            raise ValueError("the token has characters in it that no token has")
        if bool(self._certificate) != bool(self._key):
            raise ValueError("a client certificate and its key are given together")

    def open_channel(self, server):
        """A channel to "host:port", encrypted where there are roots or the address begins with
        "https://"; never through a proxy to this machine. OSError for a file that cannot be read."""
        if not _idle:
            _idle.append(grpc.insecure_channel("unix:/dev/null"))
        encrypted = bool(self._roots or self._certificate) or server.startswith(_HTTPS)
        address = server[len(_HTTPS):] if server.startswith(_HTTPS) else server
        options = [
            # Our own backoff decides when to connect, not one shared within the process.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", 64 << 20),
        ]
        if address.startswith(("127.", "localhost", "[::1]")):
            options.append(("grpc.enable_http_proxy", 0))
        if encrypted:
            channel = grpc.secure_channel(address, self._for_tls(), options=options)
        else:
            channel = grpc.insecure_channel(address, options=options)
        return grpc.intercept_channel(channel, _Bearer(self._token)) if self._token else channel

    def _for_tls(self):
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self._roots), private_key=_read(self._key),
            certificate_chain=_read(self._certificate))


class _Bearer(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Shows the token with every call."""

    def __init__(self, token):
        self._header = ("authorization", f"Bearer {token}")

    def _intercept(self, proceed, details, request):
        metadata = [*(details.metadata or ()), self._header]
        return proceed(details._replace(metadata=metadata), request)

    intercept_unary_unary = intercept_stream_stream = _intercept


def _read(path):
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()
