"""Attention maps: what is counted of them, and how it travels. The command, which counts by the
core's own code, is the other opinion."""

import json
import subprocess
import urllib.request

import numpy as np
import pytest
import torch
from torch import nn

import dimwatch
import dimwatch.query
import dimwatch.torch
from conftest import BUILD
from dimwatch import _attention
from dimwatch._outbox import Attention, Outbox
from test_outbox import Session

COMMAND = BUILD / "bin" / "dimwatch"


def dimensions(maps, epsilon=0.1, relative=False, **where):
    return _attention.read(maps, epsilon, relative, **where)


def values(maps, **settings):
    return dimensions(np.asarray(maps, np.float32), **settings).values.tolist()


def softmax(shape, seed, sharpness=2.0):
    weights = np.exp(sharpness * np.random.default_rng(seed).normal(size=shape))
    return weights / weights.sum(-1, keepdims=True)


def causal(prompts, heads, positions, seed):
    weights = np.exp(2 * np.random.default_rng(seed).normal(size=(prompts, heads, positions,
                                                                 positions)))
    weights = np.tril(weights)
    return weights / weights.sum(-1, keepdims=True)


def test_heads_are_summed_and_a_weight_that_equals_epsilon_is_not_counted():
    assert values([[[0.5, 0.4, 0.1], [1, 0, 0]], [[0.1, 0.9, 0], [0.2, 0.2, 0.6]]]) == [3, 4]
    assert values([[[1.0]]]) == [1]
    assert values(np.full((1, 1, 10), 0.1)) == [0]
    assert values(np.full((1, 1, 9), 1 / 9)) == [9]
    assert values(np.full((1, 1, 10), 0.1), relative=True) == [10]
    assert values(np.full((1, 1, 10), 0.10004)) == [9]  # the bound, whatever rounding does


def test_whole_maps_are_read_at_the_last_token_or_where_asked():
    maps = causal(3, 2, 5, seed=1)
    rows = maps[np.arange(3), :, [4, 2, 0]]
    assert values(maps, lengths=[5, 3, 1]) == values(rows, lengths=[5, 3, 1])
    assert values(maps, positions=[4, 2, 0]) == values(rows, positions=[4, 2, 0])
    assert values(maps) == values(maps[:, :, -1])


def test_padding_on_either_side_changes_nothing():
    maps = causal(4, 2, 6, seed=2)
    bare = values(maps)
    right = np.zeros((4, 2, 9, 9))
    right[:, :, :6, :6] = maps
    left = np.zeros((4, 2, 9, 9))
    left[:, :, 3:, 3:] = maps
    assert values(right, lengths=[6] * 4) == bare
    assert values(right, mask=[[1] * 6 + [0] * 3] * 4) == bare
    assert values(left, mask=torch.tensor([[0] * 3 + [1] * 6] * 4)) == bare


@pytest.mark.parametrize("maps, where, message", [
    ([[[0.5, 0.61]]], {}, "prompt 0, head 0: the weights sum to 1.11; 1 within 0.001 is allowed"),
    ([[[2.5, -1.5]]], {}, "weight -1.5; post-softmax weights are 0 and greater"),
    ([[[1, 0], [0.5, 0.5]]], {"lengths": [1]}, "head 1: weight 0.5 lies behind the query"),
    ([[[0.5, 0.5]]], {"mask": [[0, 1]]}, "weight 0.5 lies behind the query or on padding"),
    ([[[1, 0]]], {"lengths": [3]}, "lengths must be 1 to 2"),
    ([[[1, 0]]], {"lengths": [0]}, "lengths must be 1 to 2"),
    ([[[1, 0]]], {"lengths": [1, 1]}, "one entry for each of 1 prompts"),
    ([[[1, 0]]], {"mask": [[0, 0]]}, "a token in each row"),
    ([[[1, 0]]], {"mask": [[1, 1]], "lengths": [2]}, "both given"),
    ([[[1, 0]], [[1, 0]]], {"prompt_ids": [3, 3]}, "different integers"),
    ([[1, 0]], {}, "must be (prompts, heads, positions)"),
    ([[[[1, 0]]]], {}, "must be (prompts, heads, positions)")])
def test_what_is_no_attention_is_an_error(maps, where, message):
    with pytest.raises(ValueError) as error:
        dimensions(np.asarray(maps, np.float32), **where)
    assert message in str(error.value)


