#!/usr/bin/env python3
"""Watches the attention of a small decoder that learns to recall.

A prompt is a list of pairs, key and value, then one of the keys again: "k v k v k v ... k". The
model has to answer with that key's value, which it can only find by attending to where it stood.
dimwatch counts how many positions all heads of the first and of the last layer attend to from the
last token of 256 prompts that it does not train on (the attention-graph dimension, Cosentino &
Shekkizhar 2024), before training and every 25 steps.

    dimwatch-server &
    attention.py --out attention

About half a minute on one core. The picture and the table at the end are made from what the server
recorded.
"""

import argparse
import os
import sys
import time

import grpc
import torch
from torch import nn
from torch.nn import functional

import dimwatch
import dimwatch.torch
import report

KEYS, VALUES, MOST_PAIRS, FEWEST_PAIRS = 16, 16, 6, 3
PADDING = KEYS + VALUES
POSITIONS = 2 * MOST_PAIRS + 1
WIDTH, HEADS, LAYERS = 64, 4, 2
BATCH = 128
PROBE_PROMPTS = 256
EVERY = 25
SEED = 1
COLORS = {"first": "#0072B2", "last": "#D55E00"}


class Attention(nn.Module):
    """Causal attention that returns its weights beside its output, (B, HEADS, T, T)."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (WIDTH // HEADS) ** -0.5
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, length, WIDTH)), weights


class Block(nn.Module):
    """One pre-norm decoder block."""

    def __init__(self):
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.attention_norm(x))[0]
        return x + self.mlp(self.mlp_norm(x))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(PADDING + 1, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VALUES)

    def forward(self, input_ids, attention_mask):
        """Logits of the value that follows the last token of each prompt, (B, VALUES)."""
        x = self.tokens(input_ids) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        last = attention_mask.sum(1) - 1
        return self.head(self.norm(x[torch.arange(len(x)), last]))


def make_prompts(count, random):
    """(model inputs, answers): prompts of 3 to 6 pairs with different keys, padded on the right."""
    keys = torch.rand(count, KEYS, generator=random).argsort(1)[:, :MOST_PAIRS]
    values = torch.randint(VALUES, (count, MOST_PAIRS), generator=random)
    pairs = torch.randint(FEWEST_PAIRS, MOST_PAIRS + 1, (count,), generator=random)
    asked = (torch.rand(count, generator=random) * pairs).long()
    rows = torch.arange(count)
    ids = torch.full((count, POSITIONS), PADDING)
    ids[:, 0:-1:2], ids[:, 1::2] = keys, KEYS + values
    ids[rows, 2 * pairs] = keys[rows, asked]
    mask = torch.arange(POSITIONS) <= 2 * pairs[:, None]
    inputs = {"input_ids": ids.masked_fill(~mask, PADDING), "attention_mask": mask.long()}
    return inputs, values[rows, asked]


@torch.no_grad()
def score(model, inputs, answers):
    """(loss, accuracy)."""
    logits = model(**inputs)
    accuracy = (logits.argmax(-1) == answers).float().mean().item()
    return functional.cross_entropy(logits, answers).item(), accuracy


def train(run, steps):
    random = torch.Generator().manual_seed(SEED)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    model = Decoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    inputs, answers = make_prompts(PROBE_PROMPTS, random)
    layers = {"first": model.blocks[0].attention, "last": model.blocks[-1].attention}
    watch = dimwatch.torch.watch_attention(run, model, layers, [inputs], every=EVERY)
    for step in range(steps + 1):
        watch.step(step)
        if step % EVERY == 0:
            loss, accuracy = score(model, inputs, answers)
            run.log({"validation/loss": loss, "validation/accuracy": accuracy}, step=step)
        batch, targets = make_prompts(BATCH, random)
        loss = functional.cross_entropy(model(**batch), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def print_table(history):
    accuracy = dict(history.scalars["validation/accuracy"])
    by_step = {}
    for estimate in history.attention:
        by_step.setdefault(estimate.step, {})[estimate.probe.split("/")[1]] = estimate
    print(f"\n{'':>6} {'':>9}  {'dimension ± standard error':^29}  {'change since step 0':^29}")
    print(f"{'step':>6} {'accuracy':>9}  {'first':^14} {'last':^14}  {'first':^14} {'last':^14}")
    for step, layers in sorted(by_step.items()):
        estimates = [layers[name] for name in COLORS]
        cells = [f"{e.mean:.2f} ± {e.standard_error:.2f}" for e in estimates]
        cells += ["baseline" if e.baseline_change is None else
                  f"{e.baseline_change:+.2f} ± {e.baseline_change_standard_error:.2f}"
                  for e in estimates]
        print(f"{step:6d} {accuracy[step]:9.3f}  {cells[0]:^14} {cells[1]:^14}  "
              f"{cells[2]:^14} {cells[3]:^14}")


def draw(history, out):
    figure, (dimension, accuracy) = report.pyplot.subplots(
        2, 1, sharex=True, figsize=(10, 6), height_ratios=(3, 2), constrained_layout=True)
    for name, color in COLORS.items():
        estimates = [e for e in history.attention if e.probe.endswith("/" + name)]
        steps = [e.step for e in estimates]
        dimension.plot(steps, [e.mean for e in estimates], color=color, label=f"{name} layer, 95 %",
                       linestyle="-" if name == "first" else "--")
        dimension.fill_between(
            steps, [e.mean - 1.96 * e.standard_error for e in estimates],
            [e.mean + 1.96 * e.standard_error for e in estimates], color=color, alpha=0.2,
            linewidth=0)
    settings = history.attention[0]
    dimension.set_ylabel("attention-graph dimension\n"
                         f"(weights above {settings.epsilon:g}, {settings.heads} heads)")
    accuracy.plot(*zip(*history.scalars["validation/accuracy"]), color="black", label="accuracy")
    accuracy.set_ylabel("accuracy (share correct)")
    accuracy.set_xlabel("optimizer step")
    figure.suptitle("Attention of a two-layer decoder that learns to recall", fontsize=13)
    for axes in (dimension, accuracy):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1), frameon=False, fontsize=9)
    for ending in ("png", "svg"):
        figure.savefig(f"{out}.{ending}", dpi=150)
        print(f"picture: {os.path.abspath(out)}.{ending}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    report.add_options(parser, out="attention")
    parser.add_argument("--steps", type=int, default=600, help="optimizer steps (default 600)")
    options = parser.parse_args()
    run = dimwatch.init(
        project="examples", name="attention", server=options.server, record=options.record,
        config={"width": WIDTH, "heads": HEADS, "layers": LAYERS, "lr": 1e-3})
    start = time.monotonic()
    with run:
        train(run, options.steps)
    print(f"run {run.id}: {options.steps} steps in {time.monotonic() - start:.0f} s")
    try:
        history = dimwatch.query.history(run.server, run.id)
    except grpc.RpcError as error:
        sys.exit(f"no picture: {run.server} does not answer ({error.details()}); "
                 "start dimwatch-server, or name yours with --server")
    print_table(history)
    draw(history, options.out)


if __name__ == "__main__":
    main()
