"""Which bells, how deep, for a wanted cut: a few fixed shapes on 25 bands, as near to the curve as they come.

A bell is idle (depth 0) and may go anywhere, or it holds a band until it is idle again.
"""

import numpy as np
import numpy.typing as npt

from dsp.bark import BANDS
from dsp.jit import device
from dsp.vectors import WIDTH, load, total

Samples = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ONSET_DB = 1.0
"""A band that is not being cut is cut only from this wish on."""
DEAD_ZONE_DB = 0.25
"""A cut shallower than this is not worth a bell."""
SNAP_DB = 0.005
"""A releasing cut this shallow is none."""
NEAR = 0.5
"""A bell in use that cuts by this share at a wanted band is taken for it, so that bells do not hop."""
STARTING_DB = 0.02
"""The depth a chosen bell has before any is fitted, and at least: it is in the running."""
GREED = 10.0 / 6.0
"""A cut is asked for up to this times the limit: a bell is narrow, and a wide clash needs several at the limit."""
SWEEPS = 4
"""How often the depths are fitted, one after the other."""
ASIDE = 0.01
"""What a dB cut where none is wanted costs, as a share of what a dB costs that is missing where 6 are wanted."""
FULL_DB = 6.0
ROW = 32
"""The bands of a track in a row: 25, and nothing behind them, so that a row is whole vectors."""

F = np.float32
ZERO, HALF, SNAP = F(0.0), F(0.5), F(SNAP_DB)
AT_LEAST, PER_DB = F(ASIDE), F(1.0 / FULL_DB)


@device
def follow(
    target_db: Samples, attack: float, release: float, onset_db: float, most_db: float, curve_db: Samples
) -> float:
    """Move the wanted curve of one track one step towards the target; return its deepest band.

    A band that is at rest starts at `onset_db` and then follows all the way down, so nothing chatters. No band is
    above `most_db`.
    """
    rise, fall, onset, most = F(attack), F(release), F(onset_db), F(most_db)
    for b in range(BANDS):
        wish, curve = -target_db[b], curve_db[b]
        pole = rise if wish > curve else fall
        moved = wish + pole * (curve - wish)
        moved = moved if moved < most else most
        lowest = curve if curve < SNAP else SNAP
        moved = ZERO if moved < lowest else moved
        moved = moved if wish >= onset else ZERO if curve == ZERO else moved
        curve_db[b] = moved
    deepest = ZERO
    for b in range(BANDS):
        deepest = max(deepest, curve_db[b])
    return float(deepest)


@device
def _spread_out(curve_db: Samples, places: Ints, passed: Samples) -> int:
    """Fill `places` with the bands where bells serve the curve best; return how many differ, in rising order.

    Each gets the middle of an equal part of the area under the curve. Bells one after the other at what is deepest
    would crowd. `passed` is scratch.
    """
    bells = places.shape[0]
    area = ZERO
    for b in range(BANDS):
        area += curve_db[b]
        passed[b] = area
    k = 0
    for b in range(BANDS):
        while k < bells and passed[b] >= area * (F(k) + HALF) / F(bells):
            places[k] = b
            k += 1
    for rest in range(k, bells):
        places[rest] = BANDS - 1
    count = 1
    for k in range(1, bells):
        if places[k] > places[count - 1]:
            places[count] = places[k]
            count += 1
    return count


@device
def _dot(a: Samples, b: Samples) -> float:
    """Return the sum of the products of two rows, folded in halves: the same bits whatever the width of a vector."""
    if WIDTH == ROW // 2:
        return float(total(load(a, 0) * load(b, 0) + load(a, 16) * load(b, 16)))
    if WIDTH == ROW // 4:
        near = load(a, 0) * load(b, 0) + load(a, 16) * load(b, 16)
        return float(total(near + (load(a, 8) * load(b, 8) + load(a, 24) * load(b, 24))))
    first = load(a, 0) * load(b, 0) + load(a, 16) * load(b, 16)
    second = load(a, 4) * load(b, 4) + load(a, 20) * load(b, 20)
    third = load(a, 8) * load(b, 8) + load(a, 24) * load(b, 24)
    fourth = load(a, 12) * load(b, 12) + load(a, 28) * load(b, 28)
    return float(total((first + third) + (second + fourth)))


@device
def fit(
    curve_db: Samples,
    wished_db: float,
    bands: Ints,
    depth_db: Floats,
    shapes: Samples,
    deepest_db: float,
    wanted_db: Floats,
    products: Floats,
    places: Ints,
    rows: Samples,
) -> bool:
    """Write into `wanted_db` the depth of each bell, 0 to `deepest_db`, giving idle bells a band.

    Minimises the sum over bands of v (curve - sum of depth times shape)^2, v = 0.01 + curve / 6, by coordinate
    descent, over the bells nearest to where they are best placed. Returns whether a place waits, for which neither
    a near bell nor an idle one is left, until one of the bells that were not chosen is idle.

    Shapes    curve_db (ROW), 0 behind the bands; bands, depth_db, wanted_db, places (K); shapes (25, ROW): dB at centre
              c of a bell in band b, as a share of its depth, 0 behind the bands; products (K, K + 2) and rows
              (1, ROW) scratch
    Units     dB, >= 0; `wished_db` is the largest of curve_db
    """
    bells = bands.shape[0]
    for k in range(bells):
        wanted_db[k] = 0.0
    if wished_db < DEAD_ZONE_DB:
        return False
    waiting = False
    for n in range(_spread_out(curve_db, places, rows[0])):
        place, chosen, nearest = places[n], -1, NEAR
        for k in range(bells - 1, -1, -1):
            if depth_db[k] == 0.0 and wanted_db[k] == 0.0:
                chosen = k
        for k in range(bells):
            if depth_db[k] > 0.0 and wanted_db[k] == 0.0 and shapes[bands[k], places[n]] >= nearest:
                place, chosen, nearest = bands[k], k, shapes[bands[k], places[n]]
        served = False
        for k in range(bells):
            served = served or (wanted_db[k] > 0.0 and bands[k] == place)
        if served:
            continue
        if chosen >= 0:
            bands[chosen] = place
            wanted_db[chosen] = STARTING_DB
        else:
            waiting = True
    weighted = rows[0]
    for k in range(bells):
        if wanted_db[k] > 0.0:
            one = shapes[bands[k]]
            for b in range(ROW):
                weighted[b] = (AT_LEAST + curve_db[b] * PER_DB) * one[b]
            products[k, bells] = _dot(weighted, curve_db)
            for m in range(k, bells):
                if wanted_db[m] > 0.0:
                    products[k, m] = _dot(weighted, shapes[bands[m]])
                    products[m, k] = products[k, m]
            products[k, bells + 1] = 1.0 / products[k, k]
    for _ in range(SWEEPS):
        for k in range(bells):
            if wanted_db[k] > 0.0:
                missing = products[k, bells]
                for m in range(bells):
                    if wanted_db[m] > 0.0 and m != k:
                        missing -= products[k, m] * wanted_db[m]
                wanted_db[k] = min(max(missing * products[k, bells + 1], STARTING_DB), deepest_db)
    for k in range(bells):
        if wanted_db[k] < DEAD_ZONE_DB:
            wanted_db[k] = 0.0
    return waiting
