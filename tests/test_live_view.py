"""The live view: whatever the terminal's size, no line is too long, none is too many, and what matters stays."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from engine.cli.live_state import Maskers
from engine.control.masking import MaskingMoment
from engine.meters import Meter, MeterTable
from engine.view.live import LiveState, ParamLine, TrackState, live_view

NAMES = ("rain", "car", "car-2", "footsteps", "babble", "bird", "door", "bell", "thunder")


def state(
    names: tuple[str, ...] = NAMES,
    *,
    title: str = "Rainy street",
    notice: str = "",
    recording: str = "",
    share: float = 0.62,
    peak_db: float = -20.0,
    underruns: int = 0,
    paused: bool = False,
    changing: bool = False,
    params: tuple[ParamLine, ...] = (),
) -> LiveState:
    return LiveState(
        title=title,
        seed=7,
        elapsed_s=83.4,
        device="null clock",
        latency_ms=12.4,
        rate_hz=48_000,
        quantum_frames=128,
        tracks=[TrackState(name, 0.5, -0.4, peak_db, -2.5, names[0], share) for name in names],
        peaks_db=(-12.3, -13.1),
        rms_db=(-22.0, -23.0),
        momentary_lufs=-23.0,
        short_term_lufs=-22.5,
        integrated_lufs=-22.1,
        range_lu=4.2,
        true_peak_db=-3.1,
        gain_db=-1.4,
        limiter_db=0.0,
        voices=5,
        load_mean=0.04,
        load_max=0.18,
        underruns=underruns,
        recording=recording,
        notice=notice,
        paused=paused,
        changing=changing,
        params=params,
    )


def printed(shown: LiveState, width: int, height: int | None = None, *, styles: bool = False) -> list[str]:
    """Return the lines that a terminal as wide as `width` would be sent; rich itself folds what is too long."""
    console = Console(
        width=width, file=io.StringIO(), force_terminal=styles, color_system="standard" if styles else None
    )
    with console.capture() as capture:
        console.print(live_view(shown, height))
    return capture.get().splitlines()


@pytest.mark.parametrize(
    ("width", "height"), [(120, 40), (80, 24), (60, 20), (40, 10), (25, 6), (12, 3), (5, 1)]
)
@pytest.mark.parametrize("count", [1, 9, 512])
def test_it_fits_the_terminal(width: int, height: int, count: int) -> None:
    """No line is wider and there are no more lines than the terminal has."""
    notice = "there is no audio device, so nothing is heard; see `roomtone devices` for what --device takes"
    names = tuple(f"{NAMES[n % 9]} number {n}" for n in range(count))
    lines = printed(state(names, notice=notice, recording="a/long/path/take.wav"), width, height)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)


@given(
    st.lists(
        st.text(min_size=1, max_size=64).map(lambda t: "".join(c for c in t if c.isprintable()) or "x"),
        max_size=30,
    ),
    st.integers(1, 130),
    st.integers(1, 50),
    st.text("ab [/]東京", max_size=120),
)
def test_no_name_or_title_breaks_the_table(names: list[str], width: int, height: int, title: str) -> None:
    """Wide characters and markup included; a table row begins no new line."""
    lines = printed(state(tuple(names) or ("x",), title=title, notice=title), width, height)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)


def test_markup_in_names_is_shown_as_it_is() -> None:
    lines = "\n".join(printed(state(("[red]car[/red]",), title="[b]Street[/b]"), 100))
    assert "[red]car[/red]" in lines
    assert "[b]Street[/b]" in lines


def test_who_masks_whom_is_shown_where_there_is_room() -> None:
    """At 80 columns and more there is the column, with names that fit and shares; at 60 there is none."""
    for width in (80, 120):
        text = "\n".join(printed(state(), width))
        assert "masked by" in text
        assert "62 %" in text
    assert "masked by" not in "\n".join(printed(state(), 60))


def test_what_a_track_is_taken_for_and_its_compressor_are_shown_where_there_is_one() -> None:
    """At 120 columns both have one, at 80 the compressor only, and without any neither has."""
    plain = state()
    tracks = [
        replace(t, taken_for="flute", squeeze_db=-4.26 if i else None) for i, t in enumerate(plain.tracks)
    ]
    text = printed(replace(plain, tracks=tracks), 120)
    assert any("like" in line and "comp" in line for line in text)
    assert sum("-4.3" in line for line in text) == len(tracks) - 1
    assert sum("flute" in line for line in text) == len(tracks)
    narrow = "\n".join(printed(replace(plain, tracks=tracks), 80))
    assert "comp" in narrow
    assert "flute" not in narrow
    assert not any("like" in line or "comp" in line for line in printed(plain, 120))


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (80, "track imp pan level dBFS unmask cut masked by"),
        (60, "track imp pan level dBFS unmask cut"),
        (48, "track imp pan level dBFS cut"),
        (40, "track imp pan dBFS cut"),
        (26, "track dBFS cut"),
        (18, "track dBFS"),
        (10, "track"),
    ],
)
def test_the_narrower_the_fewer_columns(width: int, headings: str) -> None:
    """First the masker goes, then the bars, then importance and panning; the track stays."""
    line = next(line for line in printed(state(), width) if "track" in line)
    assert line.strip("│ ").split() == headings.split()


def test_every_track_is_shown_where_there_is_room_and_the_others_are_counted_where_not() -> None:
    """512 tracks: all where there is no end to the page; at 80 x 24 at least 12, and the number of the others."""
    names = tuple(f"t{n}" for n in range(512))
    whole = printed(state(names), 80)
    assert sum("L40" in line for line in whole) == 512
    assert not any("more" in line for line in whole)
    low = printed(state(names), 80, 24)
    rows = sum("L40" in line for line in low)
    assert rows >= 12
    assert any(f"… and {512 - rows} more" in line for line in low)


def test_in_a_small_terminal_time_levels_and_trouble_stay() -> None:
    """At 40 x 10: the time, the title, the first tracks, the peaks, the load and the under-runs."""
    text = "\n".join(printed(state(underruns=3), 40, 10))
    for needed in ("01:23.4", "Rainy street", "footsteps", "-12.3 -13.1 dBFS", "load 4 %", "under-runs 3"):
        assert needed in text
    assert "╭" not in text


def test_a_masker_of_less_than_a_tenth_is_dimmed() -> None:
    """62 % is plain, 9 % dim (SGR 2); 0.4 % is not shown."""
    row = {share: _row(share=share) for share in (0.62, 0.09, 0.004)}
    assert "62 %" in row[0.62]
    assert "\x1b[2m" not in row[0.62]
    assert "9 %" in row[0.09]
    assert "\x1b[2m" in row[0.09]
    assert "%" not in row[0.004]


def test_a_silent_track_is_masked_by_nobody() -> None:
    """Below -60 dBFS, where the bar ends, what is left of its energies says nothing."""
    assert "62 %" in _row(peak_db=-59.0)
    assert "%" not in _row(peak_db=-61.0)


def test_who_masks_whom_is_worked_out_four_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 0 and 0.3 s, not at 0.2 s, nor at 0.6 s, when the meters show nothing new; but at once for other tracks."""
    now_s = [0.0]
    asked: list[tuple[str, ...]] = []

    def moment(meters: MeterTable, names: tuple[str, ...]) -> MaskingMoment:
        asked.append(names)
        shares = np.array([[0.0, 0.25 * len(asked)], [0.0, 0.0]])
        return MaskingMoment(names, shares, shares)

    monkeypatch.setattr("engine.cli.live_state.time.monotonic", lambda: now_s[0])
    monkeypatch.setattr("engine.control.masking.masking_moment", moment)
    meters = MeterTable.of([("unmask", (Meter("shown", "", ""),))])
    maskers = Maskers()
    answers = []
    for now_s[0], meters.memory[0], names in (
        (0.0, 1.0, ("rain", "car")),
        (0.2, 3.0, ("rain", "car")),
        (0.3, 4.0, ("rain", "car")),
        (0.6, 4.0, ("rain", "car")),
        (0.7, 4.0, ("wind", "bus")),
    ):
        answers.append((len(asked), maskers.of(names, meters)))
    assert [before for before, _ in answers] == [0, 1, 1, 2, 2]
    assert [worst[1] for _, worst in answers] == [
        *(("rain", 0.25), ("rain", 0.25), ("rain", 0.5), ("rain", 0.5), ("wind", 0.75)),
    ]


