"""The terminal view of a playing scene: transport, a meter a track, gain reduction, how the engine is doing.

It fits itself to the terminal. In a narrow one the columns that matter least are left out and lines are folded or cut
short, in a low one the frame and then tracks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.align import AlignMethod
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.panel import Panel
from rich.text import Text

METER_FLOOR_DB = -60.0
REDUCTION_FULL_DB = 6.0
HOT_DB, LOUD_DB = -3.0, -12.0
FAINT_SHARE = 0.1
"""Who masks less of a track is shown dimmed."""
BLOCKS = " ▏▎▍▌▋▊▉█"
GAP = 2
"""Cells between columns."""
FRAME_WIDTH = 60
"""The narrowest terminal in which there is a frame."""
LEAST_WIDTH = 76
"""What is in the frame is this wide, where there is room, even with a narrow table."""
FEWEST_ROWS = 5
"""With room for fewer tracks what stands around them is made short."""
NOTICE_LINES = 5
MASTER_CELLS = 28
"""Cells of a line of the master but for its bar."""


@dataclass(frozen=True)
class TrackState:
    """One row: name, importance 0…1, panning -1…1, peak in dBFS, cut in dB (0 or below).

    `masker` is who masks the track most, "" for nobody, and `masked_share` how much of the track that is, 0…1.
    `taken_for` is what its sound is taken for, "" for nothing; `squeeze_db` how far its compressor turns it down, 0 or
    below, None without one.
    """

    name: str
    importance: float
    panning: float
    peak_db: float
    reduction_db: float
    masker: str = ""
    masked_share: float = 0.0
    taken_for: str = ""
    squeeze_db: float | None = None


@dataclass(frozen=True)
class ParamLine:
    """One parameter: its name, its value as text, its position 0…1, whether it was turned, whether keys turn it now."""

    name: str
    value: str
    position: float
    turned: bool
    chosen: bool


@dataclass(frozen=True)
class LiveState:
    """All that the view shows, at one moment. Levels in dBFS and LUFS, loads as shares of the quantum.

    `elapsed_s` is where in the scene it is, `changing` whether a scene is on its way in or out,
    `gain_db` what brings it to its loudness, None where it is left as it is, `keys` what keys do,
    `params` the parameter that keys turn, between its neighbours.
    """

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
    range_lu: float
    true_peak_db: float
    gain_db: float | None
    limiter_db: float
    voices: int
    load_mean: float
    load_max: float
    underruns: int
    recording: str
    notice: str
    paused: bool = False
    changing: bool = False
    keys: str = "Ctrl-C stops"
    params: Sequence[ParamLine] = ()


@dataclass(frozen=True)
class LiveView:
    """The view of `state`, as wide as the terminal it is printed to and at most `height` lines high."""

    state: LiveState
    height: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, framed where there is room for a frame."""
        state, height = self.state, self.height
        framed = options.max_width >= FRAME_WIDTH
        inner = options.max_width - (4 if framed else 0)
        for blank in (1, 0):
            around = _Around.full(state, inner, framed)
            room = None if height is None else height - around.lines - 2 * blank - (4 if framed else 1)
            if room is None or room >= (len(state.tracks) if blank else min(len(state.tracks), FEWEST_ROWS)):
                break
        else:
            framed = False
            inner = options.max_width
            around = _Around.brief(state, inner)
            room = (height or 0) - around.lines - 1
        table = track_lines(state.tracks, inner, room, framed)
        space = [Text()] * blank
        lines = [*around.head, *space, *table, *space, *around.foot]
        if not framed:
            yield from lines[:height]
            return
        width = max(min(inner, LEAST_WIDTH), *(line.cell_len for line in lines))
        title = fitted(Text(state.title), width - 2)
        yield Panel(Group(*lines), title=title, subtitle=fitted(Text(state.keys), width - 2), width=width + 4)


@dataclass(frozen=True)
class _Around:
    """What stands above and below the table of tracks."""

    head: list[Text]
    foot: list[Text]

    @property
    def lines(self) -> int:
        return len(self.head) + len(self.foot)

    @classmethod
    def full(cls, state: LiveState, width: int, framed: bool) -> "_Around":
        head = flow(_transport(state, titled=not framed), width)
        foot = [
            _master(side, peak_db, rms_db, width)
            for side, peak_db, rms_db in zip("LR", state.peaks_db, state.rms_db, strict=True)
        ]
        loudness = Text(
            f"loudness  M {_lufs(state.momentary_lufs)}  S {_lufs(state.short_term_lufs)}"
            f"  I {_lufs(state.integrated_lufs)} LUFS"
        )
        spread = Text(f"range {state.range_lu:.1f} LU  true peak {_lufs(state.true_peak_db)} dBTP")
        limiter = Text(f"limiter {0.0 - round(state.limiter_db, 1):.1f} dB")
        gain = [] if state.gain_db is None else [Text(f"gain {state.gain_db:+.1f} dB")]
        load = Text(f"engine    load {100 * state.load_mean:.0f} % (max {100 * state.load_max:.0f} %)")
        foot += flow([loudness, spread, *gain, limiter], width)
        foot += flow([load, Text(f"voices {state.voices}"), _underruns(state)], width)
        return cls(head, foot + param_lines(state.params, width) + _notice(state, width)[:NOTICE_LINES])

    @classmethod
    def brief(cls, state: LiveState, width: int) -> "_Around":
        left_db, right_db = (level_text(db).strip() for db in state.peaks_db)
        figures = [
            Text(f"{left_db} {right_db} dBFS"),
            Text(f"I {_lufs(state.integrated_lufs)} LUFS"),
            Text(f"load {100 * state.load_mean:.0f} %"),
            _underruns(state),
        ]
        time, title, *_, recording = _transport(state, titled=True)
        head = fitted(Text("   ").join(text for text in (time, title, recording) if text), width)
        notice = [fitted(Text(state.notice, "yellow"), width)] if state.notice else []
        chosen = [line for line in state.params if line.chosen]
        return cls([head], flow(figures, width) + param_lines(chosen, width) + notice)