def test_prompts_that_are_not_finite_are_left_out():
    maps = softmax((3, 2, 4), 1)
    maps[1, 0, 2] = np.nan
    counted = dimensions(maps, prompt_ids=[5, 6, 7])
    assert counted.ids.tolist() == [5, 7]
    assert counted.invalid == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rounding_to_the_type_is_no_error_and_equal_weights_are_not_above(dtype):
    maps = torch.tensor(softmax((20, 4, 300), 3)).to(dtype)
    assert dimensions(maps).rows == 20
    assert dimensions(torch.full((1, 1, 10), 0.1).to(dtype)).values.tolist() == [0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("flags", [[], ["--relative"], ["--epsilon", "0.03"]])
def test_client_and_core_count_alike(tmp_path, dtype, flags):
    maps = softmax((200, 3, 40), 4).astype(dtype)
    maps[7, 1, 1] = np.nan
    np.save(tmp_path / "maps.npy", maps)
    told = subprocess.run(
        [COMMAND, "attention", tmp_path / "maps.npy", "--json", "--pointwise",
         tmp_path / "each.npy", *flags], capture_output=True, text=True, check=True)
    mine = dimensions(maps, 0.03 if "0.03" in flags else 0.1, "--relative" in flags)
    each = np.load(tmp_path / "each.npy")
    assert np.isnan(each[7])
    assert np.delete(each, 7).tolist() == mine.values.tolist()
    told = json.loads(told.stdout)
    assert (told["n_prompts"], told["n_invalid"], told["heads"]) == (199, 1, 3)
    assert told["mean"] == pytest.approx(mine.values.mean())
    assert told["standard_error"] == pytest.approx(mine.values.std(ddof=1) / 199**0.5)


def attention_item(step, end, prompts=3, problem=pytest.fail):
    return Attention("p", step, dimensions(np.ones((prompts, 1, 1), np.float32)), end, problem)


def test_a_part_of_a_step_that_is_dropped_is_told():
    outbox = Outbox(1 << 20)
    outbox.put(attention_item(1, end=False))
    outbox.open(0, 0)
    first = outbox.take(Session()).attention
    assert (first.prompts, list(first.dimensions), first.snapshot_end) == (3, [1, 1, 1], False)
    outbox.put(attention_item(1, end=True, prompts=5))
    later = attention_item(2, end=True)
    outbox.max_bytes = outbox.bytes + later.nbytes - 40
    assert outbox.put(later) == 1
    rest = outbox.take(Session()).attention
    assert (rest.step, rest.prompts, rest.dropped_prompts, rest.snapshot_end) == (1, 0, 5, True)
    assert outbox.dropped_rows == 5


def test_bad_maps_do_not_reach_training(caplog):
    run = dimwatch.init(server=False)
    run.attention_probe("p").log(np.ones((2, 2, 2)), step=1)
    run.attention_probe("p").log(np.eye(2)[None, None], step=1, end=False)
    run.attention_probe("q", epsilon=1.5).log(np.ones((1, 1, 1)), step=1)
    assert run.stats["rejected_calls"] == 3
    assert "sum to 2" in caplog.text
    assert "need prompt_ids" in caplog.text
    assert "epsilon must be above 0 and below 1" in caplog.text


def test_a_trace_holds_what_was_counted_and_replays(tmp_path, server):
    maps = causal(6, 2, 8, seed=5)
    with dimwatch.init(server=server.grpc, record=tmp_path / "trace", strict=True) as run:
        probe = run.attention_probe("train/first", epsilon=0.05)
        for step in (0, 10):
            probe.log(maps[:4], step=step, prompt_ids=range(4), end=False)
            probe.log(np.roll(maps[4:], step, axis=0), step=step, prompt_ids=[4, 5])
    entry = json.loads((tmp_path / "trace/trace.jsonl").read_text().splitlines()[0])["attention"][0]
    assert entry == {
        "probe": "train/first", "epsilon": 0.05, "relative": False, "heads": 2, "positions": 8,
        "dimensions": values(maps, epsilon=0.05), "ids": [0, 1, 2, 3, 4, 5], "invalid": 0}
    replayed = subprocess.run([COMMAND, "replay", tmp_path / "trace", "--json"], check=True,
                              capture_output=True, text=True).stdout.splitlines()
    replayed = [json.loads(line) for line in replayed if '"attention"' in line]
    live = dimwatch.query.history(server.grpc, run.id).attention
    assert [(line["step"], line["mean"], line["standard_error"], line["baseline_change"])
            for line in replayed] == [
        (e.step, e.mean, e.standard_error, e.baseline_change) for e in live]
    assert len(live) == 2


def test_estimates_come_back_survive_a_crash_and_are_exported(server):
    run = dimwatch.init("attention", "crash", server=server.grpc, strict=True)
    probe = run.attention_probe("train/first", relative=True)
    maps = [softmax((30, 2, 12), seed) for seed in range(3)]
    probe.log(maps[0], step=0)
    probe.log(maps[1][:10], step=10, prompt_ids=range(10), end=False)
    assert run.flush()
    server.kill()
    server.start()
    probe.log(maps[1][10:], step=10, prompt_ids=range(10, 30))
    probe.log(maps[2], step=20)
    assert run.flush()
    run.finish()
    first, second, third = dimwatch.query.history(server.grpc, run.id).attention
    counted = [np.array(values(m, relative=True)) for m in maps]
    for estimate, each in zip((first, second, third), counted):
        assert estimate.mean == pytest.approx(each.mean())
        assert estimate.standard_error == pytest.approx(each.std(ddof=1) / 30**0.5)
        assert (estimate.prompts, estimate.epsilon, estimate.relative) == (30, 0.1, True)
        assert (estimate.complete, estimate.baseline_step) == (True, 0)
    assert first.baseline_change is None
    change = counted[2] - counted[0]
    assert third.baseline_change == pytest.approx(change.mean())
    assert third.baseline_change_standard_error == pytest.approx(change.std(ddof=1) / 30**0.5)
    with urllib.request.urlopen(f"http://{server.http}/metrics") as response:
        page = response.read().decode()
    labels = f'project="attention",run="{run.id}",probe="train/first"'
    exported = dict(line.rsplit(" ", 1) for line in page.splitlines() if "attention" in line)
    prefix = "dimwatch_attention_dimension"
    assert float(exported[f"{prefix}_mean{{{labels}}}"]) == pytest.approx(third.mean)
    assert float(exported[f"{prefix}_standard_error{{{labels}}}"]) == pytest.approx(
        third.standard_error)
    assert exported[f'{prefix}_info{{{labels},epsilon="0.1",relative="true",heads="2",'
                    'baseline_step="0"}'] == "1"


class Decoder(nn.Module):
    """Two layers: one of torch's own attention, one that returns its map beside its output."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.first = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
        self.last = Second()
        self.blind = nn.Linear(8, 8)

    def forward(self, input_ids, attention_mask=None):
        x = self.embed(input_ids)
        length = x.shape[1]
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        padding = None if attention_mask is None else attention_mask == 0
        x = self.first(x, x, x, attn_mask=future, key_padding_mask=padding, need_weights=False)[0]
        return self.blind(self.last(x)[0])


class Second(nn.Module):
    def forward(self, x):
        maps = torch.ones(x.shape[0], 3, x.shape[1], x.shape[1]).tril()
        return x, maps / maps.sum(-1, keepdim=True)


def test_watch_attention_catches_the_maps_of_layers(caplog):
    torch.manual_seed(0)
    model = Decoder()
    run = dimwatch.init(server=False)
    items = []
    run._put = items.append
    batches = [{"input_ids": torch.randint(10, (4, 5))},
               {"input_ids": torch.randint(10, (2, 5)),
                "attention_mask": torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])}]
    watch = dimwatch.torch.watch_attention(
        run, model, {"first": model.first}, batches, every=10, split="train")
    for step in range(15):
        watch.step(step)
    assert [(i.probe, i.step, i.cloud.heads, i.cloud.ids.tolist(), i.end) for i in items] == [
        ("train/first", step, 2, ids, end) for step in (0, 10)
        for ids, end in (([0, 1, 2, 3], False), ([4, 5], True))]
    assert model.training and "forward" not in vars(model.first)
    items.clear()
    dimwatch.torch.watch_attention(run, model, ["last"], batches[:1], every=1).probe(3)
    assert items[0].cloud.values.tolist() == [3 * 5] * 4
    dimwatch.torch.watch_attention(run, model, ["blind"], batches[:1], every=1).probe(3)
    assert "validation/blind: the module returned no attention map" in caplog.text
