"""Reaper projects: what is read out of them, what is refused, and text that is none."""

import base64
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.learn.bands import CENTRES_HZ
from engine.learn.reaeq import Band, ReaEq
from engine.learn.rpp import locate, parse_project, read_project
from engine.learn.rpp_text import MAX_BYTES, MAX_DEPTH, Line, words

BANDS = [
    (4, 1, 100.41747866600939, 1.0, 2.0),
    (0, 0, 200.3, 0.5, 2.0),
    (8, 1, 801.25, 2.0, 1.0),
    (1, 1, 8016.061124722856, 0.25, 0.7),
]
AS_REAPER_WRITES = """cWVlcu5e7f4CAAAAAQAAAAAAAAACAAAAAAAAAAIAAAABAAAAAAAAAAIAAAAAAAAAzQAAAAEAAAAAABAA
IQAAAAUAAAAEAAAAAQAAAG9ScPi3GllAAAAAAAAA8D8AAAAAAAAAQAEAAAAAAAAAAAQEaDDZCWlAAAAAAAAA8D8AAAAAAAAAQAEIAAAAAAAAAAEaHb6ED4lAAAAAAAAA
8D8AAAAAAADwPwEIAAAAAAAAAHfH++l3aKdAAAAAAAAA8D8AAAAAAADwPwEBAAAAAQAAAKWt3qUPUL9AAAAAAAAA8D8AAAAAAAAAQAEBAAAAAQAAAAAAAAAAAPA/AAAA
AP0BAABcAQAAAgAAAA==
AFByb2dyYW0gMQAQAAAA"""
"""The state of a ReaEQ with a high-pass at 100 Hz as Reaper 7.65 writes it."""


def state(
    bands: list[tuple[int, int, float, float, float]], size: int = 33, count: int | None = None
) -> bytes:
    made = struct.pack("<ii", size, len(bands) if count is None else count)
    made += b"".join(struct.pack("<iidddB", *band, 1) for band in bands)
    return made + struct.pack("<iidiiii", 1, 1, 0.5, 0, 576, 363, 2)


def wrapped(inner: bytes, claimed: int | None = None, name: bytes = b"qeer", pins: int = 2) -> bytes:
    head = name + struct.pack("<I", 0xFEED5EEE)
    for _ in range(2):
        head += struct.pack("<I", pins) + struct.pack("<QQ", 1, 2)
    head += struct.pack("<III", len(inner) if claimed is None else claimed, 1, 0x100000)
    parts = [head, *(inner[k : k + 96] for k in range(0, len(inner), 96)), b"\0Program 1\0\x10\0\0\0"]
    return b"\n".join(base64.b64encode(part) for part in parts)


def project(track: str = "", eq: bytes | str = b"", more: str = "") -> str:
    text = eq if isinstance(eq, str) else eq.decode()
    chain = ""
    if text:
        chain = (
            '<FXCHAIN\nBYPASS 0 0 0\n<VST "VST: ReaEQ (Cockos)" reaeq.dll 0 "" 1919247729<00> ""\n'
            + text
            + "\n>\n>"
        )
    return (
        '<REAPER_PROJECT 0.1 "7.06/linux" 1700000000\n  SAMPLERATE 48000 1 0\n'
        f"  <TRACK {{A}}\n    NAME 'Lead \"Vox\"'\n    VOLPAN 0.5 -0.25 -1 -1 1\n    MUTESOLO 0 1 0\n"
        f"{track}\n{chain}\n  >\n{more}\n>\n"
    )


ITEM = """<ITEM
POSITION 2.5
LENGTH 4
MUTE 0 0
VOLPAN 0.5 0 -2 -1
SOFFS 0.75
PLAYRATE 1.5 1 0 -1 0 0.0025
<SOURCE WAVE
FILE "takes\\vox one.wav" 1
>
>"""


def test_a_band_of_reaeq_is_not_read_exactly() -> None:
    """Type, enabled, Hz and octaves bit for bit; gains within 1e-12 dB; the gain of the whole is -6.02 dB."""
    (track,) = parse_project(project(eq=wrapped(state(BANDS))), "a.rpp").tracks
    eq = track.effects[0].equaliser
    assert eq is not None
    kinds = ["high-pass", "low shelf", "band", "high shelf"]
    for band, kind, wanted in zip(eq.bands, kinds, BANDS, strict=True):
        assert (band.kind, band.enabled, band.hz, band.octaves) == (
            kind,
            bool(wanted[1]),
            wanted[2],
            wanted[4],
        )
        assert band.gain_db == pytest.approx(20.0 * np.log10(wanted[3]), abs=1e-12)
    assert eq.gain_db == pytest.approx(-6.0206, abs=1e-4)
    assert track.flags == ()


