"""Writing what was rendered, a block at a time, without ever leaving half a file under the final name."""

import contextlib
import os
import uuid
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from pedalboard.io import AudioFile

from engine.errors import Problem, SoundError

BIT_DEPTHS = {".wav": 32, ".flac": 24}
"""Formats that can be written: WAV as 32-bit float (the samples themselves), FLAC with 24 bits."""


class AudioWriter:
    """A stereo file being written; it gets its name when the block of `with` ends without an exception.

    Raises SoundError (exit code 2) at once if the format or the folder won't do.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        suffix = path.suffix.lower()
        if suffix not in BIT_DEPTHS:
            raise SoundError(
                Problem(
                    f"cannot write {suffix or 'a file without a suffix'}", ".wav or .flac", file=str(path)
                )
            )
        if path.is_dir():
            raise SoundError(Problem("is a folder", "a file name", file=str(path)))
        self.path = path
        self._part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.part{suffix}")
        try:
            self._part.touch(exist_ok=False)
            self._file = AudioFile(
                str(self._part), "w", samplerate=rate_hz, num_channels=2, bit_depth=BIT_DEPTHS[suffix]
            )
        except (OSError, ValueError) as error:
            self.discard()
            reason = getattr(error, "strerror", None) or error
            raise SoundError(Problem(f"cannot be written ({reason})", file=str(path))) from None

    def write(self, block: NDArray[np.float32]) -> None:
        """Append `block`, float32 `[frames, 2]`."""
        try:
            if len(block):
                self._file.write(np.ascontiguousarray(block.T))
        except RuntimeError:
            self.discard()
            raise SoundError(Problem("cannot be written (is the disk full?)", file=str(self.path))) from None

    def close(self) -> None:
        """Finish the file and give it its name."""
        try:
            self._file.close()
            os.replace(self._part, self.path)
        except (OSError, RuntimeError) as error:
            self.discard()
            reason = getattr(error, "strerror", None) or error
            raise SoundError(Problem(f"cannot be written ({reason})", file=str(self.path))) from None

    def discard(self) -> None:
        """Give up, leaving no file and whatever had the name before."""
        with contextlib.suppress(AttributeError, RuntimeError, ValueError):
            self._file.close()
        with contextlib.suppress(OSError, ValueError):
            self._part.unlink()

    def __enter__(self) -> "AudioWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()
