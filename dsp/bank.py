"""Energy of every track in 25 critical bands, smoothed as the ear smooths it."""

import math

import numpy as np
import numpy.typing as npt

from dsp.bark import BANDS, EDGES_HZ, time_constants_s, usable_bands
from dsp.jit import device, kernel
from dsp.svf import bandpass_sections, scaled_section
from dsp.vectors import WIDTH, Vector, fma, load, reread, splat, store

Samples = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
State = tuple[Vector, Vector, Vector, Vector, Vector]
Tracks = tuple[Samples, Samples, Samples, Ints, Ints, Ints, Ints, Samples, Floats]

NOISE_BANDWIDTH = math.pi / (2.0 * math.sqrt(2.0))
"""Noise bandwidth of an order-2 Butterworth band-pass over its -3 dB width (1.1107): dividing by it makes the
energy of noise read true; a tone at a band's centre reads 0.456 dB low."""
ENERGY_FLOOR = 1e-20
"""-200 dB: smoothed energies stop falling here, so that no logarithm or division meets 0 or a denormal."""
RING_OUT_S = 1.0
"""After this much silence a track's slowest band has decayed by more than 1000 dB and its filters may rest."""
DITHER = 1e-11
"""-220 dB: added to every mono sum from its first sound on, so that no filter state ever decays to a denormal."""
CHUNK = 64
"""Frames after which the next tracks have their turn: the mono sums in between stay in the cache."""
AT_ONCE = 5
"""Bands per inner loop: their states fill the registers, and one band's additions run while another's wait."""

H1, S1, H2, S2, SUM = range(5)
ROWS = 5
BLOCK = BANDS * ROWS * WIDTH
TRACKS = (
    "Tuple((float32[::1], float32[::1], float32[::1], int64[::1], int64[::1], int64[::1], int64[::1],"
    " float32[:, :, ::1], float64[:, ::1]))"
)

LIMIT = np.float32(1e6)  # +120 dBFS: a larger sample is a fault, and its square sums could overflow
INFINITE = np.float32(np.inf)
HALF = np.float32(0.5)
ONE = np.float32(1.0)
ZERO = np.float32(0.0)


@device
def _mix(x: Samples, dither: Samples, heard: Samples, peak: Samples, mono: Samples) -> None:
    """Write the mono sums of x, with dither from each track's first sound on, and note the largest."""
    tracks = peak.shape[0]
    for i in range(x.shape[0]):
        left, right, row, noise = x[i, :tracks], x[i, tracks:], mono[i], dither[i]
        for t in range(tracks):
            sample = HALF * (left[t] + right[t])
            size = abs(sample)
            sample = sample if size <= LIMIT else ZERO
            heard[t] = heard[t] if sample == ZERO else ONE
            peak[t] = max(peak[t], abs(sample))
            row[t] = sample + heard[t] * noise


@device
def _wake(heard: Samples, slot: Ints, track: Ints, awake: Ints) -> None:
    """Give a slot to every track that is heard and has none."""
    count = awake[0]
    for t in range(slot.shape[0]):
        if heard[t] > ZERO and slot[t] < 0:
            slot[t] = count
            track[count] = t
            count += 1
    if count > awake[0]:
        awake[0], awake[1] = count, 1


@device
def _is_run(track: Ints, count: int, heard: Samples) -> bool:
    """Whether these tracks stand side by side, with nothing but silence behind them if they fill no vector."""
    first, run = track[0], True
    for lane in range(count):
        run = run and track[lane] == first + lane
    for t in range(first + count, min(first + WIDTH, heard.shape[0])):
        run = run and heard[t] == ZERO
    return run


@device
def _pack(mono: Samples, track: Ints, count: int, packed: Samples) -> None:
    """Copy the mono sums of `count` tracks side by side, and silence behind them."""
    for i in range(mono.shape[0]):
        row = packed[i]
        for lane in range(WIDTH):
            row[lane] = ZERO
    for lane in range(count):
        t = track[lane]
        for i in range(mono.shape[0]):
            packed[i, lane] = mono[i, t]


@device
def _state(m: Samples) -> State:
    return (
        load(m, H1 * WIDTH),
        load(m, S1 * WIDTH),
        load(m, H2 * WIDTH),
        load(m, S2 * WIDTH),
        load(m, SUM * WIDTH),
    )


@device
def _keep(m: Samples, state: State) -> None:
    store(m, H1 * WIDTH, state[0])
    store(m, S1 * WIDTH, state[1])
    store(m, H2 * WIDTH, state[2])
    store(m, S2 * WIDTH, state[3])
    store(m, SUM * WIDTH, state[4])


@device
def _step(x: Vector, coefs: Samples, state: State) -> State:
    """Run one band of a block for one frame."""
    a1, b1, a2, b2 = splat(coefs[0]), splat(coefs[1]), splat(coefs[2]), splat(coefs[3])
    h1, s1, h2, s2, total = state
    v = fma(a1, h1, x - s1)
    w = fma(a2, h2, v - s2)
    return v - h1, fma(b1, v, s1), w - h2, fma(b2, w, s2), fma(w, w, total)


