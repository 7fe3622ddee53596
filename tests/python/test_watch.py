"""dimwatch.torch.watch: probes a model and leaves its training alone."""

import numpy as np
import pytest
import torch
from torch import nn

import dimwatch
import dimwatch.torch


class Recording:
    """What a Run would be given."""

    def __init__(self):
        self.settings, self.logged = {}, []

    def probe(self, name, **settings):
        self.settings[name] = settings
        recording = self

        class Probe:
            def log(self, array, *, step, mask=None, end=True):
                kept = array if mask is None else array[mask != 0]
                recording.logged.append((name, step, tuple(kept.shape), end, kept.requires_grad))

        return Probe()


class Model(nn.Module):
    """(B, T) tokens to a tuple, as transformers do."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.drop = nn.Dropout(0.5)
        self.layer = nn.Linear(4, 6)

    def forward(self, input_ids, attention_mask=None):
        return (self.layer(self.drop(self.embed(input_ids))),)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model()


def test_every_layer_is_logged_and_the_last_batch_ends_the_snapshot(model):
    run = Recording()
    batches = [torch.zeros(2, 3, dtype=torch.long), torch.zeros(1, 3, dtype=torch.long)]
    watch = dimwatch.torch.watch(
        run, model, ["embed", "layer"], batches, every=10, split="train", neighbors=64)
    for step in range(15):
        watch.step(step)
    assert run.settings["train/layer"] == {"split": "train", "aligned": True, "neighbors": 64}
    assert run.logged == [
        (f"train/{layer}", step, (size, 3, width), end, False)
        for step in (0, 10) for size, end in ((2, False), (1, True))
        for layer, width in (("embed", 4), ("layer", 6))]


def test_an_attention_mask_picks_the_tokens(model):
    run = Recording()
    batch = {"input_ids": torch.zeros(2, 3, dtype=torch.long),
             "attention_mask": torch.tensor([[1, 1, 0], [1, 0, 0]])}
    dimwatch.torch.watch(run, model, {"out": model}, [batch], every=1).probe(0)
    assert run.logged == [("validation/out", 0, (3, 6), True, False)]


def test_training_goes_on_as_if_nothing_had_happened(model):
    model.drop.train()
    model.embed.eval()
    run = Recording()
    watch = dimwatch.torch.watch(
        run, model, ["layer"], [torch.zeros(2, 3, dtype=torch.long)], every=1)
    before = torch.get_rng_state()
    watch.probe(0)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.drop.training and not model.embed.training
    assert not model.layer._forward_hooks
    assert torch.is_grad_enabled()


def test_hooks_go_even_if_the_model_fails(model):
    watch = dimwatch.torch.watch(Recording(), model, ["layer"], [torch.zeros(1, 1)], every=1)
    with pytest.raises(RuntimeError):
        watch.probe(0)
    assert not model.layer._forward_hooks
    assert model.training


def test_all_layers_are_the_blocks_of_the_longest_list():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
            self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(12))

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return self.head(x)

    run = Recording()
    dimwatch.torch.watch(run, Deep(), "all", [torch.zeros(2, 4)], every=1).probe(0)
    assert [name for name, *_ in run.logged] == [f"validation/blocks.{i}" for i in range(12)]
    with pytest.raises(ValueError, match="name its layers"):
        dimwatch.torch.watch(run, nn.Linear(2, 2), "all", [], every=1)


def test_an_unknown_layer_is_named(model):
    with pytest.raises(KeyError, match="nosuch"):
        dimwatch.torch.watch(Recording(), model, ["nosuch"], [], every=1)


def test_probed_rows_are_the_layer_s_output_in_evaluation_mode(model, tmp_path):
    tokens = torch.randint(10, (2, 3))
    with dimwatch.init(server=False, record=tmp_path, strict=True) as run:
        dimwatch.torch.watch(run, model, ["layer"], [tokens], every=1).probe(7)
    expected = model.eval()(tokens)[0].detach().numpy().reshape(-1, 6)
    assert np.array_equal(np.load(tmp_path / "validation_layer_000007.npy"), expected)
