"""Two runs of `roomtone bench` side by side: what a shared machine does must not look like a change of the program."""

import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import t

from benchmarks.bench.change import Yardsticks, change, interval
from benchmarks.bench.compare import Comparison, compare
from benchmarks.bench.figures import Better, Figure
from benchmarks.bench.store import Result
from benchmarks.bench.student import quantile
from benchmarks.bench.yardstick import NAME

MACHINE = {
    "cpu": {"model": "Some CPU", "simd_lanes": 8, "processors": 4, "governors": ["performance"]},
    "kernel": "Linux 6.1",
    "load_average": [0.1, 0.1, 0.1],
    "versions": {"python": "cpython 3.12.1", "numpy": "2.2.0"},
}
ROUNDS = 5


def result(label: str, figures: dict[str, Figure], **more: Any) -> Result:
    return Result(label, {"roomtone_bench": 1, "machine": MACHINE, **more}, figures)


def noisy(
    rng: np.random.Generator, value: float, noise: float, unit: str = "µs", better: Better = "lower"
) -> Figure:
    """A figure of five rounds with lognormal noise."""
    return Figure.of((value * np.exp(noise * rng.standard_normal(ROUNDS))).tolist(), unit, better)


def of(*samples: float, unit: str = "µs", better: Better = "lower") -> Figure:
    return Figure.of(samples, unit, better)


STEADY = Yardsticks(of(400.0, 401.0, 399.0, 400.5, 399.5), of(400.2, 401.1, 399.1, 400.4, 399.3))


def test_students_t_is_that_of_scipy() -> None:
    """To a relative error of 1e-9, for whole and broken degrees of freedom, to the tails that many figures ask for."""
    for freedom in (0.8, 1.0, 2.5, 4.0, 7.9, 8.0, 30.0, 1e4):
        for probability in (0.51, 0.9, 0.975, 0.9995, 1 - 1e-6, 1 - 1e-10):
            exact = t.ppf(probability, freedom)
            assert quantile(probability, freedom) == pytest.approx(exact, rel=1e-9), (freedom, probability)


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("rounds", [3, 5])
def test_an_interval_keeps_its_word_for_few_samples(noise: float, rounds: int) -> None:
    """Of 3000 pairs of runs without a change, 95 % intervals leave it out in 3 to 6.2 % (5 % and three deviations)."""
    rng = np.random.default_rng(440)
    found = 0
    for _ in range(3000):
        sides = noise * rng.standard_normal((2, rounds))
        low, high = interval([(1.0, sides[0].tolist()), (-1.0, sides[1].tolist())], 0.95)
        found += low > 1.0 or high < 1.0
    assert 0.03 <= found / 3000 <= 0.062


def test_an_interval_is_that_of_welch() -> None:
    """The ratio of means of logarithms, by scipy's own test of samples of unequal variance."""
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(7)
    a, b = 0.2 * rng.standard_normal(5) + 0.3, 0.05 * rng.standard_normal(7)
    theirs = ttest_ind(a, b, equal_var=False).confidence_interval(0.99)
    ours = interval([(1.0, a.tolist()), (-1.0, b.tolist())], 0.99)
    assert np.log(ours) == pytest.approx((theirs.low, theirs.high), rel=1e-9)


def test_a_machine_that_drifts_changes_nothing() -> None:
    """1000 pairs of runs of 8 figures, on a machine whose speed wanders by 20 % from round to round, with 5 % of noise
    of their own: some figure is marked in at most 7.1 % of them (5 % and three deviations).
    """
    rng = np.random.default_rng(440)
    false = 0
    for _ in range(1000):
        runs = []
        for label in ("then", "now"):
            speed = np.exp(0.2 * rng.standard_normal(ROUNDS))
            figures = {
                f"f{n}": Figure.of((speed * np.exp(0.05 * rng.standard_normal(ROUNDS))).tolist(), "µs")
                for n in range(8)
            }
            stick = Figure.of((speed * np.exp(0.03 * rng.standard_normal(ROUNDS))).tolist(), "µs")
            runs.append(result(label, {**figures, NAME: stick}))
        false += bool(compare(runs[1], runs[0]).marked)
    assert false / 1000 <= 0.071


def test_a_true_change_is_found_and_has_its_direction() -> None:
    """Half as slow again, with 3 % of noise, is found in at least 95 of 100 pairs among 20 figures."""
    rng = np.random.default_rng(440)
    found = 0
    for _ in range(100):
        then = {f"f{n}": noisy(rng, 100.0, 0.03) for n in range(20)} | {NAME: noisy(rng, 400.0, 0.02)}
        now = {**then, "f3": noisy(rng, 150.0, 0.03), NAME: noisy(rng, 400.0, 0.02)}
        verdicts = {c.name: c.verdict for c in compare(result("now", now), result("then", then)).changes}
        found += verdicts["f3"] == "worse"
    assert found >= 95


SAMPLES = np.array([0.99, 1.0, 1.01, 0.995, 1.005])


