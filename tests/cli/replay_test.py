"""dimwatch replay: three real training runs, and traces that are none."""

import json

import numpy
import pytest
from conftest import TESTS

TRACES = TESTS / "data/traces"


def of(lines, kind, **values):
    return [
        line
        for line in lines
        if line["type"] == kind and all(line[name] == value for name, value in values.items())
    ]


@pytest.fixture(scope="module")
def replayed():
    """The lines of a recorded trace, replayed once."""
    import subprocess

    from conftest import COMMAND

    cache = {}

    def lines(name):
        if name not in cache:
            words = [COMMAND, "replay", TRACES / name, "--json"]
            out = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout
            cache[name] = [json.loads(line) for line in out.splitlines()]
        return cache[name]

    return lines


def scalars(name, series):
    steps = (json.loads(line) for line in (TRACES / name / "trace.jsonl").open())
    return {step["step"]: step["scalars"][series] for step in steps}


def first_step(curve, holds):
    return next(step for step, value in curve.items() if holds(value))


def test_every_snapshot_of_the_trace_gives_one_estimate(replayed):
    recorded = [
        (step["step"], sample["probe"])
        for step in map(json.loads, (TRACES / "healthy-digits/trace.jsonl").open())
        for sample in step["samples"]
    ]
    estimates = of(replayed("healthy-digits"), "estimate")
    assert [(line["step"], line["probe"]) for line in estimates] == recorded
    for line in estimates:
        assert line["complete"] and line["window_fill"] == 1
        assert 0 < line["standard_error"] < line["mean"]
        assert line["neighbors"] == 128 and line["cdf"] == "paper"
    paired = [line["paired_change"] is not None for line in estimates]
    assert paired == [False] * 2 + [True] * (len(paired) - 2), "row counts agree: aligned"


def test_overfitting_fires_and_stops_before_most_of_the_damage(replayed):
    name = "overfitting-digits-noise40"
    fired = of(replayed(name), "signal", signal="overfitting", state="FIRING")
    assert fired
    accuracy = scalars(name, "validation/accuracy")
    best, last = max(accuracy.values()), accuracy[max(accuracy)]
    assert accuracy[fired[0]["step"]] > last + (best - last) / 4
    end = replayed(name)[-1]
    assert (end["type"], end["decision"]) == ("decision", "STOP")
    assert "overfitting" in end["reason"]
    assert end["best_step"] < fired[0]["step"]
    assert accuracy[end["best_step"]] > best - 0.05


def test_healthy_training_is_not_called_overfitting(replayed):
    lines = replayed("healthy-digits")
    assert not of(lines, "signal", signal="overfitting", state="FIRING")
    for decision in of(lines, "decision", decision="STOP"):
        assert "overfitting" not in decision["signals"]


def test_grokking_is_seen_coming_and_not_stopped_before_it(replayed):
    name = "grokking-add-p113"
    lines = replayed(name)
    accuracy = scalars(name, "validation/accuracy")
    memorized = first_step(scalars(name, "train/accuracy"), lambda value: value > 0.99)
    grokked = first_step(accuracy, lambda value: value > 0.95)
    assert of(lines, "signal", signal="memorizing", state="FIRING")
    fired = [line["step"] for line in of(lines, "signal", signal="generalizing", state="FIRING")]
    assert memorized < min(fired) < grokked
    assert accuracy[min(fired)] < 0.5, "before validation accuracy tells"
    stops = [line["step"] for line in of(lines, "decision", decision="STOP")]
    assert all(step >= grokked for step in stops)


def save_course(file, lines):
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.mark.parametrize("name", sorted(folder.name for folder in TRACES.iterdir() if folder.is_dir()))
def test_what_a_replay_printed_is_judged_the_same_again_without_the_vectors(dimwatch, replayed, tmp_path, name):
    course = save_course(tmp_path / "course.jsonl", replayed(name))
    assert of(replayed(name), "scalar", name="validation/accuracy")
    again = dimwatch("replay", course, "--json")
    assert again.code == 0, again.err
    assert again.lines == replayed(name)
    table = dimwatch("replay", course).out
    assert table == dimwatch("replay", TRACES / name).out


