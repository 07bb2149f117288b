"""Sound files → float32 `[frames, channels]` at the engine's rate. Never trusts what a header claims."""

from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from pedalboard.io import AudioFile, ReadableAudioFile

from engine.errors import Problem, SoundError

FILE_RATES_HZ = (8_000, 384_000)
MAX_CHANNELS = 8
MAX_DECODED_S = 1_800.0
MAX_FILE_BYTES = 200 * 2**20
CEILING = 16.0
"""Samples beyond +24 dBFS are clamped: some float files hold nonsense."""

CHUNK_FRAMES = 1 << 16

SAMPLE_BYTES = {"int8": 1, "int16": 2, "int24": 3, "int32": 4, "float32": 4, "float64": 8}
PLAIN_FLOAT = (b"\x03\x00", b"\xfe\xff")
"""Format tags of WAV with plain floats; the compressed forms read as float32, too."""

CLAIM_SLACK_BYTES = 1024
"""Some programs count their header as sound."""


def decode(path: Path, rate_hz: int) -> NDArray[np.float32]:
    """Return the sound in `path` as float32 `[frames, 1 or 2]`, C-contiguous, resampled once to `rate_hz`.

    Reads WAV, FLAC, OGG, MP3 and AIFF of any usual rate and 1 to 8 channels; more than two are folded down to
    stereo (odd ones left, even ones right). Non-finite samples become 0. Raises SoundError naming the file.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _unusable(path, "is too large", f"at most {MAX_FILE_BYTES >> 20} MiB")
        with AudioFile(str(path)) as file:
            file_rate_hz = file.samplerate
            if not FILE_RATES_HZ[0] <= file_rate_hz <= FILE_RATES_HZ[1] or file_rate_hz != int(file_rate_hz):
                low, high = FILE_RATES_HZ
                raise _unusable(path, f"has a rate of {file_rate_hz:g} Hz", f"{low} to {high} Hz")
            if not 1 <= file.num_channels <= MAX_CHANNELS:
                raise _unusable(path, f"has {file.num_channels} channels", f"1 to {MAX_CHANNELS}")
            _check_claim(path, file)
            samples = _read(path, file, int(MAX_DECODED_S * file_rate_hz))
    except OSError as error:
        raise _unusable(path, f"cannot be read ({error.strerror or error})") from None
    except (ValueError, RuntimeError) as error:
        raise _unusable(path, f"is not a sound this program can decode ({error})") from None
    if file_rate_hz != rate_hz:
        samples = soxr.resample(samples, file_rate_hz, rate_hz, quality="VHQ")
    return np.ascontiguousarray(samples, np.float32)


def _check_claim(path: Path, file: ReadableAudioFile) -> None:
    """Refuse an uncompressed file that is shorter than its header says: what is missing would read as silence."""
    with path.open("rb") as raw:
        head = raw.read(4096)
    if head[:4] not in (b"RIFF", b"RF64", b"FORM"):
        return
    frame_bytes = file.num_channels * SAMPLE_BYTES.get(file.file_dtype, 0)
    if file.file_dtype == "float32" and head[:4] != b"FORM":
        at = head.find(b"fmt ") + 8
        if head[at : at + 2] not in PLAIN_FLOAT:
            return
    if file.frames * frame_bytes > path.stat().st_size + CLAIM_SLACK_BYTES:
        raise _unusable(path, f"claims {file.frames} frames and holds fewer", "a file that was not cut off")


def _read(path: Path, file: ReadableAudioFile, limit_frames: int) -> NDArray[np.float32]:
    chunks = []
    frames = 0
    while True:
        chunk = file.read(CHUNK_FRAMES)
        if chunk.shape[1] == 0:
            break
        frames += chunk.shape[1]
        if frames > limit_frames:
            raise _unusable(path, "is too long", f"at most {MAX_DECODED_S / 60:g} minutes")
        chunks.append(_fold(chunk))
    if not chunks:
        raise _unusable(path, "holds no sound", "a file with at least one frame")
    samples = np.concatenate(chunks)
    samples[~np.isfinite(samples)] = 0.0
    return np.clip(samples, -CEILING, CEILING, out=samples)


def _fold(chunk: NDArray[np.float32]) -> NDArray[np.float32]:
    channels = chunk.shape[0]
    if channels <= 2:
        return chunk.T
    left, right = chunk[0::2].mean(axis=0), chunk[1::2].mean(axis=0)
    return np.stack([left, right], axis=1).astype(np.float32)


def _unusable(path: Path, what: str, allowed: str = "WAV, FLAC, OGG, MP3 or AIFF") -> SoundError:
    return SoundError(Problem(what, allowed, file=str(path)))
