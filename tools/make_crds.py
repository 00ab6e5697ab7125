"""Write the custom resources (crds/) and the pages on them (docs/resources/) from the models.

The API server of Kubernetes takes a dialect of OpenAPI 3.0: no references, no null, bounds without
`exclusive…`, and what it adds begins with x-kubernetes-. Whatever pydantic says beyond that is an
error here, so that nothing is lost in silence. Defaults inside list items are left out: with them,
every client-side apply would say `configured` for ever.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from titanflow.adapters.registry.reference import metadata, page
from titanflow.core.spec.common import API_VERSION, Rule
from titanflow.core.spec.resource import RESOURCES, Column, Resource
from titanflow.core.spec.shape import VALIDATIONS
from tools.tree import ROOT

CRDS = ROOT / "crds"
PAGES = ROOT / "docs/resources"
MANIFESTS = ROOT / "docs/manifests.md"
_MARK = "## metadata\n\n"
"""What follows it is the table of the models."""
GROUP, _, VERSION = API_VERSION.partition("/")

NAMED = Rule(
    "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    "metadata.name must be lower-case letters, digits and '-', start with a letter and hold no "
    "dots: it becomes a Service name and a NATS subject token",
    "metadata.name",
)
_KEPT = (
    "description",
    "type",
    "format",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "default",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    VALIDATIONS,
)
_READ = ("title", "properties", "items", "additionalProperties", "patternProperties", "const")
_READ += ("propertyNames", "anyOf", "allOf", "$ref", "$defs", "x-not-built")


def main() -> None:
    """Write all of them."""
    for path, text in texts().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")


def texts() -> dict[Path, str]:
    """Return the content of every file that is made here, by its path."""
    told = {CRDS / f"{one.kind.lower()}.yaml": text_of(one) for one in RESOURCES}
    told |= {PAGES / f"{one.kind.lower()}.md": page(one) for one in RESOURCES}
    head, mark, _ = MANIFESTS.read_text("utf-8").partition(_MARK)
    return told | {MANIFESTS: head + mark + metadata()}


def text_of(resource: Resource) -> str:
    """Return the file of a custom resource."""
    head = "# Made by `make crds` from titanflow.core.spec; do not edit.\n"
    return head + yaml.dump(
        crd(resource), Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True
    )


class _Plain(yaml.SafeDumper):
    """Writes without anchors, and list items indented under their key."""

    def ignore_aliases(self, _: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, **_: bool) -> None:
        super().increase_indent(flow, indentless=False)


def crd(resource: Resource) -> dict[str, Any]:
    """Return a custom resource definition."""
    names = {
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "shortNames": [resource.short],
        "categories": ["titanflow"],
    }
    subresources: dict[str, Any] = {"status": {}}
    if resource.scales:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": subresources,
        "selectableFields": [{"jsonPath": path} for path in resource.selectable],
        "additionalPrinterColumns": [_column(column) for column in resource.columns],
        "schema": {"openAPIV3Schema": _schema(resource)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{resource.plural}.{GROUP}",
            "annotations": {
                # Deleting the chart must not delete every arena; and arenas outgrow the annotation
                # of client-side apply.
                "helm.sh/resource-policy": "keep",
                "argocd.argoproj.io/sync-options": "ServerSideApply=true",
            },
            "labels": {"app.kubernetes.io/part-of": "titanflow"},
        },
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _column(column: Column) -> dict[str, Any]:
    told = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }
    return told | ({"priority": 1} if column.wide else {})


def _schema(resource: Resource) -> dict[str, Any]:
    kind = resource.kind
    bounded = {  # CEL sees a bound of the name only if generateName is bounded beside it
        "name": {
            "description": "Name, unique in the namespace; a DNS label that starts with a letter.",
            "type": "string",
            "maxLength": 40,
        },
        "generateName": {
            "description": "Prefix from which the server makes a name.",
            "type": "string",
            "maxLength": 34,
        },
    }
    return {
        "description": resource.description,
        "type": "object",
        "required": ["spec"],
        VALIDATIONS: [NAMED.schema()],
        "properties": {
            "apiVersion": {
                "description": f"Version of this object's schema: {API_VERSION}.",
                "type": "string",
            },
            "kind": {"description": f"Kind of this object: {kind}.", "type": "string"},
            "metadata": {"type": "object", "properties": bounded},
            "spec": structural(resource.spec.model_json_schema(by_alias=True)),
            "status": structural(resource.observed.model_json_schema(by_alias=True)),
        },
    }


def structural(schema: dict[str, Any]) -> dict[str, Any]:
    """Return pydantic's JSON schema in the API server's dialect.

    Raises: ValueError with the place of what cannot be said in it.
    """
    return _convert(schema, schema.get("$defs", {}), "", listed=False)


def _convert(
    schema: dict[str, Any], defs: dict[str, Any], where: str, *, listed: bool
) -> dict[str, Any]:
    schema = _resolved(schema, defs, where)
    strange = set(schema) - {*_KEPT, *_READ}
    if strange:
        raise ValueError(f"{where or 'spec'}: {sorted(strange)} cannot be said in a CRD")
    told = {word: schema[word] for word in _KEPT if word in schema}
    if "const" in schema:
        told["enum"] = [schema["const"]]
    absent = schema.get("x-not-built", ())
    if "enum" in told:
        told["enum"] = [word for word in told["enum"] if word not in absent]
        if not all(word in told.get("description", "") for word in told["enum"]):
            words = ", ".join(map(str, told["enum"]))
            told["description"] = f"{told.get('description', '')} One of: {words}.".strip()
    if told.get("type") == "integer":
        wide = told.get("maximum", 0) > 2**31 - 1
        told["format"] = "int64" if wide else "int32"
    if listed:
        told.pop("default", None)
    if "properties" in schema:
        told["properties"] = {
            name: _convert(part, defs, f"{where}.{name}", listed=listed)
            for name, part in schema["properties"].items()
        }
    if "items" in schema:
        told["items"] = _convert(schema["items"], defs, f"{where}[]", listed=True)
        if absent:
            told["items"]["enum"] = [w for w in told["items"]["enum"] if w not in absent]
        told["items"].setdefault("description", _one(told.get("description", "")))
        told.setdefault("x-kubernetes-list-type", "atomic")
    if told.get("type") == "object" and "properties" not in schema:
        _mapping(schema, told, defs, where)
    return {word: told[word] for word in (*_KEPT, *told) if word in told}


def _one(text: str) -> str:
    """Return the description of an entry of a list, from the list's own."""
    text = text.partition(" Default:")[0]
    return f"One of these: {text[:1].lower()}{text[1:]}"


