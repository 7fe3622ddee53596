"""The subcommands that ask a server."""

import csv
import io
import json
import re
import shutil
import subprocess
import time
import urllib.request

import pytest
from client import cloud
from conftest import COMMAND
from testing_support.processes import Program, free_port, wait_until


def test_runs_lists_what_there_is_and_filters(dimwatch, server, client, finished):
    client.create("running")
    everything = dimwatch("runs", "--json", server=server.grpc).lines
    assert {"running", finished} <= {run["run"] for run in everything}
    for words, listed in [
        (["--state", "FINISHED"], True),
        (["--project", "none"], False),
        (["--label", "team=x"], False),
    ]:
        runs = dimwatch("runs", *words, "--json", "--server", server.grpc).lines
        names = {run["run"] for run in runs}
        assert (finished in names) == listed and "running" not in names
    table = dimwatch("runs", server=server.grpc).out
    assert table.splitlines()[0].split()[:4] == ["RUN", "NAME", "PROJECT", "STATE"]
    assert finished in table and "\x1b" not in table
    assert dimwatch("runs", "--state", "DONE", server=server.grpc).code == 1
    assert len(dimwatch("runs", "--limit", 1, "--json", server=server.grpc).lines) == 1


def test_show_states_mean_error_points_and_settings(dimwatch, server, finished):
    [run] = dimwatch("show", finished, "--json", server=server.grpc).lines
    assert run["state"] == "FINISHED" and run["last_step"] == 240
    [estimate] = run["estimates"]
    text = dimwatch("show", finished, server=server.grpc).out
    assert f"{estimate['mean']:.2f} ± {estimate['standard_error']:.2f}" in text
    row = next(line for line in text.splitlines() if line.startswith("train/last"))
    assert row.split()[:2] == ["train/last", "240"]
    for word in ("200", "16", "twonn paper ols exact", "100%", "yes"):
        assert word in row
    assert run["decision"]["reason"] in text


def test_layers_stand_side_by_side_in_their_order(dimwatch, server, client):
    layers = [f"layer.{i}" for i in range(11)]
    client.create("deep", probes=[f"validation/{layer}" for layer in reversed(layers + ["layer.99"])])
    stream = client.open("deep")
    for seq, layer in enumerate(layers, 1):
        stream.samples(seq, step=5, probe=f"validation/{layer}", rows=cloud(seq))
    stream.durable(len(layers))
    client.finish("deep")
    lines = dimwatch("layers", "deep", "--json", server=server.grpc).lines
    assert [(line["type"], line["layer"], line["split"], line["step"]) for line in lines] == [
        ("estimate", layer, "validation", 5) for layer in layers
    ]
    out = dimwatch("layers", "deep", "--split", "validation", "--step", 5, server=server.grpc).out
    title, header, *rows, _, missing = out.splitlines()
    assert title == "split validation, step 5"
    assert header.split()[:2] == ["LAYER", "STEP"]
    assert missing == "no estimate at this step: validation/layer.99"
    assert [row.split()[0] for row in rows] == layers
    highest = max(line["mean"] for line in lines)
    for row, line in zip(rows, lines):
        assert f"{line['mean']:.2f} ± {line['standard_error']:.2f}" in row
        assert "twonn paper ols exact" in row and "100%" in row
        assert abs(row.count("█") - 32 * line["mean"] / highest) <= 1
    assert dimwatch("layers", "deep", "--split", "test", server=server.grpc).code == 1
    assert "no estimate" in dimwatch("layers", "deep", "--step", 6, server=server.grpc).out


def test_show_and_export_have_the_scale_profiles(dimwatch, server, client):
    client.create("scaled", scale_every=2)
    stream = client.open("scaled")
    for seq in range(1, 4):
        stream.samples(seq, step=seq, rows=cloud(seq))
    stream.durable(3)
    client.finish("scaled")
    [run] = dimwatch("show", "scaled", "--json", server=server.grpc).lines
    [profile] = run["scale_profiles"]
    assert (profile["type"], profile["step"], profile["probe"]) == ("scale_profile", 3, "train/last")
    out = dimwatch("show", "scaled", server=server.grpc).out
    assert "scale profile of train/last at step 3, window 100% full, complete: yes" in out
    assert out.count("gride") == len(profile["gride"]) > 3
    lines = dimwatch("export", "scaled", "--format", "jsonl", server=server.grpc).lines
    assert [line["step"] for line in lines if line["type"] == "scale_profile"] == [1, 3]


