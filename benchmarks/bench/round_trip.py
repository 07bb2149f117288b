"""The round trip: from the frame a sound is due at, through engine, ring, device and cable, back to the input.

A sweep is played by the graph of a scene in the engine process of a show. What comes in lies in the session's input
ring, whose counter the callback moves together with that of the rendered ring: which frame of the input belongs to
which frame of the output is counted, and what the cable adds is found by `benchmarks.bench.loopback`.
"""

import contextlib
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import jack_ports
from benchmarks.bench.input_tap import InputTap
from benchmarks.bench.live_setting import Advance, LiveSetting
from benchmarks.bench.loopback import Delay, find_delay, sweep
from benchmarks.bench.trip import Path, RoundTrip
from benchmarks.crowd import crowd
from engine.control.patch import default_graph
from engine.control.show import BUILD_TIMEOUT_S, DEVICE_TIMEOUT_S
from engine.errors import HostError, RoomtoneError
from engine.events import Event
from engine.host.engine_handle import EngineHandle
from engine.messages import Built, Notice, Started
from engine.meters import MeterTable
from engine.params import ParamTable
from engine.scene.composition import REFERENCE_LUFS, Composition, Track
from engine.scene.schema import Once

Loop = Literal["auto", "cable", "jack", "off"]
"""How the output reaches the input: a cable (or the air), or JACK's own connections; `auto` tries both in turn."""

SWEEPS = 3
ATTEMPTS = 5
"""How many times a sweep is played that an under-run falls into."""

STARTS = 3
"""How many times all of it is begun on a device that stops on the way, as a busy machine's does."""

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


class _Stopped(HostError):
    """The device was lost."""


@dataclass(frozen=True, slots=True)
class _Take:
    delay: Delay
    channel: int
    loop_frames: float
    ring_frames: int
    device_frames: int
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
                raise _Stopped("the device stopped while the round trip was measured; see `roomtone devices`")
            time.sleep(LISTEN_S)
            pieces.append(tap.read())
            now = engine.statistics()
            depths_frames.append(now.frame_rendered - now.frame_heard)
        # What ran dry before the last of the sweep was given has moved output against input.
        missed = engine.underruns_since(before.underruns - bool(before.underruns))
        end = due + len(self._played) + self.algorithmic_frames
        held_up = any(before.frame_heard <= underrun.frame < end for underrun in missed)
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
            now.device_frames,
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
    for _ in range(STARTS - 1):
        with contextlib.suppress(_Stopped):
            return _measure(setting, loop, advance, sweeps)
    return _measure(setting, loop, advance, sweeps)


def _measure(setting: LiveSetting, loop: Loop, advance: Advance, sweeps: int) -> RoundTrip:
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
        device_frames=max(take.device_frames for take in takes),
        period_frames=before.period_frames if path == "jack" and before is not None else 0,
    )


@contextlib.contextmanager
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
