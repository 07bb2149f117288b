"""A round trip that was measured: how long, and where it spends that."""

import statistics
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.bench.figures import Figure

Path = Literal["cable", "jack"]
"""What the output reached the input by: a cable (or the air), or JACK's own connections."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """How long a sound takes from the quantum it is due in until it is back at the input, and where it spends that.

    `algorithmic_frames` is the latency of the scene's graph, `ring_frames` how far the engine was ahead (median),
    `output_ms` and `input_ms` what PortAudio reports of the device. `loop_frames` was measured, one for each sweep:
    from the frame's place in the rendered ring back to the input. `clarity_db` is the least of the sweeps'. The device
    took up to `device_frames` at one moment, which the ring has to hold; `period_frames` is that of the JACK server, 0
    over a cable.
    """

    path: Path
    rate_hz: int
    channel: int
    algorithmic_frames: int
    ring_frames: int
    output_ms: float
    input_ms: float
    loop_frames: tuple[float, ...]
    clarity_db: float
    inverted: bool
    input_peak_dbfs: float
    device_frames: int
    period_frames: int

    @property
    def total_frames(self) -> float:
        """The whole round trip: graph, ring, and the loop as measured (median)."""
        return self.algorithmic_frames + self.ring_frames + statistics.median(self.loop_frames)

    @property
    def rest_frames(self) -> float:
        """What of the loop is not explained by what the device reports, or on JACK's own connections by a period."""
        if self.path == "jack":
            known = float(self.period_frames)
        else:
            known = 1e-3 * (self.output_ms + self.input_ms) * self.rate_hz
        return statistics.median(self.loop_frames) - known

    def ms(self, frames: float) -> float:
        """Return frames as milliseconds."""
        return 1e3 * frames / self.rate_hz

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {
            "path": self.path,
            "input_channel": self.channel,
            "total_frames": round(self.total_frames, 3),
            "total_ms": round(self.ms(self.total_frames), 4),
            "algorithmic_frames": self.algorithmic_frames,
            "ring_frames": self.ring_frames,
            "loop_frames": [round(frames, 3) for frames in self.loop_frames],
            "device_output_ms": round(self.output_ms, 4),
            "device_input_ms": round(self.input_ms, 4),
            "rest_frames": round(self.rest_frames, 3),
            "device_frames": self.device_frames,
            "period_frames": self.period_frames,
            "clarity_db": round(self.clarity_db, 1),
            "inverted": self.inverted,
            "input_peak_dbfs": round(self.input_peak_dbfs, 1),
        }

    @property
    def figures(self) -> dict[str, Figure]:
        """Return the round trip in milliseconds, one sample a sweep."""
        fixed = self.algorithmic_frames + self.ring_frames
        samples = [self.ms(fixed + frames) for frames in self.loop_frames]
        way = "a cable" if self.path == "cable" else "JACK's connections"
        return {f"round trip over {way}": Figure.of(samples, "ms")}

    def lines(self) -> list[str]:
        """Return it as text."""

        def row(what: str, frames: float, how: str) -> str:
            frames = round(frames, 2) + 0.0  # no -0.00
            return f"  {what:<24}{frames:10.2f} frames {self.ms(frames):8.3f} ms   {how}".rstrip()

        median = statistics.median(self.loop_frames)
        spread = max(self.loop_frames) - min(self.loop_frames)
        rows = [
            row("algorithm", self.algorithmic_frames, "the graph of a scene: the limiter's look-ahead"),
            row("ring", self.ring_frames, f"ahead of a device that took up to {self.device_frames} at once"),
            row(
                "device and cable",
                median,
                f"measured, {len(self.loop_frames)} sweeps within {spread:.2f} frames",
            ),
        ]
        if self.path == "cable":
            for what, ms in (("output", self.output_ms), ("input", self.input_ms)):
                rows.append(row(f"  of it {what}", 1e-3 * ms * self.rate_hz, "as PortAudio reports"))
        else:
            rows.append(
                row("  of it JACK", self.period_frames, "one period: what is played comes in the next")
            )
        rows.append(row("  unexplained", self.rest_frames, ""))
        way = "a cable" if self.path == "cable" else "JACK's own connections, without converters"
        polarity = ", inverted" if self.inverted else ""
        return [
            row("round trip", self.total_frames, f"over {way}, input {self.channel}{polarity}"),
            *rows,
            f"  the peak is {self.clarity_db:.0f} dB above all else; the input's level is "
            f"{self.input_peak_dbfs:.0f} dBFS",
        ]
