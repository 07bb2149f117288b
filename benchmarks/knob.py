"""From the knob to the sound: how long after a MIDI message was sent the first sample that it changes is played.

    python -m benchmarks.knob
    python -m benchmarks.knob --quantum 128 --moves 200 --json

A MIDI device of another process turns the wet level over JACK's ports while a show plays on a JACK server of our own,
whose period is the quantum; the show's output goes back into its input. What was moved, and at which frame, is in the
sidecar of the recording, from which the take is rendered again: the captured sound must be that, bit for bit, and two
renders that differ in one move tell which sample that move changes first.
"""

import argparse
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import jack_ports
from benchmarks.bench.input_tap import InputTap
from benchmarks.crowd import crowd
from benchmarks.jack_server import serving
from benchmarks.midi_device import MidiDevices
from engine.control.bounce import bounce
from engine.control.midi.surface import MidiSurface
from engine.control.performer import Performer
from engine.control.show import Show
from engine.control.take import Take
from engine.host.callback import FORGET_S, LAST_NS, READ, WRITTEN
from engine.scene.composition import Composition, compose

RATE_HZ = 48_000
GOALS_MS = {64: (7.0, 10.0), 128: (11.0, 15.0)}
"""Quantum → goals for the median and the 99th percentile."""
SHORTEST_S, LONGEST_S = 0.03, 0.06
"""Between two moves: longer than what is measured, and no multiple of anything."""
WATCH_S = 0.0002
SETTLE_S = 0.5
ATTEMPTS = 4
LISTEN_S = 0.005
LOW, HIGH = 30, 100
PROVED = 5
"""Moves whose first changed sample is found by rendering without them."""
MAP = "title: Knob\nsource: this benchmark\nbindings:\n  - {cc: 91, parameter: room.wet_level, takeover: jump}\n"
PARTS = ("poll", "slot", "ring", "graph")


@dataclass(frozen=True, slots=True)
class Watched:
    """Moments `at_s` at which the engine had moved: the frames rendered and given to the device by then.

    `heard_s` is when the device took the last of them, by its own callback. All of the same length.
    """

    at_s: NDArray[np.float64]
    rendered: NDArray[np.int64]
    heard: NDArray[np.int64]
    heard_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Knob:
    """What was measured: `total_ms` of each move, and of the same moves their parts, by the names of `PARTS`.

    poll     from sending to the parameter's slot being written: JACK's MIDI, the port, the map
    slot     until the quantum that takes it over is rendered
    ring     until that quantum is given to the device
    graph    until the first sample that differs, which the graph's own latency delays

    A sample's time is when the device took its buffer, and the place in that; the device's own latency comes after.
    """

    quantum_frames: int
    total_ms: list[float]
    parts_ms: dict[str, list[float]]
    underruns: int
    same: bool
    graph_frames: int

    def percentile_ms(self, share: float) -> float:
        """Return the percentile of the whole."""
        return float(np.quantile(self.total_ms, share))

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "quantum": self.quantum_frames,
            "moves": len(self.total_ms),
            "p50_ms": round(self.percentile_ms(0.5), 3),
            "p99_ms": round(self.percentile_ms(0.99), 3),
            "longest_ms": round(max(self.total_ms), 3),
            "parts_p50_ms": {name: round(statistics.median(ms), 3) for name, ms in self.parts_ms.items()},
            "parts_p99_ms": {
                name: round(float(np.quantile(ms, 0.99)), 3) for name, ms in self.parts_ms.items()
            },
            "graph_frames": self.graph_frames,
            "underruns": self.underruns,
            "captured_is_rendered": self.same,
            "goals_ms": GOALS_MS.get(self.quantum_frames),
        }


class Watch(threading.Thread):
    """Follows the counters of a show's engine."""

    def __init__(self, show: Show) -> None:
        super().__init__(name="watch", daemon=True)
        self._session = show._engine._session
        self._rows: list[tuple[float, int, int, int]] = []
        self._leaving = threading.Event()

    def run(self) -> None:
        """Note every moment at which something has moved."""
        counters, intervals = self._session.counters, self._session.intervals
        before = (-1, -1)
        while not self._leaving.is_set():
            row = (int(counters[WRITTEN]), int(counters[READ]))
            if row != before:
                before = row
                self._rows.append((time.monotonic(), *row, int(intervals[LAST_NS])))
            time.sleep(WATCH_S)

    def finish(self) -> Watched:
        """Return what was noted."""
        self._leaving.set()
        self.join()
        at_s, rendered, heard, last_ns = zip(*self._rows, strict=True)
        return Watched(
            np.array(at_s), np.array(rendered), np.array(heard), 1e-9 * np.array(last_ns, np.float64)
        )


