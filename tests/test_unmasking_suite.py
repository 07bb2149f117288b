"""The suite of the unmasking: its scenes, the engine's own samples, comparators at the same price."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks import suite
from benchmarks.comparators import Comparators, NaiveDynamicEq, StaticEq
from benchmarks.masking_score import Judge
from benchmarks.report import measure
from benchmarks.trial import UNMASK, Trial, goal_values, scenes_won, summary
from benchmarks.unmasking import read_options
from engine.errors import InputError
from engine.scene.load import loads


@cache
def short() -> suite.Render:
    return suite.render("rainy-square", seconds=2.0)


@pytest.mark.parametrize("name", suite.scene_names())
def test_scene_of_the_suite_is_broken(name: str) -> None:
    """6 to 16 objects, of which one at least is important and one is not, and a seed of its own."""
    scene = loads((suite.FOLDER / f"{name}.yaml").read_text("utf-8"))
    importances = [o.importance for o in scene.objects]
    assert 6 <= len(importances) <= 16
    assert max(importances) >= 0.6 > min(importances)
    assert scene.duration == suite.SECONDS


def test_suite_has_other_scenes() -> None:
    """12 procedural scenes and 3 of recordings, all with seeds of their own."""
    names = suite.scene_names()
    recorded = [n for n in names if n.startswith(suite.RECORDED)]
    assert (len(names), len(recorded)) == (15, 3)
    seeds = {loads((suite.FOLDER / f"{n}.yaml").read_text("utf-8")).seed for n in names}
    assert len(seeds) == len(names)


def test_recordings_that_are_missing_are_missed(tmp_path: Path) -> None:
    """Without the folder the reason names the package; procedural scenes need none."""
    nowhere = [tmp_path / "nowhere"]
    assert "sonic-pi-samples" in suite.missing("recorded-ritual", nowhere)
    assert suite.missing("recorded-ritual", [tmp_path]) == ""
    assert suite.missing("market", nowhere) == ""
    with pytest.raises(InputError, match="is called"):
        suite.compose_scene("mars")


def test_offline_unmasking_differs_from_the_engine() -> None:
    """The stage run over the tapped bank gives what the engine's own node gave, bit for bit, and it does cut."""
    scene = short()
    run = suite.unmask(scene)
    assert np.array_equal(run.after.view(np.uint32), scene.after.view(np.uint32))
    assert run.cut_db.min() < -2.0
    assert not np.array_equal(suite.unmask(scene, suite.Variant({"amount": 0.5})).after, run.after)
    with pytest.raises(AttributeError):
        suite.unmask(scene, suite.Variant({"amonut": 0.5}))


def test_comparator_costs_more_than_unmasking() -> None:
    """Every track loses what it lost under unmasking within 0.02 LU; the uniform fader the mean of those below 0.6."""
    scene = short()
    before = scene.mono_before
    judge = Judge(before, scene.importances)
    run = suite.unmask(scene)
    comparators = Comparators.of(judge, before, scene.importances, run, suite.mono(run.after))
    assert comparators.lost_lu.max() > 0.5
    for make in (comparators.static_fader, comparators.static_eq, comparators.naive_dynamic_eq):
        made = make()
        lost = np.array([judge.lost_lu(t, track) for t, track in enumerate(made.tracks)])
        assert lost == pytest.approx(comparators.lost_lu, abs=0.0201)
        assert made.deepest_db < 0.0
    others = np.array(scene.importances) < 0.6
    uniform = comparators.uniform_fader().tracks
    assert np.array_equal(uniform[~others], before[~others])
    gain = 10 ** (-comparators.lost_lu[others].mean() / 20)
    assert uniform[others] == pytest.approx(before[others] * gain, abs=1e-6)


def test_equaliser_at_no_strength_changes_the_track() -> None:
    """Strength 0 gives the track within 1e-6, also between the slices and at both ends."""
    x = (0.1 * np.random.default_rng(1).standard_normal(10_001)).astype(np.float32)
    cuts = np.full((40, 25), -3.0)
    for eq in (StaticEq(x, cuts[0]), NaiveDynamicEq(x, cuts, np.ones(40, np.bool_), 256)):
        assert eq.process(0.0) == pytest.approx(x, abs=1e-6)


def test_equaliser_cuts_by_another_depth() -> None:
    """A tone of 1 kHz: the static curve takes 3.0 dB off; a bell at 1 kHz takes 6.0, all 25 more than 12."""
    x = (0.1 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)).astype(np.float32)

    def taken_db(y: "np.ndarray[tuple[int, ...], np.dtype[np.floating]]") -> float:
        middle = slice(24_000, 40_000)
        return float(10 * np.log10(np.mean(np.square(x[middle])) / np.mean(np.square(y[middle]))))

    one_band = np.zeros((188, 25))
    one_band[:, 8] = -6.0
    everywhere = np.full((188, 25), -60.0)
    active = np.ones(188, np.bool_)
    assert taken_db(StaticEq(x, np.full(25, -3.0)).process(1.0)) == pytest.approx(3.0, abs=0.01)
    assert taken_db(NaiveDynamicEq(x, one_band, active, 256).process(1.0)) == pytest.approx(6.0, abs=0.1)
    assert taken_db(NaiveDynamicEq(x, everywhere, active, 256).process(1.0)) > 12.0


def test_summary_counts_wrongly() -> None:
    """Means, intervals that hold them, scenes won and goals of two made-up trials."""
    shares = {"weighted_ratio": 0.8, "important_ratio": 0.7, "audible_gain": 0.3, "fully_masked_change": -0.1}
    figures = {**shares, "important_lost_lu": 1.0, "others_lost_lu": 3.0}
    worse = {**figures, "important_ratio": 0.9}
    fader = {**figures, "important_ratio": 0.8}
    trials = [Trial(n, 3, {UNMASK: f, "fader per track": fader}) for n, f in (("a", figures), ("b", worse))]
    ratio = summary(trials)[UNMASK]["important_ratio"]
    assert ratio.mean == pytest.approx(0.8)
    assert (ratio.low, ratio.high) == pytest.approx((0.7, 0.9))
    assert scenes_won(trials, "fader per track") == 1
    missed = {goal.figure for goal, _, met in goal_values(trials) if not met}
    assert missed == {"important_ratio", "better_than_fader"}
    assert all(met for _, _, met in goal_values(trials[:1]))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--scenes", "mars"], "mars"),
        (["--seconds", "0"], "--seconds"),
        (["--plots", "x"], "--plots"),
        (["--scenes", "recorded-ritual", "--library", "/nowhere"], "sonic-pi-samples"),
    ],
)
def test_wrong_request_is_a_traceback(
    arguments: list[str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is an InputError (exit code 2) that names what is wrong, before anything is rendered."""
    monkeypatch.setattr("sys.argv", ["unmasking", *arguments])
    with pytest.raises(InputError, match=named):
        measure(read_options())