def live_view(state: LiveState, height: int | None = None) -> LiveView:
    """Return the view, in at most `height` lines; without it, of all tracks."""
    return LiveView(state, height)


@dataclass(frozen=True)
class _Column:
    """A column of at least `least` cells, up to `most` where there is room."""

    heading: str
    least: int
    most: int
    justify: AlignMethod = "left"


COLUMN_SETS = (
    "track like imp pan level dBFS unmask cut comp masked",
    "track imp pan level dBFS unmask cut comp masked",
    "track imp pan level dBFS unmask cut comp",
    "track imp pan level dBFS unmask cut",
    "track imp pan level dBFS cut",
    "track imp pan dBFS cut",
    "track dBFS cut",
    "track dBFS",
    "track",
)
"""What is shown of a track, from the widest terminal to the narrowest; of what no track has, nothing."""
FIRST_TO_GROW = ("track", "masked", "unmask", "level")


def track_lines(tracks: Sequence[TrackState], width: int, room: int | None, ruled: bool) -> list[Text]:
    """Return headings and a line a track, each at most `width` cells, at most `room` lines below the headings."""
    longest = max((cell_len(t.name) for t in tracks), default=5)
    all_columns = {
        "track": _Column("track", min(10, max(5, longest)), min(20, max(5, longest))),
        "imp": _Column("imp", 3, 3, "right"),
        "pan": _Column("pan", 4, 4, "center"),
        "level": _Column("level", 10, 30),
        "dBFS": _Column("dBFS", 5, 5, "right"),
        "unmask": _Column("unmask", 6, 12),
        "cut": _Column("cut", 4, 4, "right"),
        "masked": _Column("masked by", min(16, longest + 7), min(27, max(9, longest + 7))),
    }
    if likeness := max((cell_len(t.taken_for) for t in tracks), default=0):
        all_columns["like"] = _Column("like", max(4, min(6, likeness)), max(4, min(14, likeness)))
    if any(t.squeeze_db is not None for t in tracks):
        all_columns["comp"] = _Column("comp", 5, 5, "right")
    for names in COLUMN_SETS:
        columns = {name: all_columns[name] for name in names.split() if name in all_columns}
        left = width - sum(c.least for c in columns.values()) - GAP * (len(columns) - 1)
        if left >= 0:
            break
    cells = {name: min(c.least, width) for name, c in columns.items()}
    for name in FIRST_TO_GROW:
        if name in columns:
            more = max(0, min(left, columns[name].most - cells[name]))
            cells[name] += more
            left -= more
    lines = [_joined([_aligned(Text(c.heading, "bold"), c.justify, cells[n]) for n, c in columns.items()])]
    if ruled:
        lines.append(Text("─" * (sum(cells.values()) + GAP * (len(cells) - 1)), "dim"))
    shown = len(tracks) if room is None or len(tracks) <= room else max(0, room - 1)
    lines += [
        _joined([_aligned(_cell(t, n, cells[n]), c.justify, cells[n]) for n, c in columns.items()])
        for t in tracks[:shown]
    ]
    if shown < len(tracks):
        lines.append(fitted(Text(f"… and {len(tracks) - shown} more", "dim"), width))
    return lines


def _cell(track: TrackState, column: str, cells: int) -> Text:
    match column:
        case "track":
            return Text(track.name)
        case "imp":
            return Text(f"{track.importance:.1f}")
        case "pan":
            return Text(pan_text(track.panning))
        case "level":
            return level_bar(track.peak_db, cells)
        case "dBFS":
            return Text(level_text(track.peak_db))
        case "unmask":
            return Text(bar(-track.reduction_db / REDUCTION_FULL_DB, cells), "magenta")
        case "cut":
            return Text(f"{track.reduction_db:.1f}" if track.reduction_db < -0.05 else "")
        case "like":
            return Text(track.taken_for, "dim")
        case "comp":
            return Text("" if track.squeeze_db is None else f"{0.0 + round(track.squeeze_db, 1):.1f}")
        case _:
            return masker_text(track, cells)