@kernel(
    "void(float32[:, ::1], int64, float32[::1], float32[:, ::1], float32[:, :, ::1], float32[::1], float32[::1],"
    " int64[::1], int64[::1], int64[::1], float32[:, ::1], float32[:, ::1])"
)
def filter_bands(
    x: Samples,
    passed: int,
    dither: Samples,
    coefs: Samples,
    lanes: Samples,
    heard: Samples,
    peak: Samples,
    slot: Ints,
    track: Ints,
    awake: Ints,
    mono: Samples,
    packed: Samples,
) -> None:
    """Filter the mono sum of each track into bands and add up the squares, sample by sample.

    Shapes    x (n, 2 T) lanes L0..LT-1 R0..RT-1, of one control period, from frame `passed` of it on; dither
              (P); coefs (25, 4): A B of two sections (`dsp.svf`); lanes (blocks, 25, 5 WIDTH): h s2 of both
              and the sum of w^2, of WIDTH slots; heard (T): 1 from a track's first sound on, 0 while it rests;
              peak (T): largest |mono sum|; slot (T) or -1 while a track rests; track (T) in each slot;
              awake (2): slots in use, and whether that changed; mono (CHUNK, T + WIDTH), 0 behind the last
              track, and packed (CHUNK, WIDTH) scratch
    Units     amplitude, full scale 1.0
    State     lanes, heard, peak, slot, track, awake; slots that are not in use hold zeros
    Mono      (L + R) / 2: a source in the middle reads as in either channel, which is what the calibration to
              sound pressure means; what is in opposite phase is lost
    Exact     any split of a period into calls, and any company, gives a track the same bits: it wakes with all
              states 0, which its silence until then has left at 0, and only `smooth_energies` lets it rest
    Guards    a sum that is not finite or beyond +120 dBFS counts as 0; the dither is the same in every period
    Source    section: `dsp.svf`
    """
    for begin in range(0, x.shape[0], CHUNK):
        frames = min(CHUNK, x.shape[0] - begin)
        _mix(x[begin : begin + frames], dither[passed + begin :], heard, peak, mono)
        _wake(heard, slot, track, awake)
        for block in range((awake[0] + WIDTH - 1) // WIDTH):
            members, count = track[block * WIDTH :], min(WIDTH, awake[0] - block * WIDTH)
            source, at = mono, members[0]
            if not _is_run(members, count, heard):
                source, at = packed, 0
                _pack(mono[:frames], members, count, packed)
            for band in range(0, BANDS, AT_ONCE):
                m = lanes[block, band : band + AT_ONCE]
                s0, s1, s2, s3, s4 = _state(m[0]), _state(m[1]), _state(m[2]), _state(m[3]), _state(m[4])
                for i in range(frames):
                    reread()  # 20 coefficients would not fit beside 25 states, and be spilled to the stack
                    v = load(source[i], at)
                    s0 = _step(v, coefs[band], s0)
                    s1 = _step(v, coefs[band + 1], s1)
                    s2 = _step(v, coefs[band + 2], s2)
                    s3 = _step(v, coefs[band + 3], s3)
                    s4 = _step(v, coefs[band + 4], s4)
                _keep(m[0], s0)
                _keep(m[1], s1)
                _keep(m[2], s2)
                _keep(m[3], s3)
                _keep(m[4], s4)


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
    found = False
    for b in range(BANDS):
        total = m[b, SUM * WIDTH :]
        for lane in range(members.shape[0]):
            if not total[lane] < INFINITE:
                total[lane], heard[members[lane]], slot[members[lane]], found = ZERO, ZERO, -1, True
    return found


@kernel(
    "void(float32[:, :, ::1], float64[::1], float64[::1], int64, float32[::1], float32[::1], int64[::1],"
    " int64[::1], int64[::1], int64[::1], float32[:, :, ::1], float64[:, ::1], float32[::1])"
)
def smooth_energies(
    lanes: Samples,
    decay: Floats,
    weight: Floats,
    ring_out: int,
    heard: Samples,
    peak: Samples,
    slot: Ints,
    track: Ints,
    awake: Ints,
    silence: Ints,
    spare: Samples,
    energy: Floats,
    loudest: Samples,
) -> None:
    """Smooth the mean squares of one finished control period, and start the next.

    Es = max(a Es, floor) + (1 - a) gain^2 mean(v1^2) / 1.1107, a = exp(-P / (fs tau))

    Shapes    lanes, heard, peak, slot, track, awake as in `filter_bands`; decay (25): a; weight (25): what
              turns the sum of w^2 into (1 - a) times the mean; ring_out in control periods; silence (T):
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
            level[t] = max(a * level[t], ENERGY_FLOOR)
    for block in range((awake[0] + WIDTH - 1) // WIDTH):
        members, count = track[block * WIDTH :], min(WIDTH, awake[0] - block * WIDTH)
        first, run = members[0], _is_run(members, count, heard)
        changed = _rest_infinite(lanes[block], members[:count], slot, heard) or changed
        for b in range(BANDS):
            level, total, share = energy[b], lanes[block, b, SUM * WIDTH :], weight[b]
            if run:
                near = level[first : first + count]
                for lane in range(count):
                    near[lane] += share * total[lane]
            else:
                for lane in range(count):
                    level[members[lane]] += share * total[lane]
            for lane in range(WIDTH):
                total[lane] = ZERO
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
            energy[b, t] = old_energy[b, mapping[t]] if mapping[t] >= 0 else ENERGY_FLOOR
    before, after = old_lanes.reshape(old_lanes.size), lanes.reshape(lanes.size)
    for cell in range(count // WIDTH * BLOCK, after.shape[0]):
        after[cell] = ZERO
    for k in range(count):
        s = old_slot[mapping[track[k]]]
        source, place = s // WIDTH * BLOCK + s % WIDTH, k // WIDTH * BLOCK + k % WIDTH
        for cell in range(0, BLOCK, WIDTH):
            after[np.uint64(place + cell)] = before[np.uint64(source + cell)]


@kernel(f"void(boolean[::1], {TRACKS}, float32[:, :, ::1])")
def silence_tracks(bad: Flags, bank: Tracks, spare: Samples) -> None:
    """Return the tracks of a bank, as in `take_tracks`, that are `bad` (T) to silence; `spare` like lanes, scratch."""
    heard, peak, loudest, silence, slot, track, awake, lanes, energy = bank
    for t in range(bad.shape[0]):
        if bad[t]:
            heard[t], peak[t], loudest[t], silence[t], slot[t] = ZERO, ZERO, ZERO, 0, -1
            for b in range(BANDS):
                energy[b, t] = ENERGY_FLOOR
    _close_ranks(slot, track, awake, lanes, spare)


class BarkBank:
    """The 25 smoothed band energies of a bank of tracks; bands that do not fit the rate stay at the floor.

    Time runs in control periods: `filter` takes in a period in any number of parts, `smooth` ends it. Only tracks
    that are awake are filtered, a vector of them at once; one falls asleep after `RING_OUT_S` of silence.
    """

    def __init__(self, tracks: int, rate_hz: int, period_frames: int) -> None:
        # set once
        self.tracks = tracks
        self.rate_hz = rate_hz
        self.usable = usable_bands(rate_hz)
        # A = 1 and B = 0 make a band that is not usable harmless: w is the sum of two samples.
        self._coefs = np.tile(np.array([1.0, 0.0, 1.0, 0.0], np.float32), (BANDS, 1))
        self._decay = np.exp(-period_frames / (rate_hz * time_constants_s()))
        self._weight = np.zeros(BANDS)
        for band in range(self.usable):
            first, second, gain = bandpass_sections(EDGES_HZ[band], EDGES_HZ[band + 1], rate_hz)
            a1, b1, scale1 = scaled_section(*first)
            a2, b2, scale2 = scaled_section(*second)
            self._coefs[band] = a1, b1, a2, b2
            gain *= scale1 * scale2
            self._weight[band] = gain * gain / NOISE_BANDWIDTH * (1.0 - self._decay[band]) / period_frames
        # A chirp over the period: equal power at every multiple of rate / period.
        frame = np.arange(period_frames)
        self._dither = (DITHER * np.cos(np.pi * frame**2 / period_frames)).astype(np.float32)
        self._ring_out = math.ceil(RING_OUT_S * rate_hz / period_frames)
        # render thread only
        blocks = math.ceil(tracks / WIDTH)
        self._lanes = np.zeros((blocks, BANDS, ROWS * WIDTH), np.float32)
        self._heard = np.zeros(tracks, np.float32)
        self._peak = np.zeros(tracks, np.float32)
        self._silence = np.zeros(tracks, np.int64)
        self._slot = np.full(tracks, -1)
        self._track = np.zeros(tracks, np.int64)
        self._awake = np.zeros(2, np.int64)
        self._mono = np.zeros((CHUNK, tracks + WIDTH), np.float32)
        self._packed = np.zeros((CHUNK, WIDTH), np.float32)
        self._spare = np.zeros_like(self._lanes)
        # shared
        self.energy = np.full((BANDS, tracks), ENERGY_FLOOR)
        """float64[25, T], mean square of each track's mono sum in each band, smoothed."""
        self.peak = np.zeros(tracks, np.float32)
        """float32[T], largest absolute value of each track's mono sum in the last control period."""
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
            self._dither,
            self._coefs,
            self._lanes,
            self._heard,
            self._peak,
            self._slot,
            self._track,
            self._awake,
            self._mono,
            self._packed,
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
        self.energy.fill(ENERGY_FLOOR)

    def adopt(self, old: "BarkBank", mapping: Ints) -> None:
        """Continue, within the control period, as old track mapping[i] in track i; -1 starts silent.

        `mapping` is int64[T]. Both banks must have the same rate and control period. Allocates nothing.
        """
        take_tracks(mapping, old._state, self._state)

    def reset_tracks(self, bad: Flags) -> None:
        """Return the tracks that are marked in bool[T] to silence; all others go on, bit for bit."""
        silence_tracks(bad, self._state, self._spare)
