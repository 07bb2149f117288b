"""One trial: a scene of the suite under unmasking and under everything it is compared with; and the sum of many."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import suite
from benchmarks.comparators import Comparators, Processed
from benchmarks.masking_score import Judge

UNMASK = "unmask"
FADER, UNIFORM = "fader per track", "fader on the others"
CONDITIONS = (UNMASK, FADER, "static EQ", "naive dynamic EQ", UNIFORM)
FADERS_ONLY = (UNMASK, FADER, UNIFORM)

RESAMPLES, CONFIDENCE = 2000, 0.95
NAMED_FADERS = {FADER: "per track", UNIFORM: "uniform"}

Figures = dict[str, float]
Advance = Callable[[str], None]
"""Called with what is done next."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The figures of one scene, by condition."""

    scene: str
    tracks: int
    figures: Mapping[str, Figures]


@dataclass(frozen=True, slots=True)
class Goal:
    """What the unmasking is to reach, on the mean of the scenes."""

    figure: str
    title: str
    limit: float
    at_least: bool = False

    def reached(self, value: float) -> bool:
        """Return whether `value` is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit


GOALS = (
    Goal("important_ratio", "masking ratio of important tracks", 0.75),
    Goal("weighted_ratio", "masking ratio, weighted by importance", 0.88),
    Goal("audible_gain", "audible share of important tracks, relative", 0.25, at_least=True),
    Goal("fully_masked_change", "fully masked share of important tracks", -0.08),
    Goal("important_lost_lu", "LU lost by important tracks", 1.5),
    Goal("others_lost_lu", "LU lost by the others", 4.0),
    Goal("better_than_fader", "share of scenes in which it beats the fader per track", 0.8, at_least=True),
)


def run_trial(
    name: str,
    *,
    seconds: float = suite.SECONDS,
    library: Sequence[Path] = (),
    conditions: Sequence[str] = CONDITIONS,
    advance: Advance = lambda what: None,
) -> Trial:
    """Render a scene and judge it under each of `conditions`."""
    advance("rendering")
    scene = suite.render(name, seconds=seconds, library=library)
    before = scene.mono_before
    run = suite.unmask(scene)
    advance("listening")
    judge = Judge(before, scene.importances)
    after = suite.mono(run.after)
    comparators = Comparators.of(judge, before, scene.importances, run, after)
    make: dict[str, Callable[[], Processed]] = {
        UNMASK: lambda: comparators.unmasked(after),
        FADER: comparators.static_fader,
        "static EQ": comparators.static_eq,
        "naive dynamic EQ": comparators.naive_dynamic_eq,
        UNIFORM: comparators.uniform_fader,
    }
    figures = {}
    for condition in conditions:
        advance(condition)
        figures[condition] = figures_of(judge, make[condition]())
    return Trial(name, len(scene.tracks), figures)


def figures_of(judge: Judge, processed: Processed) -> Figures:
    """Return all figures of a scene after processing: those of the judge, and how deep the cuts were."""
    figures = judge.score(processed.tracks).figures()
    figures["fully_masked_change"] = figures["fully_masked_after"] - figures["fully_masked_before"]
    figures["deepest_cut_db"], figures["mean_cut_db"] = processed.deepest_db, processed.mean_db
    return figures


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over scenes with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def summary(trials: Sequence[Trial]) -> dict[str, dict[str, Interval]]:
    """Return condition → figure → mean and interval over scenes (percentile bootstrap, 2000 resamples, seed 0)."""
    draws = np.random.default_rng(0).integers(len(trials), size=(RESAMPLES, len(trials)))
    edges = [50.0 * (1.0 - CONFIDENCE), 50.0 * (1.0 + CONFIDENCE)]
    result: dict[str, dict[str, Interval]] = {}
    for condition in trials[0].figures:
        result[condition] = {}
        for figure in trials[0].figures[condition]:
            values = np.array([t.figures[condition][figure] for t in trials])
            low, high = np.percentile(values[draws].mean(axis=1), edges)
            result[condition][figure] = Interval(float(values.mean()), float(low), float(high))
    return result


def scenes_won(trials: Sequence[Trial], against: str, figure: str = "important_ratio") -> int:
    """Return in how many scenes unmasking has the lower `figure`."""
    return sum(t.figures[UNMASK][figure] < t.figures[against][figure] for t in trials)


def goal_values(trials: Sequence[Trial]) -> list[tuple[Goal, float, bool]]:
    """Return each goal with the value that was come to and whether that is enough."""
    means: dict[str, float] = {f: i.mean for f, i in summary(trials)[UNMASK].items()}
    means["better_than_fader"] = scenes_won(trials, FADER) / len(trials)
    return [(goal, means[goal.figure], goal.reached(means[goal.figure])) for goal in GOALS]
