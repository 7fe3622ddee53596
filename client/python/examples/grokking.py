#!/usr/bin/env python3
"""Watches a small transformer grok modular addition.

The model learns a + b mod 113 from 30 % of all pairs. It fits these within 300 steps and knows
nothing of the others until, more than a thousand steps later, it understands. dimwatch measures the
mean local intrinsic dimension (LID) of its hidden states on both splits every 50 steps; the LID
falls hundreds of steps before validation accuracy rises.

    dimwatch-server &
    grokking.py --out grokking

About 2 500 steps, 3 to 6 minutes on one core. The pictures and the table at the end are made from
what the server recorded.
"""

import argparse
import time

import torch
from torch import nn
from torch.nn import functional

import dimwatch
import report

PRIME = 113
TRAIN_FRACTION = 0.3
WIDTH, HEADS, MLP, BLOCKS = 128, 4, 512, 2
BATCH = 512
PROBE_INPUTS = 1500
SEED = 1


class Block(nn.Module):
    """One pre-norm decoder block: causal attention, then an MLP."""

    def __init__(self):
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.attention_out = nn.Linear(WIDTH, WIDTH)
        self.mlp_norm = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, MLP), nn.GELU(), nn.Linear(MLP, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))

    def attention(self, x):
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (WIDTH // HEADS) ** -0.5
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(-1)
        return self.attention_out((weights @ v).transpose(1, 2).reshape(batch, length, WIDTH))


class Transformer(nn.Module):
    """Reads "a b =" and predicts a + b mod PRIME at the last position."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(PRIME + 1, WIDTH)
        self.positions = nn.Embedding(3, WIDTH)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=WIDTH**-0.5)
        self.blocks = nn.Sequential(*[Block() for _ in range(BLOCKS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, PRIME)

    def hidden(self, inputs):
        """The residual stream after the last block at the last position, (N, WIDTH)."""
        return self.blocks(self.tokens(inputs) + self.positions.weight)[:, -1]

    def forward(self, inputs):
        return self.head(self.norm(self.hidden(inputs)))


def make_data():
    """(inputs, targets) for training and for validation."""
    a, b = torch.meshgrid(torch.arange(PRIME), torch.arange(PRIME), indexing="ij")
    a, b = a.flatten(), b.flatten()
    inputs = torch.stack([a, b, torch.full_like(a, PRIME)], dim=1)
    targets = (a + b) % PRIME
    order = torch.randperm(len(inputs))
    cut = int(TRAIN_FRACTION * len(inputs))
    return [(inputs[rows], targets[rows]) for rows in (order[:cut], order[cut:])]


@torch.no_grad()
def score(model, inputs, targets):
    """(loss, accuracy)."""
    logits = torch.cat([model(chunk) for chunk in inputs.split(4096)])
    accuracy = (logits.argmax(-1) == targets).float().mean().item()
    return functional.cross_entropy(logits, targets).item(), accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    report.add_options(parser, out="grokking")
    parser.add_argument("--steps", type=int, default=2500, help="optimizer steps (default 2500)")
    options = parser.parse_args()

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    splits = dict(zip(("train", "validation"), make_data()))
    train_inputs, train_targets = splits["train"]
    model = Transformer()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1.0)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 10))

    run = dimwatch.init(
        project="examples", name="grokking", server=options.server, record=options.record,
        config={"prime": PRIME, "train_fraction": TRAIN_FRACTION, "width": WIDTH, "lr": 1e-3})
    probes = {split: run.probe(f"{split}/last", neighbors=64, aligned=True) for split in splits}
    progress = report.Progress(run)

    def evaluate(step):
        for split, (inputs, targets) in splits.items():
            loss, accuracy = score(model, inputs, targets)
            run.log({f"{split}/loss": loss, f"{split}/accuracy": accuracy}, step=step)
            progress.expect(step, split, accuracy)
            with torch.no_grad():
                hidden = model.hidden(inputs[:PROBE_INPUTS])
            probes[split].log(hidden, step=step)

    start = time.monotonic()
    with run:
        for step in range(options.steps + 1):
            if step % 50 == 0:
                evaluate(step)
            progress.show()
            rows = torch.randint(len(train_inputs), (BATCH,))
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(train_inputs[rows]), train_targets[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            warmup.step()
        decision = run.finish()
    progress.show()
    print(f"\n{options.steps} steps in {time.monotonic() - start:.0f} s; "
          f"decision: {decision.verdict}: {decision.reason}")
    report.write(run, options.out, title="Grokking: a + b mod 113, two-block transformer")


if __name__ == "__main__":
    main()
