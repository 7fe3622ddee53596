"""dimwatch estimate: the reference values, and every file that is none."""

import json
import re
import struct

import numpy
import pytest
from conftest import TESTS

GOLDEN = TESTS / "golden"
KEYS = [
    "estimator", "mean", "std", "standard_error", "n_points", "n_queries", "n_invalid",
    "n_duplicates", "neighbors", "cdf", "index", "recall", "recall_low",
    "bias_bound", "engine_reason", "seconds",
]


def reference(cloud):
    return json.loads((GOLDEN / f"{cloud}.json").read_text())


def clouds_with_local_twonn():
    for file in sorted(GOLDEN.glob("*.json")):
        for key in json.loads(file.read_text()):
            if found := re.fullmatch(r"twonn_local_k(\d+)", key):
                for cdf in ("paper", "upper"):
                    yield file.stem, int(found[1]), cdf


@pytest.mark.parametrize("cloud,neighbors,cdf", clouds_with_local_twonn())
def test_local_twonn_equals_the_reference(dimwatch, cloud, neighbors, cdf):
    expected = reference(cloud)[f"twonn_local_k{neighbors}"][cdf]
    done = dimwatch("estimate", GOLDEN / f"{cloud}.npy", "--neighbors", neighbors, "--cdf", cdf, "--json")
    assert done.code == 0, done.err
    [got] = done.lines
    assert got["mean"] == pytest.approx(expected["mean"], rel=1e-5)
    assert got["std"] == pytest.approx(expected["std_ddof1"], rel=1e-4)
    assert (got["estimator"], got["neighbors"], got["cdf"]) == ("twonn", neighbors, cdf)


@pytest.mark.parametrize("cdf", ["paper", "upper"])
@pytest.mark.parametrize("cloud", sorted(file.stem for file in GOLDEN.glob("*.json")))
def test_global_twonn_equals_the_reference(dimwatch, cloud, cdf):
    done = dimwatch("estimate", GOLDEN / f"{cloud}.npy", "--estimator", "twonn-global", "--cdf", cdf, "--json")
    assert done.lines[0]["mean"] == pytest.approx(reference(cloud)["twonn_global"][cdf], rel=1e-5)


@pytest.mark.parametrize("cloud", sorted(file.stem for file in GOLDEN.glob("*.json")))
def test_mle_and_its_harmonic_mean_equal_the_reference(dimwatch, cloud):
    done = dimwatch("estimate", GOLDEN / f"{cloud}.npy", "--estimator", "mle", "--neighbors", 20, "--json")
    expected = reference(cloud)["mle_k20"]
    assert done.lines[0]["mean"] == pytest.approx(expected["mean"], rel=1e-5)
    assert done.lines[0]["harmonic_mean"] == pytest.approx(expected["harmonic_mean"], rel=1e-5)
    assert 0 < done.lines[0]["harmonic_mean_standard_error"] < 1