@pytest.mark.parametrize(
    ("unit", "better", "factor", "verdict"),
    [
        ("µs", "lower", 2.0, "worse"),
        ("µs", "lower", 0.5, "better"),
        ("tracks", "higher", 0.5, "worse"),
        ("× real time", "higher", 2.0, "better"),
        ("MiB", "lower", 2.0, "worse"),
    ],
)
def test_better_is_what_the_figure_says(unit: str, better: Better, factor: float, verdict: str) -> None:
    then = Figure.of((100 * SAMPLES).tolist(), unit, better)
    now = Figure.of((100 * factor * SAMPLES[::-1]).tolist(), unit, better)
    found = change("f", then, now, STEADY, 0.95)
    assert found.verdict == verdict
    assert found.ratio == pytest.approx(factor)
    assert found.relative == pytest.approx(factor, rel=0.01)


def test_a_slower_machine_is_taken_out_of_what_follows_it_and_of_nothing_else() -> None:
    """At two thirds of the speed, times are 1.5 times as long and rates two thirds; memory and periods are the same."""
    slow = 1.5
    then = {
        "time": Figure.of((100 * SAMPLES).tolist(), "µs"),
        "rate": Figure.of((30 * SAMPLES).tolist(), "× real time", "higher"),
        "memory": Figure.of((200 * SAMPLES).tolist(), "MiB"),
        "period": Figure.of((2667 * SAMPLES).tolist(), "µs", steady=True),
        NAME: Figure.of((400 * SAMPLES).tolist(), "µs"),
    }
    now = {
        "time": Figure.of((100 * slow * SAMPLES).tolist(), "µs"),
        "rate": Figure.of((30 / slow * SAMPLES[::-1]).tolist(), "× real time", "higher"),
        "memory": Figure.of((200 * SAMPLES[::-1] * 1.0001).tolist(), "MiB"),
        "period": Figure.of((2667 * SAMPLES[::-1] * 1.0001).tolist(), "µs", steady=True),
        NAME: Figure.of((400 * slow * SAMPLES).tolist(), "µs"),
    }
    found = compare(result("now", now), result("then", then))
    assert not found.marked
    by_name = {c.name: c for c in found.changes}
    assert by_name["time"].ratio == pytest.approx(1.5)
    for c in found.changes:
        assert c.relative == pytest.approx(1.0, abs=0.01), c.name
        assert c.verdict == "same"
    assert any("ran at 0.67 of its speed then" in w for w in found.warnings)
    # What may be left of a drift of 1.5 is its root.
    time = by_name["time"].interval
    assert time is not None
    assert time[0] <= 1 / math.sqrt(1.5)
    assert time[1] >= math.sqrt(1.5)
    assert by_name["memory"].interval is not None
    assert by_name["memory"].interval[1] < 1.1


def test_rounds_of_another_number_than_the_yardsticks_are_compared_as_well() -> None:
    """Three starts beside five rounds: less is known, and the true change of 2 is found still."""
    then = of(1.0, 1.01, 0.99, unit="s")
    found = change("start", then, of(2.0, 2.02, 1.98, unit="s"), STEADY, 0.95)
    assert found.verdict == "worse"
    assert found.relative == pytest.approx(2.0, rel=0.01)


def test_what_cannot_be_judged_is_shown_with_the_reason() -> None:
    few = change("f", of(1.0, 1.0), of(9.0, 9.1), STEADY, 0.95)
    assert (few.verdict, few.why) == ("not judged", "measured twice")
    assert few.ratio == pytest.approx(9.05)
    once = change("f", of(1.0), of(9.0), STEADY, 0.95)
    assert (once.verdict, once.why, once.interval) == ("not judged", "measured once", None)
    assert change("f", None, of(1.0), STEADY, 0.95).verdict == "new"
    assert change("f", of(1.0), None, STEADY, 0.95).verdict == "gone"
    zero = change("f", of(0.0, 0.0, 0.0), of(1.0, 2.0, 3.0), STEADY, 0.95)
    assert (zero.verdict, zero.ratio) == ("not judged", None)
    assert "not above 0" in zero.why
    assert change("f", of(0.0), of(0.0), STEADY, 0.95).verdict == "same"
    other = change("f", of(1.0, 1.0, 1.0), of(1.0, 1.0, 1.0, unit="ms"), STEADY, 0.95)
    assert (other.verdict, other.why) == ("not judged", "was in µs, lower was better")
    loose = change("f", of(1.0, 1.1, 1.2), of(9.0, 9.1, 9.2), Yardsticks(None, STEADY.now), 0.95)
    assert (loose.verdict, loose.why) == ("not judged", "there is no yardstick in both runs")


def test_a_change_of_less_than_3_percent_is_not_told() -> None:
    then = Figure.of((100 * (1 + 1e-4 * (SAMPLES - 1))).tolist(), "µs")
    for percent, verdict in ((2.5, "same"), (4.0, "worse")):
        now = Figure.of([(1 + percent / 100) * x for x in then.samples[::-1]], "µs")
        assert change("f", then, now, Yardsticks(then, then), 0.95).verdict == verdict


