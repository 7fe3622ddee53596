"""dimwatch set: by what a live run is judged, changed and told."""

import pytest
from client import cloud
from testing_support.processes import wait_until


def test_what_is_named_changes_and_the_rest_stays(dimwatch, server, client):
    client.create("set", policy={"min_probes": 2}, signals={"warmup": 7})
    done = dimwatch("set", "set", "signals.patience=5", "policy.mode=enforced",
                    "policy.stop_on=overfitting,collapsed", server=server.grpc)
    assert done.code == 0, done.err
    change, decision = done.out.splitlines()
    assert change.startswith(
        "signals.patience 3 -> 5, policy.mode advisory -> enforced, policy.stop_on "
        "exhausted,overfitting,collapsed -> overfitting,collapsed, 20")
    assert " by ipv4:127.0.0.1:" in change and decision.startswith("CONTINUE")
    text = dimwatch("show", "set", server=server.grpc).out
    assert "signals   warmup=7 patience=5 cooldown=2 min_delta=0.05" in text
    assert ("policy    mode=enforced stop_on=overfitting,collapsed min_probes=2 warmup_step=0"
            in text)
    assert "changed   " + change in text


def test_a_name_without_a_value_goes_back_to_the_default(dimwatch, server, client):
    client.create("back", policy={"stop_on": ["none"]}, signals={"warmup": 7})
    dimwatch("set", "back", "signals.warmup=", "policy.stop_on=", server=server.grpc)
    [run] = dimwatch("show", "back", "--json", server=server.grpc).lines
    assert run["config"]["signals"]["warmup"] == 5
    assert run["config"]["policy"]["stop_on"] == ["exhausted", "overfitting", "collapsed"]
    [entry] = run["settings_changes"]
    assert entry["changed"]["policy.stop_on"]["old"] == ["none"]


def test_a_run_is_judged_again_and_everything_tells_the_change(dimwatch, server, client):
    client.create("judged-again")
    stream = client.open("judged-again")
    for i in range(8):
        stream.samples(i + 1, step=10 * i, rows=cloud(10 * i))
    wait_until("all are estimated", lambda: len(client.estimates("judged-again")) == 8)
    change, decision = dimwatch("set", "judged-again", "signals.collapse_lid=1000", "policy.mode=enforced",
                                "--json", server=server.grpc).lines
    assert (change["type"], change["step"]) == ("settings", 70)
    assert change["changed"] == {"signals.collapse_lid": {"old": 0.5, "new": 1000.0},
                                 "policy.mode": {"old": "advisory", "new": "enforced"}}
    assert (decision["decision"], decision["mode"]) == ("STOP", "enforced")
    [advisory] = dimwatch("set", "judged-again", "signals.collapse_lid=", "--json",
                          server=server.grpc).lines[1:]
    assert advisory["decision"] == "CONTINUE", "by these parameters it was never stopped"
    client.finish("judged-again")
    exported = dimwatch("export", "judged-again", "--format", "jsonl", server=server.grpc).lines
    assert [line for line in exported if line["type"] == "settings"][0] == change
    watched = dimwatch("watch", "judged-again", "--json", server=server.grpc).lines
    kinds = [line["type"] for line in watched]
    assert kinds.index("settings") < kinds.index("decision"), "the change comes before what it did"
    rows = dimwatch("export", "judged-again", "--format", "csv", server=server.grpc).out
    assert "signals.collapse_lid" in rows.splitlines()[-1]


@pytest.mark.parametrize("assignment, complaint", [
    ("signals.patiense=5", "expected is NAME=VALUE, got 'signals.patiense=5'; names are "
                           "signals.warmup, signals.patience"),
    ("policy.mode", "expected is NAME=VALUE, got 'policy.mode'"),
    ("policy.mode=loud", "policy.mode must be one of advisory, shadow, enforced, or nothing for "
                         "its default, got 'loud'"),
    ("signals.patience=many", "signals.patience must be a whole number other than 0, or nothing "
                              "for its default, got 'many'"),
    ("signals.cooldown=0", "got '0'"),
    ("signals.min_delta=0.1x", "signals.min_delta must be a number other than 0"),
    ("signals.collapse_ratio=1.5", "run.config.signals: collapse_ratio: a number above 0 and at "
                                   "most 1 expected, got 1.5"),
    ("policy.stop_on=boredom", "'boredom' is not a signal; exhausted, overfitting"),
])
def test_what_is_wrong_is_said_with_what_is_allowed(dimwatch, server, client, assignment, complaint):
    client.create("wrong")
    refused = dimwatch("set", "wrong", "signals.warmup=9", assignment, server=server.grpc)
    assert refused.code == 1 and complaint in refused.err, refused.err
    [run] = dimwatch("show", "wrong", "--json", server=server.grpc).lines
    assert run["config"]["signals"]["warmup"] == 5 and not run["settings_changes"]


def test_an_ended_run_and_an_unknown_one_are_refused(dimwatch, server, finished):
    ended = dimwatch("set", finished, "signals.patience=5", server=server.grpc)
    assert ended.code == 1 and "has ended as FINISHED; its signals and policy are settled" in ended.err
    unknown = dimwatch("set", "nowhere", "signals.patience=5", server=server.grpc)
    assert unknown.code == 1 and "nowhere" in unknown.err
    assert dimwatch("set", finished, server=server.grpc).code == 2
