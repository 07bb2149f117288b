"""Our own side: the filters of the unmasking stage on a bank of tracks, and the whole stage."""

import time

import numpy as np

from benchmarks.kernels import noise
from benchmarks.peers.task import BELLS, Bell, Task, bands
from dsp.bank import BarkBank
from dsp.bark import BANDS, CENTRES_HZ
from dsp.dynamic_eq import DynamicEq
from dsp.memory import aligned
from dsp.unmask import MAX_CUT_DB, Unmask

INPUTS = 8
"""Quanta of noise that go round and round."""
SETTLING_PERIODS = 200
"""Control periods until the bells swing evenly: a second."""
WANTED_DB = 4.0, 2.0
"""The deepest cut wanted of any band, in one control period and in the next: within the limit, so that bells swing."""
FOLLOWING_S = 0.020


class Ours:
    """`BarkBank.filter` and `smooth` and `DynamicEq.filter`, on noise, with all bells at work and on their way.

    `task` is the same work for others.
    """

    def __init__(self, tracks: int, quantum_frames: int, rate_hz: int) -> None:
        self._stage = Unmask(tracks, rate_hz, quantum_frames, bells=BELLS)
        self._stage.importance[:] = np.random.default_rng(1).permutation(tracks) / max(1, tracks - 1)
        period_frames = self._stage.period_frames
        self._bank = BarkBank(tracks, rate_hz, period_frames)
        self._eq = DynamicEq(tracks, rate_hz, period_frames, BELLS)
        shape = np.random.default_rng(3).random((tracks, BANDS))
        self._wanted_db = [(-deepest_db * shape).astype(np.float32) for deepest_db in WANTED_DB]
        self._periods = 0
        self._passed = 0
        depths_db = []
        for _ in range(SETTLING_PERIODS):
            self._steer()
            depths_db.append(self._eq.depth_db.copy())
        self.task = Task(
            tracks,
            quantum_frames,
            rate_hz,
            period_frames,
            bands(rate_hz),
            tuple(
                tuple(
                    Bell.of(
                        float(CENTRES_HZ[band]),
                        float(depths_db[-2][t, k]),
                        float(depths_db[-1][t, k]),
                        rate_hz,
                    )
                    for k, band in enumerate(self._eq.band[t])
                )
                for t in range(tracks)
            ),
        )
        x, self._y = (aligned((n * quantum_frames, 2 * tracks)) for n in (INPUTS, 1))
        x[:] = noise(tracks, INPUTS * quantum_frames)
        self._inputs = [x[start : start + quantum_frames] for start in range(0, len(x), quantum_frames)]

    def run(self, quanta: int) -> float:
        """Filter so many quanta; return the seconds of processor time that took, without the steering."""
        period, spent = self._eq.period_frames, 0
        begin = time.process_time_ns()
        for number in range(quanta):
            x, start = self._inputs[number % INPUTS], 0
            while start < len(x):
                stop = min(len(x), start + period - self._passed)
                self._bank.filter(x[start:stop], self._passed)
                self._eq.filter(x[start:stop], self._y[start:stop], self._passed)
                self._passed += stop - start
                start = stop
                if self._passed == period:
                    self._bank.smooth()
                    spent += time.process_time_ns() - begin
                    self._steer()
                    self._passed = 0
                    begin = time.process_time_ns()
        return (spent + time.process_time_ns() - begin) / 1e9

    def run_stage(self, quanta: int) -> float:
        """The same for the whole stage, which also decides who is to give way and steers the bells."""
        begin = time.process_time_ns()
        for number in range(quanta):
            self._stage.process(self._inputs[number % INPUTS], self._y)
        return (time.process_time_ns() - begin) / 1e9

    def _steer(self) -> None:
        self._eq.steer(self._wanted_db[self._periods % 2], MAX_CUT_DB, FOLLOWING_S, FOLLOWING_S)
        self._periods += 1