def run(label: str, **machine: Any) -> Result:
    rng = np.random.default_rng(len(label))
    figures = {f"f{n}": noisy(rng, 100.0, 0.01) for n in range(4)} | {NAME: noisy(rng, 400.0, 0.01)}
    return replace(result(label, figures), document={"roomtone_bench": 1, "machine": {**MACHINE, **machine}})


def test_another_machine_is_warned_of_and_nothing_is_judged() -> None:
    other = run("then", cpu={**MACHINE["cpu"], "model": "Other CPU"})  # type: ignore[dict-item]
    other = replace(
        other,
        figures={n: replace(f, samples=tuple(9 * s for s in f.samples)) for n, f in other.figures.items()},
    )
    found = compare(run("now"), other)
    assert "another machine was measured (Other CPU with vectors of 8; now Some CPU" in found.warnings[0]
    assert {c.verdict for c in found.changes} == {"not judged"}
    assert {c.why for c in found.changes} == {"another machine"}
    assert all(c.ratio for c in found.changes)
    wider = compare(run("now"), run("then", cpu={**MACHINE["cpu"], "simd_lanes": 16}))  # type: ignore[dict-item]
    assert "vectors of 16" in wider.warnings[0]
    unknown = compare(run("now"), result("then", {}, machine=None))
    assert "(unknown; now" in unknown.warnings[0]


def test_other_versions_and_conditions_are_warned_of() -> None:
    then = run(
        "then",
        versions={"python": "cpython 3.12.1", "numpy": "2.4.0"},
        kernel="Linux 6.9",
        load_average=[3.2, 1.0, 1.0],
        cpu={**MACHINE["cpu"], "governors": ["powersave"]},  # type: ignore[dict-item]
    )
    warnings = compare(run("now"), then).warnings
    assert list(warnings) == [
        "governor: powersave then, performance now",
        "kernel: Linux 6.9 then, Linux 6.1 now",
        "numpy: 2.4.0 then, 2.2.0 now",
        "other programs were at work then: load 3.2 on 4 processors",
    ]


def test_another_rate_is_warned_of() -> None:
    then, now = (
        replace(run(label), document={"roomtone_bench": 1, "machine": MACHINE, "settings": {"rate_hz": rate}})
        for label, rate in (("then", 44_100), ("now", 48_000))
    )
    assert "rate_hz: 44100 then, 48000 now" in compare(now, then).warnings


def test_a_run_without_yardstick_is_warned_of() -> None:
    then = run("then")
    bare = replace(then, figures={n: f for n, f in then.figures.items() if n != NAME})
    found = compare(run("now"), bare)
    assert found.yardstick_ratio is None
    assert "then has no yardstick" in found.warnings[0]
    assert {c.verdict for c in found.changes} == {"not judged"}


def test_many_figures_are_judged_more_strictly() -> None:
    """95 % for all of 50 together is 99.9 % for each."""
    rng = np.random.default_rng(3)
    figures = {f"f{n}": noisy(rng, 100.0, 0.02) for n in range(50)} | {NAME: noisy(rng, 400.0, 0.01)}
    found = compare(result("now", figures), result("then", {**figures, "gone": of(1.0, 1.0, 1.0)}))
    assert found.confidence == pytest.approx(0.999)
    assert "99.9 % certainty each, which is 95 % for all of them" in printed(found)


def test_a_document_from_who_knows_where_does_not_break_it() -> None:
    """Anything may stand where the machine is described; what is shown of it moves no cursor."""
    machine: Any
    for machine in (
        None,
        7,
        [],
        {"cpu": "x", "load_average": ["high"], "versions": None},
        {"cpu": {"model": "\x1b[2J"}},
    ):
        found = compare(run("now"), replace(run("then"), document={"roomtone_bench": 1, "machine": machine}))
        assert found.warnings
        assert "\x1b" not in "".join(found.warnings)


def printed(found: Comparison) -> str:
    console = Console(width=100, file=io.StringIO())
    for line in found.text():
        console.print(line)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 100
    return " ".join(text.split())


def test_the_table_fits_100_columns_and_says_how_it_was_judged() -> None:
    name = "512 tracks, 128 frames: p99.9"
    then = {name: of(*(12_000 * SAMPLES).tolist()), NAME: STEADY.then, "only then": of(1.0)}
    now = {name: of(*(24_000 * SAMPLES[::-1]).tolist()), NAME: STEADY.now, "only now": of(1.0)}
    found = compare(result("now", now), result("before", then))  # type: ignore[arg-type]
    text = printed(found)
    assert "12000 → 24000 µs 2.00 2.0" in text
    assert f"{name} " in text
    assert "worse" in text
    assert "Not in before: only now" in text
    assert "Not in now: only then" in text
    assert "Of 1 figures that could be judged, 0 got better and 1 worse." in text
    told = found.as_json()
    assert told["worse"] == [name]
    assert told["figures"][name]["verdict"] == "worse"
    assert told["figures"]["only now"]["verdict"] == "new"