def test_an_incomplete_estimate_is_marked(dimwatch, server, client):
    client.create("incomplete")
    stream = client.open("incomplete")
    stream.samples(1, step=0, dropped_rows=7)
    stream.durable(1)
    stream.estimate(0)
    text = dimwatch("show", "incomplete", server=server.grpc).out
    assert re.search(r"train/last.*NO: .*7", text)
    client.finish("incomplete")
    assert "NOT COMPLETE" in dimwatch("watch", "incomplete", server=server.grpc).out


def test_watch_follows_a_run_until_it_ends(client, server, tmp_path):
    client.create("live")
    stream = client.open("live")
    with Program([COMMAND, "watch", "live", "--json", "--server", server.grpc], tmp_path / "out") as watch:

        def estimates():
            lines = [json.loads(line) for line in watch.output().splitlines(True) if line.endswith("\n")]
            return [line["step"] for line in lines if line["type"] == "estimate"]

        for i in range(3):
            stream.scalars(2 * i + 1, step=i, loss=0.5)
            stream.samples(2 * i + 2, step=i)
            wait_until(f"step {i} is shown", lambda: estimates() == list(range(i + 1)))
        assert watch.alive()
        client.finish("live")
        wait_until("watch ends with the run", lambda: not watch.alive())
        assert watch.process.returncode == 0
        lines = [json.loads(line) for line in watch.output().splitlines()]
    assert lines[-1] == {"type": "state", "state": "FINISHED", "cursor": lines[-1]["cursor"]}
    cursors = [line["cursor"] for line in lines]
    assert cursors == sorted(cursors)
    middle = cursors[len(cursors) // 2]
    rest = subprocess.run(
        [COMMAND, "watch", "live", "--json", "--server", server.grpc, "--after", str(middle)],
        capture_output=True, text=True, timeout=60,
    ).stdout
    assert [json.loads(line) for line in rest.splitlines()] == [l for l in lines if l["cursor"] > middle]


def test_watch_prints_plain_lines_where_there_is_no_terminal(dimwatch, server, finished):
    out = dimwatch("watch", finished, server=server.grpc).out
    assert "\x1b" not in out
    assert len(re.findall(r"^step \d+  train/last  LID .* ± .*  n = 200, L = 16", out, re.M)) == 25
    assert out.splitlines()[-1] == "run is FINISHED"


@pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")
def test_watch_redraws_one_block_on_a_terminal(client, server, tmp_path):
    client.create("screen")
    stream = client.open("screen")
    socket = tmp_path / "tmux"

    def tmux(*words):
        return subprocess.run(["tmux", "-S", socket, *words], capture_output=True, text=True, check=True).stdout

    command = f"{COMMAND} watch screen --server {server.grpc}; echo ended with $?; sleep 600"
    tmux("new-session", "-d", "-x", "150", "-y", "30", command)
    try:
        for i in range(20):
            stream.samples(i + 1, step=10 * i, rows=cloud(10 * i))
        stream.estimate(190)
        wait_until("step 190 is shown", lambda: " 190 " in tmux("capture-pane", "-p"))
        screen = tmux("capture-pane", "-p")
        assert len(re.findall("^train/last ", screen, re.M)) == screen.count("run screen") == 1, screen
        assert re.search(r"[▁▂▃▄▅▆▇█]{20}", screen), screen
        assert "±" in screen and "RUNNING" in screen
        client.finish("screen")
        wait_until("it ended", lambda: "ended with 0" in tmux("capture-pane", "-p"))
        screen = tmux("capture-pane", "-p")
        assert "run screen  FINISHED" in screen and screen.count("run screen") == 1, screen
    finally:
        tmux("kill-server")


def test_compare_puts_runs_side_by_side(dimwatch, server, client, finished):
    client.create("other")
    stream = client.open("other")
    stream.scalars(1, step=0, **{"train/loss": 0.25})
    stream.samples(2, step=0)
    stream.estimate(0)
    words = ["compare", finished, "other", "--probe", "train/last"]
    first, second = dimwatch(*words, "--json", server=server.grpc).lines
    assert [first["run"], second["run"]] == [finished, "other"]
    assert len(first["points"]) == 25 and len(second["points"]) == 1
    assert first["points"][0]["standard_error"] > 0
    table = dimwatch(*words, server=server.grpc).out
    assert table.count("±") >= 9 and "▁" in table
    scalar = dimwatch("compare", "other", "--scalar", "train/loss", "--json", server=server.grpc).lines
    assert scalar[0]["points"] == [{"step": 0, "value": 0.25}]
    assert dimwatch("compare", finished, server=server.grpc).code == 1
    assert dimwatch("compare", "gone", "--probe", "p", server=server.grpc).code == 1


def test_export_jsonl_is_what_watch_showed(dimwatch, server, finished):
    def without_cursor(line):
        return {name: value for name, value in line.items() if name != "cursor"}

    exported = dimwatch("export", finished, "--format", "jsonl", server=server.grpc).lines
    watched = [without_cursor(line) for line in dimwatch("watch", finished, "--json", server=server.grpc).lines]
    for kind in ("estimate", "scalar", "signal", "decision"):
        assert [l for l in exported if l["type"] == kind] == [l for l in watched if l["type"] == kind]
    assert len([line for line in exported if line["type"] == "scalar"]) == 25


def test_a_shadow_run_shows_what_would_have_been_decided(dimwatch, server, client):
    signals = {"warmup": 3, "patience": 2, "min_delta": 0.02, "z_score": 1.0}
    client.create("shadow", signals=signals, policy={"mode": 2})
    stream = client.open("shadow")
    for i in range(25):
        stream.samples(i + 1, step=10 * i, rows=cloud(10 * i))
    stream.durable(25)
    client.finish("shadow")
    [run] = dimwatch("show", "shadow", "--json", server=server.grpc).lines
    assert (run["decision"]["decision"], run["decision"]["mode"]) == ("STOP", "shadow")
    text = dimwatch("show", "shadow", server=server.grpc).out
    [line] = [line for line in text.splitlines() if "STOP at step" in line]
    assert f"best step {run['decision']['best_step']}" in line and "the job goes on" in line
    kept = dimwatch("export", "shadow", "--format", "jsonl", server=server.grpc).lines
    assert {line["mode"] for line in kept if line["type"] == "decision"} == {"shadow"}
    with urllib.request.urlopen(f"http://{server.http}/api/v1/runs/shadow/decision") as answer:
        decision = json.load(answer)["decision"]
    assert (decision["verdict"], decision["mode"]) == ("VERDICT_STOP", "POLICY_MODE_SHADOW")


def test_an_exported_run_can_be_judged_again(dimwatch, server, finished, tmp_path):
    course = tmp_path / "finished.jsonl"
    dimwatch("export", finished, "--format", "jsonl", "--out", course, server=server.grpc)
    exported = [json.loads(line) for line in course.read_text().splitlines()]
    replayed = dimwatch("replay", course, "--json").lines

    def said(lines, kind):
        """What was judged, without the time of the server's clock; a replay repeats its last decision."""
        return [{k: v for k, v in line.items() if k != "time"} for line in lines if line["type"] == kind]

    assert said(replayed, "signal") == said(exported, "signal")
    assert said(replayed, "decision")[:-1] == said(exported, "decision")
    assert len(said(replayed, "estimate")) == 25
    steps = [line["step"] for line in exported if line["type"] in ("estimate", "scalar")]
    assert steps == sorted(steps)


def test_export_csv_has_a_row_for_every_line(dimwatch, server, finished, tmp_path):
    file = tmp_path / "run.csv"
    done = dimwatch("export", finished, "--format", "csv", "--out", file, server=server.grpc)
    assert done.code == 0 and done.out == ""
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode(), newline="")))
    exported = dimwatch("export", finished, "--format", "jsonl", server=server.grpc).out.splitlines()
    # Numbers as they are spelled there, which need not be Python's way.
    lines = [json.loads(line, parse_float=str, parse_int=str) for line in exported]
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines):
        for name, value in line.items():
            if name in row and value is not None:
                assert row[name] == (value if isinstance(value, str) else json.dumps(value)), name
    assert None not in rows[0], "no row is longer than the header"


