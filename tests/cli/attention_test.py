"""dimwatch attention, and attention in traces and runs: numbers with their errors and settings."""

import json

import numpy
import pytest

from dimwatch.v1 import config_pb2, ingest_pb2, run_pb2


def rows(prompts=30, heads=2, positions=8, seed=1):
    weights = numpy.exp(2 * numpy.random.default_rng(seed).normal(size=(prompts, heads, positions)))
    return (weights / weights.sum(-1, keepdims=True)).astype("float32")


def whole_maps(prompts=5, heads=2, positions=6):
    weights = numpy.tril(numpy.exp(numpy.random.default_rng(2).normal(size=(prompts, heads, positions, positions))))
    return (weights / weights.sum(-1, keepdims=True)).astype("float32")


def counted(weights, epsilon=0.1):
    return (weights > numpy.float32(epsilon)).sum((1, 2))


def saved(folder, array):
    numpy.save(folder / "maps.npy", array)
    return folder / "maps.npy"


def test_text_shows_the_error_the_prompts_and_how_it_was_counted(dimwatch, tmp_path):
    weights = rows()
    weights[3, 0, 1] = numpy.nan
    done = dimwatch("attention", saved(tmp_path, weights), "--epsilon", "0.2")
    assert done.code == 0, done.err
    each = numpy.delete(counted(weights, 0.2), 3)
    assert f"mean      {each.mean():.2f} ± {each.std(ddof=1) / 29**0.5:.2f} positions" in done.out
    assert "prompts   29; 1 more left out" in done.out
    assert "settings  weights above 0.2, 2 heads" in done.out