def test_a_state_that_reaper_wrote_is_read_otherwise() -> None:
    """Five bands: a high-pass at 100.417 Hz and a high shelf at 8016 Hz are on, three are off, all have 0 dB."""
    (track,) = parse_project(project(eq=AS_REAPER_WRITES), "a.rpp").tracks
    eq = track.equaliser
    assert eq is not None
    assert [band.kind for band in eq.bands] == ["high-pass", "low shelf", "band", "band", "high shelf"]
    assert [band.enabled for band in eq.bands] == [True, False, False, False, True]
    assert eq.bands[0].hz == 100.41747866600939
    assert [band.octaves for band in eq.bands] == [2.0, 2.0, 1.0, 1.0, 2.0]
    assert {band.gain_db for band in eq.bands} == {0.0}
    assert eq.gain_db == 0.0


def test_a_curve_has_another_level_at_its_landmarks() -> None:
    """A band has its gain at its centre within 1e-9 dB and half of it one half-bandwidth away within 0.05 dB.

    Shelves have all of theirs at one end and none at the other within 0.01 dB; a low-pass falls by 12 dB an octave
    within 0.2 dB; a notch is below -60 dB; an all-pass changes nothing within 1e-9 dB.
    """
    rate_hz = 48_000.0

    def at(kind: str, hz: float, gain_db: float = 0.0, octaves: float = 1.0, *where: float) -> list[float]:
        eq = ReaEq((Band(kind, True, hz, gain_db, octaves), Band("band", False, hz, 12.0, 1.0)), 0.0)
        return [float(v) for v in eq.curve_db(np.array(where), rate_hz)]

    centre, below = at("band", 1000.0, 6.0, 1.0, 1000.0, 1000.0 / 2**0.5)
    assert centre == pytest.approx(6.0, abs=1e-9)
    assert below == pytest.approx(3.0, abs=0.05)
    assert at("low shelf", 500.0, -9.0, 1.0, 1.0, 23_000.0) == pytest.approx([-9.0, 0.0], abs=0.01)
    assert at("high shelf", 500.0, 9.0, 1.0, 1.0, 23_000.0) == pytest.approx([0.0, 9.0], abs=0.01)
    low, lower = at("high-pass", 2000.0, 0.0, 2.0, 100.0, 50.0)
    assert low - lower == pytest.approx(12.04, abs=0.2)
    assert at("notch", 1000.0, 0.0, 1.0, 1000.0)[0] < -60.0
    assert at("all-pass", 1000.0, 0.0, 1.0, 300.0, 1000.0, 5000.0) == pytest.approx([0.0] * 3, abs=1e-9)
    assert at("band-pass", 1000.0, 0.0, 1.0, 1000.0) == pytest.approx([0.0], abs=1e-9)


def test_the_curve_is_not_that_of_a_filter_of_scipy() -> None:
    """A low-pass with the bandwidth of Q 0.7071 is a Butterworth of second order within 0.02 dB, 20 Hz to 16 kHz."""
    rate_hz, hz = 48_000.0, 2_000.0
    w = 2.0 * np.pi * hz / rate_hz
    octaves = 2.0 / np.log(2.0) * np.arcsinh(np.sqrt(0.5)) * np.sin(w) / w
    at_hz = CENTRES_HZ[:30]
    found = ReaEq((Band("low-pass", True, hz, 0.0, octaves),), 0.0).curve_db(at_hz, rate_hz)
    b, a = scipy.signal.butter(2, hz, fs=rate_hz)
    wanted = 20.0 * np.log10(np.abs(scipy.signal.freqz(b, a, at_hz, fs=rate_hz)[1]))
    assert np.abs(found - wanted).max() < 0.02


def test_a_track_or_an_item_is_read_otherwise() -> None:
    """Volume -6.02 dB, pan -0.25, solo; the item at 2.5 s for 4 s from 0.75 s on, 1.5 times as fast, 0 dB, inverted."""
    read = parse_project(project(ITEM), "a.rpp")
    assert read.rate_hz == 48_000.0
    (track,) = read.tracks
    assert track.name == 'Lead "Vox"'
    assert track.volume_db == pytest.approx(-6.0206, abs=1e-4)
    assert (track.pan, track.muted, track.solo) == (-0.25, False, True)
    (item,) = track.items
    assert item.source == "takes\\vox one.wav"
    assert (item.position_s, item.length_s, item.offset_s, item.rate) == (2.5, 4.0, 0.75, 1.5)
    assert item.gain_db == pytest.approx(0.0, abs=1e-12)
    assert item.inverted
    assert not item.muted
    assert track.equaliser is None


