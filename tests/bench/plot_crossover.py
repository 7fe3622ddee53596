#!/usr/bin/python3
"""Draws docs/images/crossover.png from the CSV file of dimwatch_crossover_bench.

usage: plot_crossover.py FILE.csv OUT.png
"""
import csv
import sys
from collections import defaultdict

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

COLORS = {128: "#1b7f79", 768: "#c8553d", 4096: "#4c4fa1"}


def read(path):
    cells = defaultdict(list)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            cells[int(row["dim"])].append({name: float(value) for name, value in row.items()})
    return {dim: sorted(rows, key=lambda row: row["points"]) for dim, rows in sorted(cells.items())}


def crossing(rows, exact, hnsw):
    """Where the ratio exact / hnsw passes 1, by straight lines between logarithms; None without."""
    from math import exp, log

    for a, b in zip(rows, rows[1:]):
        low, high = log(a[exact] / a[hnsw]), log(b[exact] / b[hnsw])
        if low <= 0 < high:
            share = -low / (high - low)
            return exp(log(a["points"]) * (1 - share) + log(b["points"]) * share)
    return None


def main():
    cells = read(sys.argv[1])
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for dim, rows in cells.items():
        points = [row["points"] for row in rows]
        color = COLORS.get(dim, "black")
        axes.plot(points, [row["exact_seconds"] for row in rows], color=color, label=f"exact, D = {dim}")
        axes.plot(points, [row["hnsw_seconds"] for row in rows], "--", color=color, label=f"hnsw, D = {dim}")
        for engine, marker in (("exact", "o"), ("hnsw", "s")):
            for row in rows:
                whole = row[f"{engine}_whole"] == 1
                axes.plot(row["points"], row[f"{engine}_seconds"], marker, color=color,
                          fillstyle="full" if whole else "none", markersize=5)
        measured = crossing(rows, "exact_seconds", "hnsw_seconds")
        expected = crossing(rows, "exact_expected", "hnsw_expected")
        for at, style in ((measured, "-"), (expected, ":")):
            if at is not None:
                axes.axvline(at, color=color, linestyle=style, linewidth=0.8)
        text = [f"{value:,.0f}" if value else f"none up to {points[-1]:,.0f}" for value in (measured, expected)]
        print(f"D = {dim}: crossover measured {text[0]}, of auto {text[1]}")
    axes.set(xscale="log", yscale="log", xlabel="points N, all of them queries, L = 128",
             ylabel="seconds of one thread")
    axes.set_title("Filled: measured whole; open: extrapolated.\n"
                   "Thin lines: crossover, solid as measured, dotted as auto decides", fontsize=9)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=130)


if __name__ == "__main__":
    main()
