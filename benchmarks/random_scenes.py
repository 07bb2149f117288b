"""Scenes drawn at random, and what must hold of each: `python -m benchmarks.random_scenes [--scenes N] [--json]`.

Each is composed and rendered; a line tells how many broke which promise, and how near the others came.
"""

import argparse
import heapq
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from dsp.units import ms_to_frames
from engine.control.bounce import bounce
from engine.events import Event
from engine.scene.composition import Composition, compose
from engine.scene.load import scene_from_data
from engine.scene.material import Material
from engine.scene.schema import Loop, Scene, SceneObject
from engine.scene.sounds import synth_names

RATE_HZ = 48_000
SOUNDS_SEED = 5
"""One for all scenes, so that each procedural sound is made once; draws differ as the names of the tracks do."""

LOUDNESS_TOLERANCE_LU = 0.5
CEILING_DBTP = -1.0
LEAST_FADE_MS = 10.0
SHORTEST_MEASURED_S = 10.0
LOWEST_DB, HIGHEST_DB = -30.0, -20.0


def random_scene(number: int) -> Scene:
    """Return the scene of that number: one to eight objects of any kind, any room, 10 to 16 seconds."""
    rng = np.random.default_rng([number, 20_26])
    names = sorted(synth_names())
    objects = [_random_object(rng, names, number, i) for i in range(int(rng.integers(1, 9)))]
    data = {
        "title": f"Random {number}",
        "predict": number % 4 == 0,
        "max_events": int(rng.choice([1, 2, 4, 32])),
        "duration": round(float(rng.uniform(SHORTEST_MEASURED_S, 16.0)), 2),
        "room_detected": bool(rng.random() < 0.6),
        **{key: round(float(rng.random()), 2) for key in ("room_size", "damping", "wet_level", "width")},
        "atmo": {
            "sound": f"synth:{rng.choice(['rain', 'wind', 'stream', 'sea'])}",
            "level_db": float(rng.integers(-45, -28)),
        },
        "objects": objects,
    }
    return scene_from_data(data, f"random-{number}")


def _random_object(
    rng: np.random.Generator, names: Sequence[str], scene: int, place: int
) -> dict[str, object]:
    sound = str(rng.choice(names))
    least = round(float(rng.uniform(0.0, 3.0)), 2)
    kinds: list[dict[str, object]] = [
        {"kind": "once"},
        {"kind": "once", "at": round(float(rng.uniform(0.0, 8.0)), 2)},
        {"kind": "random", "gap": [least, round(least + float(rng.uniform(0.1, 4.0)), 2)]},
        {"kind": "loop"},
    ]
    return {
        "label": f"{sound} {scene}-{place}",
        "sound": f"synth:{sound}",
        "importance": round(float(rng.random()), 2),
        "panning": round(float(rng.uniform(-1.0, 1.0)), 2),
        "schedule": kinds[int(rng.choice(4, p=[0.4, 0.15, 0.35, 0.1]))],
    }


@dataclass
class Composer:
    """Composes random scenes, and makes each sound once."""

    made: dict[object, Material] = field(default_factory=dict)

    def compose(self, scene: Scene) -> Composition:
        """Return the scene made ready."""
        composition = compose(scene, rate_hz=RATE_HZ, seed=SOUNDS_SEED, reuse=self.made.values())
        self.made |= {material.origin: material for material in composition.materials}
        return composition


def faults_of_composition(composition: Composition) -> Iterator[str]:
    """Yield what is wrong with levels, events and fades of the finite form."""
    end = composition.duration_frames
    events = list(composition.timeline(end))
    if any(event.start_frame < 0 or event.start_frame >= end for event in events):
        yield "an event lies outside the timeline"
    for event in events:
        least = min(ms_to_frames(LEAST_FADE_MS, RATE_HZ), event.frames // 2)
        if min(event.fade_in_frames, event.fade_out_frames) < least:
            yield "an event has no fade"
    for track, item in zip(composition.tracks[1:], composition.scene.objects, strict=True):
        taken_db = track.reduction.reduction_db if track.reduction is not None else 0.0
        if not LOWEST_DB - 1e-9 <= track.level_db + taken_db - item.gain_db <= HIGHEST_DB + 1e-9:
            yield "a level is not explained"
    if most_at_once(composition, events) > composition.scene.max_events:
        yield "more events sound at once than may"


def most_at_once(composition: Composition, events: Sequence[Event]) -> int:
    """Return how many events of objects that do not loop sound at once at most."""
    items: list[SceneObject | None] = [None, *composition.scene.objects]
    counted = {
        t.number
        for t, item in zip(composition.tracks, items, strict=True)
        if item is not None and not isinstance(item.schedule, Loop)
    }
    ends: list[int] = []
    most = 0
    for event in sorted(events, key=lambda e: e.start_frame):
        if event.track in counted:
            while ends and ends[0] <= event.start_frame:
                heapq.heappop(ends)
            heapq.heappush(ends, event.start_frame + event.frames)
            most = max(most, len(ends))
    return most


@dataclass(frozen=True)
class Mixed:
    """A scene's render, as the master has it."""

    number: int
    error_lu: float
    true_peak_dbtp: float
    faults: tuple[str, ...]


def mixed(composition: Composition, number: int) -> Mixed:
    """Render a scene and return what is wrong with its loudness and its peak."""
    result = bounce(composition, keep_samples=False)
    target = composition.scene.loudness
    error_lu = 0.0 if target is None else result.integrated_lufs - target
    faults = list(result.faults)
    if abs(error_lu) > LOUDNESS_TOLERANCE_LU:
        faults.append(f"is {error_lu:+.2f} LU off its loudness")
    if result.true_peak_dbtp > CEILING_DBTP:
        faults.append(f"peaks at {result.true_peak_dbtp:.2f} dBTP")
    return Mixed(number, error_lu, result.true_peak_dbtp, tuple(faults))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=1000, metavar="N", help="how many; default 1000")
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="the number of the first; default 0"
    )
    parser.add_argument("--json", action="store_true", help="print for programs")
    asked = parser.parse_args(arguments)
    composer, found, broken = Composer(), [], {}
    for number in range(asked.first, asked.first + asked.scenes):
        composition = composer.compose(random_scene(number))
        faults = list(faults_of_composition(composition))
        found.append(mixed(composition, number))
        if faults := [*faults, *found[-1].faults]:
            broken[number] = faults
        if not asked.json and sys.stderr.isatty():
            print(
                f"\r{number + 1 - asked.first} of {asked.scenes}, {len(broken)} broken",
                end="",
                file=sys.stderr,
            )
    errors = np.abs([one.error_lu for one in found])
    figures = {
        "scenes": len(found),
        "broken": broken,
        "loudness_error_lu": {"median": float(np.median(errors)), "most": float(errors.max())},
        "true_peak_dbtp": max(one.true_peak_dbtp for one in found),
    }
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        print(
            f"\n{len(found)} scenes: {len(broken)} broken; off their loudness by {np.median(errors):.2f} LU "
            f"(median), {errors.max():.2f} at most; highest true peak {figures['true_peak_dbtp']:.2f} dBTP"
        )
        for number, faults in broken.items():
            print(f"scene {number}: {'; '.join(faults)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
