"""Up to four bells per track that follow a wanted cut, together never deeper than the limit.

A bell is idle (0 dB), or it holds one band until it is idle again. Its depth is kept in positive dB; with
amplitude G it removes u = 1 - G^2 of the power at its centre and u c of it elsewhere, where c is
its cover (`dsp.svf.cover`). Bells are in series, so the track keeps the product of all 1 - u c.
"""

import math

import numpy as np
import numpy.typing as npt

from dsp.bark import BANDS, CENTRES_HZ
from dsp.bell_fit import GREED, ONSET_DB, ROW, SNAP_DB, fit, follow
from dsp.bells import AMOUNT, CHUNK, LANES, ROWS, SLOPE, A, B, H, S, filter_bells
from dsp.jit import device, kernel
from dsp.memory import aligned
from dsp.svf import (
    bell,
    bell_covers,
    bell_shapes,
    least_kept,
    permitted_share,
    scaled_section,
    scan_covers,
    scan_margin,
)
from dsp.vectors import WIDTH

Samples = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Tracks = tuple[
    Samples, Floats, Floats, Ints, Bytes, Bytes, Floats, Ints, Samples, Samples, Bytes, Samples, Ints
]

Q = 1.0
AGILITY = 2
"""How much faster than the wanted curve a bell moves, so that bells that change places do not delay it."""
DB_PER_NEPER = 10.0 / math.log(10.0)
SHORTEST_S = 1e-6

ZERO = np.float32(0.0)
TRACKS = (
    "Tuple((float32[:, ::1], float64[:, ::1], float64[:, ::1], int64[:, ::1], uint8[::1], uint8[:, ::1],"
    " float64[:, ::1], int64[:, ::1], float32[:, ::1], float32[::1], uint8[::1], float32[:, :, ::1], int64[::1]))"
)

WAITING, DONE, MOVED = 0, 1, 2
"""What is known of a track's next ramps: nothing yet; that all its bells stay idle; where they go."""


@device
def _removed_power(depth_db: float) -> float:
    """Return u of a bell that is `depth_db` deep."""
    return 1.0 - math.exp(-depth_db / DB_PER_NEPER) if depth_db > 0.0 else 0.0


@device
def _steer(
    wanted: Floats,
    depth_db: Floats,
    before: Floats,
    held: Ints,
    limit: float,
    margin: float,
    attack: float,
    release: float,
    hurry: bool,
    covers: Samples,
    starts: Ints,
    kept: Samples,
    nothing: Floats,
    after: Floats,
) -> None:
    """Move `depth_db` of one track and its u, `before`, one step towards `wanted` (overwritten).

    A shrinking bell counts with its old depth, so the limit also holds on the way between the two settings. In a
    `hurry`, bells that are not wanted end at the speed of the attack: they are wanted elsewhere.
    """
    bells = depth_db.shape[0]
    for k in range(bells):
        nothing[k] = 0.0
        after[k] = _removed_power(wanted[k])
    share = permitted_share(nothing, after, held, limit, margin, covers, starts, kept)
    for k in range(bells):
        if share < 1.0:
            wanted[k] = -DB_PER_NEPER * math.log(1.0 - share * after[k])
        pole = attack if wanted[k] > depth_db[k] or (hurry and wanted[k] == 0.0) else release
        moved = wanted[k] + pole * (depth_db[k] - wanted[k])
        wanted[k] = 0.0 if moved < min(depth_db[k], SNAP_DB) else moved
        after[k] = _removed_power(wanted[k]) if wanted[k] > depth_db[k] else before[k]
    share = permitted_share(before, after, held, limit, margin, covers, starts, kept)
    for k in range(bells):
        if wanted[k] <= depth_db[k]:
            before[k] = _removed_power(wanted[k])
        elif share < 1.0:
            before[k] += share * (after[k] - before[k])
            wanted[k] = -DB_PER_NEPER * math.log(1.0 - before[k])
        else:
            before[k] = after[k]
        depth_db[k] = wanted[k]