def test_a_course_is_judged_with_any_rules(dimwatch, replayed, tmp_path):
    name = "overfitting-digits-noise40"
    course = save_course(tmp_path / "course.jsonl", replayed(name))
    [default] = {line["step"] for line in of(replayed(name), "decision", decision="STOP")}
    config = tmp_path / "rules.toml"
    config.write_text(f"[policy]\nwarmup_step = {default + 1}\n")
    stops = of(dimwatch("replay", course, "--config", config, "--json").lines, "decision", decision="STOP")
    assert stops and stops[0]["step"] > default
    config.write_text("[policy]\nmode = 'shadow'\n")
    stop = of(dimwatch("replay", course, "--config", config, "--json").lines, "decision", decision="STOP")[0]
    assert (stop["step"], stop["mode"]) == (default, "shadow")


def test_a_course_that_goes_back_is_judged_as_the_run_was(dimwatch, tmp_path):
    for i in range(30):
        rows = numpy.random.default_rng(i).standard_normal((200, 12))
        rows[:, min(12, 3 + i) :] *= 1e-3  # more and more dimensions: memorizing
        numpy.save(tmp_path / f"{i}.npy", rows.astype(numpy.float32))
    order = [*range(20), *range(10, 30)]
    samples = [{"step": 10 * i, "scalars": {"loss": 30 - i}, "samples": [{"probe": "p", "file": f"{i}.npy"}]} for i in order]
    words = ["replay", trace(tmp_path, *map(json.dumps, samples)), "--neighbors", 16, "--json"]
    lines = dimwatch(*words).lines
    assert of(lines, "rewind") and of(lines, "signal")
    assert dimwatch("replay", save_course(tmp_path / "course.jsonl", lines), "--json").lines == lines


def test_two_sets_of_rules_are_compared_on_many_recordings(dimwatch, replayed, tmp_path):
    (tmp_path / "default.toml").write_text("")
    (tmp_path / "patient.toml").write_text("[signals]\npatience = 4\n[policy]\nstop_on = ['overfitting']\n")
    rules = [tmp_path / "default.toml", tmp_path / "patient.toml"]
    names = ["overfitting-digits-noise40", "grokking-add-p113"]
    courses = [save_course(tmp_path / f"{name}.jsonl", replayed(name)) for name in names]
    lines = dimwatch("replay", *courses, "--compare", *rules, "--json").lines
    assert [line["type"] for line in lines] == ["comparison", "comparison", "summary"]
    assert [line["run"] for line in lines[:2]] == names
    for course, line in zip(courses, lines):
        for rule, entry in zip(rules, line["rules"]):
            alone = dimwatch("replay", course, "--config", rule, "--json").lines
            stops = of(alone, "decision", decision="STOP")
            fired = {}
            for signal in of(alone, "signal", state="FIRING"):
                fired.setdefault(signal["signal"], {"step": signal["step"], "probe": signal["probe"]})
            assert entry["rules"] == str(rule) and entry["signals"] == fired
            assert entry["stop_step"] == (stops[0]["step"] if stops else None)
            assert entry["best_step"] == (stops[0]["best_step"] if stops else None)
    summary = lines[-1]
    assert summary["runs"] == 2 and summary["differing"] == 1
    for i, counted in enumerate(summary["rules"]):
        assert counted["stopped"] == sum(line["rules"][i]["stop_step"] is not None for line in lines[:2])
        assert counted["signals"]["overfitting"] == 1 and counted["signals"]["generalizing"] == 1

    table = dimwatch("replay", *courses, "--compare", *rules).out.splitlines()
    assert "default.toml" in table[0] and "patient.toml" in table[0]
    [row] = [line for line in table if line.startswith(names[0])]
    for entry in lines[0]["rules"]:
        assert f"{entry['stop_step']} (best {entry['best_step']})" in row
    assert row.rstrip().endswith("*"), "the stops differ"
    assert any(line.startswith("2 runs") for line in table)


