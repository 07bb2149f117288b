"""Sound files → float32 `[frames, channels]` at the engine's rate. Never trusts what a header claims."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray
from pedalboard.io import AudioFile, ReadableAudioFile

from dsp.guard import LIMIT_AMPLITUDE, sanitise
from engine.errors import Problem, SoundError
from engine.media.flac import FlacSignature

FILE_RATES_HZ = (8_000, 384_000)
MAX_CHANNELS = 8
MAX_DECODED_S = 1_800.0
MAX_FILE_BYTES = 200 * 2**20
CHUNK_FRAMES = 1 << 16

_DOWN = math.sqrt(0.5)
_L, _R, _C, _LS, _RS, _LFE = (1.0, 0.0), (0.0, 1.0), (_DOWN, _DOWN), (_DOWN, 0.0), (0.0, _DOWN), (0.0, 0.0)
SPEAKERS = {
    3: (_L, _R, _C),
    4: (_L, _R, _LS, _RS),
    5: (_L, _R, _C, _LS, _RS),
    6: (_L, _R, _C, _LFE, _LS, _RS),
    7: (_L, _R, _C, _LFE, _C, _LS, _RS),
    8: (_L, _R, _C, _LFE, _LS, _RS, _LS, _RS),
}
"""What each channel of a surround file gives to left and right: ITU-R BS.775-3, table 2, in the order of WAV's
channel mask; the low-frequency effects channel is left out, as that recommendation allows."""

SAMPLE_BYTES = {"int8": 1, "int16": 2, "int24": 3, "int32": 4, "float32": 4, "float64": 8}

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
"""The format tags of uncompressed WAV; the last one keeps its own in bytes 24 and 25 of the chunk."""

FORMAT_BYTES = (16, 64)
"""How long the format chunk of a WAV file may be."""

MAX_CHUNKS = 1_000
"""Chunks of a WAV file that may stand before its sound."""

CLAIM_SLACK_BYTES = 1024
"""Some programs count their header as sound."""

MP3_FRAMES_PER_BYTE = 48
SILENCE_FRAMES_PER_BYTE = 8192
"""More frames than a byte can hold: MP3 reaches 24 at its lowest rate, silence in FLAC about 5000."""


def decode(path: Path, rate_hz: int) -> NDArray[np.float32]:
    """Return the sound in `path` as float32 `[frames, 1 or 2]`, C-contiguous, resampled once to `rate_hz`.

    See `decode_as_is`. Raises SoundError naming the file.
    """
    decoded = decode_as_is(path)
    return resample(decoded.samples, decoded.rate_hz, rate_hz)


class Decoded(NamedTuple):
    """A sound as float32 `[frames, 1 or 2]` at the file's own rate, and how many channels the file has."""

    samples: NDArray[np.float32]
    rate_hz: float
    channels: int