@kernel(
    "void(int64, int64, float32[:, ::1], float64, float64, float64, float64, float32[:, ::1], float32[:, ::1],"
    " int64[::1], float32[:, ::1], int64[:, ::1], float64[:, ::1], float64[:, ::1], uint8[::1], uint8[:, ::1],"
    " int64[::1], float64[:, ::1], float64[:, ::1], float32[:, ::1], float32[::1])"
)
def steer_bells(
    first: int,
    last: int,
    target_db: Samples,
    limit: float,
    margin: float,
    attack: float,
    release: float,
    shapes: Samples,
    covers: Samples,
    starts: Ints,
    curve_db: Samples,
    held: Ints,
    depth_db: Floats,
    removed: Floats,
    state: Bytes,
    starting: Bytes,
    places: Ints,
    products: Floats,
    scratch: Floats,
    rows: Samples,
    kept: Samples,
) -> None:
    """Move the bells of the tracks `first` to `last` that wait for it one step towards the wanted cut.

    1. curve = target + pole (curve - target), pole by direction
    2. choose bells and depths for the curve (`dsp.bell_fit`) and scale them to the limit
    3. move the bells likewise, twice as fast, holding back growth that would pass the limit

    Shapes    target_db (T, 25); curve_db (T, ROW), shapes (25, ROW) and covers (25, F), F a multiple of a vector's
              width, are 0 behind the bands and points; starts (25): `scan_covers`; held, depth_db, removed, starting
              (T, K): band of each bell, its depth and u, and whether it was idle; state (T): `WAITING` before, `DONE`
              or `MOVED` after; places (K), products (K, K + 2), scratch (3, K), rows (1, ROW), kept (WIDTH + K)
    Units     dB; target <= 0, curve and depth >= 0; limit and its `scan_margin` in nepers of power; attack and release
              are the one-pole factors of one period
    State     curve_db, held, depth_db, removed; a depth of 0 means idle
    Source    bells in series: Valimaki & Reiss 2016, "All About Audio
              Equalization"
    """
    bells = depth_db.shape[1]
    fast_attack, fast_release = attack**AGILITY, release**AGILITY
    wanted, nothing, after = scratch[0], scratch[1], scratch[2]
    deepest_db = limit * DB_PER_NEPER
    onset_db = min(ONSET_DB, deepest_db)
    for t in range(first, last):
        if state[t] != WAITING:
            continue
        wished = follow(target_db[t], attack, release, onset_db, GREED * deepest_db, curve_db[t])
        hurry = fit(
            curve_db[t], wished, held[t], depth_db[t], shapes, deepest_db, wanted, products, places, rows
        )
        state[t] = DONE
        for k in range(bells):
            starting[t, k] = 1 if depth_db[t, k] == 0.0 else 0
            if wanted[k] > 0.0 or depth_db[t, k] > 0.0:
                state[t] = MOVED
        if state[t] == MOVED:
            _steer(
                wanted, depth_db[t], removed[t], held[t], limit, margin, fast_attack, fast_release, hurry,
                covers, starts, kept, nothing, after,
            )  # fmt: skip