def test_a_trace_and_its_course_compare_alike(dimwatch, replayed, tmp_path):
    (tmp_path / "rules.toml").write_text("")
    rules = ["--compare", tmp_path / "rules.toml", tmp_path / "rules.toml", "--json"]
    name = "healthy-digits"
    course = save_course(tmp_path / f"{name}.jsonl", replayed(name))
    lines = dimwatch("replay", TRACES / name, course, *rules).lines
    assert lines[0] == lines[1] and lines[2]["differing"] == 0


def test_several_recordings_are_for_comparing_alone(dimwatch):
    done = dimwatch("replay", TRACES / "healthy-digits", TRACES / "healthy-digits")
    assert done.code == 1 and "--compare" in done.err


@pytest.mark.parametrize(
    "line,said",
    [
        ("{", "type"),
        ('{"step": 1}', "type"),
        ('{"type": "estimate", "probe": "p", "mean": 1}', "`step` is missing"),
        ('{"type": "estimate", "step": 1.5, "probe": "p", "mean": 1}', "1.5"),
        ('{"type": "estimate", "step": -1, "probe": "p", "mean": 1}', "-1"),
        ('{"type": "estimate", "step": 1, "mean": 1}', "`probe` is missing"),
        ('{"type": "estimate", "step": 1, "probe": "p"}', "`mean` is missing"),
        ('{"type": "estimate", "step": 1, "probe": "p", "mean": "high"}', "high"),
        ('{"type": "estimate", "step": 1, "probe": "p", "mean": 1, "estimator": "guess"}', "guess"),
        ('{"type": "estimate", "step": 1, "probe": "p", "mean": 1, "quantiles": {"0.5": "x"}}', "quantiles"),
        ('{"type": "scalar", "step": 1, "name": "loss"}', "`value` is missing"),
        ('{"type": "scalar", "step": 1, "name": 3, "value": 1}', "`name`"),
        ('{"type": "rewind", "step": 1}', "`series` is missing"),
    ],
)
def test_a_bad_course_is_an_error_with_its_line(dimwatch, tmp_path, line, said):
    course = tmp_path / "course.jsonl"
    course.write_text('{"type": "estimate", "step": 0, "probe": "p", "mean": 3}\n' + line + "\n")
    done = dimwatch("replay", course)
    assert done.code == 1 and done.out == ""
    assert said in done.err and "course.jsonl:2" in done.err and done.err.count("\n") == 1


def test_a_course_without_estimates_is_refused(dimwatch, tmp_path):
    course = save_course(tmp_path / "course.jsonl", [{"type": "scalar", "step": 1, "name": "a", "value": 1}])
    done = dimwatch("replay", course)
    assert done.code == 1 and "no estimate" in done.err


@pytest.mark.parametrize("name", sorted(folder.name for folder in TRACES.iterdir() if folder.is_dir()))
def test_replayed_twice_is_the_same_twice_with_any_number_of_threads(dimwatch, name):
    once = dimwatch("replay", TRACES / name, "--json", "--threads", 1)
    again = dimwatch("replay", TRACES / name, "--json", "--threads", 3)
    assert once.code == 0 and once.out == again.out


@pytest.mark.parametrize("name", sorted(folder.name for folder in TRACES.iterdir() if folder.is_dir()))
def test_decisions_come_at_each_change_and_at_the_end(replayed, name):
    lines = replayed(name)
    assert lines[-1]["type"] == "decision"
    decisions = of(lines, "decision")
    if len(decisions) > 1:
        assert decisions[-1] == decisions[-2], "the end repeats the one in force"
    changes = decisions[:-1]
    assert all(one != other for one, other in zip(changes, changes[1:]))
    for line in of(lines, "signal"):
        assert line["signal"].islower() and line["state"].isupper() and line["reason"]


