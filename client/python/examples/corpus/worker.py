"""One run in one process, as corpus.__main__ starts it: -m corpus.worker NAME FOLDER DATA."""

import signal
import sys

import torch

from corpus import text
from corpus.runs import RUNS
from corpus.training import train


def main(name, folder, data):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits "ignored"
    run = RUNS[name]
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    train(run.task.build(text.Sources(data, weights=f"{folder}/..")), run.training, folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