def _row(share: float = 0.62, peak_db: float = -20.0) -> str:
    lines = printed(state(share=share, peak_db=peak_db), 100, styles=True)
    return next(line for line in lines if "footsteps" in line)


PARAMS = (
    ParamLine("room.wet_level", "0.30", 0.3, False, False),
    ParamLine("limiter.ceiling_db", "-1.00 dBTP", 0.9, True, True),
    ParamLine("mix.a track with a long name.panning", "0.00", 0.5, False, False),
)


@pytest.mark.parametrize(
    ("width", "height"), [(120, 40), (80, 24), (60, 20), (40, 10), (25, 6), (12, 3), (5, 1)]
)
def test_the_parameter_that_is_turned_fits_the_terminal(width: int, height: int) -> None:
    lines = printed(state(params=PARAMS, notice="what is the matter"), width, height)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)


def test_the_parameter_that_is_turned_has_a_bar_a_value_and_its_neighbours_where_there_is_room() -> None:
    """At 80 x 24 three lines; at 40 x 10 one, with its name and value; none if none is chosen."""
    lines = printed(state(params=PARAMS), 80, 24)
    line = next(line for line in lines if "limiter.ceiling_db" in line)
    assert "▸" in line
    assert "█" in line
    assert "-1.00 dBTP *" in line
    assert any("room.wet_level" in line for line in lines)
    assert any("mix.a track" in line for line in lines)
    low = "\n".join(printed(state(params=PARAMS), 40, 10))
    assert "limiter.ceiling_db" in low
    assert "-1.00 dBTP" in low
    assert "room.wet_level" not in low
    assert "▸" not in "\n".join(printed(state(), 80, 24))


def test_a_pause_and_a_crossfade_are_seen() -> None:
    text = "\n".join(printed(state(paused=True, changing=True), 160))
    assert "‖ " in text
    assert "▶" not in text
    assert "crossing over" in text
    assert "crossing over" not in "\n".join(printed(state(), 160))
