"""What does a YAML file say, and on which line? Read from parser events, so nothing explodes.

Values are built from the parser's events by our own stack: no tag is honoured, no object made, no
alias copied, and depth and size are bounded before anything walks the result. Plain scalars become
what JSON knows (null, true, false, numbers) and strings otherwise; dates stay strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

FILE_BYTES_MAX = 1 << 20
"""Largest file, 1 MiB: two hundred times the longest manifest that people wrote by hand."""
NODES_MAX = 100_000
"""Most values in one document, aliases counted as often as they stand: an alias bomb ends here."""
FILE_NODES_MAX = 1_000_000
"""Most values in one file; a file of 1 MiB without aliases cannot hold more."""
DEPTH_MAX = 32
"""Deepest nesting; manifests need 7. Everything after us may recurse safely."""

Scalar = str | int | float | bool | None

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*([eE][-+]?[0-9]{1,2})?|[eE][-+]?[0-9]{1,2})")
# `yes` and `on` are what they are to kubectl, so that one file means one thing.
# Invisible, or read as an end of line by some readers and not by others: one text, two meanings.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff]"
)
_HIDDEN_BREAK = re.compile("[\x85\u2028\u2029]")
"""Ends of line that no editor shows: what stands behind one in a comment would count."""
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_STRING_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})


class Flaw(Exception):  # noqa: N818 - it is a flaw of a file, turned into a Problem by the caller
    """A mistake at a line of a file."""

    def __init__(self, line: int, what: str, do: str = "") -> None:
        super().__init__(what)
        self.line, self.what, self.do = line, what, do


class Node:
    """A value with its place: children of mappings and lists, and the line of each key."""

    __slots__ = ("depth", "key_lines", "line", "parts", "size", "value")

    def __init__(self, line: int, value: Scalar = None) -> None:
        self.line = line
        self.value = value
        self.parts: dict[str, Node] | list[Node] | None = None
        self.key_lines: dict[str, int] = {}
        self.size = 1
        self.depth = 0

    def plain(self) -> object:
        """Return the value with plain dictionaries and lists."""
        if isinstance(self.parts, dict):
            return {key: part.plain() for key, part in self.parts.items()}
        if isinstance(self.parts, list):
            return [part.plain() for part in self.parts]
        return self.value

    def line_of(self, place: tuple[str | int, ...]) -> int:
        """Return the line of the deepest known part of *place*."""
        node, line = self, self.line
        for step in place:
            if isinstance(node.parts, dict) and step in node.parts:
                line = node.key_lines[str(step)]
                node = node.parts[str(step)]
            elif isinstance(node.parts, list) and isinstance(step, int) and step < len(node.parts):
                node = node.parts[step]
                line = node.line
            else:
                break
        return line


def documents(content: bytes) -> Iterator[Node | Flaw]:
    """Yield every document of a YAML file that is not empty; a flawed one is yielded as its flaw.

    The first mistake in syntax ends the file, because nothing after it can be trusted.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        yield Flaw(line, "this is not UTF-8", "save the file as UTF-8")
        return
    if len(content) > FILE_BYTES_MAX:
        yield Flaw(
            1, f"the file is larger than {FILE_BYTES_MAX >> 20} MiB", "split it into several"
        )
        return
    hidden = _HIDDEN_BREAK.search(text)
    if hidden is not None:
        line = text.count("\n", 0, hidden.start()) + 1
        yield Flaw(line, "the text holds a control or invisible character", "remove it")
        return
    builder = _Builder()
    try:
        # The events are taken one by one, so that good documents before a bad one still count.
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            done = builder.take(event)
            if done is not None:
                yield done
            if builder.nodes > FILE_NODES_MAX:
                yield Flaw(1, f"more than {FILE_NODES_MAX:,} values in one file", "split it")
                return
    except yaml.YAMLError as error:
        yield _syntax(error, text)


