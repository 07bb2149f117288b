"""What the live view shows, gathered from a show."""

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsp.units import amplitude_to_db
from engine.cli.performance import HELP_LINE
from engine.view.live import LiveState, ParamLine, TrackState

if TYPE_CHECKING:
    from engine.control.show import Show
    from engine.meters import MeterTable
    from engine.scene.composition import Composition


MASKERS_INTERVAL_S = 0.25
"""How often it is worked out who masks whom: often enough to read along, and cheap for hundreds of tracks."""


NOTICE_S = 20.0
"""How long an incident stays in the view."""


class Maskers:
    """Who masks each track of a show most: (name, share), worked out again from time to time."""

    def __init__(self) -> None:
        self._next_s = -math.inf
        self._shown = -1.0
        self._names: tuple[str, ...] = ()
        self._worst: Sequence[tuple[str, float]] = ()

    def of(self, names: tuple[str, ...], meters: "MeterTable") -> Sequence[tuple[str, float]]:
        """Return what holds now, or did at most `MASKERS_INTERVAL_S` ago."""
        from engine.control.masking import masking_moment

        now_s = time.monotonic()
        if now_s >= self._next_s or names != self._names:
            self._next_s = now_s + MASKERS_INTERVAL_S
            shown = float(meters.read("unmask", "shown")[0])
            if shown != self._shown or names != self._names:
                self._shown, self._names = shown, names
                self._worst = masking_moment(meters, names).worst()
        return self._worst


def live_state(
    show: "Show",
    recording: str,
    maskers: Maskers | None = None,
    keys: str = HELP_LINE,
    params_shown: Sequence[ParamLine] = (),
) -> LiveState:
    """Read the meters and statistics of `show` at this moment; `maskers` remembers between calls who masks whom.

    `keys` says what keys do, `params_shown` is what they turn.
    """
    composition, params, meters = show.moment()
    read = meters.read
    worst = (maskers or Maskers()).of(tuple(t.name for t in composition.tracks), meters)
    statistics = show.statistics()
    rate_hz = show.spec.rate_hz
    peaks, cuts = read("mix", "peak"), read("unmask", "reduction_db")
    ahead_frames = statistics.frame_rendered - statistics.frame_heard
    latency_s = show.device_latency_s + (ahead_frames + show.plan_latency_frames) / rate_hz
    out_peaks, out_rms = read("meter", "peak"), read("meter", "rms")
    squeezes = _squeezes(composition, meters)
    return LiveState(
        title=composition.scene.title,
        seed=composition.seed,
        elapsed_s=show.position_s,
        paused=show.paused,
        changing=show.changing,
        keys=keys,
        params=params_shown,
        device=show.device,
        latency_ms=1e3 * latency_s,
        rate_hz=rate_hz,
        quantum_frames=show.spec.quantum_frames,
        tracks=[
            TrackState(
                t.name,
                params.get(f"unmask.{t.name}.importance"),
                params.get(f"mix.{t.name}.panning"),
                amplitude_to_db(float(peaks[i])),
                float(cuts[i]),
                *worst[i],
                taken_for=t.strip.taken_for,
                squeeze_db=squeezes.get(t.name),
            )
            for i, t in enumerate(composition.tracks)
        ],
        peaks_db=(amplitude_to_db(out_peaks[0]), amplitude_to_db(out_peaks[1])),
        rms_db=(amplitude_to_db(out_rms[0]), amplitude_to_db(out_rms[1])),
        momentary_lufs=float(read("meter", "momentary_lufs")[0]),
        short_term_lufs=float(read("meter", "short_term_lufs")[0]),
        integrated_lufs=float(read("meter", "integrated_lufs")[0]),
        range_lu=float(read("meter", "range_lu")[0]),
        true_peak_db=amplitude_to_db(float(read("meter", "true_peak").max())),
        gain_db=float(read("loudness", "gain_db")[0]) if meters.has("loudness", "gain_db") else None,
        limiter_db=float(read("limiter", "reduction_db")[0]),
        voices=int(read("tracks", "voices")[0]),
        load_mean=statistics.load_mean,
        load_max=statistics.load_max,
        underruns=len(show.underruns),
        recording=recording,
        notice=_newest_notice(show),
    )


def _squeezes(composition: "Composition", meters: "MeterTable") -> dict[str, float]:
    """Return by track how far its compressor turns it down."""
    names = [t.name for t in composition.tracks if t.squeeze is not None]
    if not names or not meters.has("insert", "reduction_db"):
        return {}
    reductions = meters.read("insert", "reduction_db")
    return {name: float(db) for name, db in zip(names, reductions, strict=False)}


def _newest_notice(show: "Show") -> str:
    newest = show.incidents.all[-1:]
    return newest[0].text if newest and time.time() - newest[0].time_s < NOTICE_S else ""
