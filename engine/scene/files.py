"""The bytes of a small file that a user names: no pipe that waits for ever, nothing larger than may be read."""

import os
import stat
from pathlib import Path

from engine.errors import Problem, SceneError
from engine.scene.reader import MAX_BYTES


def read_bytes(path: Path, shown: str, what: str, most_bytes: int = MAX_BYTES) -> bytes:
    """At most one byte more than such a file may have; `what` it is, such as "scene file".

    Errors: SceneError naming the file as `shown`.
    """
    try:
        # Without O_NONBLOCK, opening a pipe that nobody writes to waits for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISREG(mode):
                with open(descriptor, "rb", closefd=False) as file:
                    return file.read(most_bytes + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise SceneError(Problem(f"no such {what}", file=shown)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise SceneError(Problem(f"the {what} cannot be read: {reason}", file=shown)) from None
    fault = "this is a folder" if stat.S_ISDIR(mode) else "not a regular file"
    raise SceneError(Problem(fault, f"must be a {what}", file=shown))
