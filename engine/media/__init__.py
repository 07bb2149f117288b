"""Audio files: reading them into the engine's form, writing what was rendered. The home of pedalboard's file I/O."""

from engine.media.decode import decode, resample
from engine.media.encode import AudioWriter

__all__ = ["AudioWriter", "decode", "resample"]