class _Timed(Performer):
    """Notes when each parameter is set."""

    def __init__(self, show: Show) -> None:
        super().__init__(show)
        self.set_s: list[float] = []

    def set(self, name: str, value: float | str) -> None:
        super().set(name, value)
        self.set_s.append(time.monotonic())


def measure(quantum_frames: int, moves: int, safety_quanta: int = 2, seed: int = 1) -> Knob:
    """Measure with a JACK server of our own; raises RuntimeError where there can be none."""
    for _ in range(ATTEMPTS - 1):
        with suppress(LostMessageError):
            return _serve(quantum_frames, moves, safety_quanta, seed)
    return _serve(quantum_frames, moves, safety_quanta, seed)


def _serve(quantum_frames: int, moves: int, safety_quanta: int, seed: int) -> Knob:
    with (
        serving(RATE_HZ, quantum_frames),
        tempfile.TemporaryDirectory() as folder,
        MidiDevices() as devices,
    ):
        return _measure(Path(folder), devices, quantum_frames, moves, safety_quanta, seed)


class LostMessageError(RuntimeError):
    """The server, which does not wait for its clients, has lost a message, or delivered two at once."""


class HeldUpError(RuntimeError):
    """The machine stood still for so long that something that was played was not captured."""


class Captured:
    """A show on JACK whose output comes back into its input: what is captured is float32 `[frames, 2]`.

    A context manager around one that is not started yet and has two input channels; `stop` ends the capture.
    `first_frame` is the engine's frame of the first captured one.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._pieces: list[NDArray[np.float32]] = []
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="capture", daemon=True)
        self.first_frame = 0

    def __enter__(self) -> "Captured":
        known = jack_ports.ports()
        self._show.start()
        (client,) = jack_ports.ports().since(known).duplex_clients
        own = jack_ports.ports().of(client)
        jack_ports.connect(own.sources[:2], own.sinks[:2])
        time.sleep(SETTLE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._show.close()

    def begin(self) -> None:
        """Begin to capture."""
        self._tap = InputTap(self._show._engine.inputs, 4 * self._show.spec.quantum_frames)
        period_frames = jack_ports.ports().period_frames
        # What is played in one period comes in with the next.
        self.first_frame = self._tap.frame + self._offset_frames() - period_frames
        self._thread.start()

    def stop(self) -> NDArray[np.float32]:
        """Return what was captured."""
        self._leaving.set()
        self._thread.join()
        if self._tap.lost:
            raise HeldUpError("the capture was held up")
        return np.concatenate(self._pieces)[:, :2]

    def _listen(self) -> None:
        while not self._leaving.wait(LISTEN_S):
            self._pieces.append(self._tap.read())
        self._pieces.append(self._tap.read())

    def _offset_frames(self) -> int:
        """Return the frame of the output that was given while frame 0 of the input was taken."""
        found = -(2**62)
        for _ in range(32):
            heard = self._show.statistics().frame_heard
            found = max(found, heard - int(self._show._engine.inputs.counters[0]))
            time.sleep(0.0003)
        return found


def _measure(
    folder: Path, devices: MidiDevices, quantum_frames: int, moves: int, safety_quanta: int, seed: int
) -> Knob:
    composition = compose(crowd(8), rate_hz=RATE_HZ)
    (folder / "knob.yaml").write_text(MAP, encoding="utf-8")
    draw = random.Random(seed)
    waits_s = [draw.uniform(SHORTEST_S, LONGEST_S) for _ in range(moves)]
    messages = [bytes([0xB0, 91, (LOW, HIGH)[n % 2] + n // 2 % 20]) for n in range(moves)]
    devices.plug("knob")
    show = Show(
        composition,
        quantum_frames=quantum_frames,
        driver="portaudio",
        safety_quanta=safety_quanta,
        input_channels=2,
        record=folder / "take.wav",
        log=None,
        spare=False,
    )
    performer = _Timed(show)
    surface = MidiSurface(performer, lambda text: None, maps=[folder / "knob.yaml"], name="knob", api="jack")
    with Captured(show) as capture, surface:
        # Until what the device took at once as it started is forgotten.
        time.sleep(2.0 * FORGET_S + SETTLE_S)
        underruns = show.statistics().underruns
        watch = Watch(show)
        watch.start()
        capture.begin()
        sent_s = devices.turn("knob", messages, waits_s)
        show.wait(SETTLE_S)
        captured = capture.stop()
        watched = watch.finish()
        underruns = show.statistics().underruns - underruns
    take = Take.read(folder / "take.wav.json")
    return _evaluate(
        composition, take, performer.set_s, sent_s, watched, captured, capture.first_frame, underruns
    )


def _evaluate(
    composition: Composition,
    take: Take,
    set_s: Sequence[float],
    sent_s: Sequence[float],
    watched: Watched,
    captured: NDArray[np.float32],
    begin: int,
    underruns: int,
) -> Knob:
    rendered = bounce(composition, take=take).samples
    assert rendered is not None
    same = bool(np.array_equal(rendered[begin : begin + len(captured)], captured))
    graph_frames = _first_change(composition, take, rendered)
    moved = [frame for frame, name, _ in take.moves if name == "room.wet_level"]
    if not len(moved) == len(set_s) == len(sent_s):
        raise LostMessageError(f"{len(sent_s)} sent, {len(set_s)} set, {len(moved)} taken over")
    parts: dict[str, list[float]] = {name: [] for name in PARTS}
    total = []
    for sent, done, frame in zip(sent_s, set_s, moved, strict=True):
        rendered_s = float(watched.at_s[np.searchsorted(watched.rendered, frame, side="right")])
        first_s, given_s = (_given(watched, at) for at in (frame, frame + graph_frames))
        total.append(1e3 * (given_s - sent))
        pieces = (done - sent, rendered_s - done, first_s - rendered_s, given_s - first_s)
        for name, seconds in zip(PARTS, pieces, strict=True):
            parts[name].append(1e3 * seconds)
    return Knob(take.quantum, total, parts, underruns, same, graph_frames)


def _given(watched: Watched, frame: int) -> float:
    """Return when the device took the frame, with its place in what it took at once."""
    place = int(np.searchsorted(watched.heard, frame, side="right"))
    block_begin = int(watched.heard[place - 1])
    return float(watched.heard_s[place]) + (frame - block_begin) / RATE_HZ


def _first_change(composition: Composition, take: Take, rendered: NDArray[np.float32]) -> int:
    """Return how many frames after its own a move changes the first sample: the same for all, or it is an error."""
    numbers = np.linspace(1, len(take.moves) - 2, PROVED).astype(int)
    found = set()
    for number in numbers.tolist():
        without = take.model_copy(
            update={"moves": take.moves[:number], "frames": min(take.frames, take.moves[number][0] + 8192)}
        )
        other = bounce(composition, take=without).samples
        assert other is not None
        differs = (other != rendered[: len(other)]).any(axis=1)
        found.add(int(np.argmax(differs)) - take.moves[number][0])
    if len(found) != 1:
        raise RuntimeError(f"moves are heard after {sorted(found)} frames")
    (frames,) = found
    return int(frames)


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quantum", type=int, nargs="*", default=[64, 128], help="and JACK period")
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--safety", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = [measure(quantum, options.moves, options.safety).as_json() for quantum in options.quantum]
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for one in found:
        goals = f" (goals {one['goals_ms'][0]:g} and {one['goals_ms'][1]:g})" if one["goals_ms"] else ""
        print(
            f"quantum and period {one['quantum']}: p50 {one['p50_ms']:.2f} ms, p99 {one['p99_ms']:.2f} ms{goals}, "
            f"longest {one['longest_ms']:.2f} ms of {one['moves']} moves"
        )
        for name in one["parts_p50_ms"]:
            print(
                f"  {name:<6} p50 {one['parts_p50_ms'][name]:6.2f}   p99 {one['parts_p99_ms'][name]:6.2f} ms"
            )
        same = "is" if one["captured_is_rendered"] else "IS NOT"
        print(f"  {one['underruns']} under-runs; what was captured {same} what is rendered from the sidecar")


if __name__ == "__main__":
    main()