def parse_openmetrics(text):
    """A strict reader of what is needed of OpenMetrics 1.0: {name: {labels: [(time, value)]}}."""
    assert text.endswith("# EOF\n") and text.count("# EOF") == 1
    families, name = {}, None
    for line in text.splitlines()[:-1]:
        if found := re.fullmatch(r"# TYPE (dimwatch_[a-z_]+) gauge", line):
            name = found[1]
            assert name not in families, f"{name} is not in one piece"
            families[name] = {}
        elif line.startswith("# "):
            assert re.fullmatch(rf"# HELP {name} [^\n]+", line), line
        else:
            found = re.fullmatch(r"([a-z_]+)\{((?:[a-z]+=\"[^\"\\]*\",?)+)\} (\S+) (\d+\.\d+)", line)
            assert found and found[1] == name, line
            families[name].setdefault(found[2], []).append((float(found[4]), float(found[3])))
    return families


def test_export_openmetrics_is_valid_and_has_the_times_of_the_estimates(dimwatch, server, finished, tmp_path):
    file = tmp_path / "run.om"
    assert dimwatch("export", finished, "--format", "openmetrics", "--out", file, server=server.grpc).code == 0
    families = parse_openmetrics(file.read_text())
    lines = dimwatch("export", finished, "--format", "jsonl", server=server.grpc).lines
    estimates = [line for line in lines if line["type"] == "estimate"]
    [(labels, samples)] = families["dimwatch_lid_mean"].items()
    assert labels == f'project="tests",run="{finished}",probe="train/last"'
    assert [value for _, value in samples] == [line["mean"] for line in estimates]
    for one in families.values():
        for series in one.values():
            times = [at for at, _ in series]
            assert times == sorted(set(times)), "strictly increasing"
    names = {"dimwatch_lid_standard_error", "dimwatch_window_fill_ratio", "dimwatch_lid_step"}
    assert names <= set(families)
    if shutil.which("promtool"):
        words = ["promtool", "tsdb", "create-blocks-from", "openmetrics", file, tmp_path / "blocks"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        count = sum(len(series) for one in families.values() for series in one.values())
        assert f" {count} " in done.stdout


def test_finish_ends_a_run_and_delete_needs_yes(dimwatch, server, client):
    client.create("to-finish")
    assert "FINISHED" in dimwatch("finish", "to-finish", server=server.grpc).out
    assert dimwatch("finish", "to-finish", "--failed", server=server.grpc).code == 1
    client.create("to-fail")
    [run] = dimwatch("finish", "to-fail", "--failed", "--json", server=server.grpc).lines
    assert run["state"] == "FAILED"
    refused = dimwatch("delete", "to-fail", server=server.grpc)
    assert refused.code == 1 and "--yes" in refused.err
    assert dimwatch("show", "to-fail", server=server.grpc).code == 0
    assert dimwatch("delete", "to-fail", "--yes", server=server.grpc).code == 0
    gone = dimwatch("show", "to-fail", server=server.grpc)
    assert gone.code == 1 and "to-fail" in gone.err


def test_bench_measures_and_leaves_nothing_behind(dimwatch, server):
    words = ["--runs", 2, "--probes", 2, "--rows", 64, "--dim", 16, "--seconds", 0.5, "--window", 500]
    for dtype in ("f32", "f16", "bf16", "f64"):
        done = dimwatch("bench", *words, "--dtype", dtype, "--json", server=server.grpc)
        assert done.code == 0, done.err
        [result] = done.lines
        assert result["rows"] > 0 and result["rows_rejected"] == 0
        assert 0 < result["ack_seconds_p50"] <= result["ack_seconds_p99"]
        assert result["rows_per_second"] == pytest.approx(result["rows"] / result["seconds"])
    assert dimwatch("runs", "--project", "bench", "--json", server=server.grpc).lines == []


@pytest.mark.parametrize(
    "words",
    ["runs", "show x", "watch x", "compare x --probe p", "export x --format csv", "finish x", "delete x --yes", "bench"],
)
def test_a_server_that_is_not_there_is_named(dimwatch, words):
    address = f"127.0.0.1:{free_port()}"
    start = time.monotonic()
    done = dimwatch(*words.split(), "--server", address)
    assert done.code == 1 and address in done.err and done.err.count("\n") == 1
    assert time.monotonic() - start < 30
