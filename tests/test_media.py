"""Sound files: formats against soundfile and scipy, files that lie, and files that must not be left half written."""

import os
import struct
import subprocess
import sys
from math import gcd
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from dsp.guard import LIMIT_AMPLITUDE
from engine.errors import RoomtoneError, SoundError
from engine.media import AudioWriter, decode

RATE_HZ = 48_000
RECORDINGS = Path("/usr/share/sonic-pi/samples")

Samples = NDArray[np.float32]

FORMATS = {
    # name: (format, subtype, step of the quantiser, most frames more than were written)
    "u8.wav": ("WAV", "PCM_U8", 2.0**-7, 0),
    "16.wav": ("WAV", "PCM_16", 2.0**-15, 0),
    "24.wav": ("WAV", "PCM_24", 2.0**-23, 0),
    "32.wav": ("WAV", "PCM_32", 1e-7, 0),
    "float.wav": ("WAV", "FLOAT", 0.0, 0),
    "double.wav": ("WAV", "DOUBLE", 1e-7, 0),
    "extensible.wav": ("WAVEX", "PCM_24", 2.0**-23, 0),
    "big.wav": ("RF64", "PCM_16", 2.0**-15, 0),
    "16.flac": ("FLAC", "PCM_16", 2.0**-15, 0),
    "24.flac": ("FLAC", "PCM_24", 2.0**-23, 0),
    "16.aiff": ("AIFF", "PCM_16", 2.0**-15, 0),
    "24.aif": ("AIFF", "PCM_24", 2.0**-23, 0),
    "float.aiff": ("AIFF", "FLOAT", 0.0, 0),
    "vorbis.ogg": ("OGG", "VORBIS", 0.05, 0),
    "layer3.mp3": ("MP3", "MPEG_LAYER_III", 0.05, 2304),
}
LOSSLESS = [name for name in FORMATS if not name.endswith(("ogg", "mp3"))]
FUZZED = ("16.wav", "float.wav", "extensible.wav", "16.flac", "16.aiff", "vorbis.ogg", "layer3.mp3")


def tone(rate_hz: int, seconds: float = 0.5, channels: int = 1, frequency_hz: float = 997.0) -> Samples:
    """A sine at -6 dBFS, the phase another one in every channel."""
    phase = np.arange(channels)
    n = np.arange(round(seconds * rate_hz))[:, None]
    return (0.5 * np.sin(2.0 * np.pi * frequency_hz * n / rate_hz + phase)).astype(np.float32)


def write(folder: Path, name: str, samples: Samples, rate_hz: int = RATE_HZ) -> Path:
    kind, subtype, _, _ = FORMATS[name]
    soundfile.write(folder / name, samples, rate_hz, format=kind, subtype=subtype)
    return folder / name


def refusal(path: Path) -> str:
    """Decode `path`, which must be refused by its name and nothing worse; return the words."""
    with pytest.raises(SoundError) as caught:
        decode(path, RATE_HZ)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    assert caught.value.exit_code == 2
    return str(caught.value)


def amplitude_and_frequency(samples: Samples, rate_hz: int) -> tuple[float, float]:
    """Amplitude (by its power) and frequency (by its phase's advance) of a sine, the first and last 5 % left out."""
    edge = len(samples) // 20
    middle = samples[edge:-edge].astype(np.float64)
    phase = np.unwrap(np.angle(signal.hilbert(middle)))[edge:-edge]
    advance = np.polyfit(np.arange(len(phase)), phase, 1)[0]
    return float(np.sqrt(2.0 * np.mean(middle**2))), float(advance * rate_hz / (2.0 * np.pi))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", FORMATS)
