"""Audio files: reading them into the engine's form, writing what was rendered. The home of pedalboard's file I/O."""

from engine.media.decode import decode, decode_as_is, resample
from engine.media.encode import AudioWriter

__all__ = ["AudioWriter", "decode", "decode_as_is", "resample"]
