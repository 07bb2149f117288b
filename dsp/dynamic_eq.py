"""Up to four bells per track that follow a wanted cut, together never deeper than the limit.

A bell is idle (0 dB), or it holds one band until it is idle again. Its depth is kept in positive dB; with
amplitude G it removes u = 1 - G^2 of the power at its centre and u c of it elsewhere, where c is
its cover (`dsp.svf.cover`). Bells are in series, so the track keeps the product of all 1 - u c.
"""

import math

import numpy as np
import numpy.typing as npt

from dsp.bark import BANDS, CENTRES_HZ
from dsp.jit import device, kernel
from dsp.svf import bell, bell_covers, bell_shapes, feedback, permitted_share, scan_covers, scan_margin

Samples = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Q = 1.0
DEAD_ZONE_DB = 0.25
"""A cut shallower than this is not worth a bell."""
SNAP_DB = 0.005
"""A releasing bell this shallow becomes idle."""
NEAR = 0.65
"""A bell in use that cuts by this share at a wanted band is taken for it, so that bells do not hop."""
AGILITY = 4
"""How much faster than the wanted curve a bell moves, so that bells that change places do not delay it."""
BLOCK = 16
"""Tracks that share one inner loop; a block without a working bell costs a copy."""
DB_PER_NEPER = 10.0 / math.log(10.0)
SHORTEST_S = 1e-6

LIMIT = np.float32(1e6)  # +120 dBFS: a larger sample is a fault
ZERO = np.float32(0.0)
BIAS = np.float32(1e-20)  # -400 dB


@device
def _removed_power(depth_db: float) -> float:
    """Return u of a bell that is `depth_db` deep."""
    return 1.0 - math.exp(-depth_db / DB_PER_NEPER)


@device
def _follow(target_db: Samples, attack: float, release: float, curve_db: Floats) -> None:
    """Move the wanted curve of one track one step towards the target; below the snap it is 0."""
    for b in range(curve_db.shape[0]):
        wish = -target_db[b]
        pole = attack if wish > curve_db[b] else release
        moved = wish + pole * (curve_db[b] - wish)
        curve_db[b] = 0.0 if moved < min(curve_db[b], SNAP_DB) else moved


@device
def _choose(
    curve_db: Floats, bands: Ints, depth_db: Floats, shapes: Floats, wanted_db: Floats, residual_db: Floats
) -> None:
    """Write into `wanted_db` the depth of each bell by matching pursuit, giving idle bells a band.

    The largest remaining cut comes first and takes the nearest bell in use, or else an idle one. If there is
    neither it is taken as made, and waits for one of the bells that were not chosen and now release.
    """
    bells = bands.shape[0]
    for k in range(bells):
        wanted_db[k] = 0.0
    for b in range(residual_db.shape[0]):
        residual_db[b] = curve_db[b]
    for _ in range(bells):
        cut, band, chosen = DEAD_ZONE_DB, -1, -1
        for b in range(residual_db.shape[0]):
            if residual_db[b] >= cut:
                cut, band = residual_db[b], b
        if band < 0:
            return
        for k in range(bells - 1, -1, -1):
            if depth_db[k] == 0.0 and wanted_db[k] == 0.0:
                chosen = k
        nearest, place = NEAR, band
        for k in range(bells):
            if depth_db[k] > 0.0 and wanted_db[k] == 0.0 and shapes[bands[k], band] >= nearest:
                nearest, chosen, place = shapes[bands[k], band], k, bands[k]
        if chosen >= 0:
            bands[chosen] = place
            wanted_db[chosen] = cut
        for b in range(residual_db.shape[0]):
            residual_db[b] -= cut * shapes[place, b]


@device
def _steer(
    wanted: Floats,
    depth_db: Floats,
    held: Ints,
    limit: float,
    margin: float,
    attack: float,
    release: float,
    covers: Floats,
    starts: Ints,
    kept: Floats,
    before: Floats,
    after: Floats,
) -> None:
    """Move `depth_db` of one track one step towards `wanted` (overwritten); leave its u in `after`.

    A shrinking bell counts with its old depth, so the limit also holds on the way between the two settings.
    """
    bells = depth_db.shape[0]
    for k in range(bells):
        before[k] = 0.0
        after[k] = _removed_power(wanted[k])
    share = permitted_share(before, after, held, limit, margin, covers, starts, kept)
    for k in range(bells):
        if share < 1.0:
            wanted[k] = -DB_PER_NEPER * math.log(1.0 - share * after[k])
        pole = attack if wanted[k] > depth_db[k] else release
        moved = wanted[k] + pole * (depth_db[k] - wanted[k])
        wanted[k] = 0.0 if moved < min(depth_db[k], SNAP_DB) else moved
        before[k] = _removed_power(depth_db[k])
        after[k] = _removed_power(max(wanted[k], depth_db[k]))
    share = permitted_share(before, after, held, limit, margin, covers, starts, kept)
    for k in range(bells):
        if share < 1.0 and wanted[k] > depth_db[k]:
            wanted[k] = -DB_PER_NEPER * math.log(1.0 - before[k] - share * (after[k] - before[k]))
        depth_db[k] = wanted[k]
        after[k] = _removed_power(depth_db[k])


