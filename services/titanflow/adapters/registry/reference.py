"""Which fields does a manifest have? A table for people, drawn from the models themselves.

`docs/manifests.md` and `docs/resources/` hold it; `make crds` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator

from titanflow.adapters.registry.words import choices, submodel
from titanflow.core.spec.common import Metadata, Rule, SpecModel
from titanflow.core.spec.resource import Resource

COMMON = ("killSwitch", "fees")
"""Fields that stand in several places and are drawn once, where they stand first."""


def metadata() -> str:
    """Return the table of the fields that all kinds share."""
    return _table("metadata, alike for all kinds", "metadata", Metadata, set()) + "\n"


def page(resource: Resource) -> str:
    """Return the page on one kind of resource: how to ask for it, its fields, rules and status."""
    short, plural = resource.short, resource.plural
    how = (
        f"Made by `make crds` from the models in `titanflow.core.spec`. In a cluster "
        f"`kubectl get {short}` lists them (or `{plural}`, or `titanflow` for all kinds), and "
        f"`kubectl explain {short}.spec` tells what follows. "
        "[manifests.md](../manifests.md) tells how values are written."
    )
    parts = [
        f"# {resource.kind}",
        resource.description,
        how,
        _table("Fields", "spec", resource.spec, set()),
        _rules_table(resource),
        "## Status\n\nWritten by the operator; nobody else's words are taken for it.\n\n"
        + _rows_table("status", resource.observed, set()),
        _columns(resource),
    ]
    return "\n\n".join(parts).replace("### Fields", "## Fields") + "\n"


def _columns(resource: Resource) -> str:
    lines = [
        f"| {one.name} | {one.description} |" + (" `-o wide` |" if one.wide else " |")
        for one in resource.columns
    ]
    chosen = ", ".join(f"`{path.removeprefix('.')}`" for path in resource.selectable)
    told = f"`--field-selector` knows {chosen}."
    if resource.scales:
        told += " `kubectl scale` sets `spec.replicas`."
    head = "## Columns\n\n| column | meaning | shown by |\n|---|---|---|"
    return "\n".join([head, *(line.replace("| |", "| |") for line in lines), "", told])


def _rules_table(resource: Resource) -> str:
    """Return what must hold between fields; of changes, only an API server knows the past."""
    rows = [
        f"| `{path}` | {_escaped(rule.words)}{' *On a change.*' if 'oldSelf' in rule.cel else ''} |"
        for path, rule in _all_rules("spec", resource.spec)
    ]
    head = (
        "## Rules\n\nWhat is said when one is broken, by the API server and by `titanflow` alike; "
        "what holds *on a change* only the server can say.\n\n| where | what is said |\n|---|---|"
    )
    return "\n".join([head, *rows])


def _all_rules(path: str, model: type[SpecModel]) -> Iterator[tuple[str, Rule]]:
    for rule in model.all_constraints():
        yield (f"{path}.{rule.path}" if rule.path else path), rule
    for name, field in model.model_fields.items():
        inner = submodel(field.annotation)
        if inner is not None:
            listed = "[]" if "tuple" in str(field.annotation) else ""
            yield from _all_rules(f"{path}.{field.alias or name}{listed}", inner)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _table(title: str, path: str, model: type[SpecModel], drawn: set[type[SpecModel]]) -> str:
    absent = [f"`{name}`" for name in _absent(path, model)]
    text = f"### {title}\n\n{_rows_table(path, model, drawn)}"
    return text + (f"\n\nNot built yet, and refused: {', '.join(absent)}." if absent else "")


def _rows_table(path: str, model: type[SpecModel], drawn: set[type[SpecModel]]) -> str:
    rows = [f"| `{name}` | {words} |" for name, words in _rows(path, model, drawn)]
    return "\n".join(["| field | meaning |", "|---|---|", *rows])


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
        yield here, _escaped(words)
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
