"""Whether sounds recorded in different rooms end up in one room: the spread of their reverberation, with equal sends
and with those that the reverberation in each recording asks for.

    python -m benchmarks.one_room
    python -m benchmarks.one_room --seeds 3 --json

Impulsive and speech-like sounds are recorded dry and in rooms of 0.2 s to 1.5 s, DRR 0 dB to 18 dB, and composed into
scenes in built-in rooms. What is direct, early and late of each recording is known, and so is what the room adds. Two
spreads, as the range from the 10th to the 90th percentile in dB:

    late / early    energy later than 50 ms after the direct sound over the rest (the inverse of C50, ISO 3382-1)
    tail / direct   all reverberant energy over the direct sound's (the inverse of the DRR)

Feasible is a recording with no more of it than a dry sound has in the room: no send can take away the rest.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.reverberant import RATE_HZ, SOURCES, convolved, generator, recorded, response
from engine.media import AudioWriter
from engine.scene.composition import compose
from engine.scene.schema import Once, Scene, SceneObject
from engine.scene.sends import room_answer

Floats = NDArray[np.float64]

EARLY_S = 0.05
NAMES = tuple(name for kind in ("impulsive", "speech-like") for name in SOURCES[kind])
ROOMS = ("church", "concert-hall", "theatre", "bathroom", "living-room")
RT60_S = (0.2, 0.4, 0.7, 1.0, 1.5)
DRR_DB = (0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0)
TREBLE_RATIOS = (1.0, 0.6)
FLOOR_DB = (40.0, 60.0)
DURATION_S = 8.0
AT_ONCE = 100
"""Objects of a scene."""


@dataclass(frozen=True, slots=True)
class Spread:
    """10th to 90th percentile in dB, of equal sends and of those chosen, of the feasible recordings and of all."""

    uniform_db: float
    chosen_db: float
    all_uniform_db: float
    all_chosen_db: float
    feasible: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A room with `recordings` in it."""

    room: str
    rt60_s: float
    drr_db: float
    recordings: int
    late: Spread
    tail: Spread


def write_recordings(
    folder: Path,
    seeds: int,
    names: Sequence[str] = NAMES,
    rt60_s: Sequence[float] = RT60_S,
    drr_db: Sequence[float] = DRR_DB,
) -> Floats:
    """Write `0.wav`, `1.wav`, …, and return the energies (recordings, 3) of each: direct, early tail, late tail."""
    makers = {name: make for kind in SOURCES.values() for name, make in kind.items()}
    energies: list[tuple[float, float, float]] = []
    early = round(EARLY_S * RATE_HZ)
    for name in names:
        for seed in range(seeds):
            sound = makers[name](seed + 1, DURATION_S)
            rooms = [(0.0, 0.0), *((t, d) for t in rt60_s for d in drr_db)]
            for time_s, ratio_db in rooms:
                rng = generator("one room", name, seed, time_s, ratio_db)
                heard, parts = sound, (0.0, 0.0)
                if time_s > 0.0:
                    room = response(time_s, ratio_db, rng.choice(TREBLE_RATIOS), rng)
                    room[0] = 0.0
                    tails = [
                        convolved(sound, part)
                        for part in (room[:early], np.r_[np.zeros(early), room[early:]])
                    ]
                    heard = sound + tails[0] + tails[1]
                    parts = float(np.sum(tails[0] ** 2)), float(np.sum(tails[1] ** 2))
                samples = recorded(heard, rng.uniform(*FLOOR_DB), rng).astype(np.float32)
                with AudioWriter(folder / f"{len(energies)}.wav", RATE_HZ) as writer:
                    writer.write(np.repeat(samples[:, None], 2, axis=1))
                energies.append((float(np.sum(sound**2)), *parts))
    return np.array(energies)


def place(folder: Path, energies: Floats, rooms: Sequence[str]) -> list[Placed]:
    """Return what becomes of the recordings in `folder` in each of the built-in `rooms`."""
    placed = []
    for name in rooms:
        sends_db: list[float] = []
        for first in range(0, len(energies), AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, len(energies)))
            objects = tuple(SceneObject(label=str(n), sound=f"{n}.wav", schedule=Once()) for n in numbers)
            scene = Scene.model_validate({"objects": objects, "room": name}).found_in(folder)
            composition = compose(scene, rate_hz=RATE_HZ)
            sends_db += [track.send_db for track in composition.tracks[1:]]
        answer = room_answer(scene.room, None, RATE_HZ)
        if answer is None:
            raise ValueError(f"{name} has no reverberation")
        placed.append(_placed(name, *answer, energies, np.array(sends_db)))
    return placed


def decibels(power: Floats) -> Floats:
    """Return 10 log10."""
    return np.asarray(10.0 * np.log10(power), np.float64)


def _placed(name: str, rt60_s: float, drr_db: float, energies: Floats, sends_db: Floats) -> Placed:
    direct, early, late = energies.T
    whole = energies.sum(axis=1)
    added = 10.0 ** (-0.1 * drr_db) * whole
    left = 10.0 ** (-6.0 * EARLY_S / rt60_s)

    def late_db(power: Floats) -> Floats:
        behind = late + power * added * left
        return decibels(behind / (direct + early + power * added * (1.0 - left)))

    def tail_db(power: Floats) -> Floats:
        return decibels((early + late + power * added) / direct)

    equal, chosen = np.ones(len(whole)), 10.0 ** (0.1 * sends_db)
    room = 10.0 ** (-0.1 * drr_db)
    can_late = late / whole <= left * room / (1.0 + room)
    can_tail = (early + late) / direct <= room
    return Placed(
        name,
        rt60_s,
        drr_db,
        len(whole),
        _spread(late_db(equal), late_db(chosen), can_late),
        _spread(tail_db(equal), tail_db(chosen), can_tail),
    )


def _spread(equal_db: Floats, chosen_db: Floats, feasible: NDArray[np.bool_]) -> Spread:
    def width(values: Floats) -> float:
        return float(np.quantile(values, 0.9) - np.quantile(values, 0.1))

    return Spread(
        width(equal_db[feasible]),
        width(chosen_db[feasible]),
        width(equal_db),
        width(chosen_db),
        int(feasible.sum()),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="takes of each source")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        energies = write_recordings(Path(folder), max(1, options.seeds))
        placed = place(Path(folder), energies, ROOMS)
    if options.json:
        print(json.dumps([asdict(p) for p in placed], indent=2))
        return
    print("10-90 % range in dB, equal sends -> chosen sends")
    print(f"{'room':13} {'RT60 s':>6} {'DRR dB':>6}  {'late / early':>24}  {'tail / direct':>24}")
    for p in placed:
        cells = [
            f"{s.uniform_db:.2f} -> {s.chosen_db:.2f} ({s.feasible}/{p.recordings})" for s in (p.late, p.tail)
        ]
        whole = [f"{s.all_uniform_db:.2f} -> {s.all_chosen_db:.2f} (all)" for s in (p.late, p.tail)]
        print(f"{p.room:13} {p.rt60_s:6.2f} {p.drr_db:6.1f}  {cells[0]:>24}  {cells[1]:>24}")
        print(f"{'':27}  {whole[0]:>24}  {whole[1]:>24}")


if __name__ == "__main__":
    main()