@device
def _filter(
    y: Samples,
    first: int,
    last: int,
    tracks: int,
    g: Samples,
    a: Samples,
    amount: Samples,
    slope: Samples,
    s1: Samples,
    s2: Samples,
) -> None:
    """Run one bell of tracks first..last - 1 over both channels of y, in place."""
    frames = y.shape[0]
    for side in range(2):
        start, stop = side * tracks + first, side * tracks + last
        lane_g, lane_a = g[start:stop], a[start:stop]
        lane_amount, lane_slope = amount[start:stop], slope[start:stop]
        p1, p2 = s1[start:stop], s2[start:stop]
        for i in range(frames):
            row = y[i, start:stop]
            passed = np.float32(i + 1)
            for lane in range(stop - start):
                x, z1, z2 = row[lane], p1[lane], p2[lane]
                v1 = lane_a[lane] * (z1 + lane_g[lane] * (x - z2)) + BIAS
                v2 = z2 + lane_g[lane] * v1
                p1[lane] = v1 + v1 - z1
                p2[lane] = v2 + v2 - z2
                taken = (lane_amount[lane] + passed * lane_slope[lane]) * v1
                row[lane] = x - taken if taken != ZERO else x
        for lane in range(stop - start):
            lane_amount[lane] += np.float32(frames) * lane_slope[lane]


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float64, float64, float64, float64,"
    " float64[:, ::1], float64[:, ::1], float64[:, ::1], int64[::1], float64[:, ::1], int64[:, ::1],"
    " float64[:, ::1], float32[:, ::1], float32[:, :, ::1], float64[:, ::1], float64[::1], float32[:, ::1],"
    " float32[::1])"
)
def equalise(
    x: Samples,
    y: Samples,
    target_db: Samples,
    limit: float,
    margin: float,
    attack: float,
    release: float,
    shapes: Floats,
    centre_covers: Floats,
    covers: Floats,
    starts: Ints,
    curve_db: Floats,
    held: Ints,
    depth_db: Floats,
    coefs: Samples,
    lanes: Samples,
    scratch: Floats,
    kept: Floats,
    cut_db: Samples,
    reduction_db: Samples,
) -> None:
    """Move the bells of every track one step towards the wanted cut and filter one quantum.

    1. curve = target + pole (curve - target), pole by direction
    2. choose bells and depths for the curve by matching pursuit and scale them to the limit
    3. move the bells likewise, four times as fast, holding back growth that would pass the limit
    4. y = x - (1 - G) k v1 per bell, in series, 1 - G on a straight line from sample to sample

    Shapes    x, y (n, 2 T) lanes L0..LT-1 R0..RT-1; target_db, curve_db, cut_db (T, 25); shapes,
              centre_covers (25, 25); covers (25, P), starts (25): `scan_covers`; held, depth_db (T, K): band
              and depth of each bell; coefs (2, 25) g a; lanes (6, K, 2 T) g, a, (1 - G) k, its slope, two
              integrators; reduction_db (T); scratch (4, max(K, 25)), kept (P)
    Units     amplitude, full scale 1.0; dB; target, cut and reduction <= 0, curve and depth >= 0; limit and
              its `scan_margin` in nepers of power; attack and release are the one-pole factors of one quantum
    State     curve_db, held, depth_db, lanes; a depth of 0 means idle; an idle bell starts from cleared state
    Out       cut_db: combined response at the centres; reduction_db: the deepest of these
    In place  no: x and y must not overlap
    Guards    a sample that is not finite or beyond +120 dBFS becomes 0; BIAS (-400 dB) keeps the integrators
              on multiples of 1e-27, never denormal
    Exact     a track without a working bell is copied bit for bit
    Source    matching pursuit: Mallat & Zhang 1993; bells in series: Valimaki & Reiss 2016, "All About Audio
              Equalization"; section: `dsp.svf`
    """
    frames = x.shape[0]
    tracks, bells = depth_db.shape
    wanted, before, after = scratch[0, :bells], scratch[1, :bells], scratch[2, :bells]
    residual = scratch[3, : target_db.shape[1]]
    g, a, amount, slope, s1, s2 = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4], lanes[5]
    for i in range(frames):
        for lane in range(2 * tracks):
            sample = x[i, lane]
            y[i, lane] = sample if abs(sample) <= LIMIT else ZERO

    for first in range(0, tracks, BLOCK):
        last = min(first + BLOCK, tracks)
        working = 0
        for t in range(first, last):
            _follow(target_db[t], attack, release, curve_db[t])
            _choose(curve_db[t], held[t], depth_db[t], shapes, wanted, residual)
            needed = False
            for k in range(bells):
                needed = needed or wanted[k] > 0.0 or depth_db[t, k] > 0.0
            if not needed:
                for k in range(bells):
                    for lane in (t, tracks + t):
                        amount[k, lane] = ZERO
                        slope[k, lane] = ZERO
                if reduction_db[t] != 0.0:
                    reduction_db[t] = 0.0
                    cut_db[t, :] = 0.0
                continue
            for k in range(bells):
                if depth_db[t, k] == 0.0:
                    for lane in (t, tracks + t):
                        g[k, lane] = coefs[0, held[t, k]]
                        a[k, lane] = coefs[1, held[t, k]]
                        amount[k, lane] = ZERO
                        s1[k, lane] = ZERO
                        s2[k, lane] = ZERO
            _steer(
                wanted, depth_db[t], held[t], limit, margin, attack**AGILITY, release**AGILITY,
                covers, starts, kept, before, after,
            )  # fmt: skip
            for k in range(bells):
                if after[k] > 0.0 or amount[k, t] > 0.0:
                    working = max(working, k + 1)
                end = (1.0 - math.sqrt(1.0 - after[k])) / Q
                for lane in (t, tracks + t):
                    slope[k, lane] = (end - amount[k, lane]) / frames
            least = 1.0
            for b in range(cut_db.shape[1]):
                power = 1.0
                for k in range(bells):
                    power *= 1.0 - after[k] * centre_covers[held[t, k], b]
                cut_db[t, b] = DB_PER_NEPER * math.log(power)
                least = min(least, power)
            reduction_db[t] = DB_PER_NEPER * math.log(least)
        for k in range(working):
            _filter(y, first, last, tracks, g[k], a[k], amount[k], slope[k], s1[k], s2[k])


