"""Energy of every track in 25 critical bands, smoothed as the ear smooths it."""

import math

import numpy as np
import numpy.typing as npt

from dsp.bank_design import TAPS_PER_PHASE, design_bank
from dsp.bank_filters import (
    BLOCK,
    CHUNK,
    ONE,
    PAST,
    ROWS,
    SUM,
    VERDICT,
    ZERO,
    filter_bands,
    is_run,
)
from dsp.bark import BANDS, time_constants_s
from dsp.jit import device, kernel
from dsp.memory import aligned
from dsp.vectors import WIDTH, load, magnitude, splat, store, where, within

Samples = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Tracks = tuple[Samples, Samples, Samples, Ints, Ints, Ints, Ints, Samples, Samples]

ENERGY_FLOOR = 1e-20
"""-200 dB: smoothed energies stop falling here, so that no logarithm or division meets 0 or a denormal."""
RING_OUT_S = 1.0
"""After this much silence a track's slowest band has decayed by more than 1000 dB and its filters may rest."""
DITHER = 1e-11
"""-220 dB: added to every mono sum from its first sound on, so that no filter state ever decays to a denormal."""

TRACKS = (
    "Tuple((float32[::1], float32[::1], float32[::1], int64[::1], int64[::1], int64[::1], int64[::1],"
    " float32[:, ::1], float32[:, ::1]))"
)

FLOOR = np.float32(ENERGY_FLOOR)
MOST = np.finfo(np.float32).max


@device
def _close_ranks(slot: Ints, track: Ints, awake: Ints, lanes: Samples, spare: Samples) -> None:
    """Move the tracks that are awake to the first slots, in their own order, and clear the slots left behind."""
    before, count = awake[0], 0
    first = before
    for t in range(slot.shape[0]):
        if slot[t] >= 0:
            if slot[t] != count:
                first = min(first, count)
            track[count] = slot[t]
            slot[t] = count
            count += 1
    begin = min(first, count) // WIDTH
    old, new = lanes.reshape(lanes.size), spare.reshape(spare.size)
    end = (before + WIDTH - 1) // WIDTH * BLOCK
    for cell in range(begin * BLOCK, end):
        new[cell] = ZERO
    for k in range(begin * WIDTH, count):
        source, place = track[k] // WIDTH * BLOCK + track[k] % WIDTH, k // WIDTH * BLOCK + k % WIDTH
        for cell in range(0, BLOCK, WIDTH):
            new[np.uint64(place + cell)] = old[np.uint64(source + cell)]
    for cell in range(begin * BLOCK, end):
        old[cell] = new[cell]
    for t in range(slot.shape[0]):
        if slot[t] >= 0:
            track[slot[t]] = t
    awake[0], awake[1] = count, 0


@device
def _rest_infinite(m: Samples, members: Ints, slot: Ints, heard: Samples) -> bool:
    """Put the tracks of a block to rest whose sums are not finite, and count these as 0; return whether any is."""
    nothing = splat(ZERO)
    fine, bad, most = splat(ONE), nothing, splat(MOST)
    for at in range(SUM * WIDTH, BANDS * ROWS * WIDTH, ROWS * WIDTH):
        bad = where(bad, bad, within(magnitude(load(m, at)), most, nothing, fine))
    verdict = m[VERDICT * WIDTH :]
    store(verdict, 0, bad)
    found = False
    for lane in range(members.shape[0]):
        found = found or verdict[lane] != ZERO
    if not found:
        return False
    for lane in range(members.shape[0]):
        if verdict[lane] != ZERO:
            heard[members[lane]], slot[members[lane]] = ZERO, -1
            for at in range(SUM * WIDTH, BANDS * ROWS * WIDTH, ROWS * WIDTH):
                m[at + lane] = m[at + lane] if abs(m[at + lane]) <= MOST else ZERO
    store(verdict, 0, nothing)
    return True


@device
def _add(m: Samples, members: Ints, weight: Samples, energy: Samples) -> None:
    """Add what a block has summed up to the energies of its tracks, and begin new sums."""
    whole = members.shape[0] == WIDTH and is_run(members, WIDTH)
    nothing = splat(ZERO)
    for b in range(BANDS):
        at, level = (b * ROWS + SUM) * WIDTH, energy[b]
        if whole:
            store(level, members[0], load(level, members[0]) + splat(weight[b]) * load(m, at))
        else:
            for lane in range(members.shape[0]):
                level[members[lane]] += weight[b] * m[at + lane]
        store(m, at, nothing)


