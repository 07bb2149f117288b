"""The walls of the architecture: who may import whom, and what may be written on the engine side."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STANDARD = {"numpy"}
PARTS = tuple(
    f"engine.{p}"
    for p in ("analysis", "cli", "control", "host", "learn", "media", "nodes", "rendering", "scene", "view")
)

ALLOWED = {
    "dsp": {"dsp", "numba", "llvmlite", "platformdirs"},
    "engine": {"engine", "dsp.units"},
    "engine.nodes": {"engine", "engine.nodes", "dsp", "pedalboard"},
    "engine.rendering": {"engine", "engine.rendering", "dsp"},
    "engine.host": {
        "engine",
        "engine.rendering",
        "engine.host",
        "dsp",
        "numba",
        "sounddevice",
        "_sounddevice",
        "llvmlite",
    },
    "engine.media": {"engine", "engine.media", "dsp", "pedalboard", "soxr"},
    "engine.scene": {
        *("engine", "engine.scene", "engine.learn", "engine.media", "dsp", "presets"),
        *("pydantic", "pydantic_core", "yaml", "annotated_types"),
    },
    "engine.analysis": {"engine", "engine.analysis", "engine.media", "dsp"},
    "engine.learn": {
        *("engine", "engine.learn", "engine.media", "dsp", "presets", "librosa", "yaml"),
        *(
            "sklearn",
            "scipy",
            "imblearn",
            "pgmpy",
            "kneed",
            "pandas",
            "joblib",
            "threadpoolctl",
        ),  # of the extra `study`
    },
    "engine.view": {"engine", "engine.view", "rich", "matplotlib", "seaborn"},
    "engine.control": {
        *("engine", "engine.control", "engine.nodes", "engine.rendering", "engine.host", "engine.media"),
        *("engine.scene", "engine.view", "dsp", "presets", "platformdirs"),
        *("pydantic", "pydantic_core"),  # MIDI maps are files of the user, like scenes
        *("rtmidi", "pythonosc"),
    },
    "engine.cli": {"engine", *PARTS, "dsp", "presets", "benchmarks", "typer", "rich"},
    "presets": {"presets"},
    "benchmarks": {
        *("engine", *PARTS, "dsp", "presets", "benchmarks"),
        *("numba", "rich", "matplotlib", "platformdirs", "rtmidi", "sklearn", "yaml"),
    },
    "benchmarks.peers": {
        "engine",
        "engine.cli",
        "engine.learn",
        "dsp",
        "benchmarks",
        "pedalboard",
        "dawdreamer",
    },
}
"""Folder → what it may import besides the standard library and numpy; `engine` is the words all sides share."""

ONLY_HOME = {
    "pedalboard": {"engine.nodes", "engine.media", "benchmarks.peers"},
    "dawdreamer": {"benchmarks.peers"},
    "sounddevice": {"engine.host"},
    "matplotlib": {"engine.view", "benchmarks"},
    "rtmidi": {"engine.control", "benchmarks"},
    "pythonosc": {"engine.control"},
    "librosa": {"engine.learn"},
    "sklearn": {"engine.learn", "benchmarks"},
    "imblearn": {"engine.learn"},
    "pgmpy": {"engine.learn"},
    "pandas": {"engine.learn"},
    "seaborn": {"engine.view"},
}

SOURCES = sorted(p for top in ("dsp", "engine", "presets", "benchmarks") for p in (ROOT / top).rglob("*.py"))


def folder_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts[:-1]
    if parts[:2] == ("benchmarks", "peers"):
        return "benchmarks.peers"
    return ".".join(parts[:2]) if parts[0] == "engine" and len(parts) > 1 else parts[0]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            if node.module in ("engine", "dsp", "presets", "benchmarks"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def is_allowed(module: str, allowed: set[str]) -> bool:
    import sys

    top = module.split(".")[0]
    if top in sys.stdlib_module_names or top in STANDARD:
        return True
    parts = module.split(".")
    if top == "engine":
        is_package = len(parts) > 1 and (ROOT / "engine" / parts[1]).is_dir()
        return ".".join(parts[:2] if is_package else parts[:1]) in allowed
    return any(".".join(parts[:n]) in allowed for n in range(1, len(parts) + 1))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_what_its_folder_may(path: Path) -> None:
    folder = folder_of(path)
    if path == ROOT / "engine" / "__init__.py":
        # The public face of the package: it may name anything, and imports it only when it is asked for.
        return
    forbidden = [m for m in imports(path) if not is_allowed(m, ALLOWED[folder])]
    assert not forbidden


@pytest.mark.parametrize("library", ONLY_HOME)
def test_a_library_with_one_home_is_imported_nowhere_else(library: str) -> None:
    users = {folder_of(p) for p in SOURCES if any(m.split(".")[0] == library for m in imports(p))}
    assert users <= ONLY_HOME[library]


def test_the_facade_imports_nothing_until_it_is_asked() -> None:
    import subprocess
    import sys

    code = "import engine, sys; print([m for m in sys.modules if m.split('.')[0] in ('numba', 'pedalboard')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


BANNED_CALLS = {
    "print",
    "open",
    "zeros",
    "ones",
    "empty",
    "full",
    "zeros_like",
    "array",
    "copy",
    "concatenate",
}
BANNED_NODES = (
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.JoinedStr,
    ast.With,
    ast.Lambda,
)


REALTIME_METHODS = ("process", "reset", "heal", "adopt")


def realtime_bodies() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted((ROOT / "engine" / "nodes").glob("*.py")):
        for cls in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(cls, ast.ClassDef) and cls.name.endswith("Processor"):
                for item in cls.body:
                    if isinstance(item, ast.FunctionDef) and item.name in REALTIME_METHODS:
                        yield f"{path.stem}.{cls.name}.{item.name}", item


@pytest.mark.parametrize(
    ("name", "body"), list(realtime_bodies()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_processor_writes_nothing_that_allocates_by_construction(name: str, body: ast.FunctionDef) -> None:
    for node in ast.walk(body):
        assert not isinstance(node, BANNED_NODES), f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called not in BANNED_CALLS, f"{name}:{node.lineno}: {called}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_stays_small_enough_to_read(path: Path) -> None:
    """No file is longer than 450 lines."""
    assert len(path.read_text("utf-8").splitlines()) <= 450