def test_the_take_that_plays_is_not_the_one_read() -> None:
    """Of three takes the selected second one: its file, its start, 0 dB out of -6 and +6."""
    item = ITEM.removesuffix(">") + (
        "TAKE SEL\nTAKEVOLPAN 0 2 -1\nSOFFS 1\nPLAYRATE 1\n<SOURCE FLAC\nFILE b.flac\n>\n"
        "TAKE\n<SOURCE WAVE\nFILE c.wav\n>\n>"
    )
    (found,) = parse_project(project(item), "a.rpp").tracks[0].items
    assert (found.source, found.source_kind, found.offset_s, found.rate) == ("b.flac", "FLAC", 1.0, 1.0)
    assert found.gain_db == pytest.approx(0.0, abs=1e-9)
    assert found.flags == ("3 takes, one is read",)


@pytest.mark.parametrize(
    ("track", "flag"),
    [
        ("<VOLENV2\nACT 1 -1\nPT 0 1 0\n>", "volume envelope"),
        ("<PANENV2\nPT 0 1 0\n>", "pan envelope"),
        ("<FXCHAIN\n<PARMENV 3 0 1 0.5\nACT 1\n>\n>", "plug-in envelope"),
        ("MAINSEND 0 0", "does not go to the master"),
        ("AUXRECV 1 0 1 0 0 0 0 0 0", "send from track 2"),
        ("AUXRECV 1 0 1 0 0 0 0 0 2", "sidechain from track 2"),
        ('<FXCHAIN\n<VST "VST: ReaComp (Cockos)" reacomp.dll\n>\n>', "its settings are not read"),
    ],
)
def test_what_changes_a_sound_unseen_is_not_flagged(track: str, flag: str) -> None:
    read = parse_project(project(track, more="<TRACK {B}\nNAME bus\n>"), "a.rpp")
    assert any(flag in found for found in read.tracks[0].flags)
    if "AUXRECV" in track:
        assert any(found.endswith("to track 1") for found in read.tracks[1].flags)


def test_an_inactive_envelope_or_a_bypassed_equaliser_counts() -> None:
    text = project("<VOLENV2\nACT 0 -1\n>", wrapped(state(BANDS))).replace("BYPASS 0", "BYPASS 1")
    (track,) = parse_project(text, "a.rpp").tracks
    assert track.flags == ()
    assert not track.effects[0].on
    assert track.equaliser is None
    (track,) = parse_project(project("FX 0", wrapped(state(BANDS))), "a.rpp").tracks
    assert track.equaliser is None


def test_a_folder_or_the_master_is_not_flagged() -> None:
    text = project(
        "ISBUS 1 1",
        more='<TRACK {B}\nISBUS 2 -1\n>\n<TRACK {C}\n>\n<MASTERFXLIST\n<JS utility/limiter ""\n1 2 -\n>\n>',
    )
    read = parse_project(text, "a.rpp")
    assert [track.flags for track in read.tracks] == [(), ("goes through folder track 1",), ()]
    assert read.flags == ("plug-ins on the master: utility/limiter",)


@pytest.mark.parametrize(
    ("eq", "reason"),
    [
        (b"no base64!", "not base64"),
        (wrapped(state(BANDS), name=b"mcer"), "another plug-in"),
        (wrapped(state(BANDS), claimed=1 << 30), "claims 1073741824 bytes"),
        (wrapped(state(BANDS)[:40]), "cut off"),
        (wrapped(state(BANDS)[:6]), "cut off"),
        (wrapped(state(BANDS, count=-1)), "-1 bands"),
        (wrapped(state(BANDS, count=2**31 - 1)), "2147483647 bands"),
        (wrapped(state(BANDS, size=25)), "25 bytes"),
        (wrapped(state(BANDS), pins=2**32 - 1), "4294967295 pins"),
        (wrapped(state([(11, 1, 100.0, 1.0, 1.0)])), "type 11"),
        (wrapped(state([(8, 7, 100.0, 1.0, 1.0)])), "enabled by 7"),
        (wrapped(state([(8, 1, float("nan"), 1.0, 1.0)])), "frequency is nan"),
        (wrapped(state([(8, 1, 100.0, -1.0, 1.0)])), "gain is -1"),
        (wrapped(state([(8, 1, 100.0, 1.0, float("inf"))])), "bandwidth is inf"),
        (base64.b64encode(b"qeer"), "cut off"),
    ],
)
def test_a_damaged_equaliser_is_believed(eq: bytes, reason: str) -> None:
    """No bands, the plug-in still named, and a flag that says why and on which line."""
    (track,) = parse_project(project(eq=eq), "a.rpp").tracks
    assert track.equaliser is None
    assert track.effects[0].name == "VST: ReaEQ (Cockos)"
    (flag,) = track.flags
    assert reason in flag
    assert flag.startswith("line 1")


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "is empty", 0),
        ("hello\n", "not a Reaper project", 1),
        ("<TRACK\n>\n", "not a Reaper project", 1),
        ("<REAPER_PROJECT\n<TRACK\n>\n", "<REAPER_PROJECT is not closed", 1),
        ("<REAPER_PROJECT\n>\n>\n", "behind the project's end", 3),
        ("<REAPER_PROJECT\n" + "<A\n" * MAX_DEPTH, "too deep", MAX_DEPTH + 1),
        ("<REAPER_PROJECT\nX\0Y\n>", "is not text", 2),
        (project("VOLPAN").replace("0.5 -0.25", "loud 0"), "`loud` in VOLPAN is not a number", 5),
        (project().replace("0.5 -0.25", "1e999 0"), "is not a number", 5),
        (project().replace("'Lead \"Vox\"'", "'Lead"), "' is not closed", 4),
        (project(ITEM.replace("PLAYRATE 1.5", "PLAYRATE 0")), "play rate of 0", 13),
        (project(ITEM.replace("LENGTH 4", "LENGTH -4")), "length of -4 s", 9),
        (project("AUXRECV 9 0 1 0"), "a send from track 10", 7),
        (project().replace("48000", "3"), "rate of 3 Hz", 2),
    ],
)
def test_a_mistake_is_named_without_its_line(text: str, message: str, line: int) -> None:
    with pytest.raises(InputError, match=message.replace("`", ".")) as caught:
        parse_project(text, "a.rpp")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("a.rpp", line)


