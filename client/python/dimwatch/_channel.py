"""Connections to a server."""

import grpc


def open_channel(server):
    """A channel to "host:port"; never through a proxy to this machine."""
    options = [
        # Our own backoff decides when to connect, not one shared within the process.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", 64 << 20),
    ]
    if server.startswith(("127.", "localhost", "[::1]")):
        options.append(("grpc.enable_http_proxy", 0))
    return grpc.insecure_channel(server, options=options)
