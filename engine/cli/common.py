"""What the verbs share: finding the scene, progress on standard error, compiling on the first run."""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import InputError, Problem, RoomtoneError, SceneError

if TYPE_CHECKING:
    from engine.scene.composition import Composition
    from engine.scene.schema import Scene

DEFAULT_SCENE = "rainy-street"

PIPED_COLUMNS = 200
"""How wide a table is where there is no terminal to say it."""

SceneArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[SCENE]", help="A scene file (YAML), or the name of a built-in scene.", show_default=False
    ),
]
SeedOption = Annotated[
    int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of all random choices, instead of the scene's.")
]
RateOption = Annotated[int, typer.Option(help="Sample rate in Hz.")]
QuantumOption = Annotated[int, typer.Option(help="Frames rendered at a time, 16 to 2048.")]
LibraryOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--library",
        metavar="FOLDER",
        envvar="ROOMTONE_LIBRARY",
        help="A further folder sounds may lie in, before those of `roomtone library`; repeatable.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A parameter of `roomtone scene params` from the first sample on: a number, or one of its words, "
        "as in unmask.delta=on. Repeatable.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]

ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE.npz",
        help="What own mixes taught: a file of `roomtone learn fit`.",
        show_default=False,
    ),
]


def load(scene: str | None, library: Sequence[Path] | None) -> tuple["Scene", Path]:
    """Return the scene that `scene` names (a file, a built-in scene, or the default) and its file."""
    import presets
    from engine.scene.load import load_scene

    name = scene or DEFAULT_SCENE
    path = Path(name)
    if not os.path.isfile(path) and name in presets.scene_names():
        path = presets.scene_path(name)
    try:
        path.stat()
    except FileNotFoundError:
        allowed = f"a scene file, or one of {', '.join(presets.scene_names())}"
        raise SceneError(Problem("no such scene file", allowed, file=name)) from None
    except (OSError, ValueError):
        pass  # `load_scene` says what it is
    return load_scene(path, library=library_folders(library)), path


def library_folders(given: Sequence[Path] | None) -> tuple[Path, ...]:
    """Return the folders of `--library`, then the user's own."""
    from engine.control.library_folders import user_folders

    return (*(given or ()), *user_folders())


def read_settings(given: Sequence[str] | None) -> dict[str, float | str]:
    """Return the parameters of `--set` by name, each a number or a word. Raises InputError for anything else."""
    settings: dict[str, float | str] = {}
    for text in given or ():
        # A track's name, which is part of a parameter's, may hold an equals sign; a value does not.
        name, _, value = text.rpartition("=")
        if not name.strip() or not value.strip():
            raise InputError(Problem(f"`{text}`", "NAME=VALUE, as in unmask.amount=0.5", "--set"))
        try:
            settings[name.strip()] = float(value)
        except ValueError:
            settings[name.strip()] = value.strip()
    return settings


def compose(scene: "Scene", path: Path, *, rate_hz: int, seed: int | None, wanted_for: str) -> "Composition":
    """Compose the scene, with compile and loading progress on standard error; errors name the scene's line.

    `wanted_for` is the module that is used next: importing it here shows its kernels being compiled.
    """
    with compiling():
        from engine.errors import SoundError
        from engine.scene.composition import compose as compose_scene
        from engine.scene.load import locate
        from engine.spec import StreamSpec

        StreamSpec(rate_hz)
        import_module(wanted_for)
    with progress("loading sounds") as advance:
        try:
            return compose_scene(scene, rate_hz=rate_hz, seed=seed, progress=advance)
        except SoundError as error:
            raise SoundError(locate(path, error.problems)) from None


class Interrupted(RoomtoneError):
    """The user has had enough."""

    exit_code = 130


class StopRequest:
    """The user's wish to end: the first SIGINT, SIGTERM or SIGHUP; all further ones are ignored.

    While `raises` is set it is a KeyboardInterrupt, for what cannot look at `requested` now and then. Signals
    that were ignored when the program started, as under `nohup`, stay so.
    """

    def __init__(self) -> None:
        self.raises = True
        self.requested = False
        names = ("SIGINT", "SIGTERM", "SIGHUP")
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        self._numbers = [n for n in numbers if signal.getsignal(n) != signal.SIG_IGN]
        for number in self._numbers:
            signal.signal(number, self._note)

    def _note(self, *_: Any) -> None:
        for number in self._numbers:
            signal.signal(number, signal.SIG_IGN)
        self.requested = True
        if self.raises:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have a request wait until the block has ended, which must be soon."""
        self.raises = False
        yield
        self.raises = True
        if self.requested:
            raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C, hang-up or polite request to end into one line and exit code 130."""
    stop = StopRequest()
    try:
        yield stop
    except KeyboardInterrupt:
        raise Interrupted("interrupted; nothing was written") from None
    except Exception:
        # A library may have made an error of its own of it.
        if stop.requested and stop.raises:
            raise Interrupted("interrupted; nothing was written") from None
        raise


def abandon_output() -> None:
    """Let what is still printed go nowhere, because nobody reads it any more."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as wide as the terminal, long cells folded; into a pipe or a file a wide one, names whole."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    if not console.file.isatty() and not os.environ.get("COLUMNS"):
        table.columns[0].no_wrap = True
        console.width = max([PIPED_COLUMNS, *(2 * len(row[0]) for row in rows)])
    for row in rows:
        # As plain text: a device's name may hold brackets, which are markup in a string.
        table.add_row(*map(Text, row))
    console.print(table)


@contextmanager
def progress(title: str, threaded: bool = True) -> Iterator[Any]:
    """Give a function (text, done, total) that draws a bar on standard error once a second has gone by.

    A thread keeps it moving, or, if not `threaded`, it is drawn only when that function is called.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=threaded,
    )
    task = bar.add_task(title, total=None)
    begin_s = time.monotonic()
    shown = False

    def advance(text: str, done: int, total: int) -> None:
        nonlocal shown
        if not shown and time.monotonic() - begin_s > 1.0 and sys.stderr.isatty():
            bar.start()
            shown = True
        if shown:
            bar.update(
                task, description=f"{title} {text}".strip(), completed=done, total=total, refresh=not threaded
            )

    try:
        yield advance
    finally:
        if shown:
            bar.stop()


@contextmanager
def compiling() -> Iterator[None]:
    """Say what is going on while kernels are compiled, which happens on the first run and takes a while."""
    from dsp import jit
    from dsp.ahead import Ahead

    total = _kernel_count()
    ahead = Ahead()
    begin_s = time.monotonic()
    done = 0
    terminal = sys.stderr.isatty()
    said = False

    def listen(name: str, finished: bool) -> None:
        nonlocal done, said
        done += finished
        ahead.listen(name, finished)
        if not ahead.compiled or time.monotonic() - begin_s < 1.5:
            return
        if terminal:
            line = f"compiling {done + 1} of {total} kernels (first run only): {name}"
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
        elif not said:
            print(
                f"compiling {total} kernels (first run only, up to a minute) …",
                file=sys.stderr,
                flush=True,
            )
        said = True

    jit.on_compile(listen)
    try:
        with ahead:
            yield
    finally:
        jit.on_compile(None)
        if said and terminal:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)


def _kernel_count() -> int:
    """Count the kernels in the sources, since what is not imported yet cannot be asked."""
    import dsp
    import engine.host

    folders = [Path(package.__path__[0]) for package in (dsp, engine.host)]
    sources = (source.read_text("utf-8") for folder in folders for source in folder.rglob("*.py"))
    return sum(len(re.findall(r"(?m)^ *@kernel\(", source)) for source in sources)
