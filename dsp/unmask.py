"""The unmasking stage: every track gives way, by at most 6 dB, where it hides a more important one."""

import math

import numpy as np
import numpy.typing as npt

from dsp.bank import BarkBank
from dsp.bank_design import decimation
from dsp.bark import BANDS
from dsp.bells import LIMIT, ZERO
from dsp.dynamic_eq import DynamicEq, Q
from dsp.jit import kernel
from dsp.masking import Masking

Samples = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MAX_CUT_DB = 6.0
PERIOD_S = 256 / 48000
"""Control period, about: energies are read and bells steered at every multiple of it, whatever the quantum."""
SHOWN_PERIODS = 16
"""What there is to see is shown every 16 periods, 85 ms."""
MASKING_SHARE = 1 / 8
"""Steering begins when this share of a control period has passed, and goes on evenly to its end."""
TRACKS_AT_ONCE = 16
"""Fewer tracks are not worth a call."""
DELTA_RAMP_S = 0.02
"""How long it takes to turn from the sound to what is taken away from it, and back."""


@kernel("void(float32[:, ::1], float32[:, ::1], int64, float64, float64)")
def blend_removed(x: Samples, y: Samples, passed: int, start: float, slope: float) -> None:
    """Turn y, the filtered x, into what the filter took away: y + d (x - 2 y), d from 0 to 1.

    Shapes    x, y (n, lanes), of one control period, from frame `passed` of it on; d is start + slope times the frame
    Exact     with d = 1 a lane that was not filtered becomes 0
    """
    for i in range(x.shape[0]):
        d = np.float32(start + slope * (passed + i + 1))
        source, out = x[i], y[i]
        for lane in range(x.shape[1]):
            sample = source[lane] if abs(source[lane]) <= LIMIT else ZERO
            out[lane] = out[lane] + d * (sample - np.float32(2.0) * out[lane])


@kernel("void(int64[::1], float64[:, ::1], float64[:, ::1], float64)")
def take_columns(mapping: Ints, old: Floats, new: Floats, empty: float) -> None:
    """Fill column i of `new` (25, T) with column mapping[i] of `old`, or with `empty` where that is -1."""
    for b in range(new.shape[0]):
        source, target = old[b], new[b]
        for t in range(mapping.shape[0]):
            target[t] = source[mapping[t]] if mapping[t] >= 0 else empty


@kernel("boolean(int64[::1], int64)")
def is_mapping(mapping: Ints, old_tracks: int) -> bool:
    """Say whether every entry is the number of one of `old_tracks` tracks, or -1."""
    fits = True
    for source in mapping:
        fits = fits and -1 <= source < old_tracks
    return fits


def control_period_frames(rate_hz: int) -> int:
    """Return the frames of a control period: what is nearest to 5.33 ms in samples of the bank's lowest rate."""
    factor = decimation(rate_hz)
    return max(1, round(PERIOD_S * rate_hz / factor)) * factor