def masker_text(track: TrackState, cells: int) -> Text:
    """Return who masks a track that sounds and how much of it, dimmed below a tenth, or nothing."""
    percent = round(100 * track.masked_share)
    if percent == 0 or track.peak_db < METER_FLOOR_DB:
        return Text()
    share = f"{percent:4d} %"
    name = _aligned(Text(track.masker), "left", max(0, cells - len(share)))
    return Text.assemble(name, share, style="dim" if track.masked_share < FAINT_SHARE else "")


def param_lines(params: Sequence[ParamLine], width: int) -> list[Text]:
    """Return a line of at most `width` cells for each; the value is cut last, and an asterisk means turned."""
    values = max((cell_len(p.value) for p in params), default=0)
    names = min(max((cell_len(p.name) for p in params), default=0), max(0, width - values - GAP - 4))
    cells = max(0, min(30, width - names - values - 2 * GAP - 4))
    lines = []
    for p in params:
        mark = Text("▸ " if p.chosen else "  ")
        name = _aligned(Text(p.name), "left", names)
        value = Text(p.value.rjust(values) + (" *" if p.turned else ""))
        pieces = [
            Text.assemble(mark, name),
            *([Text(bar(p.position, cells), "cyan")] if cells > 3 else []),
            value,
        ]
        line = _joined(pieces)
        line.stylize("bold" if p.chosen else "dim")
        lines.append(fitted(line, width))
    return lines


def flow(parts: Sequence[Text], width: int, gap: str = "   ") -> list[Text]:
    """Return `parts` in lines of at most `width` cells, none of them broken, those that are too long cut."""
    lines: list[Text] = []
    for part in (fitted(part, width) for part in parts if part):
        if lines and lines[-1].cell_len + len(gap) + part.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], gap, part, no_wrap=True)
        else:
            lines.append(part)
    return lines


def fitted(text: Text, width: int) -> Text:
    """Return `text` as one line of at most `width` cells, with an ellipsis where it is cut."""
    text = text.copy()
    text.no_wrap = True
    text.truncate(width, overflow="ellipsis")
    return text


def _aligned(text: Text, justify: AlignMethod, cells: int) -> Text:
    text = fitted(text, cells)
    text.align(justify, cells)
    return text


def _joined(texts: Sequence[Text]) -> Text:
    line = Text(no_wrap=True)
    for text in texts:
        line.append(" " * GAP if line else "")
        # A style of its own, even if it is none, makes it a piece of its own in a picture, at a place of its own.
        text.stylize("none")
        line.append_text(text)
    line.rstrip()
    return line


def _transport(state: LiveState, titled: bool) -> list[Text]:
    minutes, seconds = divmod(state.elapsed_s, 60.0)
    return [
        Text(f"{'‖' if state.paused else '▶'} {int(minutes):02d}:{seconds:04.1f}"),
        Text(state.title if titled else "", "bold"),
        Text(state.device),
        Text(f"{state.rate_hz} Hz"),
        Text(f"quantum {state.quantum_frames}"),
        Text(f"latency {state.latency_ms:.1f} ms"),
        Text(f"seed {state.seed}"),
        Text("crossing over" if state.changing else "", "cyan"),
        Text(f"● {state.recording}" if state.recording else "", "red"),
    ]


def _master(side: str, peak_db: float, rms_db: float, width: int) -> Text:
    cells = max(0, min(30, width - MASTER_CELLS))
    rms = Text(f"rms {level_text(rms_db).strip()}")
    parts = [Text(f"master {side}"), level_bar(peak_db, cells), Text(level_text(peak_db)), rms]
    return fitted(_joined(parts), width)


def _underruns(state: LiveState) -> Text:
    return Text(f"under-runs {state.underruns}", "bold red" if state.underruns else "")


def _notice(state: LiveState, width: int) -> list[Text]:
    return flow([Text(word, "yellow") for word in state.notice.split()], width, " ")


def bar(share: float, cells: int) -> str:
    """Return a bar of `cells` characters, filled to `share` (0…1) in eighths of a cell."""
    eighths = round(min(1.0, max(0.0, share)) * cells * 8)
    full, rest = divmod(eighths, 8)
    return (BLOCKS[8] * full + (BLOCKS[rest] if rest else "")).ljust(cells)


def level_bar(level_db: float, cells: int) -> Text:
    """Return a level from -60 to 0 dBFS as a bar: green, yellow above -12, red above -3."""
    style = "red" if level_db > HOT_DB else "yellow" if level_db > LOUD_DB else "green"
    return Text(bar(1.0 - level_db / METER_FLOOR_DB, cells), style)


def level_text(level_db: float) -> str:
    """Return a level in dB, or a dash for silence."""
    return f"{level_db:5.1f}" if level_db > -100.0 else "    –"


def pan_text(panning: float) -> str:
    """Return a panning as `L40`, `C` or `R60`."""
    percent = round(abs(panning) * 100)
    return "C" if percent == 0 else f"{'L' if panning < 0 else 'R'}{percent}"


def _lufs(value: float) -> str:
    return f"{value:.1f}" if value > -100.0 else "–"
