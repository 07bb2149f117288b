"""Writing what was rendered, a block at a time, without ever leaving half a file under the final name."""

import contextlib
import errno
import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from pedalboard.io import AudioFile

from engine.errors import Problem, RoomtoneError, SoundError

BIT_DEPTHS = {".wav": 32, ".flac": 24}
"""Formats that can be written: WAV as 32-bit float (the samples themselves), FLAC with 24 bits."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What a disk says when it is full or failing: no mistake in the name."""


class _Part:
    """The bytes of the unfinished file. Keeps the first error, because the encoder drops those of its last bytes."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("xb")
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                self._raw.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._raw.seek(offset, whence)
        except OSError as error:
            self.error = self.error or error
            return offset

    def tell(self) -> int:
        return self._raw.tell()

    def flush(self) -> None:
        try:
            self._raw.flush()
        except OSError as error:
            self.error = self.error or error

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        try:
            self._raw.close()
        except OSError as error:
            self.error = self.error or error


class AudioWriter:
    """A stereo file being written; it gets its name when the block of `with` ends without an exception.

    Raises SoundError (exit code 2) at once if the format or the folder won't do, RoomtoneError (exit code 1) from
    `write` or `close` if the disk is full. A writer that is let go of unfinished leaves no file.
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
        self._frames = 0
        try:
            self._bytes = _Part(self._part)
            self._file = AudioFile(
                cast(BinaryIO, self._bytes),
                "w",
                samplerate=rate_hz,
                num_channels=2,
                bit_depth=BIT_DEPTHS[suffix],
                format=suffix[1:],
            )
        except (OSError, ValueError) as error:
            self.discard()
            raise self._failure(error) from None

    def write(self, block: NDArray[np.float32]) -> None:
        """Append `block`, float32 `[frames, 2]`."""
        try:
            if len(block):
                self._file.write(np.ascontiguousarray(block.T))
                self._frames += len(block)
            if self._bytes.error:
                raise self._bytes.error
        except (OSError, RuntimeError) as error:
            self.discard()
            raise RoomtoneError(f"{self.path}: cannot be written ({_reason(error)})") from None

    def close(self) -> None:
        """Finish the file and give it its name."""
        try:
            self._file.close()
            self._bytes.close()
            if self._bytes.error:
                raise self._bytes.error
            self._check()
        except (OSError, RuntimeError, ValueError) as error:
            self.discard()
            raise RoomtoneError(f"{self.path}: cannot be written ({_reason(error)})") from None
        try:
            os.replace(self._part, self.path)
        except OSError as error:
            self.discard()
            raise self._failure(error) from None

    def discard(self) -> None:
        """Give up, leaving no file and whatever had the name before."""
        with contextlib.suppress(AttributeError, RuntimeError, ValueError, OSError):
            self._file.close()
        with contextlib.suppress(AttributeError):
            self._bytes.close()
        with contextlib.suppress(AttributeError, OSError, ValueError):
            self._part.unlink()

    def _check(self) -> None:
        with AudioFile(str(self._part)) as file:
            if file.frames != self._frames:
                raise RuntimeError(f"{file.frames} of {self._frames} frames arrived")

    def _failure(self, error: Exception) -> RoomtoneError:
        what = f"cannot be written ({_reason(error)})"
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return RoomtoneError(f"{self.path}: {what}")
        return SoundError(Problem(what, file=str(self.path)))

    def __del__(self) -> None:
        # An interrupt may come before anyone holds the writer.
        self.discard()

    def __enter__(self) -> "AudioWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or "is the disk full?"
