"""What listening before placing is worth: `placement: avoid` against `placement: free`, judged by another ear.

    python -m benchmarks.placement                          all scenes, three seeds: some minutes
    python -m benchmarks.placement --scenes market --seeds 7 8 --json

The scenes are those of `benchmarks.suite` with every object heard once and without a start, in 30 s: as they are
written, most of their objects loop or have a start, and placing changes little. The judge is the ear of PEAQ
(`benchmarks.masking_score`), before any unmasking, or after it with `--unmasked`. Masked is how deep a track is buried,
audible how far it stands out, hidden how much of it is hidden altogether, all 0 to 1; important are tracks of
importance 0.6 and more. LU lost is what all tracks, and what the mix, are softer with `avoid`. Nobody listened.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import suite
from benchmarks.masking_score import IMPORTANT, Judge
from dsp.clip_loudness import active_loudness
from dsp.loudness import LoudnessMeter
from engine.cli.common import compiling, print_table, progress
from engine.errors import RoomtoneError
from engine.scene.composition import compose
from engine.scene.schema import Once, Scene

SECONDS = 30.0
SEEDS = (1, 2, 3)
STRATEGIES = ("free", "avoid")


@dataclass(frozen=True)
class Heard:
    """One finite form: means over its tracks (shares 0 to 1), and how loud they and their mix are."""

    masked_important: float
    masked_all: float
    audible_important: float
    audible_all: float
    hidden_important: float
    tracks_lufs: float
    mix_lufs: float
    changed: int


@dataclass(frozen=True)
class Row:
    """A scene, with the means over the seeds."""

    scene: str
    free: Heard
    avoid: Heard

    @property
    def important_ratio(self) -> float:
        """Masking of the important tracks with `avoid` over that with `free`."""
        return self.avoid.masked_important / max(self.free.masked_important, 1e-9)

    @property
    def all_ratio(self) -> float:
        """Masking of all tracks with `avoid` over that with `free`."""
        return self.avoid.masked_all / max(self.free.masked_all, 1e-9)


def all_once(scene: Scene, placement: str) -> Scene:
    """Return a scene whose objects are each heard once, wherever they are placed."""
    objects = tuple(item.model_copy(update={"schedule": Once()}) for item in scene.objects)
    return scene.model_copy(update={"objects": objects, "placement": placement})


def listen(name: str, placement: str, seed: int, library: Sequence[Path], unmasked: bool) -> Heard:
    """Render one finite form and judge it."""
    composition = compose(all_once(suite.scene(name, library), placement), rate_hz=suite.RATE_HZ, seed=seed)
    frames = round(SECONDS * suite.RATE_HZ)
    composition = composition.finite(frames)
    render = suite.tapped(name, composition, frames)
    tracks = suite.mono(render.after if unmasked else render.before)
    judge = Judge(tracks, render.importances)
    heard = judge.before
    important = [m for i, m in heard.items() if render.importances[i] >= IMPORTANT]
    objects = [m for i, m in heard.items() if i > 0]
    loudness = [active_loudness(np.ascontiguousarray(tracks[i][:, None]), suite.RATE_HZ) for i in heard if i]
    meter = LoudnessMeter(suite.RATE_HZ)
    mix = tracks.sum(axis=0).astype(np.float32)
    meter.process(np.ascontiguousarray(np.stack([mix, mix], axis=1)))
    timeline = composition.arranged
    assert timeline is not None
    return Heard(
        _mean([m.buried for m in important]),
        _mean([m.buried for m in objects]),
        _mean([m.audible for m in important]),
        _mean([m.audible for m in objects]),
        _mean([m.fully_masked for m in important]),
        _mean(loudness),
        meter.integrated_lufs,
        len(timeline.decisions),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _means(heard: Sequence[Heard]) -> Heard:
    columns = zip(*(asdict(h).values() for h in heard), strict=True)
    *means, changed = (_mean([float(v) for v in column]) for column in columns)
    m = [float(mean) for mean in means]
    return Heard(m[0], m[1], m[2], m[3], m[4], m[5], m[6], round(changed))


def measure(names: Sequence[str], seeds: Sequence[int], library: Sequence[Path], unmasked: bool) -> list[Row]:
    """Judge every scene with both strategies."""
    rows = []
    with progress("placing") as bar:
        for number, name in enumerate(names):
            bar(name, number, len(names))
            means = [
                _means([listen(name, strategy, seed, library, unmasked) for seed in seeds])
                for strategy in STRATEGIES
            ]
            rows.append(Row(name, *means))
    return rows


def _cells(row: Row) -> list[str]:
    f, a = row.free, row.avoid
    return [
        row.scene,
        f"{row.important_ratio:.3f}",
        f"{row.all_ratio:.3f}",
        f"{100 * f.audible_important:.1f} → {100 * a.audible_important:.1f}",
        f"{100 * f.audible_all:.1f} → {100 * a.audible_all:.1f}",
        f"{100 * f.hidden_important:.1f} → {100 * a.hidden_important:.1f}",
        f"{f.tracks_lufs - a.tracks_lufs:.2f}",
        f"{f.mix_lufs - a.mix_lufs:.2f}",
        str(a.changed),
    ]


HEADINGS = (
    *("", "masked important", "masked all", "audible % important", "audible % all", "hidden % important"),
    *("LU lost, tracks", "LU lost, mix", "changed"),
)


def run(options: argparse.Namespace) -> None:
    """Measure and print what the command line asks for."""
    wanted = options.scenes or suite.scene_names()
    for name in wanted:
        suite.scene(name, options.library) if name not in suite.scene_names() else None
    skipped = [reason for name in wanted if (reason := suite.missing(name, options.library))]
    names = [name for name in wanted if not suite.missing(name, options.library)]
    rows = measure(names, options.seeds, options.library, options.unmasked)
    everything = Row("mean of all", _means([r.free for r in rows]), _means([r.avoid for r in rows]))
    rows.append(everything)
    if options.json:
        facts = [asdict(r) | {"important_ratio": r.important_ratio, "all_ratio": r.all_ratio} for r in rows]
        print(json.dumps({"seeds": options.seeds, "scenes": facts, "skipped": skipped}, indent=2))
        return
    print_table(HEADINGS, [_cells(row) for row in rows])
    for reason in skipped:
        print(f"skipped {reason}")


def main() -> None:
    """Read the command line, measure, print; exit codes as those of `roomtone`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.placement",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenes", nargs="+", metavar="NAME", help="only these scenes of the suite")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS), metavar="SEED")
    parser.add_argument("--unmasked", action="store_true", help="judge what is left after unmasking")
    parser.add_argument(
        "--library", type=Path, action="append", default=[], metavar="FOLDER", help="where the recordings lie"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    try:
        with compiling():
            run(options)
    except RoomtoneError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