@pytest.mark.parametrize("cloud", sorted(file.stem for file in GOLDEN.glob("*.json")))
def test_the_scale_profile_equals_the_reference(dimwatch, cloud):
    done = dimwatch("estimate", GOLDEN / f"{cloud}.npy", "--scale", "--json")
    profile, expected = done.lines[0]["scale_profile"], reference(cloud)["gride"]
    assert [point["neighbors"] for point in profile["gride"]] == [2 * n1 for n1 in expected["n1"]]
    got = [point["dimension"] for point in profile["gride"]]
    assert got == pytest.approx(expected["id"], rel=1e-4)
    assert [point["distance"] for point in profile["gride"]] == pytest.approx(expected["mean_radius"], rel=1e-5)
    halves = [done.lines[0]["n_points"] // point["parts"] for point in profile["twonn"]]
    assert [point["points"] for point in profile["twonn"]] == halves and len(halves) > 3


def test_people_see_the_scale_profile_with_errors_and_bars(dimwatch):
    out = dimwatch("estimate", GOLDEN / "sphere5_in128.npy", "--scale").out
    rows = [line for line in out.splitlines() if line.startswith(("gride", "twonn"))]
    assert len(rows) == 8 + 5
    assert all("±" in row and "█" in row for row in rows)
    assert "±" not in dimwatch("estimate", GOLDEN / "sphere5_in128.npy").out.split("std")[1]


def test_near_duplicates_are_counted_and_dropped_within_the_tolerance(dimwatch, tmp_path):
    rows = numpy.random.default_rng(0).standard_normal((1000, 6)).astype(numpy.float32)
    copies = rows[:50] + numpy.float32(1e-5)
    numpy.save(tmp_path / "a.npy", numpy.concatenate([rows, copies]))
    [near] = dimwatch("estimate", tmp_path / "a.npy", "--json").lines
    assert (near["n_near_duplicates"], near["n_duplicates"], near["n_points"]) == (100, 0, 1050)
    words = ["--duplicate-tolerance", 0.01, "--json"]
    [mended] = dimwatch("estimate", tmp_path / "a.npy", *words).lines
    assert (mended["n_near_duplicates"], mended["n_duplicates"], mended["n_points"]) == (0, 50, 1000)
    assert mended["mean"] > 1.05 * near["mean"]


def test_json_has_the_promised_keys_first(dimwatch):
    done = dimwatch("estimate", GOLDEN / "gauss10_in64.npy", "--json")
    assert list(done.lines[0])[:len(KEYS)] == KEYS
    assert done.out.count("\n") == 1


def test_pointwise_holds_a_value_per_row_and_nan_where_there_is_none(dimwatch, tmp_path):
    rows = numpy.load(GOLDEN / "gauss10_in64.npy")
    rows[7] = rows[3]  # a copy
    rows[9, 0] = numpy.nan
    numpy.save(tmp_path / "cloud.npy", rows)
    done = dimwatch("estimate", tmp_path / "cloud.npy", "--pointwise", tmp_path / "lid.npy", "--json")
    assert done.code == 0, done.err
    lid = numpy.load(tmp_path / "lid.npy")
    assert lid.shape == (len(rows),)
    assert set(numpy.flatnonzero(numpy.isnan(lid))) == {7, 9}
    assert numpy.nanmean(lid) == pytest.approx(done.lines[0]["mean"], rel=1e-12)
    assert done.lines[0]["n_duplicates"] == 1


def test_pointwise_equals_the_reference(dimwatch, tmp_path):
    done = dimwatch("estimate", GOLDEN / "gauss10_in64.npy", "--neighbors", 64, "--pointwise", tmp_path / "lid.npy")
    assert done.code == 0, done.err
    expected = numpy.load(GOLDEN / "gauss10_in64.twonn_local_k64_paper.npy")
    numpy.testing.assert_allclose(numpy.load(tmp_path / "lid.npy"), expected, rtol=1e-4)


def test_target_se_takes_no_more_queries_than_it_needs(dimwatch):
    file = GOLDEN / "curved12_in768.npy"
    [everything] = dimwatch("estimate", file, "--neighbors", 32, "--json").lines
    loose = everything["standard_error"] / everything["mean"] * 1.5
    [loosely] = dimwatch("estimate", file, "--neighbors", 32, "--target-se", loose, "--json").lines
    assert loosely["standard_error"] <= loose * loosely["mean"]
    assert loosely["n_queries"] < everything["n_queries"]
    closely = dimwatch("estimate", file, "--neighbors", 32, "--target-se", 1e-9)
    assert "missed" in closely.out, "another draw differs by more"


def test_threads_change_nothing(dimwatch):
    results = []
    for threads in (1, 2):
        [got] = dimwatch("estimate", GOLDEN / "gauss10_in64.npy", "--threads", threads, "--json").lines
        del got["seconds"]
        results.append(got)
    assert results[0] == results[1]


def test_people_see_the_mean_with_its_error_and_settings(dimwatch):
    out = dimwatch("estimate", GOLDEN / "gauss10_in64.npy").out
    assert re.search(r"mean LID +8\.60 ± 0\.\d\d", out)
    for word in ("n = 2000", "L = 128", "cdf paper", "index exact", "seed 0"):
        assert word in out
    assert "\x1b" not in out, "no color where there is no terminal"


def bad_files(tmp_path):
    good = numpy.arange(600, dtype=numpy.float32).reshape(200, 3)
    numpy.save(tmp_path / "fortran.npy", numpy.asfortranarray(good))
    numpy.save(tmp_path / "big.npy", good.astype(">f4"))
    numpy.save(tmp_path / "one.npy", good.ravel())
    numpy.save(tmp_path / "three.npy", good.reshape(10, 20, 3))
    numpy.save(tmp_path / "int.npy", good.astype(numpy.int32))
    numpy.save(tmp_path / "empty.npy", good[:0])
    numpy.save(tmp_path / "good.npy", good)
    whole = (tmp_path / "good.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(whole[:-5])
    (tmp_path / "long.npy").write_bytes(whole + b"more")
    (tmp_path / "header.npy").write_bytes(whole[:20])
    (tmp_path / "magic.npy").write_bytes(b"PK\x03\x04" + whole[4:])
    (tmp_path / "text.npy").write_text("1 2 3\n")
    (tmp_path / "zero.npy").write_bytes(b"")
    version = bytearray(whole)
    version[6] = 9
    (tmp_path / "version.npy").write_bytes(version)
    length = bytearray(whole)
    length[8:10] = struct.pack("<H", 65535)
    (tmp_path / "length.npy").write_bytes(length)
    (tmp_path / "folder.npy").mkdir()


@pytest.mark.parametrize(
    "name", "fortran big one three int empty short long header magic text zero version length folder missing".split()
)
def test_a_bad_file_is_one_line_that_names_it(dimwatch, tmp_path, name):
    bad_files(tmp_path)
    file = tmp_path / f"{name}.npy"
    done = dimwatch("estimate", file, "--neighbors", 16, "--json")
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("dimwatch: ") and done.err.count("\n") == 1
    assert str(file) in done.err


@pytest.mark.parametrize(
    "name,said", [("fortran", "ortran"), ("big", ">f4"), ("one", "600"), ("int", "<i4"), ("missing", "no ")]
)
def test_the_line_says_what_was_found(dimwatch, tmp_path, name, said):
    bad_files(tmp_path)
    assert said in dimwatch("estimate", tmp_path / f"{name}.npy").err


def test_too_few_points_are_an_error_that_says_so(dimwatch, tmp_path):
    numpy.save(tmp_path / "few.npy", numpy.ones((200, 3), numpy.float32))
    done = dimwatch("estimate", tmp_path / "few.npy", "--neighbors", 16)
    assert done.code == 1
    assert "1 distinct finite points of 200 rows" in done.err


@pytest.mark.parametrize(
    "words,said",
    [
        (["--estimator", "pca"], "pca"),
        (["--neighbors", "3"], "neighbors"),
        (["--cdf", "lower"], "lower"),
        (["--index", "faiss"], "faiss"),
        (["--max-points", "-1"], "max_points"),
    ],
)
def test_a_bad_setting_is_named(dimwatch, words, said):
    done = dimwatch("estimate", GOLDEN / "gauss10_in64.npy", *words)
    assert done.code == 1 and said in done.err


@pytest.mark.parametrize(
    "words", [["estimate"], ["estimat"], [], ["estimate", "x.npy", "--nope"], ["estimate", "x", "--neighbors", "many"]]
)
def test_a_command_line_that_is_not_understood_exits_with_2(dimwatch, words):
    assert dimwatch(*words).code == 2


def test_help_and_version_exit_with_0(dimwatch):
    assert dimwatch("--help").code == 0
    assert dimwatch("estimate", "--help").code == 0
    assert re.fullmatch(r"dimwatch \d+\.\d+\.\d+\n", dimwatch("--version").out)
