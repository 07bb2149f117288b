"""Open Sound Control 1.0, as much as a score for scsynth needs: messages, bundles with a time, and files of them.

Source    M. Wright, The Open Sound Control 1.0 Specification; SuperCollider, Guides/Non-Realtime-Synthesis: a score
          is bundles, each behind its length, with times in seconds from 0 on.
"""

import struct
from collections.abc import Iterable

Argument = int | float | str | bytes


def message(address: str, *arguments: Argument) -> bytes:
    """Return a message; int is an int32, float a float32, bytes a blob."""
    tags, body = ",", b""
    for argument in arguments:
        tag, data = _argument(argument)
        tags += tag
        body += data
    return _string(address) + _string(tags) + body


def bundle(at_s: float, *messages: bytes) -> bytes:
    """Return a bundle; its time tag is 32.32 fixed point, here counted from the beginning of the score."""
    elements = b"".join(struct.pack(">i", len(one)) + one for one in messages)
    return b"#bundle\0" + struct.pack(">Q", round(at_s * 2**32)) + elements


def score(bundles: Iterable[bytes]) -> bytes:
    """Return a file of bundles; scsynth ends at the time of the last one."""
    return b"".join(struct.pack(">i", len(one)) + one for one in bundles)


def _argument(argument: Argument) -> tuple[str, bytes]:
    if isinstance(argument, int):
        return "i", struct.pack(">i", argument)
    if isinstance(argument, float):
        return "f", struct.pack(">f", argument)
    if isinstance(argument, str):
        return "s", _string(argument)
    return "b", _padded(struct.pack(">i", len(argument)) + argument)


def _string(text: str) -> bytes:
    return _padded(text.encode("ascii") + b"\0")


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
