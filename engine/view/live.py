"""The terminal view of a playing scene: transport, a meter a track, gain reduction, how the engine is doing."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

METER_FLOOR_DB = -60.0
METER_CELLS = 30
REDUCTION_CELLS = 12
REDUCTION_FULL_DB = 6.0
HOT_DB, LOUD_DB = -3.0, -12.0
BLOCKS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class TrackState:
    """One row: name, importance 0…1, panning -1…1, peak in dBFS, cut in dB (0 or below)."""

    name: str
    importance: float
    panning: float
    peak_db: float
    reduction_db: float


@dataclass(frozen=True)
class LiveState:
    """All that the view shows, at one moment. Levels in dBFS and LUFS, `loads` as shares of the quantum."""

    title: str
    seed: int
    elapsed_s: float
    device: str
    latency_ms: float
    rate_hz: int
    quantum_frames: int
    tracks: Sequence[TrackState]
    peaks_db: tuple[float, float]
    rms_db: tuple[float, float]
    momentary_lufs: float
    short_term_lufs: float
    integrated_lufs: float
    limiter_db: float
    voices: int
    load_mean: float
    load_max: float
    underruns: int
    recording: str
    notice: str


def live_view(state: LiveState) -> RenderableType:
    """Return the whole view."""
    table = Table(box=box.SIMPLE_HEAD, expand=False, pad_edge=False)
    table.add_column("track", max_width=20, no_wrap=True)
    table.add_column("imp", justify="right")
    table.add_column("pan", justify="center")
    table.add_column("level", width=METER_CELLS)
    table.add_column("dBFS", justify="right", width=5)
    table.add_column("unmask", width=REDUCTION_CELLS)
    table.add_column("dB", justify="right", width=4)
    for t in state.tracks:
        table.add_row(
            t.name,
            f"{t.importance:.1f}",
            pan_text(t.panning),
            level_bar(t.peak_db),
            level_text(t.peak_db),
            reduction_bar(t.reduction_db),
            f"{t.reduction_db:.1f}" if t.reduction_db < -0.05 else "",
        )
    master = Table.grid(padding=(0, 2))
    for side, peak_db, rms_db in zip("LR", state.peaks_db, state.rms_db, strict=True):
        master.add_row(
            f"master {side}",
            level_bar(peak_db),
            level_text(peak_db),
            f"rms {level_text(rms_db).plain.strip()}",
        )
    loudness = Text(
        f"loudness  M {_lufs(state.momentary_lufs)}  S {_lufs(state.short_term_lufs)}"
        f"  I {_lufs(state.integrated_lufs)} LUFS   limiter {0.0 - round(state.limiter_db, 1):.1f} dB"
    )
    engine = Text.assemble(
        f"engine    load {100 * state.load_mean:.0f} % (max {100 * state.load_max:.0f} %)   voices {state.voices}   ",
        (f"under-runs {state.underruns}", "bold red" if state.underruns else ""),
    )
    parts: list[RenderableType] = [_transport(state), table, master, loudness, engine]
    if state.notice:
        parts.append(Text(state.notice, style="yellow"))
    return Panel(Group(*parts), title=state.title, subtitle="Ctrl-C stops", expand=False)


def _transport(state: LiveState) -> Text:
    minutes, seconds = divmod(state.elapsed_s, 60.0)
    text = f"▶ {int(minutes):02d}:{seconds:04.1f}   {state.device}   {state.rate_hz} Hz   "
    text += f"quantum {state.quantum_frames}   latency {state.latency_ms:.1f} ms   seed {state.seed}"
    return Text.assemble(text, (f"   ● {state.recording}" if state.recording else "", "red"))


def bar(share: float, cells: int) -> str:
    """Return a bar of `cells` characters, filled to `share` (0…1) in eighths of a cell."""
    eighths = round(min(1.0, max(0.0, share)) * cells * 8)
    full, rest = divmod(eighths, 8)
    return (BLOCKS[8] * full + (BLOCKS[rest] if rest else "")).ljust(cells)


def level_bar(level_db: float) -> Text:
    """Return a level from -60 to 0 dBFS as a bar: green, yellow above -12, red above -3."""
    style = "red" if level_db > HOT_DB else "yellow" if level_db > LOUD_DB else "green"
    return Text(bar(1.0 - level_db / METER_FLOOR_DB, METER_CELLS), style=style)


def level_text(level_db: float) -> Text:
    """Return a level in dB, or a dash for silence."""
    return Text(f"{level_db:5.1f}" if level_db > -100.0 else "    –")


def reduction_bar(reduction_db: float) -> Text:
    """Return a cut of 0 to 6 dB as a bar."""
    return Text(bar(-reduction_db / REDUCTION_FULL_DB, REDUCTION_CELLS), style="magenta")


def pan_text(panning: float) -> str:
    """Return a panning as `L40`, `C` or `R60`."""
    percent = round(abs(panning) * 100)
    return "C" if percent == 0 else f"{'L' if panning < 0 else 'R'}{percent}"


def _lufs(value: float) -> str:
    return f"{value:.1f}" if value > -100.0 else "–"