@kernel(
    "void(float32[:, ::1], float32[::1], float32[::1], int64, float32[::1], float32[::1], int64[::1],"
    " int64[::1], int64[::1], int64[::1], float32[:, ::1], float32[:, ::1], float32[::1])"
)
def smooth_energies(
    lanes: Samples,
    decay: Samples,
    weight: Samples,
    ring_out: int,
    heard: Samples,
    peak: Samples,
    slot: Ints,
    track: Ints,
    awake: Ints,
    silence: Ints,
    spare: Samples,
    energy: Samples,
    loudest: Samples,
) -> None:
    """Smooth the mean squares of one finished control period, and start the next.

    Es = max(a Es, floor) + (1 - a) gain^2 mean(v1^2) / 1.1107, a = exp(-P / (fs tau))

    Shapes    lanes, heard, peak, slot, track, awake as in `filter_bands`; decay (25): a; weight (25): what
              turns the sum of w^2 into (1 - a) times the energy; ring_out in control periods; silence (T):
              control periods since the last sound; spare like lanes, scratch; energy (25, T); loudest (T)
    Units     mean square, full scale 1.0
    State     all but decay, weight and spare; energy `ENERGY_FLOOR` means silence
    Guards    a sum that is not finite counts as 0, and its track's filters start anew: in the masking, one energy
              that is no number would spoil every track
    Source    smoothing: ITU-R BS.1387-1
    """
    tracks, changed = peak.shape[0], awake[1] > 0
    for b in range(BANDS):
        level, a = energy[b], decay[b]
        for t in range(tracks):
            level[t] = max(a * level[t], FLOOR)
    for block in range((awake[0] + WIDTH - 1) // WIDTH):
        members = track[block * WIDTH : min((block + 1) * WIDTH, awake[0])]
        changed = _rest_infinite(lanes[block], members, slot, heard) or changed
        _add(lanes[block], members, weight, energy)
    for t in range(tracks):
        silence[t] = 0 if peak[t] > ZERO else silence[t] + 1
        loudest[t] = peak[t]
        peak[t] = ZERO
        if slot[t] >= 0 and silence[t] >= ring_out:
            slot[t] = -1
            heard[t] = ZERO
            changed = True
    if changed:
        _close_ranks(slot, track, awake, lanes, spare)


@kernel(f"void(int64[::1], {TRACKS}, {TRACKS})")
def take_tracks(mapping: Ints, old: Tracks, new: Tracks) -> None:
    """Make track i of `new` what track mapping[i] of `old` is, or silent where that is -1; all else is overwritten.

    mapping (T); of both: heard, peak, loudest, silence, slot, track, awake, lanes, energy as in `smooth_energies`.
    The tracks that are awake get the first slots, in their new order.
    """
    old_heard, old_peak, old_loudest, old_silence, old_slot, _, _, old_lanes, old_energy = old
    heard, peak, loudest, silence, slot, track, awake, lanes, energy = new
    count = 0
    for t in range(mapping.shape[0]):
        s = mapping[t]
        heard[t] = old_heard[s] if s >= 0 else ZERO
        peak[t] = old_peak[s] if s >= 0 else ZERO
        loudest[t] = old_loudest[s] if s >= 0 else ZERO
        silence[t] = old_silence[s] if s >= 0 else 0
        slot[t] = -1
        if s >= 0 and old_slot[s] >= 0:
            slot[t], track[count] = count, t
            count += 1
    awake[0], awake[1] = count, 0
    for b in range(BANDS):
        for t in range(mapping.shape[0]):
            energy[b, t] = old_energy[b, mapping[t]] if mapping[t] >= 0 else FLOOR
    before, after = old_lanes.reshape(old_lanes.size), lanes.reshape(lanes.size)
    for cell in range(count // WIDTH * BLOCK, after.shape[0]):
        after[cell] = ZERO
    for k in range(count):
        s = old_slot[mapping[track[k]]]
        source, place = s // WIDTH * BLOCK + s % WIDTH, k // WIDTH * BLOCK + k % WIDTH
        for cell in range(0, BLOCK, WIDTH):
            after[np.uint64(place + cell)] = before[np.uint64(source + cell)]


@kernel(f"void(boolean[::1], {TRACKS}, float32[:, ::1])")
def silence_tracks(bad: Flags, bank: Tracks, spare: Samples) -> None:
    """Return the tracks of a bank, as in `take_tracks`, that are `bad` (T) to silence; `spare` like lanes, scratch."""
    heard, peak, loudest, silence, slot, track, awake, lanes, energy = bank
    for t in range(bad.shape[0]):
        if bad[t]:
            heard[t], peak[t], loudest[t], silence[t], slot[t] = ZERO, ZERO, ZERO, 0, -1
            for b in range(BANDS):
                energy[b, t] = FLOOR
    _close_ranks(slot, track, awake, lanes, spare)


class BarkBank:
    """The 25 smoothed band energies of a bank of tracks; bands that do not fit the rate stay at the floor.

    Time runs in control periods, of a multiple of D frames (`dsp.bank_design`): `filter` takes in a period in any
    number of parts, `smooth` ends it. Only tracks that are awake are filtered, a vector of them at once; one falls
    asleep after `RING_OUT_S` of silence.
    """

    def __init__(self, tracks: int, rate_hz: int, period_frames: int) -> None:
        design = design_bank(rate_hz)
        factor = design.decimation
        if period_frames < 1 or period_frames % factor:
            raise ValueError(f"a control period of {period_frames} frames is no multiple of {factor}")
        # set once
        self.tracks = tracks
        self.rate_hz = rate_hz
        self.usable = design.usable
        self.low = design.low
        self._taps = aligned((TAPS_PER_PHASE * factor, WIDTH))
        self._taps[:] = design.lowpass.reshape(-1, factor)[:, ::-1].T.reshape(-1, 1)
        self._coefs = aligned((BANDS, 4 * WIDTH))
        self._coefs[:] = np.repeat(design.coefs, WIDTH, axis=1)
        decay = np.exp(-period_frames / (rate_hz * time_constants_s()))
        samples = np.where(np.arange(BANDS) < design.low, period_frames // factor, period_frames)
        self._decay = decay.astype(np.float32)
        self._weight = (design.power * (1.0 - decay) / samples).astype(np.float32)
        # A chirp over the period: equal power at every multiple of rate / period.
        frame = np.arange(period_frames)
        self._dither = (DITHER * np.cos(np.pi * frame**2 / period_frames)).astype(np.float32)
        self._ring_out = math.ceil(RING_OUT_S * rate_hz / period_frames)
        # render thread only
        blocks = math.ceil(tracks / WIDTH)
        self._lanes = aligned((blocks, BLOCK))
        self._heard = aligned((tracks,))
        self._peak = aligned((tracks,))
        self._silence = np.zeros(tracks, np.int64)
        self._slot = np.full(tracks, -1)
        self._track = np.zeros(tracks, np.int64)
        self._awake = np.zeros(2, np.int64)
        self._mono = aligned((blocks, PAST + CHUNK, WIDTH))
        self._packed = aligned((PAST + CHUNK, WIDTH))
        self._low = aligned((PAST + CHUNK, WIDTH))
        self._spare = aligned(self._lanes.shape)
        # shared
        self.energy = aligned((BANDS, tracks))
        """float32[25, T], mean square of each track's mono sum in each band, smoothed."""
        self.peak = np.zeros(tracks, np.float32)
        """float32[T], largest absolute value of each track's mono sum in the last control period."""
        self.energy.fill(FLOOR)
        self._state: Tracks = (
            *(self._heard, self._peak, self.peak, self._silence),
            *(self._slot, self._track, self._awake, self._lanes, self.energy),
        )

    @property
    def awake(self) -> int:
        """How many tracks are filtered; what a call costs grows with every `WIDTH` of them."""
        return int(self._awake[0])

    def filter(self, x: Samples, passed: int) -> None:
        """Take in float32[n, 2 T], frames `passed` to `passed` + n of the control period."""
        filter_bands(
            x,
            passed,
            self.low,
            self.usable,
            self._dither,
            self._taps,
            self._coefs,
            self._lanes,
            self._heard,
            self._peak,
            self._slot,
            self._track,
            self._awake,
            self._mono,
            self._packed,
            self._low,
        )

    def smooth(self) -> None:
        """End the control period: update `energy` and `peak`."""
        smooth_energies(
            self._lanes,
            self._decay,
            self._weight,
            self._ring_out,
            self._heard,
            self._peak,
            self._slot,
            self._track,
            self._awake,
            self._silence,
            self._spare,
            self.energy,
            self.peak,
        )

    def reset(self) -> None:
        """Return to silence."""
        for array in self._state:
            array.fill(0)
        self._slot.fill(-1)
        self.energy.fill(FLOOR)

    def adopt(self, old: "BarkBank", mapping: Ints) -> None:
        """Continue, within the control period, as old track mapping[i] in track i; -1 starts silent.

        `mapping` is int64[T]. Both banks must have the same rate and control period. Allocates nothing.
        """
        take_tracks(mapping, old._state, self._state)

    def reset_tracks(self, bad: Flags) -> None:
        """Return the tracks that are marked in bool[T] to silence; all others go on, bit for bit."""
        silence_tracks(bad, self._state, self._spare)