@kernel(f"void(float64, int64, float64[:, ::1], float32[:, ::1], float32[::1], {TRACKS})")
def begin_ramps(
    q: float, period_frames: int, coefs: Floats, centre_covers: Samples, kept: Samples, eq: Tracks
) -> None:
    """Have every bell set out, for one control period, to where it was steered to.

    Shapes    coefs (3, 25): `dsp.svf.scaled_section`; centre_covers (25, ROW), 0 behind the bands; kept (WIDTH + K)
              scratch; of `eq`, the state of `DynamicEq`: heard_removed, heard_held (T, K); ends (T, K): amount of each
              bell at the end of the period; lanes, working as in `filter_bells`; busy (T): 0 where all bells are
              idle; reduction_db (T): the deepest combined response at a band centre, dB, <= 0
    State     an idle bell starts from cleared state
    """
    (
        _,
        _,
        removed,
        held,
        state,
        starting,
        heard_removed,
        heard_held,
        ends,
        reduction_db,
        busy,
        lanes,
        working,
    ) = eq
    tracks, bells = removed.shape
    left = kept[WIDTH : WIDTH + bells]
    working[:] = 0
    for t in range(tracks):
        planned, state[t] = state[t], WAITING
        if planned != MOVED and not busy[t]:
            continue
        busy[t] = 0 if planned == DONE else 1
        for k in range(bells):
            u = removed[t, k]
            heard_removed[t, k], heard_held[t, k], left[k] = u, held[t, k], np.float32(u)
            start = ZERO if starting[t, k] else ends[t, k]
            end = np.float32((1.0 - math.sqrt(1.0 - u)) / q * coefs[2, held[t, k]]) if u > 0.0 else ZERO
            slope = np.float32((end - start) / period_frames)
            ends[t, k] = end
            for side in range(2):
                block, lane = (side * tracks + t) // LANES, (side * tracks + t) % LANES
                m = lanes[block, k, lane:]
                m[AMOUNT], m[SLOPE] = start, slope
                if starting[t, k]:
                    m[A], m[B] = coefs[0, held[t, k]], coefs[1, held[t, k]]
                    m[H], m[S] = ZERO, ZERO
                if start > ZERO or end > ZERO:
                    working[block] = max(working[block], k + 1)
            starting[t, k] = 0
        least = least_kept(left, heard_held[t], centre_covers, 0, BANDS, kept)
        reduction_db[t] = DB_PER_NEPER * math.log(least)


@kernel("void(int64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])")
def multiply_kept(held: Ints, removed: Floats, centre_covers: Floats, kept: Floats) -> None:
    """Write the share of the power at the band centres that the bells of each track leave.

    Shapes    held, removed (T, K); centre_covers (25, 25); kept (25, T), 1 where nothing is cut
    """
    bands, tracks = kept.shape
    kept[:] = 1.0
    for t in range(tracks):
        for k in range(held.shape[1]):
            u = removed[t, k]
            if u > 0.0:
                row = centre_covers[held[t, k]]
                for b in range(bands):
                    kept[b, t] *= 1.0 - u * row[b]


