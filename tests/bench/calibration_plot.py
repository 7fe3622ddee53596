#!/usr/bin/python3
"""Draws the pictures of docs/estimators.md from the tables that dimwatch_calibration prints.

calibration_plot.py COVERAGE.txt BIAS.txt FOLDER writes estimators_coverage.png and
estimators_bias.png into FOLDER.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy  # noqa: E402

SHOWN = ["twonn paper L=64", "twonn upper L=64", "twonn paper L=128", "twonn upper L=128",
         "twonn-global", "mle L=64", "mom L=64", "gride L=64"]


def rows(file, columns):
    """The cells of every row of a table with so many columns, without headings."""
    table = [[cell.strip() for cell in line.split("|")] for line in Path(file).open()]
    return [row for row in table if len(row) == columns and row[2][0].isdigit()]


def draw_coverage(file, target):
    table = rows(file, 8)
    clouds = list(dict.fromkeys(row[0] for row in table))
    figure, axes = plt.subplots(figsize=(9, 4.2))
    axes.axhspan(93, 97, color="0.9", label="93 to 97 %")
    for i, method in enumerate(SHOWN):
        points = [(clouds.index(row[0]) + 0.09 * (i - 3.5), float(row[6])) for row in table
                  if row[1] == method]
        if not points:
            continue
        axes.plot(*zip(*points), "o", markersize=5, label=method,
                  markerfacecolor="none" if "twonn" not in method else None)
    axes.set_xticks(range(len(clouds)), [cloud.replace(" ", "\n") for cloud in clouds], fontsize=8)
    axes.set_ylabel("coverage of 95 % intervals, %")
    axes.legend(fontsize=7, ncol=3, loc="lower left")
    axes.set_ylim(86, 100.5)
    figure.tight_layout()
    figure.savefig(target, dpi=110)


def draw_bias(file, target):
    figure, (of_points, of_copies) = plt.subplots(1, 2, figsize=(9, 3.6), width_ratios=[3, 2])
    bias = numpy.array(rows(file, 6)[:48], float)
    for dim, color in zip((2, 5, 10, 20), ("C0", "C1", "C2", "C3")):
        for neighbors, style in ((32, ":"), (64, "--"), (128, "-")):
            chosen = bias[(bias[:, 0] == dim) & (bias[:, 2] == neighbors)]
            of_points.plot(chosen[:, 1], chosen[:, 3] / dim, style, color=color,
                           label=f"d = {dim}" if neighbors == 128 else None)
    of_points.set(xscale="log", xlabel="points (dotted L = 32, dashed 64, solid 128)",
                  ylabel="mean local TwoNN / dimension")
    of_points.legend(fontsize=8)
    copies = numpy.array(rows(file, 6)[48:], float)
    for column, name in ((1, "local TwoNN, L = 64"), (3, "global TwoNN"), (4, "MLE, L = 64")):
        of_copies.plot(copies[:, 0], copies[:, column], "o-", label=name)
    of_copies.set(xlabel="near-duplicates, % of rows", ylabel="estimate (d = 10)", ylim=(0, None))
    of_copies.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    coverage, bias_file, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    draw_coverage(coverage, folder / "estimators_coverage.png")
    draw_bias(bias_file, folder / "estimators_bias.png")
