"""Draws the pictures of the README from the program itself: `python -m benchmarks.pictures`."""

import io
from pathlib import Path

import presets
from engine.cli.live_state import live_state
from engine.control.bounce import bounce
from engine.control.picture_log import PictureLog
from engine.control.show import Show
from engine.scene.composition import compose
from engine.scene.load import load_scene
from engine.view.live import live_view
from engine.view.mix_pictures import spectrogram, timeline

AT_S = 13.4
"""Where the first car of the built-in scene passes, and the others make room for it."""

FOLDER = Path(presets.__path__[0]) / "pictures"


def draw_play() -> None:
    """Play the built-in scene to the null clock and keep what the terminal shows at `AT_S`."""
    from rich.console import Console

    console = Console(record=True, width=92, file=io.StringIO())
    with Show(load_scene(presets.scene_path("rainy-street")), driver="null", safety_quanta=16) as show:
        show.wait(AT_S)
        console.print(live_view(live_state(show, "")))
    picture = FOLDER / "play.svg"
    picture.write_text(console.export_svg(title="roomtone play"), "utf-8")
    print(f"wrote {picture}")


def draw_mix() -> None:
    """Render the built-in scene and keep its timeline and its spectrogram."""
    composition = compose(load_scene(presets.scene_path("rainy-street")), rate_hz=48_000)
    log = PictureLog(composition, composition.duration_frames)
    bounce(composition, observers=[log], keep_samples=False)
    for draw in (timeline, spectrogram):
        picture = FOLDER / f"{draw.__name__}.png"
        picture.write_bytes(draw(log.picture)["png"])
        print(f"wrote {picture}")


if __name__ == "__main__":
    draw_play()
    draw_mix()