def test_a_format_decodes_to_another_length_or_level(name: str, channels: int, tmp_path: Path) -> None:
    """At its own rate every format has the frames written, and samples within 2 steps of its quantiser."""
    x = tone(RATE_HZ, 0.5, channels)
    y = decode(write(tmp_path, name, x), RATE_HZ)
    _, _, step, more = FORMATS[name]
    assert y.dtype == np.float32
    assert y.flags.c_contiguous
    assert y.shape[1] == channels
    assert len(x) <= len(y) <= len(x) + more
    if name in LOSSLESS:
        assert np.max(np.abs(y - x)) <= 2.0 * step
    else:
        for channel in range(channels):
            amplitude, frequency_hz = amplitude_and_frequency(y[:, channel], RATE_HZ)
            assert amplitude == pytest.approx(0.5, rel=step)
            assert frequency_hz == pytest.approx(997.0, abs=0.5)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 44_100, 48_000, 88_200, 96_000, 192_000])
def test_resampling_changes_pitch_level_or_length(rate_hz: int, channels: int, tmp_path: Path) -> None:
    """From 8 to 192 kHz a sine keeps its length to 1 frame, its level to 0.01 dB, its pitch to 0.01 Hz."""
    x = tone(rate_hz, 0.5, channels)
    y = decode(write(tmp_path, "float.wav", x, rate_hz), RATE_HZ)
    assert abs(len(y) - len(x) * RATE_HZ / rate_hz) <= 1
    for channel in range(channels):
        amplitude, frequency_hz = amplitude_and_frequency(y[:, channel], RATE_HZ)
        assert 20.0 * np.log10(amplitude / 0.5) == pytest.approx(0.0, abs=0.01)
        assert frequency_hz == pytest.approx(997.0, abs=0.01)


@pytest.mark.parametrize("rate_hz", [44_100, 96_000])
def test_resampling_strays_from_the_sine_it_should_be(rate_hz: int, tmp_path: Path) -> None:
    """Sampled anew at 48 kHz the sine is the analytic one to -100 dB, in phase, apart from 10 ms at its ends."""
    path = write(tmp_path, "float.wav", tone(rate_hz), rate_hz)
    y = decode(path, RATE_HZ)[480:-480, 0]
    assert np.max(np.abs(y - tone(RATE_HZ)[480 : 480 + len(y), 0])) < 1e-5


def test_resampling_lets_through_what_the_rate_cannot_hold(tmp_path: Path) -> None:
    """A sine of 30 kHz in a file of 96 kHz is below -100 dB at 48 kHz."""
    path = write(tmp_path, "float.wav", tone(96_000, frequency_hz=30_000.0), 96_000)
    assert np.max(np.abs(decode(path, RATE_HZ)[480:-480])) < 1e-5


@pytest.mark.parametrize(
    ("channels", "left", "right"),
    [
        (3, {0: 1.0, 2: 0.7071068}, {1: 1.0, 2: 0.7071068}),
        (4, {0: 1.0, 2: 0.7071068}, {1: 1.0, 3: 0.7071068}),
        (5, {0: 1.0, 2: 0.7071068, 3: 0.7071068}, {1: 1.0, 2: 0.7071068, 4: 0.7071068}),
        (6, {0: 1.0, 2: 0.7071068, 4: 0.7071068}, {1: 1.0, 2: 0.7071068, 5: 0.7071068}),
    ],
)
def test_surround_is_not_folded_as_the_standard_says(
    channels: int, left: dict[int, float], right: dict[int, float], tmp_path: Path
) -> None:
    """ITU-R BS.775-3, table 2: centre and surround at 0.7071; the low-frequency channel of 5.1 is left out."""
    x = tone(RATE_HZ, 0.2, channels)
    y = decode(write(tmp_path, "float.wav", x), RATE_HZ)
    for side, gains in enumerate((left, right)):
        assert y[:, side] == pytest.approx(sum(g * x[:, c] for c, g in gains.items()), abs=1e-6)


def test_too_many_channels_are_taken(tmp_path: Path) -> None:
    """9 channels are refused."""
    assert "has 9 channels; 1 to 8" in refusal(write(tmp_path, "float.wav", tone(RATE_HZ, 0.1, 9)))