def test_a_file_that_is_missing_or_huge_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_project(tmp_path)
    big = tmp_path / "big.rpp"
    with big.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="at most 16 MiB"):
        read_project(big)


def test_a_project_in_an_old_code_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.rpp"
    path.write_bytes(project().replace("Vox", "Flöte").encode("latin-1").replace(b"\n", b"\r\n"))
    assert read_project(path).tracks[0].name == 'Lead "Flöte"'


def test_a_source_beside_a_moved_project_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "vox one.wav").write_bytes(b"")
    assert locate("D:\\takes\\vox one.wav", tmp_path / "a.rpp") == tmp_path / "vox one.wav"


def test_words_are_cut_at_the_wrong_places() -> None:
    found = words(Line("""NAME "a b" 'say "x"' `it's "so"` plain" 1""", 1), "a.rpp")
    assert found == ("NAME", "a b", 'say "x"', 'it\'s "so"', 'plain"', "1")


PIECES = st.sampled_from(
    [
        *(
            "<REAPER_PROJECT 0.1",
            "<TRACK",
            "<ITEM",
            "<SOURCE WAVE",
            "<FXCHAIN",
            "<CONTAINER",
            "<TAKEFX",
            ">",
            ">",
        ),
        *(
            '<VST "VST: ReaEQ (Cockos)" reaeq.dll',
            "<VOLENV2",
            "TAKE SEL",
            'FILE "a.wav"',
            'NAME "x',
            "VOLPAN",
        ),
        *("AUXRECV 0 0 1 0 0 0 0 0 99999999999999999999", "AUXRECV -5", "ISBUS 2 -9e99", "ISBUS 1 1", "<"),
        *("SAMPLERATE 1e300 1", "PLAYRATE 1e-300", "LENGTH 1e300", "SOFFS -1", "BYPASS x", "ACT", "FX 0"),
        *("MUTESOLO a", "\0", "VOLPAN 1 nan", "cWVlcg==", *wrapped(state(BANDS)).decode().split("\n")),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.text(max_size=30), max_size=40), st.booleans())
def test_some_text_ends_in_another_error(pieces: list[str], framed: bool) -> None:
    """Whatever is read, nothing but InputError is raised."""
    text = "\n".join(pieces)
    if framed:
        deep = sum(piece.startswith("<") and len(piece) > 1 for piece in pieces) - pieces.count(">")
        text = "<REAPER_PROJECT\n<TRACK\n" + text + "\n>" * max(0, deep + 2)
    try:
        read = parse_project(text, "a.rpp")
    except InputError:
        return
    for track in read.tracks:
        if track.equaliser is not None:
            assert np.isfinite(track.equaliser.curve_db(CENTRES_HZ, read.curve_rate_hz)).all()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_some_state_of_an_equaliser_ends_in_another_error(noise: bytes, at: int) -> None:
    """The state with bytes changed somewhere: read or flagged, and the curve is finite."""
    good = state(BANDS)
    changed = good[:at] + noise + good[at + len(noise) :]
    (track,) = parse_project(project(eq=wrapped(changed)), "a.rpp").tracks
    if track.equaliser is None:
        assert track.flags
    else:
        assert np.isfinite(track.equaliser.curve_db(CENTRES_HZ, 44_100.0)).all()
