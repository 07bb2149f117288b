import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.errors import HostError
from engine.host.child import python_environment
from engine.host.shm import Segment

SHARED_MEMORY = Path("/dev/shm")
needs_folder = pytest.mark.skipif(
    not SHARED_MEMORY.is_dir(), reason="shared memory is not visible as files here"
)


def run_python(code: str, *args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        env=python_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def gone(name: str, within_s: float = 5.0) -> bool:
    until_s = time.monotonic() + within_s
    while (SHARED_MEMORY / name).exists():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.02)
    return True


def test_no_room_for_shared_memory_is_a_sentence_with_a_remedy_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = []

    def full(file: int, offset: int, size: int) -> None:
        names.append(os.readlink(f"/proc/self/fd/{file}"))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(HostError, match=r"no room for 3 MiB of shared memory .*: see `df -h /dev/shm`"):
        Segment.create(3 << 20)
    assert len(names) == 1
    assert not os.path.exists(names[0])


@needs_folder
def test_a_process_that_attached_and_ended_does_not_take_the_segment_with_it() -> None:
    with Segment.create(4096) as segment:
        segment.view(np.float32, 4)[:] = 0.25
        code = (
            "import sys, numpy as np; from engine.host.shm import Segment\n"
            "print(Segment.attach(sys.argv[1]).view(np.float32, 4).sum())"
        )
        child = run_python(code, segment.name)
        out, err = child.communicate(timeout=20)
        assert (out.strip(), err) == ("1.0", "")
        time.sleep(0.1)
        assert (SHARED_MEMORY / segment.name).exists()
    assert gone(segment.name)


@needs_folder
def test_no_segment_is_left_when_its_maker_is_killed() -> None:
    code = (
        "import time; from engine.host.shm import Segment\n"
        "print(Segment.create(4096).name, flush=True); time.sleep(60)"
    )
    child = run_python(code)
    assert child.stdout is not None
    name = child.stdout.readline().strip()
    assert (SHARED_MEMORY / name).exists()
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=10)
    assert gone(name)


def test_arrays_stay_valid_after_their_segment_is_closed() -> None:
    segment = Segment.create(4096)
    values = segment.view(np.float64, 8)
    segment.close()
    values[:] = 3.0
    assert values.sum() == 24.0


def test_attaching_to_a_segment_that_is_gone_says_so() -> None:
    with pytest.raises(HostError, match="shared memory roomtone-nowhere is gone"):
        Segment.attach("roomtone-nowhere")
