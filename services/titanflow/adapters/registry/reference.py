"""Which fields does a manifest have? A table for people, drawn from the models themselves.

`docs/manifests.md` holds it; a test compares the page with the models.
"""

from __future__ import annotations

from collections.abc import Iterator

from titanflow.adapters.registry.folder import KINDS
from titanflow.adapters.registry.words import choices, submodel
from titanflow.core.spec.common import Metadata, SpecModel

COMMON = ("killSwitch", "fees")
"""Fields that stand in several places and are drawn once, where they stand first."""


def tables() -> str:
    """Return the reference: metadata, then one table for each kind."""
    parts = [_table("metadata, alike for all kinds", "metadata", Metadata, set())]
    drawn: set[type[SpecModel]] = set()
    parts += [_table(kind, "spec", model, drawn) for kind, model in KINDS.items()]
    return "\n\n".join(parts) + "\n"


def _table(title: str, path: str, model: type[SpecModel], drawn: set[type[SpecModel]]) -> str:
    rows = [f"| `{name}` | {words} |" for name, words in _rows(path, model, drawn)]
    absent = [f"`{name}`" for name in _absent(path, model)]
    text = "\n".join([f"### {title}", "", "| field | meaning |", "|---|---|", *rows])
    return text + (f"\n\nNot built yet, and refused: {', '.join(absent)}." if absent else "")


def _rows(
    path: str, model: type[SpecModel], drawn: set[type[SpecModel]]
) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        alias = field.alias or name
        words = field.description or ""
        absent = model.words_not_built.get(alias, frozenset())
        allowed = [word for word in choices(field.annotation) if word not in absent]
        if allowed and not all(word in words for word in allowed):
            words += f" One of: {', '.join(allowed)}."
        if field.is_required():
            words += " **Required.**"
        here = f"{path}.{alias}"
        inner = submodel(field.annotation)
        known = inner in drawn
        if inner is not None and known:
            words += " Its fields stand above."
        yield here, words.replace("|", "\\|").replace("<", "&lt;")
        if inner is not None and not known:
            if alias in COMMON:
                drawn.add(inner)
            listed = "tuple" in str(field.annotation)
            yield from _rows(here + ("[]" if listed else ""), inner, drawn)


def _absent(path: str, model: type[SpecModel]) -> Iterator[str]:
    """Yield fields and words that the resource knows and this version refuses."""
    for name in sorted(model.not_built):
        yield f"{path}.{name}"
    for name, words in model.words_not_built.items():
        for word in sorted(words):
            yield f"{path}.{name}: {word}"
    for name, field in model.model_fields.items():
        inner = submodel(field.annotation)
        if inner is not None:
            yield from _absent(f"{path}.{field.alias or name}", inner)
