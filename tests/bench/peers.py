#!/usr/bin/python3
"""Mean LID end to end: `dimwatch estimate` against scikit-dimension as arXiv 2506.01034 runs it
(skdim.id.TwoNN().fit_pw, 128 neighbors), and the neighbors alone by scikit-learn.

    tests/bench/peers.py --build build [--points 10000] [--pointwise 2000] [--whole]

Not part of the tests: it makes a virtual environment (--venv) and installs scikit-dimension there
from PyPI. Every program gets the same .npy and the same number of threads. scikit-dimension
searches the neighbors of all points, then fits one point after another: by default only
--pointwise of them are fitted, and the time of all is taken in proportion; --whole fits them all.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACKAGES = ["scikit-dimension==0.3.4", "matplotlib", "pandas"]  # it imports, but requires not all
NEIGHBORS = 128


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("build"), help="where bin/dimwatch is")
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "dimwatch-peers")
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--pointwise", type=int, default=2000, help="points that scikit-dimension fits")
    parser.add_argument("--whole", action="store_true", help="scikit-dimension fits all points")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    python = options.venv / "bin/python"
    if Path(sys.prefix) == options.venv.resolve():
        return compare(options)
    if not python.exists():
        subprocess.run(["/usr/bin/python3", "-m", "venv", options.venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    threads = {name: str(options.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [python, __file__, *sys.argv[1:], "--venv", options.venv.resolve()]
    return subprocess.run(command, env={**os.environ, **threads}, check=False).returncode


def timed(work):
    """Its result, wall seconds, and processor seconds of this process and its children."""
    wall, cpu = time.monotonic(), os.times()
    result = work()
    wall, after = time.monotonic() - wall, os.times()
    return result, wall, sum(after[:4]) - sum(cpu[:4])


def compare(options):
    """Runs inside the virtual environment."""
    import importlib.metadata

    import numpy
    import skdim
    from sklearn.neighbors import NearestNeighbors

    random = numpy.random.default_rng(1)
    plane = random.standard_normal((20, options.dim))
    cloud = (random.standard_normal((options.points, 20)) @ plane + 1).astype(numpy.float32)
    fitted = options.points if options.whole else min(options.pointwise, options.points)

    def estimate(file):
        command = [options.build / "bin/dimwatch", "estimate", file, "--neighbors", str(NEIGHBORS)]
        command += ["--threads", str(options.threads), "--json", "--pointwise", f"{file}.lid.npy"]
        command += ["--max-points", str(options.points), "--index", "exact"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout), numpy.load(f"{file}.lid.npy")

    def neighbors():
        search = NearestNeighbors(n_neighbors=NEIGHBORS + 1, algorithm="brute", n_jobs=options.threads)
        return search.fit(cloud).kneighbors(cloud, return_distance=False)[:, 1:]

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cloud.npy"
        numpy.save(file, cloud)
        (ours, lids), our_wall, our_cpu = timed(lambda: estimate(file))
    near, near_wall, near_cpu = timed(neighbors)
    theirs, fit_wall, fit_cpu = timed(
        lambda: skdim.id.TwoNN().fit_pw(
            cloud, precomputed_knn=near[:fitted], n_jobs=options.threads
        ).dimension_pw_
    )
    share = options.points / fitted
    their_wall = near_wall + share * fit_wall
    alone = options.threads == 1  # with more, scikit-dimension's processor time is in its workers
    versions = {name: importlib.metadata.version(name)
                for name in ("scikit-dimension", "scikit-learn", "numpy")}
    print(json.dumps({
        "points": options.points, "dim": options.dim, "neighbors": NEIGHBORS,
        "threads": options.threads, "fitted_points": fitted, **versions,
        "dimwatch_seconds": round(our_wall, 3), "dimwatch_cpu_seconds": round(our_cpu, 3),
        "dimwatch_mean": ours["mean"],
        "sklearn_neighbors_seconds": round(near_wall, 2),
        "skdim_seconds": round(their_wall, 1),
        "largest_difference_of_a_point": float(numpy.max(numpy.abs(lids[:fitted] / theirs - 1))),
        "speedup": round(their_wall / our_wall, 1),
        "cpu_speedup": round((near_cpu + share * fit_cpu) / our_cpu, 1) if alone else None,
        "speedup_over_sklearn_neighbors": round(near_wall / our_wall, 2),
        "cpu_speedup_over_sklearn_neighbors": round(near_cpu / our_cpu, 2),
    }, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
