"""What the server's file says about a project holds for its runs."""

import signal

import grpc
import pytest
from client import Client
from dimwatch.v1 import config_pb2, run_pb2
from testing_support.processes import Server, wait_until

FILE = """
[projects.tests.policy]
mode = "shadow"
stop_on = ["overfitting", "collapsed"]
min_probes = 2
[projects.tests.signals]
patience = 7
"""


def test_a_run_takes_what_it_does_not_say_itself_from_its_project(tmp_path):
    file = tmp_path / "server.toml"
    file.write_text(FILE)
    with Server(tmp_path, "--config", file) as server, Client(server.grpc) as client:
        plain = client.create("plain").run.config
        assert plain.policy.mode == config_pb2.POLICY_MODE_SHADOW
        assert (plain.policy.min_probes, plain.policy.stop_on) == (2, ["overfitting", "collapsed"])
        assert (plain.signals.patience, plain.signals.warmup) == (7, 5)
        own = client.create(
            "own",
            signals=config_pb2.SignalConfig(patience=4),
            policy=config_pb2.PolicyConfig(stop_on=["exhausted"]),
        ).run.config
        assert own.signals.patience == 4
        assert (own.policy.min_probes, own.policy.stop_on) == (2, ["exhausted"])


def test_the_file_is_read_again_on_sighup_for_what_comes_then(tmp_path):
    file = tmp_path / "server.toml"
    file.write_text(FILE)
    with Server(tmp_path, "--config", file) as server, Client(server.grpc) as client:
        client.create("before")
        file.write_text(FILE.replace("7", "9"))
        server.process.send_signal(signal.SIGHUP)
        wait_until("it was read", lambda: "configuration read again" in server.output())
        assert client.create("after").run.config.signals.patience == 9
        assert client.create("before").run.config.signals.patience == 7, "a live run keeps its own"
        changed = client.runs.UpdateRun(
            run_pb2.UpdateRunRequest(
                run=run_pb2.Run(run_id="before"), update_mask={"paths": ["config.signals"]}
            )
        )
        assert changed.run.config.signals.patience == 9, "until they are changed"


def test_single_fields_change_alone_and_go_back_to_the_projects_default(tmp_path):
    file = tmp_path / "server.toml"
    file.write_text(FILE)
    with Server(tmp_path, "--config", file) as server, Client(server.grpc) as client:
        client.create(signals=config_pb2.SignalConfig(patience=4, warmup=6))

        def update(*paths, **config):
            run = run_pb2.Run(run_id="r", config=config_pb2.RunConfig(**config))
            request = run_pb2.UpdateRunRequest(run=run, update_mask={"paths": paths})
            return client.runs.UpdateRun(request).run.config

        changed = update("config.policy.mode", "config.signals.patience",
                         policy=config_pb2.PolicyConfig(mode="POLICY_MODE_ENFORCED", min_probes=9))
        assert changed.policy.mode == config_pb2.POLICY_MODE_ENFORCED
        assert (changed.policy.min_probes, changed.policy.stop_on) == (2, ["overfitting", "collapsed"])
        assert (changed.signals.patience, changed.signals.warmup) == (7, 6)
        with pytest.raises(grpc.RpcError, match="config.policy.moody.* cannot be set; display_name"):
            update("config.policy.moody")
        with pytest.raises(grpc.RpcError, match="cannot be set"):
            update("config.probes")