def test_whole_maps_are_read_at_the_last_token(dimwatch, tmp_path):
    maps = whole_maps()
    file = saved(tmp_path, maps)
    [told] = dimwatch("attention", file, "--json").lines
    assert told["mean"] == pytest.approx(counted(maps[:, :, -1]).mean())
    assert (told["n_prompts"], told["heads"], told["epsilon"], told["relative"]) == (5, 2, 0.1, False)
    [told] = dimwatch("attention", file, "--positions", "0,0,0,0,0", "--json").lines
    assert (told["mean"], told["standard_error"]) == (2, 0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing(dimwatch, tmp_path, side):
    maps = whole_maps()
    [bare] = dimwatch("attention", saved(tmp_path, maps), "--json").lines
    padded = numpy.zeros((5, 2, 9, 9), "float32")
    if side == "left":
        padded[:, :, 3:, 3:] = maps
    else:
        padded[:, :, :6, :6] = maps
    words = ["--lengths", "6,6,6,6,6"] + (["--left-padded"] if side == "left" else [])
    [told] = dimwatch("attention", saved(tmp_path, padded), *words, "--json").lines
    assert told == bare


@pytest.mark.parametrize(
    "array,words,message",
    [
        (rows() * 2, [], "prompt 0, head 0: the weights sum to 2; 1 within 0.001 is allowed"),
        (rows(), ["--epsilon", "1.5"], "epsilon 1.5 got; allowed is above 0 and below 1"),
        (rows(2), ["--lengths", "3"], "--lengths: 1 given for 2 prompts"),
        (rows(2), ["--lengths", "3,8"], "prompt 0, head 0: weight"),
        (rows(1), ["--lengths", "9"], "prompt 0: length 9 and position 8 do not fit 8 positions"),
        (rows()[0], [], "is 2 x 8; needed are prompts x heads x positions"),
        (rows(1).astype("int32"), [], "has dtype '<i4'"),
    ],
)
def test_what_is_wrong_is_said(dimwatch, tmp_path, array, words, message):
    done = dimwatch("attention", saved(tmp_path, array), *words)
    assert done.code == 1
    assert message in done.err


def trace(folder, entries):
    lines = [{"step": step, "attention": [entry]} for step, entry in entries]
    (folder / "trace.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_trace_of_maps_and_one_of_their_counts_replay_alike(dimwatch, tmp_path):
    maps = [rows(seed=step) for step in range(3)]
    files, numbers = [], []
    for step, weights in enumerate(maps):
        numpy.save(tmp_path / f"{step}.npy", weights)
        common = {"probe": "train/last", "ids": list(range(30))}
        files.append((step, {**common, "file": f"{step}.npy"}))
        numbers.append((step, {**common, "dimensions": counted(weights).tolist(), "heads": 2, "positions": 8}))
    of_files = dimwatch("replay", trace(tmp_path, files), "--json")
    assert of_files.code == 0, of_files.err
    assert dimwatch("replay", trace(tmp_path, numbers), "--json").out == of_files.out
    told = [line for line in of_files.lines if line["type"] == "attention"]
    assert [line["mean"] for line in told] == pytest.approx([counted(m).mean() for m in maps])
    change = counted(maps[2]) - counted(maps[0])
    assert told[2]["baseline_change"] == pytest.approx(change.mean())
    assert told[2]["baseline_change_standard_error"] == pytest.approx(change.std(ddof=1) / 30**0.5)
    assert of_files.lines[-1]["decision"] == "CONTINUE"
    text = dimwatch("replay", trace(tmp_path, numbers)).out
    assert "30 prompts, weights above 0.1, 2 heads, change baseline" in text


@pytest.mark.parametrize(
    "entry,code,message",
    [
        ({"probe": "p"}, 1, "attention must be {"),
        ({"probe": "p", "dimensions": "x", "heads": 1, "positions": 1}, 1, "attention must be {"),
        ({"probe": "p", "file": "none.npy"}, 1, "no such file"),
        ({"probe": "p", "dimensions": [5], "heads": 1, "positions": 3}, 0, "count 0 to 3 above 0.1"),
    ],
)
def test_a_bad_entry_of_a_trace_is_said(dimwatch, tmp_path, entry, code, message):
    done = dimwatch("replay", trace(tmp_path, [(1, entry)]))
    assert done.code == code
    assert message in (done.err if code else done.out)


@pytest.fixture(scope="module")
def attended(client):
    """A run with a probe of attention maps, which has ended."""
    client.create("attended")
    stream = client.open("attended")
    config = config_pb2.ProbeConfig(probe="train/maps", attention=config_pb2.AttentionConfig())
    stream.send(declaration=ingest_pb2.ProbeDeclaration(seq=1, config=config))
    for seq, dimensions in ((2, [1, 2, 3]), (3, [2, 4, 6])):
        stream.send(
            attention=ingest_pb2.AttentionBatch(
                seq=seq, probe="train/maps", step=10 * seq, prompts=3, heads=4, positions=5,
                dimensions=dimensions, prompt_ids=[1, 2, 3], snapshot_end=True,
            )
        )
    stream.durable(3)
    client.finish("attended")
    yield "attended"
    client.runs.DeleteRun(run_pb2.DeleteRunRequest(run_id="attended"), timeout=60)


def test_show_watch_and_export_show_attention_apart(dimwatch, server, attended):
    shown = dimwatch("show", attended, server=server.grpc)
    assert shown.code == 0, shown.err
    [line] = [line for line in shown.out.splitlines() if line.startswith("train/maps")]
    for part in ("30", "4.00 ± 1.15", "weights above 0.1, 4 heads", "+2.00 ± 0.58 since step 20 (3 prompts)", "yes"):
        assert part in line
    [run] = dimwatch("show", attended, "--json", server=server.grpc).lines
    assert [e["mean"] for e in run["attention"]] == [4]
    assert run["estimates"] == []
    watched = dimwatch("watch", attended, "--json", server=server.grpc).lines
    assert [e["mean"] for e in watched if e["type"] == "attention"] == [2, 4]
    assert "step 30  train/maps  attention 4.00 ± 1.15  3 prompts" in dimwatch(
        "watch", attended, server=server.grpc).out
    exported = dimwatch("export", attended, "--format", "jsonl", server=server.grpc).lines
    assert [(e["type"], e["step"]) for e in exported[:2]] == [("attention", 20), ("attention", 30)]
    table = dimwatch("export", attended, "--format", "csv", server=server.grpc).out.splitlines()
    row = dict(zip(table[0].split(","), table[2].split(",")))
    assert (row["probe"], row["mean"], row["epsilon"], row["baseline_change"]) == ("train/maps", "4.0", "0.1", "2.0")
    metrics = dimwatch("export", attended, "--format", "openmetrics", server=server.grpc).out
    assert 'dimwatch_attention_dimension_mean{project="tests",run="attended",probe="train/maps"} 4.0 ' in metrics
    assert 'epsilon="0.1",relative="false",heads="4"} 1.0 ' in metrics
