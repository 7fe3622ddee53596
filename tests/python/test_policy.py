"""What a job does about its policy: advisory, enforced, and going back to a checkpoint."""

import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import dimwatch
import dimwatch.torch
from conftest import ROOT

sys.path.insert(0, str(ROOT / "client" / "python" / "examples"))

import digits_overfitting as digits  # noqa: E402  (found through sys.path)

EAGER = {"warmup": 1, "patience": 1}
LIVELY = np.random.default_rng(3).normal(size=(200, 8)).astype(np.float32)
DEAD = np.repeat(LIVELY[:2], 100, axis=0)


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(server, mode, **arguments):
    return dimwatch.init("tests", server=server.grpc, signals=EAGER, policy={"mode": mode},
                         **arguments)


def collapse(run, steps=range(10)):
    """The steps that a loop makes of `steps`; the model dies at step 5."""
    probe, made = run.probe("train/last", neighbors=16), []
    for step in run.steps(steps):
        probe.log(LIVELY if step < 5 else DEAD, step=step)
        wait_until(lambda: getattr(run.estimates.get("train/last"), "step", -1) == step)
        made.append(step)
    return made


def test_an_advisory_stop_leaves_the_loop_alone(server, caplog):
    with start(server, "advisory") as run:
        assert collapse(run) == list(range(10))
        wait_until(run.should_stop)
        run.log({"epoch/loss": 1.0}, step=1)
        assert run.should_stop(), "a number that counts epochs is no way back"
    assert run.decision.mode == "advisory" and not caplog.records


def test_an_enforced_stop_ends_the_loop_and_says_why(server, caplog):
    with start(server, "enforced") as run:
        made = collapse(run, range(1000))
        assert 5 < len(made) < 1000
        assert run.should_stop() and run.decision.mode == "enforced"
        assert run.decision.best_step == 4 and run.decision.step <= made[-1]
    [warning] = caplog.messages
    assert "as its policy enforces: collapsed" in warning and "(best step 4)" in warning


def test_a_job_that_ignores_an_enforced_stop_trains_on(server):
    with start(server, "enforced") as run:
        collapse(run, range(1000))
        stopped = run.decision
        probe = run.probe("train/last", neighbors=16)
        for step in range(1000, 1010):
            probe.log(LIVELY, step=step)
    assert run.estimates["train/last"].step == 1009 and run.stats["nacked_items"] == 0
    assert run.decision == stopped, "it stands, though the signal has resolved"
    assert run.signals["train/last", "collapsed"].state == "RESOLVED"


def test_a_job_that_went_back_to_a_checkpoint_is_not_stopped_by_its_old_course(server):
    first = start(server, "enforced")
    collapse(first, range(1000))
    assert first.flush()
    again = start(server, "enforced", run_id=first.id)
    wait_until(lambda: again.decision.verdict == "STOP")
    assert not again.should_stop()
    probe = again.probe("train/last", neighbors=16)
    for step in again.steps(range(3, 5)):
        probe.log(LIVELY, step=step)
        assert not again.should_stop()
    wait_until(lambda: again.decision.verdict == "CONTINUE")
    again.finish()


def test_a_job_that_goes_back_by_itself_is_not_stopped_by_what_it_gave_up(server):
    with start(server, "enforced") as run:
        collapse(run, range(1000))
        probe = run.probe("train/last", neighbors=16)
        for step in run.steps(range(3, 5)):
            probe.log(LIVELY, step=step)
            assert not run.should_stop()
        assert step == 4


def test_the_checkpoint_of_best_step_has_the_metric_that_was_recorded(server, tmp_path):
    torch.manual_seed(digits.SEED)
    torch.set_num_threads(1)
    splits = digits.make_data(digits.WRONG_LABELS)
    hidden, classifier = digits.make_model(dropout=0.0)
    model = nn.Sequential(hidden, classifier)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    images, labels = splits["train"]

    @torch.no_grad()
    def accuracy():
        held_out, truth = splits["validation"]
        return (model(held_out).argmax(-1) == truth).float().mean().item()

    run = dimwatch.init("tests", server=server.grpc, policy={"mode": "enforced"})
    watches = [dimwatch.torch.watch(run, hidden, {"last": hidden}, [inputs], every=76, split=split,
                                    neighbors=64)
               for split, (inputs, _) in splits.items()]
    for step in run.steps(range(2001)):
        if step % 76 == 0:
            run.log({"validation/accuracy": accuracy()}, step=step)
            torch.save(model.state_dict(), tmp_path / f"{step}.pt")
        for watch in watches:
            watch.step(step)
        wait_until(lambda: len(run.estimates) == 2
                   and all(e.step == step - step % 76 for e in run.estimates.values()))
        rows = torch.randint(len(images), (digits.BATCH,))
        optimizer.zero_grad()
        functional.cross_entropy(model(images[rows]), labels[rows]).backward()
        optimizer.step()
    at_the_end, decision = accuracy(), run.finish()

    assert step < 2000 and (decision.verdict, decision.mode) == ("STOP", "enforced")
    recorded = dict(dimwatch.query.history(server.grpc, run.id).scalars["validation/accuracy"])
    model.load_state_dict(torch.load(tmp_path / f"{decision.best_step}.pt"))
    assert accuracy() == recorded[decision.best_step] == max(recorded.values()) > at_the_end