class Unmask:
    """Unmasking of T stereo tracks: 25 band energies, demand by importance, up to K bells per track.

    Control runs on a fixed grid of 5.33 ms, counted in whole frames from the first one, or from where `align`
    says: what a period measured is worked out during the next, a part after each of its frames, and steers the bells in
    the one after. So the cost of a quantum hardly varies, and the output does not depend, in a single bit, on the
    quantum.

    All state is preallocated; `process` adds no latency and never boosts. With `amount` 0 the bells release
    and every track then passes bit for bit; detection runs on, so that turning it up acts at once and the cost
    of a quantum does not jump.
    """

    def __init__(
        self,
        tracks: int,
        rate_hz: int,
        quantum_frames: int,
        *,
        bells: int = 4,
        q: float = Q,
        masking: Masking | None = None,
    ) -> None:
        if min(tracks, rate_hz, quantum_frames, bells) < 1:
            raise ValueError("tracks, rate_hz, quantum_frames and bells must be at least 1")
        if masking is not None and len(masking.importance) != tracks:
            raise ValueError(f"a masking model for {len(masking.importance)} tracks does not fit {tracks}")
        # set once
        self.tracks = tracks
        self.rate_hz = rate_hz
        self.quantum_frames = quantum_frames
        self.bells = bells
        self.period_frames = control_period_frames(rate_hz)
        # render thread only
        self._bank = BarkBank(tracks, rate_hz, self.period_frames)
        self._masking = Masking(tracks) if masking is None else masking
        self._eq = DynamicEq(tracks, rate_hz, self.period_frames, bells, q)
        self._passed = 0
        self._periods = 0
        self._asked = (0.0, 1.0, 1.0)
        self._delta_from = self._delta_to = 0.0
        self._fresh = True
        # shared
        self.amount = 1.0
        """Strength, 0..1; 0 asks for no cuts."""
        self.max_cut_db = MAX_CUT_DB
        """Deepest combined cut of a track at any frequency, 0..6 dB."""
        self.attack_ms = 20.0
        """Time constant of what is asked growing, in ms; more is asked than is cut, so a full cut comes faster."""
        self.release_ms = 200.0
        """Time constant of what is asked shrinking, in ms; a full cut goes back in about twice that."""
        self.importance = self._masking.importance
        """float64[T], 0..1, at first 0.5 for all; read at the end of every control period."""
        self.yielding = self._masking.yielding
        """float64[T], at first 1: `dsp.masking` NEVER, BY_IMPORTANCE or ALWAYS; read likewise."""
        self.delta = 0.0
        """1 plays what is taken away instead of what is left, 0 (below 0.5) does not; ramped, but for the start."""
        self.energy = self._bank.energy
        """float32[25, T], mean square of each track's mono sum per band, smoothed."""
        self.target_db = self._masking.target_db
        """float32[T, 25], dB, <= 0: the cut asked for, per band, by what was measured until the period began."""
        self.reduction_db = self._eq.reduction_db
        """float32[T], dB, <= 0: the deepest combined cut of each track, at the end of the control period."""
        self.shown = 0
        """Counts the times that `shown_energy` and `shown_kept` were brought up to date."""
        self.shown_energy = np.zeros((BANDS, tracks))
        """float64[25, T]: `energy` of a moment, every 16 control periods."""
        self.shown_kept = np.ones((BANDS, tracks))
        """float64[25, T]: the share of the power at the band centres that the bells left, at that moment."""

    @property
    def cut_db(self) -> npt.NDArray[np.float32]:
        """float32[T, 25], dB, <= 0: the combined cut at the band centres, at the end of the control period."""
        return self._eq.cut_db

    def align(self, frame: int) -> None:
        """Count from frame 0 of a transport whose `frame` comes next; only before the first frame does it matter.

        The grid, and the moments that are shown, then lie where they would if the sound had begun at frame 0.
        """
        if self._fresh:
            self._periods, self._passed = divmod(
                frame % (SHOWN_PERIODS * self.period_frames), self.period_frames
            )

    def process(self, x: Samples, y: Samples, key: Samples | None = None) -> None:
        """Unmask float32[n, 2 T] x into y, n at most `quantum_frames`; x and y must not overlap.

        `key`, of the same shape, is what is listened to instead of x: x delayed against it is look-ahead.
        """
        key = x if key is None else key
        frames = x.shape[0]
        shape = (frames, 2 * self.tracks)
        if frames > self.quantum_frames or not x.shape == y.shape == key.shape == shape:
            raise ValueError(
                f"{x.shape} into {y.shape} does not fit {self.quantum_frames} x {2 * self.tracks}"
            )
        if self._fresh and frames:
            self._fresh = False
            self._delta_from = self._delta_to = self._delta_goal()
        if self._passed + frames <= self.period_frames:
            if frames:
                self._filter(x, y, key)
            return
        start = 0
        while start < frames:
            stop = min(frames, start + self.period_frames - self._passed)
            self._filter(x[start:stop], y[start:stop], key[start:stop])
            start = stop

    def _filter(self, x: Samples, y: Samples, key: Samples) -> None:
        """Filter frames of one control period, and do that part of its control that is due by then."""
        if self._passed == 0:
            self._ask()
        self._bank.filter(key, self._passed)
        self._eq.filter(x, y, self._passed)
        if self._delta_from or self._delta_to:
            slope = (self._delta_to - self._delta_from) / self.period_frames
            blend_removed(x, y, self._passed, self._delta_from, slope)
        begin = self._planned()
        self._passed += x.shape[0]
        if self._passed < self.period_frames:
            end = self._planned()
            if begin < end:
                self._eq.plan(begin, end, self._masking.target_db, *self._asked)
            return
        # Whatever an adoption or a reset has left to do is done with what is left.
        self._eq.plan(0, self.tracks, self._masking.target_db, *self._asked)
        self._begin()
        self._passed = 0

    def _ask(self) -> None:
        """Work out what each track owes the others, by what the period before has measured."""
        limit_db = _clip(self.max_cut_db, MAX_CUT_DB)
        self._asked = (limit_db, self.attack_ms * 1e-3, self.release_ms * 1e-3)
        self._masking.process(self._bank.energy, self._bank.peak, _clip(self.amount, 1.0), limit_db)

    def _planned(self) -> int:
        """Return how many tracks are to be steered by now: none at first, while the masking is worked out."""
        share = max(0.0, self._passed / self.period_frames - MASKING_SHARE) / (1.0 - MASKING_SHARE)
        return int(self.tracks * share) // TRACKS_AT_ONCE * TRACKS_AT_ONCE

    def _begin(self) -> None:
        """Begin the next control period."""
        self._bank.smooth()
        self._eq.begin()
        self._turn_delta()
        self._periods += 1
        if self._periods == SHOWN_PERIODS:
            self._periods = 0
            np.copyto(self.shown_energy, self._bank.energy)
            self._eq.read_kept(self.shown_kept)
            self.shown += 1

    def _turn_delta(self) -> None:
        """Set the ramp of the control period that begins."""
        step = self.period_frames / (DELTA_RAMP_S * self.rate_hz)
        self._delta_from = self._delta_to
        self._delta_to += max(-step, min(step, self._delta_goal() - self._delta_to))

    def _delta_goal(self) -> float:
        return 1.0 if self.delta >= 0.5 else 0.0

    def reset(self) -> None:
        """Return to silence with idle bells; settings stay."""
        self._bank.reset()
        self._masking.reset()
        self._eq.reset()
        self._passed = self._periods = 0
        self._delta_from = self._delta_to = 0.0
        self._fresh = True
        self.shown_energy.fill(0.0)
        self.shown_kept.fill(1.0)

    def reset_tracks(self, bad: Flags) -> None:
        """Return the tracks marked in bool[T] to silence with idle bells; all others go on, bit for bit.

        Allocates nothing.
        """
        self._bank.reset_tracks(bad)
        self._masking.reset_tracks(bad)
        self._eq.reset_tracks(bad)
        np.copyto(self.shown_energy, 0.0, where=bad)
        np.copyto(self.shown_kept, 1.0, where=bad)

    def adopt(self, old: "Unmask", mapping: npt.ArrayLike) -> None:
        """Continue with the filters, energies and bells of old track mapping[i] in track i; -1 starts silent.

        The control grid goes on where it was. Settings and importances are not taken over. Not while either of
        the two processes. Allocates nothing if the mapping is int64[T]; its cost is that of moving 1.7 KB per track.
        """
        source = np.ascontiguousarray(mapping, dtype=np.int64)
        if (old.rate_hz, old.bells, old._eq.q) != (self.rate_hz, self.bells, self._eq.q):
            raise ValueError("only a stage of the same rate and bells can be adopted")
        if source.shape != (self.tracks,) or not is_mapping(source, old.tracks):
            raise ValueError(f"the mapping must hold {self.tracks} old track numbers or -1")
        self._bank.adopt(old._bank, source)
        self._masking.adopt(old._masking, source)
        self._eq.adopt(old._eq, source)
        self._passed, self._periods, self._asked = old._passed, old._periods, old._asked
        self._delta_from, self._delta_to, self._fresh = old._delta_from, old._delta_to, old._fresh
        take_columns(source, old.shown_energy, self.shown_energy, 0.0)
        take_columns(source, old.shown_kept, self.shown_kept, 1.0)
        self.shown = old.shown


def _clip(value: float, top: float) -> float:
    return 0.0 if math.isnan(value) else max(0.0, min(top, value))