@device
def _idle(t: int, eq: Tracks) -> None:
    """Make the bells of one track idle."""
    curve_db, depth_db, removed, held, state, starting = eq[:6]
    heard_removed, heard_held, ends, reduction_db, busy, lanes, _ = eq[6:]
    reduction_db[t], busy[t], state[t] = ZERO, 0, WAITING
    for b in range(BANDS):
        curve_db[t, b] = ZERO
    for k in range(held.shape[1]):
        depth_db[t, k], removed[t, k], held[t, k], starting[t, k] = 0.0, 0.0, 0, 0
        ends[t, k], heard_removed[t, k], heard_held[t, k] = ZERO, 0.0, 0
        for side in range(2):
            at = side * busy.shape[0] + t
            m, lane = lanes[at // LANES, k], at % LANES
            for row in range(ROWS):
                m[row * LANES + lane] = ZERO


@kernel(f"void(int64[::1], {TRACKS}, {TRACKS})")
def take_bells(mapping: Ints, old: Tracks, new: Tracks) -> None:
    """Give track i of `new` the bells of track mapping[i] of `old`, or idle ones where that is -1.

    Shapes    mapping (T); of both, the state of `DynamicEq`, of as many bells; that of `new` is overwritten
    """
    old_curve, old_depth, old_removed, old_held, old_state, old_starting = old[:6]
    old_heard_removed, old_heard_held, old_ends, old_reduction, old_busy, old_lanes, old_working = old[6:]
    curve_db, depth_db, removed, held, state, starting = new[:6]
    heard_removed, heard_held, ends, reduction_db, busy, lanes, working = new[6:]
    tracks, old_tracks = busy.shape[0], old_busy.shape[0]
    working[:] = 0
    for t in range(tracks):
        s = mapping[t]
        if s < 0:
            _idle(t, new)
            continue
        reduction_db[t], busy[t], state[t] = old_reduction[s], old_busy[s], old_state[s]
        for b in range(BANDS):
            curve_db[t, b] = old_curve[s, b]
        for k in range(held.shape[1]):
            depth_db[t, k], removed[t, k], held[t, k] = old_depth[s, k], old_removed[s, k], old_held[s, k]
            heard_removed[t, k], heard_held[t, k] = old_heard_removed[s, k], old_heard_held[s, k]
            ends[t, k], starting[t, k] = old_ends[s, k], old_starting[s, k]
        for side in range(2):
            place, source = side * tracks + t, side * old_tracks + s
            block, lane = place // LANES, place % LANES
            for k in range(held.shape[1]):
                m, n = lanes[block, k, lane:], old_lanes[source // LANES, k, source % LANES :]
                for row in range(ROWS):
                    m[row * LANES] = n[row * LANES]
            if busy[t]:
                working[block] = max(working[block], old_working[source // LANES])


@kernel(f"void(boolean[::1], {TRACKS})")
def idle_bells(bad: Flags, eq: Tracks) -> None:
    """Make all bells idle of the tracks that are `bad` (T) of an EQ, as in `take_bells`."""
    for t in range(bad.shape[0]):
        if bad[t]:
            _idle(t, eq)


def _in_rows(table: Floats, width: int) -> Samples:
    """Return a table in single precision with rows of `width`, 0 behind what it has."""
    rows = aligned((len(table), width))
    rows[:, : table.shape[1]] = table
    return rows


class DynamicEq:
    """The bells of a bank of tracks.

    Time runs in control periods: `begin` begins one, `filter` takes its frames in any number of parts. Meanwhile
    `plan` works out, for any tracks at a time, where their bells go in the next one.
    """

    def __init__(self, tracks: int, rate_hz: int, period_frames: int, bells: int = 4, q: float = Q) -> None:
        # set once
        self.tracks = tracks
        self.rate_hz = rate_hz
        self.period_frames = period_frames
        self.bells = bells
        self.q = q
        self._shapes = _in_rows(bell_shapes(q, rate_hz), ROW)
        self._exact_covers = bell_covers(q, rate_hz)
        self._centre_covers = _in_rows(self._exact_covers, ROW)
        covers, self._starts = scan_covers(q, rate_hz)
        self._covers = _in_rows(covers, math.ceil(covers.shape[1] / WIDTH) * WIDTH)
        self._coefs = np.array([scaled_section(*bell(hz, q, rate_hz)) for hz in CENTRES_HZ]).T.copy()
        # render thread only
        blocks = math.ceil(2 * tracks / LANES)
        self._curve_db = aligned((tracks, ROW))
        self._removed = np.zeros((tracks, bells))
        self._plans = np.full(tracks, WAITING, np.uint8)
        self._starting = np.zeros((tracks, bells), np.uint8)
        self._heard_removed = np.zeros((tracks, bells))
        self._heard_band = np.zeros((tracks, bells), np.int64)
        self._ends = np.zeros((tracks, bells), np.float32)
        self._lanes = aligned((blocks, bells, ROWS * LANES))
        self._working = np.zeros(blocks, np.int64)
        self._busy = np.zeros(tracks, np.uint8)
        self._z = aligned((2, CHUNK, LANES))
        self._places = np.zeros(bells, np.int64)
        self._products = np.zeros((bells, bells + 2))
        self._scratch = np.zeros((3, bells))
        self._rows = aligned((1, ROW))
        self._kept = aligned((WIDTH + bells,))
        self._limit_db = self._limit = self._margin = 0.0
        # shared, read only outside
        self.band = np.zeros((tracks, bells), np.int64)
        """int64[T, K]: the band each bell is to hold; without meaning while it is idle."""
        self.depth_db = np.zeros((tracks, bells))
        """float64[T, K], dB, >= 0: how deep each bell is to cut at its centre, as far as that is worked out."""
        self.reduction_db = np.zeros(tracks, np.float32)
        """float32[T], dB, <= 0: the deepest combined cut of each track at a band centre, at the end of the period."""
        self._state: Tracks = (
            *(self._curve_db, self.depth_db, self._removed, self.band, self._plans, self._starting),
            *(self._heard_removed, self._heard_band, self._ends),
            *(self.reduction_db, self._busy, self._lanes, self._working),
        )

    @property
    def cut_db(self) -> Samples:
        """float32[T, 25], dB, <= 0: combined response at the band centres at the end of the control period."""
        kept = np.ones((BANDS, self.tracks))
        self.read_kept(kept)
        return np.asarray(DB_PER_NEPER * np.log(kept.T), dtype=np.float32)

    def read_kept(self, kept: Floats) -> None:
        """Write into float64[25, T] the share of the power that is left at the band centres at that time."""
        multiply_kept(self._heard_band, self._heard_removed, self._exact_covers, kept)

    def plan(
        self,
        first: int,
        last: int,
        target_db: Samples,
        limit_db: float,
        attack_s: float,
        release_s: float,
    ) -> None:
        """Work out where the bells of tracks `first` to `last` go: towards `target_db`, together within `limit_db`.

        Does nothing for tracks it has been done for since `begin`. A lowered limit is reached at the speed of a
        releasing bell.
        """
        if limit_db != self._limit_db:
            self._limit_db, self._limit = limit_db, limit_db / DB_PER_NEPER
            self._margin = scan_margin(self.q, self._limit)
        period_s = self.period_frames / self.rate_hz
        steer_bells(
            first,
            last,
            target_db,
            self._limit,
            self._margin,
            math.exp(-period_s / max(SHORTEST_S, attack_s)),
            math.exp(-period_s / max(SHORTEST_S, release_s)),
            self._shapes,
            self._covers,
            self._starts,
            self._curve_db,
            self.band,
            self.depth_db,
            self._removed,
            self._plans,
            self._starting,
            self._places,
            self._products,
            self._scratch,
            self._rows,
            self._kept,
        )

    def begin(self) -> None:
        """Begin a control period, with ramps to what was worked out; a track it was not done for stays as it is."""
        begin_ramps(self.q, self.period_frames, self._coefs, self._centre_covers, self._kept, self._state)

    def steer(self, target_db: Samples, limit_db: float, attack_s: float, release_s: float) -> None:
        """Do both for all tracks, at once."""
        self.plan(0, self.tracks, target_db, limit_db, attack_s, release_s)
        self.begin()

    def filter(self, x: Samples, y: Samples, passed: int) -> None:
        """Filter float32[n, 2 T] x into y, frames `passed` to `passed` + n of the control period."""
        filter_bells(x, y, passed, self._lanes, self._working, self._z)

    def reset(self) -> None:
        """Make every bell idle."""
        for array in self._state:
            array.fill(0)

    def reset_tracks(self, bad: Flags) -> None:
        """Make the bells of the tracks idle that are marked in bool[T]; all others go on, bit for bit."""
        idle_bells(bad, self._state)

    def adopt(self, old: "DynamicEq", mapping: Ints) -> None:
        """Continue, within the control period, with the bells of old track mapping[i] in track i; -1 starts idle.

        `mapping` is int64[T]. Both must have the same rate, control period, Q and number of bells. Allocates nothing.
        """
        take_bells(mapping, old._state, self._state)