@pytest.mark.parametrize("rate_hz", [4000, 400_000])
def test_an_absurd_rate_is_taken(rate_hz: int, tmp_path: Path) -> None:
    """Rates outside 8 to 384 kHz are refused."""
    assert "8000 to 384000 Hz" in refusal(write(tmp_path, "float.wav", tone(8000), rate_hz))


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44_100])
def test_a_bad_sample_gets_through(rate_hz: int, tmp_path: Path) -> None:
    """NaN and both infinities become 0, ±1e30 becomes ±24 dBFS, resampled too; the samples before stay."""
    x = tone(rate_hz, 0.5, 2)
    good = decode(write(tmp_path, "float.wav", x, rate_hz), RATE_HZ)
    x[20_000, 0], x[20_001, 0], x[20_002, 1] = np.nan, np.inf, -np.inf
    x[20_003:20_100] = 1e30, -1e30
    y = decode(write(tmp_path, "float.wav", x, rate_hz), RATE_HZ)
    assert np.all(np.isfinite(y))
    assert np.max(np.abs(y)) <= LIMIT_AMPLITUDE
    assert np.max(np.abs(y[:15_000] - good[:15_000])) < 1e-6
    if rate_hz == RATE_HZ:
        assert y[20_000:20_003].tolist() == [[0.0, x[20_000, 1]], [0.0, x[20_001, 1]], [x[20_002, 0], 0.0]]
        assert np.all(y[20_003:20_100] == np.array([LIMIT_AMPLITUDE, -LIMIT_AMPLITUDE], np.float32))


def wav(
    claim: int, data: bytes, tag: int = 1, rate_hz: int = RATE_HZ, channels: int = 1, bits: int = 16
) -> bytes:
    """A WAV file that claims `claim` bytes of sound and has `data`."""
    frame = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", tag, channels, rate_hz, min(rate_hz * frame, 2**32 - 1), frame % 2**16, bits
    )
    riff = b"RIFF" + struct.pack("<I", min(claim + 36, 2**32 - 1)) + b"WAVE"
    return riff + b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", claim) + data


