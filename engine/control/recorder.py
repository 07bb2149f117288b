"""Keeps what is played: follows the ring of rendered frames and writes it to a file."""

from pathlib import Path

from engine.errors import RoomtoneError
from engine.host.ring import RingTap
from engine.media import AudioWriter


class Recorder:
    """Writes every rendered frame to `path` (.wav or .flac), once. Not for the engine side."""

    def __init__(self, path: Path, tap: RingTap, rate_hz: int) -> None:
        self._writer = AudioWriter(path, rate_hz)
        self._tap = tap

    def take(self) -> None:
        """Write what has been rendered since the last call; the ring holds 2.7 s at 48 kHz."""
        self._writer.write(self._tap.read())

    def finish(self) -> None:
        """Write the rest and give the file its name. Raises RoomtoneError if frames were missed."""
        self.take()
        self._writer.close()
        if self._tap.lost_frames:
            raise RoomtoneError(
                f"{self._writer.path}: {self._tap.lost_frames} frames are missing: the recording was held up"
            )

    def discard(self) -> None:
        """Give up the recording and leave no file."""
        self._writer.discard()
