"""The round trip: from the frame a sound is due at, through engine, ring, device and cable, back to the input.

A sweep is played by the graph of a scene in the engine process of a show. What comes in lies in the session's input
ring, whose counter the callback moves together with that of the rendered ring: which frame of the input belongs to
which frame of the output is counted, and what the cable adds is found by `benchmarks.bench.loopback`.
"""

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import jack_ports
from benchmarks.bench.figures import Figure
from benchmarks.bench.live_setting import Advance, LiveSetting
from benchmarks.bench.loopback import Delay, find_delay, sweep
from benchmarks.crowd import crowd
from engine.control.patch import default_graph
from engine.control.show import BUILD_TIMEOUT_S, DEVICE_TIMEOUT_S
from engine.errors import HostError, RoomtoneError
from engine.events import Event
from engine.host.engine_handle import EngineHandle
from engine.inputs import INPUT_FRAMES, InputRing
from engine.messages import Built, Notice, Started
from engine.meters import MeterTable
from engine.params import ParamTable
from engine.scene.composition import REFERENCE_LUFS, Composition, Track
from engine.scene.schema import Once

Loop = Literal["auto", "cable", "jack", "off"]
"""How the output reaches the input: a cable (or the air), or JACK's own connections; `auto` tries both in turn."""

Path = Literal["cable", "jack"]

SWEEPS = 3
ATTEMPTS = 5
"""How often a sweep that an under-run fell into is played again."""

LEVEL = 0.1
"""Amplitude of the sweep, -20 dBFS: it may be heard through loudspeakers."""

MOST_ROUND_TRIP_S = 1.0
LEAD_S = 0.15
SETTLE_S = 0.3
LISTEN_S = 0.005
LATE_S = 5.0
"""How much longer than planned a sweep may take to come in before the device is given up."""


class NoRoundTrip(RoomtoneError):
    """The round trip cannot be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """How long a sound takes from the quantum it is due in until it is back at the input, and where it spends that.

    `algorithmic_frames` is the latency of the scene's graph, `ring_frames` how far the engine was ahead (median),
    `output_ms` and `input_ms` what PortAudio reports of the device. `loop_frames` was measured, one for each sweep:
    from the frame's place in the rendered ring back to the input. `clarity_db` is the least of the sweeps'. The device
    took up to `device_frames` at one moment, which the ring has to hold; `period_frames` is that of the JACK server, 0
    over a cable.
    """

    path: Path
    rate_hz: int
    channel: int
    algorithmic_frames: int
    ring_frames: int
    output_ms: float
    input_ms: float
    loop_frames: tuple[float, ...]
    clarity_db: float
    inverted: bool
    input_peak_dbfs: float
    device_frames: int
    period_frames: int

    @property
    def total_frames(self) -> float:
        """The whole round trip: graph, ring, and the loop as measured (median)."""
        return self.algorithmic_frames + self.ring_frames + statistics.median(self.loop_frames)

    @property
    def rest_frames(self) -> float:
        """What of the loop is not explained by what the device reports, or on JACK's own connections by a period."""
        if self.path == "jack":
            known = float(self.period_frames)
        else:
            known = 1e-3 * (self.output_ms + self.input_ms) * self.rate_hz
        return statistics.median(self.loop_frames) - known

    def ms(self, frames: float) -> float:
        """Return frames as milliseconds."""
        return 1e3 * frames / self.rate_hz

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {
            "path": self.path,
            "input_channel": self.channel,
            "total_frames": round(self.total_frames, 3),
            "total_ms": round(self.ms(self.total_frames), 4),
            "algorithmic_frames": self.algorithmic_frames,
            "ring_frames": self.ring_frames,
            "loop_frames": [round(frames, 3) for frames in self.loop_frames],
            "device_output_ms": round(self.output_ms, 4),
            "device_input_ms": round(self.input_ms, 4),
            "rest_frames": round(self.rest_frames, 3),
            "device_frames": self.device_frames,
            "period_frames": self.period_frames,
            "clarity_db": round(self.clarity_db, 1),
            "inverted": self.inverted,
            "input_peak_dbfs": round(self.input_peak_dbfs, 1),
        }

    @property
    def figures(self) -> dict[str, Figure]:
        """Return the round trip in milliseconds, one sample a sweep."""
        fixed = self.algorithmic_frames + self.ring_frames
        samples = [self.ms(fixed + frames) for frames in self.loop_frames]
        way = "a cable" if self.path == "cable" else "JACK's connections"
        return {f"round trip over {way}": Figure.of(samples, "ms")}

    def lines(self) -> list[str]:
        """Return it as text."""

        def row(what: str, frames: float, how: str) -> str:
            frames = round(frames, 2) + 0.0  # no -0.00
            return f"  {what:<24}{frames:10.2f} frames {self.ms(frames):8.3f} ms   {how}".rstrip()

        median = statistics.median(self.loop_frames)
        spread = max(self.loop_frames) - min(self.loop_frames)
        rows = [
            row("algorithm", self.algorithmic_frames, "the graph of a scene: the limiter's look-ahead"),
            row("ring", self.ring_frames, f"ahead of a device that took up to {self.device_frames} at once"),
            row(
                "device and cable",
                median,
                f"measured, {len(self.loop_frames)} sweeps within {spread:.2f} frames",
            ),
        ]
        if self.path == "cable":
            for what, ms in (("output", self.output_ms), ("input", self.input_ms)):
                rows.append(row(f"  of it {what}", 1e-3 * ms * self.rate_hz, "as PortAudio reports"))
        else:
            rows.append(
                row("  of it JACK", self.period_frames, "one period: what is played comes in the next")
            )
        rows.append(row("  unexplained", self.rest_frames, ""))
        way = "a cable" if self.path == "cable" else "JACK's own connections, without converters"
        polarity = ", inverted" if self.inverted else ""
        return [
            row("round trip", self.total_frames, f"over {way}, input {self.channel}{polarity}"),
            *rows,
            f"  the peak is {self.clarity_db:.0f} dB above all else; the input's level is "
            f"{self.input_peak_dbfs:.0f} dBFS",
        ]