def test_settings_come_from_the_file_and_the_command_line_overrides_them(dimwatch, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(
        "neighbors = 64\n[estimator]\ncdf = 'upper'\n[signals]\npatience = 2\n[policy]\nstop_on = ['none']\n"
        "[[probes]]\nprobe = 'validation/last'\naligned = false\nestimator.neighbors = 32\n"
    )
    done = dimwatch("replay", TRACES / "overfitting-digits-noise40", "--config", config, "--json")
    assert done.code == 0, done.err
    lines = done.lines
    train = of(lines, "estimate", probe="train/last")
    validation = of(lines, "estimate", probe="validation/last")
    assert {(e["neighbors"], e["cdf"]) for e in train} == {(64, "upper")}
    assert {(e["neighbors"], e["cdf"]) for e in validation} == {(32, "upper")}
    assert train[1]["paired_change"] is not None and validation[1]["paired_change"] is None
    assert of(lines, "signal", signal="overfitting", state="FIRING")
    assert not of(lines, "decision", decision="STOP"), "stop_on = none"
    words = ["--config", config, "--neighbors", 20, "--cdf", "paper", "--json"]
    lines = dimwatch("replay", TRACES / "overfitting-digits-noise40", *words).lines
    assert {(e["neighbors"], e["cdf"]) for e in of(lines, "estimate")} == {(20, "paper")}


def test_a_rolling_window_joins_steps(dimwatch, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(
        "[[probes]]\nprobe = 'train/last'\nwindow = 'rolling'\nwindow_points = 2400\nestimate_every = 1200\n"
    )
    words = ["replay", TRACES / "healthy-digits", "--config", config, "--json"]
    estimates = of(dimwatch(*words).lines, "estimate", probe="train/last")
    assert [line["complete"] for line in estimates[:3]] == [False, True, True]
    assert [line["n_rows"] for line in estimates[:3]] == [1200, 2400, 2400]


def test_a_probe_may_ask_for_a_scale_profile_every_so_many_estimates(dimwatch, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text("[[probes]]\nprobe = 'train/last'\nscale_every = 10\n")
    words = ["replay", TRACES / "healthy-digits", "--config", config]
    once, twice = dimwatch(*words, "--json"), dimwatch(*words, "--threads", 1, "--json")
    assert once.out == twice.out
    profiles = of(once.lines, "scale_profile")
    estimates = of(once.lines, "estimate", probe="train/last")
    assert [line["step"] for line in profiles] == [line["step"] for line in estimates[::10]]
    for line in profiles:
        assert line["probe"] == "train/last" and line["complete"] and line["window_fill"] == 1
        assert [point["neighbors"] for point in line["gride"]] == [2, 4, 8, 16, 32, 64, 128, 256]
        assert all(0 < p["standard_error"] < p["dimension"] for p in line["gride"] + line["twonn"])
    assert dimwatch(*words).out.count("scale profile of train/last") == len(profiles)


def test_people_see_a_table_with_errors_points_and_settings(dimwatch):
    out = dimwatch("replay", TRACES / "overfitting-digits-noise40").out
    header = out.splitlines()[0]
    for column in ("STEP", "LID (mean ± s.e.)", "n", "L", "SETTINGS", "FILL", "COMPLETE"):
        assert column in header
    assert out.count("±") >= 42
    assert "overfitting FIRING" in out and "STOP at step" in out.splitlines()[-1]


def trace(folder, *lines):
    (folder / "trace.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def save(folder, name, rows=100, dim=5, seed=0):
    numpy.save(folder / name, numpy.random.default_rng(seed).standard_normal((rows, dim)).astype(numpy.float32))


def test_a_trace_that_goes_back_replaces_what_came_later(dimwatch, tmp_path):
    for i in range(4):
        save(tmp_path, f"{i}.npy", seed=i)
    order = [(0, 0), (10, 1), (20, 2), (10, 3)]
    lines = [json.dumps({"step": s, "samples": [{"probe": "p", "file": f"{i}.npy"}]}) for s, i in order]
    got = dimwatch("replay", trace(tmp_path, *lines), "--neighbors", 16, "--json").lines
    assert [line["step"] for line in of(got, "estimate")] == [0, 10, 20, 10]
    assert [(line["step"], line["series"]) for line in of(got, "rewind")] == [(10, "p")]


def test_lines_of_one_step_are_one_snapshot(dimwatch, tmp_path):
    for i in range(2):
        save(tmp_path, f"{i}.npy", seed=i)
    lines = [json.dumps({"step": 5, "samples": [{"probe": "p", "file": f"{i}.npy"}]}) for i in range(2)]
    [estimate] = of(dimwatch("replay", trace(tmp_path, *lines), "--neighbors", 16, "--json").lines, "estimate")
    assert (estimate["step"], estimate["n_points"]) == (5, 200)


def test_an_item_that_a_server_would_reject_is_reported_and_the_rest_goes_on(dimwatch, tmp_path):
    save(tmp_path, "a.npy")
    save(tmp_path, "b.npy", dim=6)
    samples = [("a.npy", 0), ("b.npy", 1), ("a.npy", 2)]
    lines = [json.dumps({"step": s, "samples": [{"probe": "p", "file": f}]}) for f, s in samples]
    got = dimwatch("replay", trace(tmp_path, *lines), "--neighbors", 16, "--json").lines
    assert [line["step"] for line in of(got, "estimate")] == [0, 2]
    [rejected] = of(got, "rejected")
    assert rejected["step"] == 1 and "5" in rejected["reason"] and "6" in rejected["reason"]


@pytest.mark.parametrize(
    "line,said",
    [
        ("{", "no JSON"),
        ("[1]", "object"),
        ('{"scalars": {}}', "`step` is missing"),
        ('{"step": -1}', "-1"),
        ('{"step": 1.5}', "1.5"),
        ('{"step": "1"}', '"1"'),
        ('{"step": 1, "scalars": [1]}', "scalars"),
        ('{"step": 1, "scalars": {"loss": "low"}}', "loss"),
        ('{"step": 1, "samples": {"p": "a.npy"}}', "samples"),
        ('{"step": 1, "samples": [{"probe": "p"}]}', "file"),
        ('{"step": 1, "samples": [{"probe": "p", "file": "gone.npy"}]}', "gone.npy"),
        ('{"step": 1, "samples": [{"probe": "p", "file": "fortran.npy"}]}', "fortran.npy"),
        ('{"step": 1, "samples": [{"probe": "a b", "file": "a.npy"}]}', "a b"),
    ],
)
def test_a_bad_trace_is_an_error_with_its_line(dimwatch, tmp_path, line, said):
    save(tmp_path, "a.npy")
    numpy.save(tmp_path / "fortran.npy", numpy.asfortranarray(numpy.ones((100, 5), numpy.float32)))
    done = dimwatch("replay", trace(tmp_path, '{"step": 0}', line), "--neighbors", 16)
    assert done.code == 1
    assert said in done.err and done.err.count("\n") == 1
    assert "a b" in said or "trace.jsonl:2" in done.err


def test_a_folder_without_a_trace_is_named(dimwatch, tmp_path):
    for folder in (tmp_path, tmp_path / "gone"):
        done = dimwatch("replay", folder)
        assert done.code == 1 and str(folder) in done.err
    assert dimwatch("replay", trace(tmp_path)).code == 1


@pytest.mark.parametrize(
    "text,said",
    [
        ("x = ", "no TOML"),
        ("\nneighbours = 3", ":2: neighbours is not known"),
        ("[estimator]\nneighbors = 'many'", ":2: estimator.neighbors must be an integer"),
        ("[estimator]\ncdf = 'lower'", "lower"),
        ("[signals]\npatience = 0", "patience"),
        ("[policy]\nmode = 'strict'", "strict"),
        ("[policy]\nstop_on = ['boredom']", "boredom"),
        ("[[probes]]\nlayer = 'x'", "probe is missing"),
        ("[[probes]]\nprobe = 'train/first'", "train/first"),
        ("[[probes]]\nprobe = 'train/last'\nwindow = 'sliding'", "sliding"),
    ],
)
def test_a_bad_configuration_is_an_error_with_its_line(dimwatch, tmp_path, text, said):
    config = tmp_path / "config.toml"
    config.write_text(text)
    done = dimwatch("replay", TRACES / "healthy-digits", "--config", config)
    assert done.code == 1 and said in done.err and done.out == ""
