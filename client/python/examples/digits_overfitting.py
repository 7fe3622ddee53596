#!/usr/bin/env python3
"""A small network overfits wrong labels, and stops itself on dimwatch's decision.

An MLP learns scikit-learn's digits, of which 40 % of the training labels are wrong. It first learns
what is common to the right labels, then starts to memorize the wrong ones: the mean local intrinsic
dimension (LID) of its last hidden layer falls, then rises again. --healthy trains on clean labels
with some regularization instead, which must not be called overfitting.

    dimwatch-server &
    digits_overfitting.py --out digits
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import dimwatch
import report

TRAIN_IMAGES, WRONG_LABELS = 1200, 0.4
BATCH, EPOCHS, PROBE_EVERY_EPOCHS = 64, 80, 4
SEED = 0


def make_data(wrong_labels):
    """{split: (images, labels)}; a share of the training labels is replaced by random ones."""
    digits = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images))
    train, validation = order[:TRAIN_IMAGES], order[TRAIN_IMAGES:]
    noisy = labels[train].clone()
    wrong = torch.randperm(TRAIN_IMAGES)[:int(wrong_labels * TRAIN_IMAGES)]
    noisy[wrong] = torch.randint(10, (len(wrong),))
    return {"train": (images[train], noisy), "validation": (images[validation], labels[validation])}


def make_model(dropout):
    """(layers up to the 128-dimensional hidden one that is watched, classifier)."""
    hidden = nn.Sequential(
        nn.Linear(64, 256), nn.GELU(), nn.Dropout(dropout),
        nn.Linear(256, 256), nn.GELU(), nn.Dropout(dropout),
        nn.Linear(256, 128), nn.GELU())
    return hidden, nn.Linear(128, 10)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    report.add_options(parser, out="digits")
    parser.add_argument("--healthy", action="store_true",
                        help="clean labels and regularization: must not be called overfitting")
    options = parser.parse_args()

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    splits = make_data(0.0 if options.healthy else WRONG_LABELS)
    hidden, classifier = make_model(0.2 if options.healthy else 0.0)
    model = nn.Sequential(hidden, classifier)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, weight_decay=0.05 if options.healthy else 0.01)

    name = "digits-healthy" if options.healthy else "digits-overfitting"
    run = dimwatch.init(
        project="examples", name=name, server=options.server, record=options.record,
        config={"wrong_labels": 0.0 if options.healthy else WRONG_LABELS, "lr": 1e-3})
    probes = {split: run.probe(f"{split}/last", neighbors=64, aligned=True) for split in splits}
    progress = report.Progress(run)

    @torch.no_grad()
    def evaluate(step):
        model.eval()
        for split, (images, labels) in splits.items():
            embeddings = hidden(images)
            logits = classifier(embeddings)
            accuracy = (logits.argmax(-1) == labels).float().mean().item()
            run.log({f"{split}/loss": functional.cross_entropy(logits, labels),
                     f"{split}/accuracy": accuracy}, step=step)
            probes[split].log(embeddings, step=step)
            progress.expect(step, split, accuracy)
        model.train()
        progress.wait(step)

    step = 0
    with run:
        images, labels = splits["train"]
        for epoch in range(EPOCHS + 1):
            if epoch % PROBE_EVERY_EPOCHS == 0:
                evaluate(step)
            if run.should_stop() or epoch == EPOCHS:
                break
            for rows in torch.randperm(len(images)).split(BATCH):
                optimizer.zero_grad()
                functional.cross_entropy(model(images[rows]), labels[rows]).backward()
                optimizer.step()
                step += 1
        stopped = run.should_stop()
        decision = run.finish()

    title = "Digits, clean labels" if options.healthy else "Digits, 40 % wrong training labels"
    history = report.write(run, options.out, title)
    accuracy = dict(history.scalars["validation/accuracy"])
    print(f"{'stopped itself' if stopped else 'ran to its end'} at step {step} of "
          f"{EPOCHS * -(-TRAIN_IMAGES // BATCH)}, validation accuracy {accuracy[step]:.3f}")
    if decision.best_step in accuracy:
        print(f"best step {decision.best_step}: validation accuracy "
              f"{accuracy[decision.best_step]:.3f}")


if __name__ == "__main__":
    main()