class InputTap:
    """A recorder of the device's input: every frame from now on exactly once.

    Attributes: `frame`, the frame of the input that `read` continues at; `lost`, whether it lagged behind by more than
    the ring holds.
    """

    def __init__(self, inputs: InputRing, margin_frames: int) -> None:
        self._inputs = inputs
        self._most = INPUT_FRAMES - margin_frames
        self.frame = int(inputs.counters[0])
        self.lost = False

    def read(self) -> NDArray[np.float32]:
        """Return what has come in since the last call, float32 `[frames, channels]`, perhaps nothing."""
        written = int(self._inputs.counters[0])
        places = np.arange(self.frame, written) % INPUT_FRAMES
        frames = self._inputs.samples[places, : max(1, int(self._inputs.counters[1]))]
        self.lost |= int(self._inputs.counters[0]) - self.frame > self._most
        self.frame = written
        return frames


@dataclass(frozen=True, slots=True)
class _Take:
    delay: Delay
    channel: int
    loop_frames: float
    ring_frames: int
    peak: float


class _Bench:
    """A running engine, with one scene of one sweep."""

    def __init__(self, engine: EngineHandle, setting: LiveSetting) -> None:
        self.engine = engine
        self._spec = setting.spec
        self._played = sweep(setting.rate_hz)
        engine.share_clips({0: np.repeat(LEVEL * self._played[:, None], 2, axis=1)})
        graph = default_graph(_composition(setting.rate_hz))
        params = ParamTable.of(graph.params(), memory=engine.params)
        meters = MeterTable.of(graph.meters(), memory=engine.meters)
        engine.swap(graph, params.slot_map, meters.slot_map)
        self.algorithmic_frames = engine.wait_for(Built, BUILD_TIMEOUT_S).latency_frames
        engine.start()
        self.started = engine.wait_for(Started, DEVICE_TIMEOUT_S)
        time.sleep(SETTLE_S)
        self.notices = [message.text for message in engine.poll() if isinstance(message, Notice)]

    def take(self) -> _Take:
        """Play the sweep and find it, once more where an under-run came between; raises NoRoundTrip, HostError."""
        for _ in range(ATTEMPTS):
            taken = self._take()
            if taken is not None:
                return taken
        raise NoRoundTrip(f"under-runs in each of {ATTEMPTS} sweeps: give the engine more time with --safety")

    def _take(self) -> _Take | None:
        engine, rate_hz = self.engine, self._spec.rate_hz
        most_frames = round(MOST_ROUND_TRIP_S * rate_hz)
        length = len(self._played) + most_frames
        before = engine.statistics()
        offset = self._offset()
        due = engine.frame + round(LEAD_S * rate_hz)
        engine.queues[0].push(Event(due, 0, 0, 0, len(self._played), 0, 0))
        tap = InputTap(engine.inputs, 2 * max(before.device_frames, self._spec.quantum_frames))
        # The frame of the input that was taken while the first of the sweep was given, were it there at once.
        first = due - offset
        skipped = first - tap.frame
        pieces: list[NDArray[np.float32]] = []
        depths_frames: list[int] = []
        until_s = time.monotonic() + LEAD_S + length / rate_hz + LATE_S
        while tap.frame < first + length:
            if time.monotonic() > until_s or engine.statistics().device_lost or not engine.statistics().alive:
                raise HostError("the device stopped while the round trip was measured")
            time.sleep(LISTEN_S)
            pieces.append(tap.read())
            now = engine.statistics()
            depths_frames.append(now.frame_rendered - now.frame_heard)
        # What ran dry before the last of the sweep was given has moved output against input.
        missed = engine.underruns_since(before.underruns - bool(before.underruns))
        held_up = any(before.frame_heard <= u.frame < due + len(self._played) for u in missed)
        if held_up or tap.lost or skipped < 0:
            return None
        heard = np.concatenate(pieces)[skipped : skipped + length]
        delays = [find_delay(self._played, channel, rate_hz, most_frames) for channel in heard.T]
        best = max(range(len(delays)), key=lambda n: delays[n].clarity_db)
        return _Take(
            delays[best],
            best + 1,
            delays[best].frames - self.algorithmic_frames,
            round(statistics.median(depths_frames)),
            float(np.abs(heard[:, best]).max()),
        )

    def _offset(self) -> int:
        """Return the frame of the output that was given while frame 0 of the input was taken.

        In the middle of a callback the input is ahead, and between the two readings it can only get further: the
        largest difference of several is the true one.
        """
        found = -(2**62)
        for _ in range(16):
            heard = self.engine.statistics().frame_heard
            found = max(found, heard - int(self.engine.inputs.counters[0]))
            time.sleep(0.0003)
        return found


