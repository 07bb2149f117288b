"""The DSP loop: keeps the ring a few quanta ahead of the device, and does nothing else."""

import math
import time
from collections.abc import Callable

import numpy as np

from dsp.blocks import fade
from engine.host.callback import DEVICE_FRAMES, DRAINING, HEARTBEAT, PLAYING, RING_FRAMES, STATE, UNDERRUNS
from engine.host.drivers import Driver
from engine.host.null_clock import NullClock
from engine.host.ring import RingWriter
from engine.host.session import (
    DEVICE_LOST,
    LATE_QUANTA,
    LOAD_MAX,
    LOAD_MEAN,
    QUANTA,
    SAFETY_QUANTA,
    STARTED,
    Session,
)
from engine.rendering import Renderer

LOAD_WINDOW_S = 1.0
"""Time constant of the mean load."""

MOST_AHEAD_FRAMES = RING_FRAMES // 4
"""The deepest the ring is ever filled, whatever a device takes at once; the rest is the recorders' margin."""


MOST_SAFETY_QUANTA = 16
ADAPT_INTERVAL_S = 0.5
"""How long a deeper ring is tried before it is made deeper still."""


def ahead_frames(quantum_frames: int, device_frames: int, safety_quanta: int) -> int:
    """Return how full the ring is kept: what the device takes at once, in whole quanta, and the safety beyond one."""
    quanta = -(-device_frames // quantum_frames) + safety_quanta - 1
    return min(quanta * quantum_frames, MOST_AHEAD_FRAMES)


class DspLoop:
    """Renders into the ring until the sound has ended.

    The ring holds what the device takes at one moment and `safety_quanta` - 1 quanta more; with `adapt`, an under-run
    makes that one more, up to `MOST_SAFETY_QUANTA`. `on_lost` is called with the device's name when it goes away;
    the null clock then goes on in its place, with the transport.
    """

    def __init__(
        self,
        renderer: Renderer,
        session: Session,
        safety_quanta: int,
        on_lost: Callable[[str], None],
        adapt: bool = False,
    ) -> None:
        # set once
        self._renderer = renderer
        self._session = session
        self._spec = renderer.spec
        self._on_lost = on_lost
        self._adapt = adapt
        self._load_step = 1.0 - math.exp(-renderer.spec.quantum_s / LOAD_WINDOW_S)
        # DSP loop only
        self.driver: Driver | None = None
        self._writer = RingWriter(session)
        self._block = np.zeros((renderer.spec.quantum_frames, 2), np.float32)
        self._safety_quanta = safety_quanta
        self._underruns = int(session.counters[UNDERRUNS])
        self._adapt_at_s = 0.0
        self._ended = False
        self._closing_done_frames = 0
        # shared: written by the messenger only
        self._closing_frames = 0
        session.statistics[SAFETY_QUANTA] = safety_quanta

    def close_soon(self, fade_frames: int) -> None:
        """End the sound with a fade of its own, over whatever else is going on; called from any thread."""
        self._closing_frames = self._closing_frames or max(1, fade_frames)

    def begin(self, driver: Driver) -> None:
        """Fill the ring, then start `driver`, so that it finds sound from its first frame on."""
        self.driver = driver
        self._top_up(driver.device_frames)
        self._session.counters[STATE] = DRAINING if self._ended else PLAYING
        driver.start()

    def run(self) -> int:
        """Play to the end, until all of it is heard; return the frame that silence began at."""
        assert self.driver is not None
        counters = self._session.counters
        driver = self.driver
        nap_s = self._spec.quantum_s / 4
        self._session.statistics[STARTED] = 1.0
        while not self._ended:
            counters[HEARTBEAT] += 1
            driver.advance()
            self._top_up(int(counters[DEVICE_FRAMES]) or driver.device_frames)
            if driver.lost():
                driver = self._replace(driver)
            if self._adapt and counters[UNDERRUNS] != self._underruns:
                self._deepen()
            time.sleep(nap_s)
        while self._writer.waiting_frames > 0 and not driver.lost():
            counters[HEARTBEAT] += 1
            driver.advance()
            time.sleep(nap_s)
        heard_s = time.monotonic() + driver.latency_s
        while (left_s := heard_s - time.monotonic()) > 0.0:
            counters[HEARTBEAT] += 1
            time.sleep(min(nap_s, left_s))
        return self._renderer.frame

    def _top_up(self, device_frames: int) -> None:
        quantum = self._spec.quantum_frames
        goal = ahead_frames(quantum, device_frames, self._safety_quanta)
        while not self._ended and self._writer.waiting_frames + quantum <= goal:
            self._render()

    def _render(self) -> None:
        began_s = time.perf_counter()
        self._renderer.render(self._block)
        self._ended = self._renderer.finished
        if self._closing_frames:
            fade(self._block, self._closing_done_frames, self._closing_frames, True)
            self._closing_done_frames += self._spec.quantum_frames
            self._ended = self._ended or self._closing_done_frames >= self._closing_frames
        if self._ended:
            self._session.counters[STATE] = DRAINING
        self._writer.write(self._block)
        load = (time.perf_counter() - began_s) / self._spec.quantum_s
        statistics = self._session.statistics
        statistics[LOAD_MEAN] += self._load_step * (load - statistics[LOAD_MEAN])
        statistics[LOAD_MAX] = max(statistics[LOAD_MAX], load)
        statistics[QUANTA] += 1
        statistics[LATE_QUANTA] += 1 if load > 1.0 else 0

    def _deepen(self) -> None:
        """Work one quantum further ahead from now on, unless that was done a moment ago."""
        now_s = time.monotonic()
        if now_s < self._adapt_at_s:
            return
        self._adapt_at_s = now_s + ADAPT_INTERVAL_S
        self._underruns = int(self._session.counters[UNDERRUNS])
        if self._safety_quanta < MOST_SAFETY_QUANTA:
            self._safety_quanta += 1
            self._session.statistics[SAFETY_QUANTA] = self._safety_quanta

    def _replace(self, lost: Driver) -> Driver:
        """Go on with the null clock; the dead device is left alone, since any call into it may hang."""
        lost.abandon()
        self._session.statistics[DEVICE_LOST] = 1.0
        self._session.inputs.counters[1] = 0
        self.driver = NullClock(self._session, self._spec)
        self.driver.start()
        self._on_lost(lost.device)
        return self.driver
