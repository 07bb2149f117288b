"""What there is to import: pairs out of folders, tracks out of projects, and the labels that somebody wrote down."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from engine.errors import InputError, Problem
from engine.learn.importer import Task
from engine.learn.project_sound import ProjectTrack, project_tracks
from engine.learn.rpp import read_project
from engine.learn.stem_folders import Stem, list_stems, match_stems
from engine.learn.track_names import Fallback, guess, key_of

Labels = dict[str, tuple[str, str, str]]
"""Instrument, equipment and engineer by `song/track`, or by track alone; empty where nothing is said."""
Progress = Callable[[str, int, int], None]

COLUMNS = ("track", "instrument", "equipment", "engineer")
MAX_LABEL_BYTES = 16 * 2**20
MAX_LABEL = 60


def read_labels(path: Path) -> Labels:
    """Return the labels in a CSV file. Raises InputError naming file, line and column."""
    file = str(path)
    try:
        if path.stat().st_size > MAX_LABEL_BYTES:
            raise InputError(Problem("is too large", f"at most {MAX_LABEL_BYTES >> 20} MiB", file=file))
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            if "track" not in header or not set(header) <= set(COLUMNS) or len(set(header)) < len(header):
                what = f"the columns are {', '.join(header)[:100] or 'missing'}"
                raise InputError(
                    Problem(what, f"{', '.join(COLUMNS)}; only track must be there", "", file, 1)
                )
            made: Labels = {}
            for cells in reader:
                line = reader.line_num
                if not any(cells):
                    continue
                if len(cells) != len(header):
                    what = f"has {len(cells)} cells"
                    raise InputError(Problem(what, f"{len(header)}", "", file, line))
                said = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
                for name, text in said.items():
                    if not text.isprintable() or (name != "track" and len(text) > MAX_LABEL):
                        allowed = f"at most {MAX_LABEL} printable characters"
                        raise InputError(Problem("is no label", allowed, f"column {name}", file, line))
                if not said["track"]:
                    raise InputError(Problem("is empty", "a track", "column track", file, line))
                made[said["track"].lower()] = tuple(said.get(name, "") for name in COLUMNS[1:])  # type: ignore[assignment]
            return made
    except OSError as error:
        raise InputError(Problem(f"cannot be read ({error.strerror})", file=file)) from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(Problem("is not a table", "CSV in UTF-8", file=file)) from None


def folder_tasks(
    raw: Path,
    mixed: Path,
    labels: Labels,
    engineer: str,
    fallback: Fallback | None = None,
    progress: Progress | None = None,
) -> tuple[list[Task], list[Problem]]:
    """Return a task for each pair in two folders, and what was left out. Raises InputError where there is no sound."""
    if raw.resolve() == mixed.resolve():
        raise InputError(Problem("is the folder of raw recordings too", "another folder", "--mixed"))
    ours = [s for s in list_stems(raw, "--raw") if not _lies_in(s.path, mixed, raw)]
    theirs = [s for s in list_stems(mixed, "--mixed") if not _lies_in(s.path, raw, mixed)]
    found, left_out = match_stems(ours, theirs, progress)
    tasks = []
    for pair in found:
        stem = pair.raw
        names = [stem.path.stem, *reversed(stem.track.split("/")[:-1])]
        notes = (f"found by ear: coherence {pair.alike:.2f}",) if pair.alike is not None else ()
        said = _labels(stem.group, stem.track, names, labels, engineer, fallback)
        tasks.append(Task(stem.group, stem.track, stem.path, pair.mixed.path, *said, notes))
    return tasks, left_out


def _lies_in(path: Path, folder: Path, around: Path) -> bool:
    """Return whether a sound belongs to a folder that lies in the one that was searched."""
    inner = folder.resolve()
    return inner.is_relative_to(around.resolve()) and path.resolve().is_relative_to(inner)


def project_tasks(
    projects: Sequence[Path],
    mixed: Path | None,
    labels: Labels,
    engineer: str,
    fallback: Fallback | None = None,
) -> tuple[list[Task], list[Problem]]:
    """Return a task for each track of Reaper projects, and what was left out. Raises InputError.

    Mixed versions are those of the same name in the folder `mixed`, in that of the project's name if there are several.
    """
    stems = list_stems(mixed, "--mixed") if mixed is not None else []
    tasks: list[Task] = []
    left_out: list[Problem] = []
    groups: set[str] = set()
    for path in projects:
        read = read_project(path)
        group = path.stem if path.stem not in groups else f"{path.parent.name}/{path.stem}"
        groups.add(group)
        there = _stems_of(group, stems, len(projects) == 1)
        seen: dict[str, int] = {}
        tracks = project_tracks(path, read)
        if not tracks:
            left_out.append(Problem("no track plays a sound", "tracks with sound files", file=str(path)))
        for track in tracks:
            name = track.track.name
            seen[name] = seen.get(name, 0) + 1
            version = there.get(key_of(name), [])
            if mixed is not None and (len(version) != 1 or seen[name] > 1):
                what = (
                    "several mixed versions have its name"
                    if len(version) > 1
                    else "no mixed version has its name"
                )
                left_out.append(Problem(what, f"one in {mixed}", file=str(track)))
                continue
            said = _labels(group, name, [name, *_sources(track)], labels, engineer, fallback)
            own = name if seen[name] == 1 else f"{name} ({seen[name]})"
            tasks.append(
                Task(group, own, track, version[0].path if mixed is not None else None, *said, track.flags)
            )
    return tasks, left_out


def _sources(track: ProjectTrack) -> list[str]:
    return [PurePosixPath(item.source.replace("\\", "/")).stem for item in track.items[:1]]


def _stems_of(group: str, stems: Sequence[Stem], alone: bool) -> dict[str, list[Stem]]:
    """Return the mixed versions for a project by the key of their names."""
    made: dict[str, list[Stem]] = {}
    for stem in stems:
        if alone or key_of(stem.group) == key_of(group):
            made.setdefault(key_of(stem.path.stem), []).append(stem)
    return made


def _labels(
    group: str,
    track: str,
    names: Sequence[str],
    labels: Labels,
    engineer: str,
    fallback: Fallback | None,
) -> tuple[str, str, str]:
    """Return instrument, equipment, engineer: as written down, or else as the names say."""
    own = track.rsplit("/", 1)[-1]
    keys = (f"{group}/{track}".lower(), track.lower(), own.lower())
    said = next((labels[key] for key in keys if key in labels), ("", "", ""))
    instrument, equipment = guess(names, fallback)
    return said[0] or instrument, said[1] or equipment, said[2] or engineer