def measure(setting: LiveSetting, loop: Loop, advance: Advance, sweeps: int = SWEEPS) -> RoundTrip:
    """Measure the round trip; raises NoRoundTrip where there is none, HostError, InputError.

    `auto` listens to what is connected first; where nothing comes back, and the device is a JACK server, it connects
    the engine's own ports.
    """
    before = _jack_ports() if loop in ("auto", "jack") else None
    with _running(setting) as bench:
        started = bench.started
        over_jack = "JACK" in started.device and before is not None
        if loop == "jack" and not over_jack:
            raise NoRoundTrip(f"{started.device} is not a JACK server whose ports can be connected")
        path: Path = "jack" if loop == "jack" else "cable"
        takes: list[_Take] = []
        while len(takes) < sweeps:
            if path == "jack" and not takes:
                assert before is not None
                _connect_own(before)
                time.sleep(SETTLE_S)
            advance("round trip", len(takes) / sweeps)
            taken = bench.take()
            if taken.delay.clear:
                takes.append(taken)
            elif path == "cable" and loop == "auto" and over_jack and not takes:
                path = "jack"
            else:
                raise NoRoundTrip(_unclear(taken, path))
        advance("round trip", 1.0)
        device_frames = bench.engine.statistics().device_frames
    return RoundTrip(
        path=path,
        rate_hz=setting.rate_hz,
        channel=takes[0].channel,
        algorithmic_frames=bench.algorithmic_frames,
        ring_frames=round(statistics.median(take.ring_frames for take in takes)),
        output_ms=1e3 * started.latency_s,
        input_ms=1e3 * started.input_latency_s,
        loop_frames=tuple(take.loop_frames for take in takes),
        clarity_db=min(take.delay.clarity_db for take in takes),
        inverted=takes[0].delay.inverted,
        input_peak_dbfs=_dbfs(max(take.peak for take in takes)),
        device_frames=device_frames,
        period_frames=before.period_frames if path == "jack" and before is not None else 0,
    )


@contextmanager
def _running(setting: LiveSetting) -> Iterator[_Bench]:
    """Play on the device with as many of its first two inputs as it has."""
    reason = ""
    for channels in (2, 1):
        with EngineHandle(
            setting.spec,
            device=setting.device,
            driver=setting.driver,
            safety_quanta=setting.safety_quanta,
            latency=setting.latency,
            blocksize_frames=setting.buffer_frames,
            input_device=setting.input_device,
            input_channels=channels,
            spare=False,
        ) as engine:
            bench = _Bench(engine, setting)
            if bench.started.driver == "null":
                raise NoRoundTrip("it needs a device, and the null clock plays to nobody")
            if engine.inputs.counters[1]:
                yield bench
                return
            reason = " ".join(bench.notices) or f"{bench.started.device} has no input"
    raise NoRoundTrip(reason)


def _composition(rate_hz: int) -> Composition:
    """Return a scene of one track that plays what it is given at its own level."""
    track = Track(0, "sweep", 0.5, "never", 0.0, REFERENCE_LUFS, -9.0, True, Once(), ())
    return Composition(crowd(2, room=False), 1, rate_hz, (track,), (), None)


def _jack_ports() -> jack_ports.Ports | None:
    try:
        return jack_ports.ports()
    except HostError:
        return None


def _connect_own(before: jack_ports.Ports) -> None:
    """Connect the outputs of the one client that has come since `before`, and plays and records, to its inputs."""
    new = jack_ports.ports().since(before)
    clients = new.duplex_clients
    if len(clients) != 1:
        raise NoRoundTrip(
            f"{len(clients)} JACK clients with inputs and outputs have come meanwhile: which is ours cannot be told"
        )
    own = new.of(clients[0])
    count = min(len(own.sources), len(own.sinks))
    jack_ports.connect(own.sources[:count], own.sinks[:count])


def _unclear(taken: _Take, path: Path) -> str:
    if taken.peak < 1e-5:
        return (
            "the input is silent: connect an output of the device to an input with a cable"
            if path == "cable"
            else "nothing comes back over JACK's connections"
        )
    return (
        f"what comes in (peak {_dbfs(taken.peak):.0f} dBFS) is not what was played: "
        f"the best match stands out by {taken.delay.clarity_db:.1f} dB only"
    )


def _dbfs(amplitude: float) -> float:
    return 20.0 * math.log10(max(amplitude, 1e-9))
