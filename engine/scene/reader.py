"""Hostile-safe YAML: text to plain data and the place of every value, or a `SceneError`; nothing else.

Data is built straight from the parser's events, so no constructor, no recursion and no shared reference
exists that a file could turn against us. Scalars follow the YAML 1.2 core schema: only `true`/`false` are
booleans, `010` is ten, `12:30` is text, `1e3` is a number. Anchors, aliases, merge keys and tags are refused.

Limits    1 MiB, UTF-8, depth 32, 20 000 nodes, 4096 characters a string, one document
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from engine.errors import Problem, SceneError

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_STRING = 4096
TOO_DEEP = "the file is nested too deeply"

CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""Regex set: control characters, line separators, and the marks that reverse the direction of text."""

FieldPath = tuple[str | int, ...]
Position = tuple[int, int]  # line, column, both from 1

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# U+0085, U+2028 and U+2029 end a line for YAML but not for editors: reported line numbers would drift.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_JSON_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")

_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INT_DIGITS = 30  # more are read as a float, which no int limit of the interpreter can refuse


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and where each value stands.

    `positions` maps a path such as `("objects", 1, "importance")` to the line and column of its key, or of
    the item itself in a list. The root is `()`.
    """

    data: Any
    positions: Mapping[FieldPath, Position]

    def line(self, path: FieldPath) -> int:
        """Return the line of the value, or of the nearest thing around it; 0 if none is known."""
        known = (path[:length] for length in range(len(path), -1, -1) if path[:length] in self.positions)
        return next((self.positions[place][0] for place in known), 0)


def read(text: str | bytes, file: str) -> Document:
    """Read one YAML (or JSON) document.

    Errors: SceneError, with every duplicate key, anchor, alias, merge key and tag, or with the one fault that
    ends reading (size, encoding, syntax, depth, number of nodes, a second document).
    """
    text = _decode(text, file)
    builder = _Builder(file)
    for event in _events(text, builder):
        builder.take(event)
    if builder.problems:
        raise SceneError(builder.problems)
    return Document(builder.root, builder.positions)


def field_name(path: FieldPath) -> str:
    """The path as shown to people: `objects[1].importance`; odd or long keys are escaped and cut."""
    name = ""
    for part in path:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            name += f".{shorten(part)}" if name else shorten(part)
    return name


def shorten(text: str, limit: int = 40) -> str:
    """At most `limit` characters of the text, safe to print on one line of a terminal."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return re.sub(f"[{CONTROL}\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", cut)


def show(value: Any) -> str:
    """A value as the user may have written it, short and on one line."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{shorten(value)}"'
        case int():
            # Python refuses to write out integers of more than 4300 digits.
            return str(value) if abs(value) < 10**40 else "a huge number"
        case float() if math.isnan(value):
            return "not a number"
        case float() if math.isinf(value):
            return "infinite"
        case float():
            return f"{value:.12g}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return f"of type {type(value).__name__}"


def _decode(text: str | bytes, file: str) -> str:
    """The text without a byte order mark. Errors: SceneError on size, encoding and unprintable characters."""
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise SceneError(Problem("the file is too large", f"at most {MAX_BYTES} bytes", file=file))
    if isinstance(text, bytes):
        raw = text
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise SceneError(Problem("not UTF-8 text", "save it as UTF-8", file=file, line=line)) from None
    text = text.removeprefix("\ufeff")
    if found := _FORBIDDEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        what = f"the text holds the character U+{ord(found[0]):04X}"
        raise SceneError(Problem(what, "only printable text is allowed", file=file, line=line))
    if text.lstrip().startswith("{"):
        # JSON writes characters beyond U+FFFF as two escapes, which YAML does not join.
        text = _JSON_PAIR.sub(_join_pair, text)
    return text


def _join_pair(found: re.Match[str]) -> str:
    high, low = int(found[2], 16), int(found[3], 16)
    return found[1] + chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _events(text: str, builder: "_Builder") -> Iterator[Any]:
    """The parser's events; its errors become a SceneError with the line."""
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        begun, mark = error.context_mark, error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        allowed = (
            f"{error.context}, begun in line {begun.line + 1}" if begun and begun.line + 1 != line else ""
        )
        if "nesting depth" in (error.problem or ""):  # PyYAML 6.0.4 looks ahead, and has a limit of its own
            builder.stop(TOO_DEEP, f"at most {MAX_DEPTH} levels", line)
        builder.stop(f"not valid YAML: {error.problem}", allowed, line)
    except (yaml.YAMLError, ValueError, RecursionError):
        builder.stop("not valid YAML", "", 0)


@dataclass(slots=True)
class _Open:
    """A list or mapping being filled; `key` waits for its value."""

    path: FieldPath
    node: dict[str, Any] | list[Any]
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    """Turns events into data with an explicit stack, counting depth and nodes."""

    file: str
    root: Any = None
    positions: dict[FieldPath, Position] = field(default_factory=lambda: {(): (1, 1)})
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    nodes: int = 0
    documents: int = 0

    def stop(self, what: str, allowed: str, line: int, path: FieldPath = ()) -> NoReturn:
        """Give up here. Errors: SceneError, with what was found before."""
        raise SceneError([*self.problems, Problem(what, allowed, field_name(path), self.file, line)])

    def take(self, event: Any) -> None:
        """One event. Errors: SceneError when reading cannot go on."""
        line = event.start_mark.line + 1
        column = event.start_mark.column + 1
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self.stop("a second document begins here", "one document in a file", line)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self.stack.pop()
            case yaml.NodeEvent():
                self._node(event, (line, column))

    def _node(self, event: Any, position: Position) -> None:
        line = position[0]
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.stop("the file holds too many values", f"at most {MAX_NODES}", line)
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.node, dict) and top.key is None:
            self._key(top, event, position)
            return
        path = self._path(top)
        self.positions.setdefault(path, position)
        self._refuse_references(event, line, path)
        value: Any = None
        if isinstance(event, yaml.ScalarEvent):
            self._check_length(event, line, path)
            # A plain scalar has no style; quoted and block scalars are always text.
            value = event.value if event.style else _resolve(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
            if len(self.stack) >= MAX_DEPTH:
                self.stop(TOO_DEEP, f"at most {MAX_DEPTH} levels", line)
        if top is None:
            self.root = value
        elif isinstance(top.node, list):
            top.node.append(value)
        elif top.key is not None:
            top.node[top.key] = value
            top.key = None
        if isinstance(value, dict | list):
            self.stack.append(_Open(path, value))

    def _key(self, top: _Open, event: Any, position: Position) -> None:
        line = position[0]
        if not isinstance(event, yaml.ScalarEvent):
            self.stop("a key is not plain text", "keys are names", line, top.path)
        self._check_length(event, line, top.path)
        path = (*top.path, event.value)
        self._refuse_references(event, line, path)
        if event.value == "<<" and not event.style:
            self._refuse("merge keys (<<) are not allowed", "write the values out", line, path)
        elif event.value in top.node:
            first = self.positions[path][0]
            allowed = f"the first stands in line {first}"
            self._refuse(f"the key `{shorten(event.value)}` is given twice", allowed, line, path)
        self.positions.setdefault(path, position)
        top.key = event.value

    def _path(self, top: _Open | None) -> FieldPath:
        if top is None:
            return ()
        return (*top.path, len(top.node) if isinstance(top.node, list) else str(top.key))

    def _check_length(self, event: Any, line: int, path: FieldPath) -> None:
        if len(event.value) > MAX_STRING:
            self.stop("a text is too long", f"at most {MAX_STRING} characters", line, path)

    def _refuse(self, what: str, allowed: str, line: int, path: FieldPath) -> None:
        self.problems.append(Problem(what, allowed, field_name(path), self.file, line))

    def _refuse_references(self, event: Any, line: int, path: FieldPath) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._refuse("aliases (*) are not allowed", "write the value out", line, path)
        elif event.anchor is not None:
            self._refuse("anchors (&) are not allowed", "remove it", line, path)
        if getattr(event, "tag", None) is not None:
            self._refuse("tags (!) are not allowed", "remove it", line, path)


def _resolve(text: str) -> str | int | float | bool | None:
    """A plain scalar by the YAML 1.2 core schema, without its `0o` and `0x` integers."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) <= _INT_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text
