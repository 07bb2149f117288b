"""Kernels compiled ahead in a second process: all of them, once, and nothing of it is left behind."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dsp
from dsp import ahead, jit
from dsp.ahead import MODULES, Ahead

KERNELS = """
import time
from dsp import jit

@jit.kernel("float64(float64)")
def doubled(x):
    return 2.0 * x

print(sum(doubled.stats.cache_hits.values()), doubled(1.5))
"""


def test_a_module_with_kernels_is_left_out() -> None:
    root = Path(dsp.__path__[0])
    sources = {f: f.read_text("utf-8") for f in root.rglob("*.py") if f.name != "jit.py"}
    named = {
        ".".join(f.relative_to(root.parent).with_suffix("").parts)
        for f, source in sources.items()
        if re.search(r"(?m)^@kernel\(", source)
    }
    brought = {"dsp.bank_filters": "dsp.bank", "dsp.bells": "dsp.dynamic_eq", "dsp.fdn_design": "dsp.fdn"}
    assert {brought.get(name, name) for name in named} == set(MODULES)


def test_a_start_with_all_kernels_in_the_cache_starts_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    with Ahead() as helped:
        for _ in range(100):
            helped.listen("a kernel", False)
            helped.listen("a kernel", True)
    assert not helped.compiled


def test_the_process_outlives_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process is started when a kernel had to be compiled, and it is gone at the end."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(jit, "_cached", True)
    pids = []
    with Ahead() as helped:
        for _ in range(2):
            helped.listen("a kernel", False)
            monkeypatch.setattr(jit, "_compiled", jit.compiled_kernels() + 1)
            helped.listen("a kernel", True)
            assert helped._process is not None
            pids.append(helped._process.pid)
    assert helped.compiled
    assert pids[0] == pids[1]
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_one_processor_or_no_cache_has_two_processes_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    for processors, cached in ((1, True), (2, False)):
        monkeypatch.setattr(os, "cpu_count", lambda n=processors: n)
        monkeypatch.setattr(jit, "_cached", cached)
        with Ahead() as helped:
            helped.listen("a kernel", False)
            monkeypatch.setattr(jit, "_compiled", jit.compiled_kernels() + 1)
            helped.listen("a kernel", True)


def test_it_goes_on_when_its_parent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    parents = iter([1234, 1234, 1234, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(ahead, "import_module", imported.append)
    ahead.main()
    assert tuple(imported) == MODULES[:2]


def test_two_programs_compile_the_same_kernel(tmp_path: Path) -> None:
    """While one holds the kernel's lock another waits; then it finds what the first has compiled."""
    fcntl = pytest.importorskip("fcntl")
    script = tmp_path / "kernels.py"
    script.write_text(KERNELS)
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path(dsp.__path__[0]).parent),
    }
    command = [sys.executable, str(script)]
    with (tmp_path / "__main__.doubled.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        time.sleep(3.0)
        assert waiting.poll() is None
    first = waiting.communicate(timeout=60)[0].split()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    assert (first, done.stdout.split()) == (["0", "3.0"], ["1", "3.0"])
