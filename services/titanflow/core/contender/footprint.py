"""What does an object keep, and what does its code keep elsewhere? Measured for the checks.

Nothing here knows contenders: an object is walked through, and allocations are traced to the lines
of the code that asked for them.
"""

from __future__ import annotations

import gc
import inspect
import sysconfig
import tracemalloc
from collections import deque
from collections.abc import Collection, Iterator
from typing import Final, Self, cast

OBJECTS_MAX: Final = 4000
"""Most objects that are measured; the search for those already seen takes their number squared."""

FRAMES: Final = 6
"""How deep below a line of the code in question an allocation is still found."""

_PLAIN = (int, float, complex, str, bytes, bytearray, type(None))
_OURS: Final = __file__.rpartition("/core/contender/")[0]
_LIBRARIES: Final = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


class Tracer:
    """Counts what the code of a class, and its helpers, allocate and do not give back.

    That finds what lies in classes, modules and closures, where no walk through an object leads.
    Counted is what is there at the end of the block and was not at `begin`.
    """

    def __init__(self, kind: type) -> None:
        self.bytes = 0
        self.line = ""
        """File and line that kept most."""
        self._files = {_file_of(each) for each in kind.__mro__[:-1]} - {""}
        self._started = False

    def __enter__(self) -> Self:
        self._started = not tracemalloc.is_tracing()
        if self._started:
            tracemalloc.start(FRAMES)
        self.begin()
        return self

    def begin(self) -> None:
        """Count from here on."""
        gc.collect()
        self._before = tracemalloc.take_snapshot()

    def __exit__(self, *_: object) -> None:
        gc.collect()
        after = tracemalloc.take_snapshot()
        if self._started:
            tracemalloc.stop()
        most = 0
        for each in after.compare_to(self._before, "traceback"):
            frame = next((f for f in reversed(each.traceback) if self._is_its(f.filename)), None)
            if frame is None:
                continue
            self.bytes += each.size_diff
            if each.size_diff > most:
                most, self.line = each.size_diff, f"{_name(frame.filename)}:{frame.lineno}"

    def _is_its(self, file: str) -> bool:
        """Say whether code is the class's own, or neither ours nor a library's."""
        if file in self._files:
            return True
        return not file.startswith(("<", _OURS, *_LIBRARIES))


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _file_of(kind: type) -> str:
    try:
        return inspect.getfile(kind)
    except (OSError, TypeError):  # made without a file
        return ""


def fingerprint(root: object) -> dict[str, str]:
    """Return what each attribute of an object holds, as text that changes when it does."""
    names = dict(getattr(root, "__dict__", {}))
    for kind in type(root).__mro__:
        slots = getattr(kind, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(root, name):
                names[name] = getattr(root, name)
    return {name: _text(value) for name, value in names.items()}


def _text(root: object) -> str:
    seen: list[object] = []
    out: list[str] = []
    waiting = [root]
    while waiting and len(seen) < OBJECTS_MAX:
        thing = waiting.pop()
        if isinstance(thing, _PLAIN):
            out.append(repr(thing))
            continue
        if any(thing is known for known in seen):
            continue
        seen.append(thing)
        # Arrays show only their ends in their repr; their bytes are all of them.
        tobytes = getattr(thing, "tobytes", None)
        if callable(tobytes):
            out.append(repr(tobytes()))
        inside = [*_inside(thing), *_attributes(thing)]
        out.append(f"{type(thing).__qualname__}:{len(inside)}" if inside else repr(thing))
        waiting += inside
    return " ".join(out)


def size_of(root: object) -> int:
    """Return the bytes of an object, what it refers to, and what its class keeps."""
    seen: list[object] = []
    total = 0
    waiting: list[object] = [root, *_kept_by_class(type(root))]
    while waiting and len(seen) < OBJECTS_MAX:
        thing = waiting.pop()
        total += thing.__sizeof__()
        if isinstance(thing, _PLAIN):
            continue
        if not any(thing is known for known in seen):
            seen.append(thing)
            waiting += [*_inside(thing), *_attributes(thing)]
        else:
            total -= thing.__sizeof__()
    return total


_GROWING = (list, dict, set, bytearray, deque)


def _kept_by_class(kind: type) -> Iterator[object]:
    for each in kind.__mro__[:-1]:
        for name, value in vars(each).items():
            if not name.startswith("__") and isinstance(
                value, list | dict | set | bytearray | deque
            ):
                yield value


def _inside(thing: object) -> Iterator[object]:
    if isinstance(thing, dict):
        yield from cast("dict[object, object]", thing)
        yield from cast("dict[object, object]", thing).values()
    elif isinstance(thing, list | tuple | set | frozenset | deque):
        yield from cast("Collection[object]", thing)


def _attributes(thing: object) -> Iterator[object]:
    yield from getattr(thing, "__dict__", {}).values()
    for kind in type(thing).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if hasattr(thing, name):
                yield getattr(thing, name)
