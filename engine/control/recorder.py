"""Keeps what is played: follows the ring of rendered frames and writes it to a file."""

from pathlib import Path

from engine.errors import RoomtoneError
from engine.host.ring import RingTap
from engine.media import AudioWriter


class Recorder:
    """Writes every rendered frame to `path` (.wav or .flac), once. Not for the engine side.

    Raises SoundError at once if the name won't do; there is a file only from `start` on. `finished` is True when it
    has its name.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        AudioWriter(path, rate_hz).discard()
        self.path = path
        self.finished = False
        self._rate_hz = rate_hz
        self._writer: AudioWriter | None = None
        self._tap: RingTap | None = None

    def start(self, tap: RingTap) -> None:
        """Open the file; what `tap` reads goes into it."""
        self._writer = AudioWriter(self.path, self._rate_hz)
        self._tap = tap

    def take(self) -> None:
        """Write what has been rendered since the last call; the ring holds 2.7 s at 48 kHz."""
        if self._writer is None or self._tap is None:
            return
        try:
            self._writer.write(self._tap.read())
        except BaseException:
            self.discard()
            raise

    def finish(self) -> None:
        """Write the rest and give the file its name. Raises RoomtoneError if frames were missed."""
        self.take()
        writer, tap, self._writer = self._writer, self._tap, None
        if writer is None or tap is None:
            return
        writer.close()
        self.finished = True
        if tap.lost_frames:
            raise RoomtoneError(
                f"{self.path}: {tap.lost_frames} frames are missing: the recording was held up"
            )

    def discard(self) -> None:
        """Give up the recording and leave no file."""
        writer, self._writer = self._writer, None
        if writer:
            writer.discard()
