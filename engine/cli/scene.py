"""`roomtone scene`: what scenes are made of, and whether one is right."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import JsonOption, LibraryOption, SceneArgument, load, print_table

if TYPE_CHECKING:
    from engine.params import Param
    from engine.scene.schema import Scene
    from engine.scene.sounds import Found

app = typer.Typer(
    help="Check scenes; list built-in scenes, sounds and parameters; print the JSON Schema.",
    no_args_is_help=True,
)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of scene files, for editors that complete and check YAML.

    Example: `roomtone scene schema > scene.schema.json`, then start a scene with
    `# yaml-language-server: $schema=scene.schema.json`.
    """
    from engine.scene.load import scene_schema

    typer.echo(json.dumps(scene_schema(), indent=2, ensure_ascii=False))


@app.command("check")
def check(
    scenes: Annotated[
        list[str], typer.Argument(metavar="SCENE…", help="Scene files or names of built-in scenes.")
    ],
    library: LibraryOption = None,
) -> None:
    """Read scenes, look for their sounds, report every mistake with its line; exit code 2 if there is one."""
    from engine.errors import Problem, SceneError

    problems: list[Problem] = []
    for name in scenes:
        try:
            scene, path = load(name, library)
        except SceneError as error:
            problems.extend(error.problems)
        else:
            typer.echo(f"{path}: {scene.title}: {len(scene.objects)} objects, fine")
            for found in _found(scene):
                typer.echo(f"  {found}")
    if problems:
        raise SceneError(problems)


def _found(scene: "Scene") -> Iterator["Found"]:
    """Yield how sounds are found that the scene does not name."""
    from engine.scene.schema import Loop
    from engine.scene.sounds import Lookup

    lookup = Lookup(scene.library, scene.seed)
    for item in scene.objects:
        sound = None if item.sound else lookup.find(item.label, isinstance(item.schedule, Loop))
        if sound is not None and sound.found is not None:
            yield sound.found


@app.command("list")
def list_scenes(as_json: JsonOption = False) -> None:
    """List the built-in scenes."""
    import presets

    rows = [{"name": n, "title": load(n, None)[0].title} for n in presets.scene_names()]
    _print(rows, as_json)


@app.command("sounds")
def sounds(as_json: JsonOption = False) -> None:
    """List the procedural sounds a scene can name as `synth:NAME`, with the labels that mean them."""
    from engine.cli.common import compiling

    with compiling():
        from dsp.synth import SOUNDS

    rows = [
        {"name": s.name, "about": s.about, "labels": ", ".join(s.names), "length_s": s.nominal_s}
        for s in SOUNDS.values()
    ]
    _print(rows, as_json)


@app.command("params")
def params(
    scene: SceneArgument = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """List every parameter of a scene's graph that can be turned while it plays."""
    from engine.cli.common import compose

    loaded, path = load(scene, library)
    composition = compose(loaded, path, rate_hz=48_000, seed=None, wanted_for="engine.control.patch")
    from engine.control.patch import default_graph
    from engine.params import ParamTable

    rows = [
        {
            "name": row.name,
            "range": _range(row.param),
            "unit": row.param.unit,
            "value": round(row.default, 3),
            "about": row.param.about,
        }
        for row in ParamTable.of(default_graph(composition).params())
    ]
    _print(rows, as_json)


def _range(param: "Param") -> str:
    if param.choices:
        return ", ".join(f"{round(param.lo) + i} {choice}" for i, choice in enumerate(param.choices))
    return f"{param.lo:g} to {param.hi:g}"


def _print(rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        print_table(list(rows[0]), [[str(v) for v in row.values()] for row in rows])