class DynamicEq:
    """The bells of a bank of tracks."""

    def __init__(self, tracks: int, rate_hz: int, bells: int = 4) -> None:
        # set once
        self.tracks = tracks
        self.rate_hz = rate_hz
        self.bells = bells
        self._shapes = bell_shapes(Q, rate_hz)
        self._centre_covers = bell_covers(Q, rate_hz)
        self._covers, self._starts = scan_covers(Q, rate_hz)
        pairs = [bell(centre_hz, Q, rate_hz) for centre_hz in CENTRES_HZ]
        self._coefs = np.array([[g for g, _ in pairs], [feedback(g, k) for g, k in pairs]], np.float32)
        # render thread only
        self._curve_db = np.zeros((tracks, BANDS))
        self._lanes = np.zeros((6, bells, 2 * tracks), np.float32)
        self._scratch = np.zeros((4, max(bells, BANDS)))
        self._kept = np.zeros(self._covers.shape[1])
        # shared, read only outside
        self.band = np.zeros((tracks, bells), np.int64)
        """int64[T, K]: the band each bell holds; without meaning while it is idle."""
        self.depth_db = np.zeros((tracks, bells))
        """float64[T, K], dB, >= 0: how deep each bell cuts at its centre at the end of the quantum."""
        self.cut_db = np.zeros((tracks, BANDS), np.float32)
        """float32[T, 25], dB, <= 0: combined response at the band centres after the quantum."""
        self.reduction_db = np.zeros(tracks, np.float32)
        """float32[T], dB, <= 0: the deepest of these per track."""

    def process(
        self,
        x: Samples,
        y: Samples,
        target_db: Samples,
        limit_db: float,
        attack_s: float,
        release_s: float,
    ) -> None:
        """Filter float32[n, 2 T] x into y, moving towards `target_db`, together never below -`limit_db`.

        A lowered limit is reached at the speed of a releasing bell.
        """
        limit = limit_db / DB_PER_NEPER
        span_s = x.shape[0] / self.rate_hz
        equalise(
            x,
            y,
            target_db,
            limit,
            scan_margin(Q, limit),
            math.exp(-span_s / max(attack_s, SHORTEST_S)),
            math.exp(-span_s / max(release_s, SHORTEST_S)),
            self._shapes,
            self._centre_covers,
            self._covers,
            self._starts,
            self._curve_db,
            self.band,
            self.depth_db,
            self._coefs,
            self._lanes,
            self._scratch,
            self._kept,
            self.cut_db,
            self.reduction_db,
        )

    def reset(self) -> None:
        """Make every bell idle."""
        for array in (self._curve_db, self._lanes, self.depth_db, self.cut_db, self.reduction_db):
            array.fill(0.0)

    def adopt(self, old: "DynamicEq", mapping: Ints) -> None:
        """Continue with the bells of old track mapping[i] in track i; -1 leaves track i as it is."""
        kept = mapping >= 0
        mine = self._lanes.reshape(6, self.bells, 2, self.tracks)
        mine[..., kept] = old._lanes.reshape(6, old.bells, 2, old.tracks)[..., mapping[kept]]
        for new_array, old_array in (
            (self._curve_db, old._curve_db),
            (self.band, old.band),
            (self.depth_db, old.depth_db),
            (self.cut_db, old.cut_db),
            (self.reduction_db, old.reduction_db),
        ):
            new_array[kept] = old_array[mapping[kept]]