HOSTILE = {
    "empty": b"",
    "one byte": b"R",
    "only the first word": b"RIFF",
    "no sound chunk": wav(0, b"")[:36],
    "no frame": wav(0, b""),
    "4 GB claimed, 2 kB there": wav(2**32 - 2, bytes(2000)),
    "20 minutes claimed, 2 kB there": wav(20 * 60 * 96_000, bytes(2000)),
    "half of it there": wav(96_000, bytes(48_000)),
    "rate 0": wav(2000, bytes(2000), rate_hz=0),
    "rate 4 GHz": wav(2000, bytes(2000), rate_hz=2**32 - 1),
    "0 channels": wav(2000, bytes(2000), channels=0),
    "60 000 channels": wav(2000, bytes(2000), channels=60_000),
    "0 bits": wav(2000, bytes(2000), bits=0),
    "7 bits": wav(2000, bytes(2000), bits=7),
    "compressed": wav(2000, bytes(2000), tag=17, bits=4),
    "a million empty chunks": wav(0, b"")[:36] + b"junk\0\0\0\0" * 1_000_000,
    "text": b"this is not a sound" * 100,
    "noise": np.random.default_rng(440).bytes(20_000),
    "zeros": bytes(20_000),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("suffix", [".wav", ".mp3"])
def test_a_file_that_lies_is_believed(content: bytes, suffix: str, tmp_path: Path) -> None:
    """It is refused by name."""
    path = tmp_path / f"liar{suffix}"
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize("name", ["16.wav", "float.wav", "extensible.wav", "big.wav", "24.aif", "float.aiff"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9])
def test_an_uncompressed_file_that_was_cut_off_ends_in_silence(
    name: str, share: float, tmp_path: Path
) -> None:
    """With 0 to 90 % of its bytes it is refused."""
    path = write(tmp_path, name, tone(RATE_HZ))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refusal(path)


@pytest.mark.parametrize("name", ["16.flac", "vorbis.ogg", "layer3.mp3"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_compressed_file_that_was_cut_off_raises_something_else_or_says_more(
    name: str, share: float, tmp_path: Path
) -> None:
    """FLAC is refused by name; others too, or no longer than the whole; an MP3 begins with the same 20 %."""
    path = write(tmp_path, name, tone(RATE_HZ))
    whole = decode(path, RATE_HZ)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    try:
        y = decode(path, RATE_HZ)
    except SoundError:
        refusal(path)
        return
    assert name != "16.flac"
    assert len(y) <= len(whole)
    assert np.max(np.abs(y)) <= np.max(np.abs(whole))
    if name == "layer3.mp3":
        heard = int(0.2 * share * len(whole))
        assert np.max(np.abs(y[:heard] - whole[:heard]), initial=0.0) < 1e-6


FUZZ = """
import sys
from pathlib import Path
import numpy as np
from dsp.guard import LIMIT_AMPLITUDE
from engine.errors import SoundError
from engine.media import decode
folder, rng = Path(sys.argv[1]), np.random.default_rng(440)
sources = [Path(name) for name in sys.argv[2:]]
contents = [source.read_bytes() for source in sources]
for number in range(700):
    source, content = sources[number % len(sources)], contents[number % len(sources)]
    damaged = bytearray(content)
    reach = 100 if number % 3 else len(damaged)
    for at in rng.integers(0, reach, rng.integers(1, 10)):
        damaged[at] = rng.integers(256)
    if number % 5 == 0:
        del damaged[rng.integers(len(damaged)):]
    path = folder / ("damaged" + source.suffix)
    path.write_bytes(damaged)
    print(number, source.name, flush=True)
    try:
        samples = decode(path, 48000)
    except SoundError as error:
        assert error.problems[0].file == str(path)
    else:
        assert np.isfinite(samples).all() and np.abs(samples).max() <= 16 and samples.shape[1] in (1, 2)
"""


def test_a_damaged_file_kills_the_interpreter_or_raises_something_else(tmp_path: Path) -> None:
    """700 files of 7 formats with 1 to 9 other bytes, a fifth cut off, are decoded or refused in one process."""
    (tmp_path / "out").mkdir()
    sources = [str(write(tmp_path, name, tone(RATE_HZ, 0.1, 2))) for name in FUZZED]
    command = [sys.executable, "-c", FUZZ, str(tmp_path / "out"), *sources]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=False
    )
    assert done.returncode == 0, (done.stdout.splitlines()[-1:], done.stderr[-2000:])
    assert len(done.stdout.splitlines()) == 700


def test_what_is_no_file_is_opened(tmp_path: Path) -> None:
    """A missing file, a folder and a name that cannot be one are refused."""
    assert "No such file" in refusal(tmp_path / "none.wav")
    refusal(tmp_path)
    refusal(tmp_path / "a\0b.wav")
    refusal(tmp_path / "a\udcff.wav")


def test_a_file_too_large_or_too_long_is_read(tmp_path: Path) -> None:
    """More than 200 MiB and more than 30 minutes are refused."""
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(200 * 2**20 + 1)
    assert "at most 200 MiB" in refusal(path)
    frames = 8000 * 1801
    path.write_bytes(wav(frames, b"", rate_hz=8000, bits=8))
    with path.open("r+b") as file:
        file.truncate(44 + frames)
    assert "at most 30 minutes" in refusal(path)


@pytest.mark.parametrize(
    "name", ["ambi_choir", "bd_haus", "loop_amen", "misc_crow", "perc_bell", "vinyl_hiss"]
)
def test_a_real_recording_decodes_to_something_else(name: str) -> None:
    """It agrees with soundfile and scipy's polyphase resampler to -40 dB of its power below 18 kHz."""
    path = RECORDINGS / f"{name}.flac"
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    x, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
    common = gcd(rate_hz, RATE_HZ)
    up, down = RATE_HZ // common, rate_hz // common
    truth = x if up == down else signal.resample_poly(x, up, down, axis=0)
    y = decode(path, RATE_HZ).astype(np.float64)
    assert y.shape[1] == x.shape[1]
    assert abs(len(y) - len(truth)) <= 1
    frames = min(len(y), len(truth))
    low = signal.firwin(511, 18_000.0, fs=RATE_HZ)
    pair = [signal.fftconvolve(z[:frames], low[:, None], axes=0) for z in (y, truth)]
    assert np.mean((pair[0] - pair[1]) ** 2) < 1e-4 * np.mean(pair[1] ** 2)


def noise(frames: int) -> Samples:
    return np.random.default_rng(440).uniform(-1.0, 1.0, (frames, 2)).astype(np.float32)


@pytest.mark.parametrize("cuts", [[1000], [1, 998, 1], [128] * 7, [0, 500, 0]])
def test_a_written_wav_is_not_the_samples(cuts: list[int], tmp_path: Path) -> None:
    """Written in any blocks, soundfile reads the very float32 back, those beyond full scale too."""
    path = tmp_path / "out.wav"
    x = 2.0 * noise(sum(cuts))
    with AudioWriter(path, 44_100) as writer:
        at = 0
        for cut in cuts:
            writer.write(x[at : at + cut])
            at += cut
    y, rate_hz = soundfile.read(path, dtype="float32")
    assert np.array_equal(y, x)
    assert rate_hz == 44_100
    assert soundfile.info(path).subtype == "FLOAT"


def test_a_written_flac_has_fewer_than_24_bits(tmp_path: Path) -> None:
    """soundfile reads 24 bits back, each sample within 2^-23; the suffix may be in capitals."""
    path = tmp_path / "out.FLAC"
    x = noise(5000)
    with AudioWriter(path, RATE_HZ) as writer:
        writer.write(x)
    assert soundfile.info(path).subtype == "PCM_24"
    assert np.max(np.abs(soundfile.read(path)[0] - x)) <= 2.0**-23


def interrupted(path: Path) -> None:
    with AudioWriter(path, RATE_HZ) as writer:
        writer.write(noise(10_000))
        raise KeyboardInterrupt


def test_half_a_file_is_left_or_an_old_one_is_lost(tmp_path: Path) -> None:
    """An exception inside `with` passes through, leaves nothing new and the file of that name as it was."""
    old, new = tmp_path / "old.wav", tmp_path / "new.wav"
    old.write_bytes(b"precious")
    for path in (old, new):
        with pytest.raises(KeyboardInterrupt):
            interrupted(path)
    assert old.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["old.wav"]


def test_an_old_file_is_gone_before_the_new_one_is_whole(tmp_path: Path) -> None:
    """Until the end of `with` the old bytes stand under the name; then the new ones, and nothing else."""
    path = tmp_path / "out.wav"
    path.write_bytes(b"precious")
    with AudioWriter(path, RATE_HZ) as writer:
        writer.write(noise(100_000))
        assert path.read_bytes() == b"precious"
    assert soundfile.info(path).frames == 100_000
    assert os.listdir(tmp_path) == ["out.wav"]


def test_two_writers_of_one_name_spoil_each_other(tmp_path: Path) -> None:
    """Each writes a whole file; the one that ends last stands."""
    path = tmp_path / "out.wav"
    with AudioWriter(path, RATE_HZ) as outer:
        outer.write(noise(300))
        with AudioWriter(path, RATE_HZ) as inner:
            inner.write(noise(200))
        assert soundfile.info(path).frames == 200
        outer.write(noise(300))
    assert soundfile.info(path).frames == 600
    assert os.listdir(tmp_path) == ["out.wav"]


def test_a_name_that_is_lost_at_the_end_leaves_half_a_file(tmp_path: Path) -> None:
    """A folder of that name made in the meantime is an error by name, and the folder all there is."""
    path = tmp_path / "out.wav"
    writer = AudioWriter(path, RATE_HZ)
    writer.write(noise(100))
    path.mkdir()
    with pytest.raises(SoundError, match="cannot be written"):
        writer.close()
    assert os.listdir(tmp_path) == ["out.wav"]


def test_a_rate_that_cannot_be_written_leaves_an_empty_file(tmp_path: Path) -> None:
    """A FLAC file of 0 Hz is refused, and nothing is left."""
    with pytest.raises(SoundError, match="cannot be written"):
        AudioWriter(tmp_path / "out.flac", 0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "place", ["nowhere/out.wav", "file/out.wav", "folder.wav", "out.mp3", "out", "a\0b.wav"]
)
def test_a_place_that_cannot_be_written_fails_late_or_with_a_traceback(place: str, tmp_path: Path) -> None:
    """It is refused at once, with exit code 2 and by name, and nothing is created."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    path = tmp_path / place
    with pytest.raises(SoundError) as caught:
        AudioWriter(path, RATE_HZ)
    assert caught.value.problems[0].file == str(path)
    assert caught.value.exit_code == 2
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.wav"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission_fails_late_or_with_a_traceback(tmp_path: Path) -> None:
    """It is refused at once, with exit code 2."""
    tmp_path.chmod(0o500)
    with pytest.raises(SoundError, match="cannot be written") as caught:
        AudioWriter(tmp_path / "out.wav", RATE_HZ)
    assert caught.value.exit_code == 2


FULL_DISK = """
import os, resource, signal, sys
from pathlib import Path
import numpy as np
from engine.errors import RoomtoneError
from engine.media import AudioWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
path = Path(sys.argv[1])
frames_in_file = {".wav": 100_000 // 8, ".flac": 100_000 // 6}[path.suffix]
noise = np.random.default_rng(440).uniform(-1, 1, (520_000, 2)).astype(np.float32)
for frames in (520_000, *range(frames_in_file - 600, frames_in_file + 600, 40)):
    for block in (128, 4096, frames):
        try:
            with AudioWriter(path, 48000) as writer:
                for at in range(0, frames, block):
                    writer.write(noise[at : min(frames, at + block)])
        except RoomtoneError as error:
            assert error.exit_code == 1
            assert str(error) == f"{path}: cannot be written (File too large)", error
            assert os.listdir(path.parent) == []
            print("refused")
        else:
            assert frames < 520_000
            import soundfile
            written = soundfile.read(path, dtype="float32")[0]
            assert written.shape == (frames, 2) and np.abs(written - noise[:frames]).max() <= 2**-23, frames
            path.unlink()
            print("whole")
"""


@pytest.mark.parametrize("name", ["out.wav", "out.flac"])
def test_a_full_disk_leaves_half_a_file_or_a_traceback(name: str, tmp_path: Path) -> None:
    """Where a file may have 100 000 bytes, what fits is whole, what is longer is refused by name (exit code 1).

    There is never a file with fewer frames, written in blocks of 128 frames, of 4096 and all at once.
    """
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / name)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=False
    )
    assert done.returncode == 0, done.stderr
    outcomes = done.stdout.split()
    assert len(outcomes) == 93
    assert outcomes[0] == outcomes[-1] == "refused"
    assert outcomes[3] == "whole"
    assert os.listdir(tmp_path) == []


def test_a_file_that_lost_frames_gets_its_name(tmp_path: Path) -> None:
    """Where fewer frames are read back than were written, the new file is refused, and the old file stands."""
    path = tmp_path / "out.wav"
    path.write_bytes(b"precious")
    writer = AudioWriter(path, RATE_HZ)
    writer.write(noise(100_000))
    writer._frames += 1
    with pytest.raises(RoomtoneError, match="100000 of 100001 frames arrived"):
        writer.close()
    assert path.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["out.wav"]


def test_a_writer_that_nobody_holds_leaves_its_part(tmp_path: Path) -> None:
    """Its file goes with it."""
    AudioWriter(tmp_path / "out.wav", RATE_HZ).write(noise(100))
    assert os.listdir(tmp_path) == []
