"""Reaper projects (.rpp): tracks, what plays on them, their equalisers, and what else changes the sound unseen."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dsp.units import SILENCE_DB
from engine.errors import InputError, Problem
from engine.learn.reaeq import ReaEq, read_reaeq
from engine.learn.rpp_text import Block, Line, first_word, parse_tree, read_tree, words

PLUGINS = ("VST", "AU", "JS", "DX", "LV2", "CLAP", "VIDEO_EFFECT")
NAMED_SECOND = ("VST", "AU", "DX", "LV2", "CLAP", "JS")
DEFAULT_HZ = 44_100.0
"""Of a project that follows its sound card, for the curves of its equalisers."""
MONO_BIT = 1024
MOST_NAME = 200


@dataclass(frozen=True)
class Effect:
    """A plug-in. `equaliser` is what a ReaEQ is set to; no other plug-in's settings are read.

    on    neither bypassed, nor offline, nor switched off with all of its track
    """

    name: str
    format: str
    on: bool
    equaliser: ReaEq | None
    line: int


@dataclass(frozen=True)
class Item:
    """A stretch of a sound file on the timeline.

    source        the file as the project names it; empty for MIDI and other kinds
    position_s, length_s    on the timeline; `offset_s` is where in the file it begins, before `rate`
    rate          how much faster than recorded it plays
    gain_db       of item and take together; `inverted` is a polarity the other way round
    """

    source: str
    source_kind: str
    position_s: float
    length_s: float
    offset_s: float
    rate: float
    gain_db: float
    inverted: bool
    muted: bool
    line: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Track:
    """One track. `pan` is -1 (left) to 1; `flags` say what changes its sound and is not read."""

    number: int
    name: str
    volume_db: float
    pan: float
    muted: bool
    solo: bool
    inverted: bool
    items: tuple[Item, ...]
    effects: tuple[Effect, ...]
    flags: tuple[str, ...]
    line: int

    @property
    def equaliser(self) -> ReaEq | None:
        """All ReaEQs that are on as one; None where there is none."""
        on = [e.equaliser for e in self.effects if e.on and e.equaliser is not None]
        if not on:
            return None
        bands = tuple(band for eq in on for band in eq.bands)
        return ReaEq(bands, sum(eq.gain_db for eq in on))


@dataclass(frozen=True)
class Project:
    """All tracks in their order; `rate_hz` is 0 where the project follows the sound card."""

    file: str
    rate_hz: float
    tracks: tuple[Track, ...]
    flags: tuple[str, ...]

    @property
    def curve_rate_hz(self) -> float:
        """At what rate the curves of its equalisers are worked out."""
        return self.rate_hz or DEFAULT_HZ


def read_project(path: Path) -> Project:
    """Return what a project holds. Reads nothing but that file. Raises InputError naming file and line."""
    return _project(read_tree(path), str(path))


def parse_project(text: str, file: str) -> Project:
    """Return what the text of a project holds. Raises InputError naming `file` and line."""
    return _project(parse_tree(text, file), file)


def locate(source: str, project: Path) -> Path:
    """Return where a source of a project is: as named, or beside the project if it has moved here from elsewhere."""
    name = source.replace("\\", "/")
    beside = project.parent / name
    if beside.is_file():
        return beside
    moved = project.parent / PurePosixPath(name).name
    return moved if moved.is_file() else beside


def _project(root: Block, file: str) -> Project:
    reader = _Reader(file)
    rate_hz = reader.number(root.first("SAMPLERATE"), 1, 0.0)
    fixed = reader.number(root.first("SAMPLERATE"), 2, 0.0)
    if rate_hz and not 8_000.0 <= rate_hz <= 768_000.0:
        raise reader.wrong(root.first("SAMPLERATE"), f"a rate of {rate_hz:g} Hz", "8000 to 768000")
    tracks = [reader.track(block, k) for k, block in enumerate(root.blocks("TRACK"), 1)]
    flags: list[str] = []
    masters = [e.name for block in root.blocks("MASTERFXLIST") for e in reader.effects(block, True, flags)]
    if masters:
        flags.append(f"plug-ins on the master: {', '.join(masters)}")
    return Project(file, rate_hz if fixed else 0.0, tuple(reader.routed(tracks)), tuple(flags))


class _Reader:
    """Reads blocks of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._sends: list[tuple[int, int, bool, Line]] = []
        self._folders: list[int] = []

    def wrong(self, line: Line | None, what: str, allowed: str) -> InputError:
        return InputError(Problem(what, allowed, file=self.file, line=line.number if line else 0))

    def number(self, line: Line | None, place: int, default: float) -> float:
        """Return the finite number at a place of a line, the default where the line or the place is missing."""
        if line is None:
            return default
        found = words(line, self.file)
        if place >= len(found):
            return default
        try:
            value = float(found[place])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            text = f"`{found[place][:40]}` in {found[0][:40]}"
            raise self.wrong(line, f"{text} is not a number", "a finite number")
        return value

    def name(self, line: Line | None) -> str:
        found = words(line, self.file)[1:] if line is not None else ()
        return found[0][:MOST_NAME] if found else ""

    def track(self, block: Block, number: int) -> Track:
        volume = block.first("VOLPAN")
        mute = block.first("MUTESOLO")
        level = self.number(volume, 1, 1.0)
        flags: list[str] = []
        for line in block.lines():
            if first_word(line.text) == "AUXRECV":
                source = self.number(line, 1, -1.0)
                sidechain = int(max(self.number(line, 9, 0.0), 0.0)) % MONO_BIT >= 2
                self._sends.append((int(source) + 1, number, sidechain, line))
        if self.number(block.first("MAINSEND"), 1, 1.0) == 0.0:
            flags.append("does not go to the master")
        if self._folders:
            flags.append(f"goes through folder track {self._folders[-1]}")
        self._folder(block.first("ISBUS"), number)
        flags += [f"{name} envelope" for name in self.envelopes(block)]
        on = self.number(block.first("FX"), 1, 1.0) != 0.0
        effects = [e for chain in block.blocks("FXCHAIN") for e in self.effects(chain, on, flags)]
        return Track(
            number,
            self.name(block.first("NAME")) or f"track {number}",
            _to_db(level),
            min(1.0, max(-1.0, self.number(volume, 2, 0.0))),
            self.number(mute, 1, 0.0) != 0.0,
            self.number(mute, 2, 0.0) != 0.0,
            (self.number(block.first("IPHASE"), 1, 0.0) != 0.0) != (level < 0.0),
            tuple(self.item(item) for item in block.blocks("ITEM")),
            tuple(effects),
            tuple(flags),
            block.head.number,
        )

    def _folder(self, line: Line | None, number: int) -> None:
        """Keep track of folders: 1 opens one with this track, -n ends the n innermost behind it."""
        depth = int(max(-1e6, min(1e6, self.number(line, 2, 0.0))))
        if depth > 0:
            self._folders.append(number)
        elif depth < 0:
            del self._folders[max(0, len(self._folders) + depth) :]

    def routed(self, tracks: list[Track]) -> Iterator[Track]:
        """Yield the tracks with flags for what goes from one to another."""
        flags: dict[int, list[str]] = {track.number: [] for track in tracks}
        for source, target, sidechain, line in self._sends:
            if source not in flags:
                raise self.wrong(line, f"a send from track {source}", f"1 to {len(tracks)}")
            kind = "sidechain" if sidechain else "send"
            flags[source].append(f"{kind} to track {target}")
            flags[target].append(f"{kind} from track {source}")
        for track in tracks:
            yield replace(track, flags=(*track.flags, *flags[track.number]))

    def envelopes(self, block: Block) -> Iterator[str]:
        """Yield what the active envelopes of a track, take or chain move."""
        for inner in block.blocks():
            name = inner.name.rstrip("0123456789")
            if not name.endswith("ENV") or self.number(inner.first("ACT"), 1, 1.0) == 0.0:
                continue
            yield {"VOLENV": "volume", "PANENV": "pan", "MUTEENV": "mute", "PARMENV": "plug-in"}.get(
                name, name.removesuffix("ENV").lower()[:40]
            )

    def effects(self, chain: Block, on: bool, flags: list[str]) -> Iterator[Effect]:
        """Yield the plug-ins of a chain and of the containers in it; what is not read of them goes into `flags`."""
        running = on
        for entry in chain.entries:
            if isinstance(entry, Line):
                if first_word(entry.text) == "BYPASS":
                    off = self.number(entry, 1, 0.0) != 0.0 or self.number(entry, 2, 0.0) != 0.0
                    running = on and not off
            elif entry.name == "CONTAINER":
                yield from self.effects(entry, running, flags)
            elif entry.name in PLUGINS:
                yield self.effect(entry, running, flags)
        for _ in self.envelopes(chain):
            flags.append("plug-in envelope")

    def effect(self, block: Block, on: bool, flags: list[str]) -> Effect:
        head = words(block.head, self.file)
        name = head[1] if block.name in NAMED_SECOND and len(head) > 1 else block.name
        name = name[:MOST_NAME]
        equaliser = None
        if block.name == "VST" and "reaeq" in name.lower():
            try:
                equaliser = read_reaeq(list(block.lines()), self.file)
            except InputError as error:
                flags += [f"line {p.line}: {p.what} (not read)" for p in error.problems]
        elif "reacomp" in name.lower():
            flags.append(f"{name}: its settings are not read")
        return Effect(name, block.name, on, equaliser, block.head.number)

    def item(self, block: Block) -> Item:
        take, count = self._active_take(block)
        common = block.first("VOLPAN")
        item_gain = self.number(common, 1, 1.0)
        own = take.first("TAKEVOLPAN")
        take_gain = self.number(own, 2, 1.0) if own else self.number(common, 3, 1.0)
        pan = self.number(own, 1, 0.0) if own else self.number(common, 2, 0.0)
        flags = [f"take {name} envelope" for name in self.envelopes(take)]
        flags += ["plug-ins on the take"] * bool([*take.blocks("TAKEFX")])
        flags += [f"take panned by {pan:g}"] * (pan != 0.0)
        flags += [f"{count} takes, one is read"] * (count > 1)
        source = next(take.blocks("SOURCE"), None)
        path, kind = self._source(source, flags) if source else ("", "none")
        rate = self.number(take.first("PLAYRATE"), 1, 1.0)
        length = self.number(block.first("LENGTH"), 1, 0.0)
        if rate <= 0.0:
            raise self.wrong(take.first("PLAYRATE"), f"a play rate of {rate:g}", "above 0")
        if length < 0.0:
            raise self.wrong(block.first("LENGTH"), f"a length of {length:g} s", "at least 0")
        return Item(
            path,
            kind,
            self.number(block.first("POSITION"), 1, 0.0),
            length,
            self.number(take.first("SOFFS"), 1, 0.0),
            rate,
            _to_db(item_gain) + _to_db(take_gain),
            (item_gain < 0.0) != (take_gain < 0.0),
            self.number(block.first("MUTE"), 1, 0.0) != 0.0,
            block.head.number,
            tuple(flags),
        )

    def _active_take(self, block: Block) -> tuple[Block, int]:
        """Return the lines of the take that plays, and how many there are; the first has no line TAKE before it."""
        takes = [Block(block.head, "TAKE")]
        chosen = 0
        for entry in block.entries:
            if isinstance(entry, Line) and first_word(entry.text) == "TAKE":
                if "SEL" in words(entry, self.file)[1:]:
                    chosen = len(takes)
                takes.append(Block(entry, "TAKE"))
            else:
                takes[-1].entries.append(entry)
        return takes[chosen], len(takes)

    def _source(self, block: Block, flags: list[str]) -> tuple[str, str]:
        """Return the file and the kind of a source; a section's is that of what it is cut from."""
        while True:
            found = words(block.head, self.file)
            kind = found[1] if len(found) > 1 else ""
            inner = next(block.blocks("SOURCE"), None)
            if inner is None:
                break
            flags.append(f"plays a {kind.lower()[:40]} of its source")
            block = inner
        line = block.first("FILE")
        path = words(line, self.file)[1:] if line else ()
        return (path[0] if path else ""), kind[:40]


def _to_db(gain: float) -> float:
    return max(SILENCE_DB, 20.0 * math.log10(abs(gain))) if gain else SILENCE_DB