def decode_as_is(path: Path) -> Decoded:
    """Return the sound in `path` at its own rate, C-contiguous.

    Reads WAV, FLAC, OGG, MP3 and AIFF of any usual rate and 1 to 8 channels; more than two are folded down to
    stereo (`SPEAKERS`). Non-finite samples become 0. Raises SoundError naming the file.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _unusable(path, "is too large", f"at most {MAX_FILE_BYTES >> 20} MiB")
        _check_wav(path)
        with AudioFile(str(path)) as file:
            file_rate_hz = file.samplerate
            if not FILE_RATES_HZ[0] <= file_rate_hz <= FILE_RATES_HZ[1] or file_rate_hz != int(file_rate_hz):
                low, high = FILE_RATES_HZ
                raise _unusable(path, f"has a rate of {file_rate_hz:g} Hz", f"{low} to {high} Hz")
            if not 1 <= file.num_channels <= MAX_CHANNELS:
                raise _unusable(path, f"has {file.num_channels} channels", f"1 to {MAX_CHANNELS}")
            channels = file.num_channels
            _check_claim(path, file)
            samples = _read(path, file, int(MAX_DECODED_S * file_rate_hz))
    except OSError as error:
        raise _unusable(path, f"cannot be read ({error.strerror or error})") from None
    except (ValueError, RuntimeError) as error:
        raise _unusable(path, f"is not a sound this program can decode ({error})") from None
    return Decoded(samples, file_rate_hz, channels)


def resample(samples: NDArray[np.float32], from_hz: float, to_hz: float) -> NDArray[np.float32]:
    """Return float32 `[frames, channels]` at another rate, as it is where the rates are equal; at most +24 dBFS."""
    if from_hz == to_hz:
        return samples
    made = np.ascontiguousarray(soxr.resample(samples, from_hz, to_hz, quality="VHQ"), np.float32)
    sanitise(made, LIMIT_AMPLITUDE)
    return made


def _check_wav(path: Path) -> None:
    """Refuse a WAV file that is compressed or has no sound chunk behind its format: those crash the decoder."""
    with path.open("rb") as raw:
        head = raw.read(12)
        if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            return
        tag = 0
        for _ in range(MAX_CHUNKS):
            chunk = raw.read(8)
            if len(chunk) < 8 or chunk[:4] == b"data":
                break
            length = int.from_bytes(chunk[4:], "little")
            body = raw.tell()
            if chunk[:4] == b"fmt " and FORMAT_BYTES[0] <= length <= FORMAT_BYTES[1]:
                form = raw.read(length)
                tag = int.from_bytes(form[:2], "little")
                tag = int.from_bytes(form[24:26], "little") if tag == EXTENSIBLE else tag
            raw.seek(body + length + length % 2)
    if chunk[:4] != b"data" or tag not in (PCM, FLOAT):
        raise _unusable(path, "is damaged or compressed", "WAV of plain integers or floats")


def _check_claim(path: Path, file: ReadableAudioFile) -> None:
    """Refuse a file too short for what its header says: what is missing would be read as silence, at length."""
    size = path.stat().st_size
    with path.open("rb") as raw:
        kind = raw.read(4)
    if kind in (b"RIFF", b"RF64", b"FORM"):
        most = (size + CLAIM_SLACK_BYTES) // (file.num_channels * SAMPLE_BYTES.get(file.file_dtype, 1))
    else:
        most = size * (SILENCE_FRAMES_PER_BYTE if kind in (b"fLaC", b"OggS") else MP3_FRAMES_PER_BYTE)
    if file.frames > most:
        raise _unusable(path, f"claims {file.frames} frames and holds fewer", "must not be cut off")


def _read(path: Path, file: ReadableAudioFile, limit_frames: int) -> NDArray[np.float32]:
    chunks = []
    frames = 0
    signature = FlacSignature(path)
    while True:
        chunk = file.read(CHUNK_FRAMES)
        if chunk.shape[1] == 0:
            break
        frames += chunk.shape[1]
        if frames > limit_frames:
            raise _unusable(path, "is too long", f"at most {MAX_DECODED_S / 60:g} minutes")
        signature.take(chunk)
        chunks.append(_fold(chunk))
    if not chunks:
        raise _unusable(path, "holds no sound", "must have at least one frame")
    if signature.broken():
        raise _unusable(path, "is damaged or cut off", "its samples must match its own signature")
    samples = np.ascontiguousarray(np.concatenate(chunks), np.float32)
    sanitise(samples, LIMIT_AMPLITUDE)
    return samples


def _fold(chunk: NDArray[np.float32]) -> NDArray[np.float32]:
    channels = chunk.shape[0]
    if channels <= 2:
        return chunk.T
    left, right = zip(*SPEAKERS[channels], strict=True)
    return chunk.T @ np.array([left, right], np.float32).T


def _unusable(path: Path, what: str, allowed: str = "WAV, FLAC, OGG, MP3 or AIFF") -> SoundError:
    return SoundError(Problem(what, allowed, file=str(path)))
