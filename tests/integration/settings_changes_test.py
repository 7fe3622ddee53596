"""Changes of how a live run is judged are kept, with who, when and from where."""

import json
import signal
import subprocess
import urllib.request

from client import Client
from dimwatch.v1 import config_pb2, query_pb2, run_pb2
from testing_support.processes import BUILD, Server


def update(client, path, **config):
    run = run_pb2.Run(run_id="r", config=config_pb2.RunConfig(**config))
    client.runs.UpdateRun(run_pb2.UpdateRunRequest(run=run, update_mask={"paths": [path]}))


def changes(client, **request):
    return client.queries.ListSettingsChanges(
        query_pb2.ListSettingsChangesRequest(run_id="r", **request)
    )


def test_changes_of_a_live_run_are_listed_after_a_crash_too(tmp_path):
    with Server(tmp_path) as server, Client(server.grpc) as client:
        client.create()
        update(client, "config.signals", signals=config_pb2.SignalConfig(patience=5))
        update(client, "config.policy", policy=config_pb2.PolicyConfig(mode="POLICY_MODE_ENFORCED"))
        update(client, "config.policy", policy=config_pb2.PolicyConfig(mode="POLICY_MODE_ENFORCED"))
        before = changes(client).changes
        assert len(before) == 2, "the last one changed nothing"
        patience, mode = before
        assert (patience.old_signals.patience, patience.new_signals.patience) == (3, 5)
        assert patience.old_policy == patience.new_policy == mode.old_policy
        assert mode.new_policy.mode == config_pb2.POLICY_MODE_ENFORCED
        assert patience.author.startswith("ipv4:127.0.0.1:") and not patience.HasField("step")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with Server(tmp_path) as server, Client(server.grpc) as client:
        assert changes(client).changes == before
        first = changes(client, page_size=1)
        second = changes(client, page_size=1, page_token=first.next_page_token)
        assert [*first.changes, *second.changes] == list(before) and not second.next_page_token
        url = f"http://{server.http}/api/v1/runs/r/settings-changes"
        with urllib.request.urlopen(url) as response:
            assert json.load(response)["changes"][0]["new_signals"]["patience"] == 5
        shown = subprocess.run(
            [BUILD / "bin/dimwatch", "show", "r", "--server", server.grpc],
            check=True, capture_output=True, text=True,
        ).stdout
        assert "changed   signals.patience 3 -> 5, 20" in shown and "by ipv4:127.0.0.1:" in shown
        assert "changed   policy.mode advisory -> enforced, 20" in shown
