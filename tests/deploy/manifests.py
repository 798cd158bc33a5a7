"""What Kustomize made of deploy/, and the schemas it is held to."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for

from tools.render_manifests import RENDERED, WHAT

SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES = ("1.29", "1.37")
"""The oldest and the newest that the manifests are checked for."""
# Custom resource -> the file of its definition.
DEFINITIONS = {
    "ScaledObject": "keda.sh_scaledobjects.yaml",
    "TriggerAuthentication": "keda.sh_triggerauthentications.yaml",
    "PodMonitor": "monitoring.coreos.com_podmonitors.yaml",
    "PrometheusRule": "monitoring.coreos.com_prometheusrules.yaml",
}
Object = dict[str, Any]


@cache
def rendered(name: str) -> tuple[Object, ...]:
    """Every object of an overlay (a key of WHAT)."""
    assert name in WHAT
    return tuple(yaml.load_all((RENDERED / f"{name}.yaml").read_text("utf-8"), yaml.CSafeLoader))


def of_kind(name: str, kind: str, ending: str = "") -> Object:
    (found,) = [o for o in rendered(name) if o["kind"] == kind and o["metadata"]["name"].endswith(ending)]
    return found


def check(thing: Object, kubernetes: str) -> None:
    """Raises jsonschema.ValidationError where it does not fit its schema, an unknown field included."""
    if thing["kind"] in DEFINITIONS:
        error = best_match(custom_validator(thing["kind"], thing["apiVersion"]).iter_errors(thing))
        if error is not None:
            raise error
    else:
        kubernetes_validate.validate(thing, kubernetes, strict=True)


@cache
def custom_validator(kind: str, api_version: str) -> Any:
    """What holds a custom resource to its schema, closed against unknown fields (a cluster drops those in silence).
    Made once: to read a schema and check that it is one takes a hundred times as long as to hold an object to it."""
    definition = yaml.load((SCHEMAS / DEFINITIONS[kind]).read_text("utf-8"), yaml.CSafeLoader)
    group, _, version = api_version.partition("/")
    assert definition["spec"]["group"] == group
    (found,) = [v for v in definition["spec"]["versions"] if v["name"] == version]
    schema = _closed(found["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    validator = validator_for(schema)
    validator.check_schema(schema)
    return validator(schema)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    if isinstance(closed.get("pattern"), str):  # Go's place of the flag is not Python's
        closed["pattern"] = closed["pattern"].replace("^(?i)", "(?i)^")
    if closed.pop("x-kubernetes-int-or-string", False):
        closed.pop("anyOf", None)
        closed["type"] = ["integer", "string"]
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", closed.get("x-kubernetes-preserve-unknown-fields", False))
    return closed


def pod_specs(name: str) -> dict[str, Object]:
    """Name of each Deployment and Job -> its pods' spec."""
    return {
        o["metadata"]["name"]: o["spec"]["template"]["spec"]
        for o in rendered(name)
        if o["kind"] in ("Deployment", "Job")
    }


def containers(name: str) -> list[Object]:
    return [c for spec in pod_specs(name).values() for c in [*spec.get("initContainers", []), *spec["containers"]]]


def compose_schema() -> Any:
    return json.loads((SCHEMAS / "compose-spec.json").read_text("utf-8"))
