"""Draws images/scale_profile.png from what `dimwatch estimate --scale --json` says of two clouds.

    python3 docs/scale_profile.py build/bin/dimwatch

Needs numpy and matplotlib (deploy/install-packages.sh quickstart).
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  (after the backend was chosen)

ROOT = pathlib.Path(__file__).resolve().parents[1]
DIGITS = ROOT / "tests/golden/digits_jitter_64.npy"


def noisy_sheet(points=10_000, dim=20, noise=0.002):
    """A flat square with Gaussian noise in 20 dimensions."""
    random = np.random.default_rng(0)
    rows = noise * random.standard_normal((points, dim))
    rows[:, :2] += random.random((points, 2))
    return rows.astype(np.float32)


def profile(command, file):
    words = [command, "estimate", str(file), "--scale", "--json"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def draw(axes, title, estimate):
    for name, color in (("gride", "#0072B2"), ("twonn", "#D55E00")):
        curve = estimate["scale_profile"][name]
        distance, dimension, error = (np.array([point[key] for point in curve])
                                      for key in ("distance", "dimension", "standard_error"))
        label = {"gride": "Gride, n1 = 1 to 128", "twonn": "TwoNN of N, N/2, N/4, ... points"}[name]
        axes.errorbar(distance, dimension, 1.96 * error, color=color, marker="o", markersize=4,
                      capsize=3, linewidth=1.5, label=label)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_title(f"{title}, n = {estimate['n_points']}", fontsize=11)
    axes.set_xlabel("mean distance of the two neighbors")
    axes.grid(alpha=0.3)


def main():
    command = sys.argv[1] if len(sys.argv) > 1 else "dimwatch"
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.5, 3.8), constrained_layout=True)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "sheet.npy"
        np.save(file, noisy_sheet())
        draw(left, "a square with noise in 20 dimensions", profile(command, file))
    left.axhline(2, color="gray", linewidth=1, linestyle=":")
    draw(right, "handwritten digits (8 x 8)", profile(command, DIGITS))
    left.set_ylabel("dimension ± 95 %")
    right.legend(frameon=False, fontsize=9)
    figure.savefig(ROOT / "docs/images/scale_profile.png", dpi=130)


main()
