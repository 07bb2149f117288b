"""The text of a Reaper project as a tree: blocks `<NAME …` to `>`, and lines in them. Nothing in it is executed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import InputError, Problem

MAX_BYTES = 16 * 2**20
MAX_LINES = 1_000_000
MAX_DEPTH = 64
QUOTES = "\"'`"
ROOT = "REAPER_PROJECT"


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its indentation, and its number from 1."""

    text: str
    number: int


@dataclass(slots=True)
class Block:
    """A block: the line that opens it without `<`, then lines and blocks in the order of the file."""

    head: Line
    name: str
    entries: "list[Line | Block]" = field(default_factory=list)

    def blocks(self, *names: str) -> "Iterator[Block]":
        """Yield the blocks of these names directly inside, of any name without names."""
        for entry in self.entries:
            if isinstance(entry, Block) and (not names or entry.name in names):
                yield entry

    def lines(self) -> Iterator[Line]:
        """Yield the lines directly inside."""
        for entry in self.entries:
            if isinstance(entry, Line):
                yield entry

    def first(self, name: str) -> Line | None:
        """Return the first line directly inside whose first word is `name`."""
        for line in self.lines():
            if first_word(line.text) == name:
                return line
        return None


def first_word(text: str) -> str:
    """Return what stands before the first white space."""
    return text.split(None, 1)[0] if text else ""


def words(line: Line, file: str) -> tuple[str, ...]:
    """Return the words of a line: apart by white space, or within double, single or back quotes, without escapes.

    Raises InputError for a quote that is not closed.
    """
    text, made, at = line.text, [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] in QUOTES:
            end = text.find(text[at], at + 1)
            if end < 0:
                raise InputError(
                    Problem(
                        f"{text[at]} is not closed", "a second one on the line", file=file, line=line.number
                    )
                )
            made.append(text[at + 1 : end])
            at = end + 1
        else:
            end = at
            while end < len(text) and not text[end].isspace():
                end += 1
            made.append(text[at:end])
            at = end
    return tuple(made)


def read_tree(path: Path) -> Block:
    """Return the project block of a file. Raises InputError naming file and line."""
    try:
        if not path.is_file():
            raise InputError(Problem("no such file", "a Reaper project (.rpp)", file=str(path)))
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(Problem(f"cannot be read ({reason})", file=str(path))) from None
    if len(data) > MAX_BYTES:
        raise InputError(Problem("is too large", f"at most {MAX_BYTES >> 20} MiB", file=str(path)))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Old projects are in the code page of their machine, which the file does not name.
        text = data.decode("latin-1")
    return parse_tree(text, str(path))


def parse_tree(text: str, file: str) -> Block:
    """Return the project block of a text. Raises InputError naming `file` and line."""
    if "\0" in text:
        number = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(Problem("is not text", "a Reaper project (.rpp)", file=file, line=number))
    if text.count("\n") > MAX_LINES:
        raise InputError(Problem("has too many lines", f"at most {MAX_LINES}", file=file))
    root: Block | None = None
    stack: list[Block] = []
    for number, raw in enumerate(text.split("\n"), 1):
        stripped = raw.strip()
        if not stripped:
            continue
        if root is not None and not stack:
            raise _wrong("there is more behind the project's end", "nothing behind it", file, number)
        if stripped == ">":
            if not stack:
                raise _wrong("`>` closes nothing", f"<{ROOT} first", file, number)
            stack.pop()
        elif stripped[0] == "<" and len(stripped) > 1:
            block = Block(Line(stripped[1:], number), first_word(stripped[1:]))
            if len(stack) == MAX_DEPTH:
                raise _wrong("blocks are too deep in each other", f"at most {MAX_DEPTH}", file, number)
            if stack:
                stack[-1].entries.append(block)
            elif block.name == ROOT:
                root = block
            else:
                raise _wrong("is not a Reaper project", f"<{ROOT} first", file, number)
            stack.append(block)
        elif stack:
            stack[-1].entries.append(Line(stripped, number))
        else:
            raise _wrong("is not a Reaper project", f"<{ROOT} first", file, number)
    if root is None:
        raise InputError(Problem("is empty", f"<{ROOT} first", file=file))
    if stack:
        raise _wrong(
            f"<{stack[-1].name[:40]} is not closed", "`>` on a line of its own", file, stack[-1].head.number
        )
    return root


def _wrong(what: str, allowed: str, file: str, line: int) -> InputError:
    return InputError(Problem(what, allowed, file=file, line=line))
