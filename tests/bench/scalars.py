#!/usr/bin/python3
"""What a job costs that reports one number at a time, gRPC included: the server's processor time for
a message that is logged, applied, committed and acknowledged (`kept`), and for one that it knows
already, which is received and parsed, and no more (`received`). In turns.

    DIMWATCH_BUILD=build tests/bench/scalars.py [--messages 4000] [--rounds 5]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]

from testing_support.processes import BUILD, Server  # noqa: E402

sys.path.insert(0, str(BUILD / "python"))

from client import Client  # noqa: E402


def cpu_seconds(pid):
    """Processor time of all threads that a process has."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    spent = {"kept": 0.0, "received": 0.0}
    with tempfile.TemporaryDirectory() as folder, Server(folder) as server, Client(server.grpc) as client:
        client.create()
        stream = client.open()
        stream.welcome()
        last = 0

        def send(first, end):
            before = cpu_seconds(server.process.pid)
            for seq in range(first, end):
                stream.scalars(seq, seq, loss=1.0 / seq)
            return before

        for _ in range(options.rounds):
            first, end = last + 1, last + 1 + options.messages
            before = send(first, end)
            stream.durable(end - 1)
            spent["kept"] += cpu_seconds(server.process.pid) - before
            before = send(first, end)
            stream.scalars(end, end, loss=0.0)  # behind them, so that they are all answered
            stream.durable(end)
            spent["received"] += cpu_seconds(server.process.pid) - before
            last = end
        stream.cancel()
    count = options.messages * options.rounds
    result = {f"{kind}_microseconds": round(seconds / count * 1e6, 1) for kind, seconds in spent.items()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