def _syntax(error: yaml.YAMLError, text: str) -> Flaw:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        words = " ".join(part for part in (error.context, error.problem) if part)
        lines = text.split("\n")
        tabbed = line <= len(lines) and lines[line - 1].lstrip(" ").startswith("\t")
        do = "indent with spaces, not with tabs" if tabbed else ""
        return Flaw(line, f"this is not YAML: {words}", do)
    position = getattr(error, "position", 0)
    line = text.count("\n", 0, position) + 1
    return Flaw(line, "this is not YAML: it holds a control character", "remove the character")


class _Builder:
    """Builds documents from events on a stack of its own, so depth costs no recursion."""

    def __init__(self) -> None:
        self.nodes = 0
        self._clear()

    def _clear(self) -> None:
        self._stack: list[Node] = []
        self._keys: list[tuple[str, int] | None] = []
        self._anchors: dict[str, Node] = {}
        self._open: list[str | None] = []
        self._root: Node | None = None
        self._flaw: Flaw | None = None

    def take(self, event: yaml.Event) -> Node | Flaw | None:
        """Take the next event; return a document when it ends."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._clear()
        elif isinstance(event, yaml.DocumentEndEvent):
            if self._flaw is not None:
                return self._flaw
            root = self._root
            empty = root is None or (root.parts is None and root.value is None)
            return None if empty else root
        elif self._flaw is None:
            try:
                self._build(event)
            except Flaw as flaw:
                self._flaw = flaw
        return None

    def _build(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark is not None else 1
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._check_tag(event, line)
            if self._waits_for_key():
                raise Flaw(line, "a key must be a string")
            if len(self._stack) >= DEPTH_MAX:
                raise Flaw(line, f"nested deeper than {DEPTH_MAX} levels")
            node = Node(line)
            node.parts = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._stack.append(node)
            self._keys.append(None)
            self._open.append(event.anchor)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            node, anchor = self._stack.pop(), self._open.pop()
            self._keys.pop()
            if anchor:
                self._anchors[anchor] = node
            self._put(node, line)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, line)

    def _waits_for_key(self) -> bool:
        return bool(
            self._stack and isinstance(self._stack[-1].parts, dict) and self._keys[-1] is None
        )

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int) -> None:
        if event.tag is not None and event.tag != "!":
            raise Flaw(line, f"tags such as {event.tag} are not taken", "remove it")

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if _INVISIBLE.search(event.value):
            raise Flaw(line, "the text holds a control or invisible character", "remove it")
        if self._waits_for_key():
            if event.value == "<<" and event.implicit[0]:
                raise Flaw(line, "merge keys (<<) are not taken", "write the fields out")
            mapping = self._stack[-1]
            if event.value in mapping.key_lines:
                first = mapping.key_lines[event.value]
                raise Flaw(line, f"the key {event.value!r} stands twice, first in line {first}")
            mapping.key_lines[event.value] = line
            self._keys[-1] = (event.value, line)
            return
        if event.implicit[0]:
            node = Node(line, resolve(event.value))
        else:
            if event.tag not in _STRING_TAGS:
                self._check_tag(event, line)
            node = Node(line, event.value)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._put(node, line)

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            what = "holds itself" if event.anchor in self._open else "is not known"
            raise Flaw(line, f"the alias *{event.anchor} {what}")
        if self._waits_for_key():
            raise Flaw(line, "a key must be a string, not an alias")
        self._put(node, line)

    def _put(self, node: Node, line: int) -> None:
        self.nodes += node.size
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        if isinstance(parent.parts, dict):
            key = self._keys[-1]
            assert key is not None
            parent.parts[key[0]] = node
            self._keys[-1] = None
        else:
            assert parent.parts is not None
            parent.parts.append(node)
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if parent.size > NODES_MAX:
            raise Flaw(line, f"more than {NODES_MAX:,} values in one document")
        if len(self._stack) + node.depth > DEPTH_MAX:
            raise Flaw(line, f"nested deeper than {DEPTH_MAX} levels")


def resolve(text: str) -> Scalar:
    """Return what a plain scalar means.

    >>> resolve("20"), resolve("0.5"), resolve("yes"), resolve("~"), resolve("2000-03-01")
    (20, 0.5, True, None, '2000-03-01')
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