def _resolved(schema: dict[str, Any], defs: dict[str, Any], where: str) -> dict[str, Any]:
    """Return *schema* with its reference, or its only alternative to null, in its place."""
    parts = schema.get("anyOf") or schema.get("allOf") or []
    left = [part for part in parts if part.get("type") != "null"]
    if len(left) > 1:
        raise ValueError(f"{where}: a union; write fields of which one is set, and a rule")
    inner = left[0] if left else {}
    if "$ref" in schema:
        inner = {"$ref": schema["$ref"]}
    if "$ref" in inner:
        inner = _resolved(defs[inner["$ref"].rpartition("/")[2]], defs, where)
    outer = {word: told for word, told in schema.items() if word not in ("anyOf", "allOf", "$ref")}
    rules = [*inner.get(VALIDATIONS, ()), *outer.get(VALIDATIONS, ())]
    return {**inner, **outer, **({VALIDATIONS: rules} if rules else {})}


def _mapping(
    schema: dict[str, Any], told: dict[str, Any], defs: dict[str, Any], where: str
) -> None:
    """Say a dictionary: its values as they are, what is demanded of its keys as rules."""
    patterns = schema.get("patternProperties")
    values = next(iter(patterns.values())) if patterns else schema["additionalProperties"]
    told["additionalProperties"] = _convert(values, defs, f"{where}{{}}", listed=True)
    told["additionalProperties"].setdefault("description", _one(told.get("description", "")))
    for rule in schema.get("propertyNames", {}).get(VALIDATIONS, ()):
        cel = rule["rule"].replace("self", "k")
        said = {"rule": f"self.all(k, {cel})", "message": rule["message"]}
        told.setdefault(VALIDATIONS, []).append(said)


if __name__ == "__main__":
    main()
