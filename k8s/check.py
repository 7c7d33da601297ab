#!/usr/bin/env python3
"""Checks the objects that an overlay renders; check.sh calls it.

Every object must fit Kubernetes' schemas, with no field that they don't know; every container must be locked down and
bounded; and what an object refers to must be there. Every fault is told, and any makes exit code 1.

    check.py RENDERED SECRETS
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import yaml
from kubernetes_validate import SchemaNotFoundError, ValidationError, validate

Object = dict[str, Any]

# The oldest release that has all that is used here (preStop's sleep), and the newest whose schemas are known.
RELEASES = ("1.30", "1.37")
KINDS = {"ConfigMap", "CronJob", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"}
SECRETS_FOLDER = "/run/secrets/coffer/"

# What every container must say, and every pod.
CONTAINER_LAW = {
    "securityContext.readOnlyRootFilesystem": True,
    "securityContext.allowPrivilegeEscalation": False,
    "securityContext.capabilities": {"drop": ["ALL"]},
    "resources.limits.memory": "128Mi",
    "resources.requests.memory": "64Mi",
}
POD_LAW = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "securityContext.runAsNonRoot": True,
    "securityContext.seccompProfile.type": "RuntimeDefault",
    "terminationGracePeriodSeconds": 45,
}


class Pod(NamedTuple):
    """A pod as a Deployment or a CronJob makes it."""

    name: str
    labels: dict[str, str]
    spec: Object


def main(rendered: str, secrets: str) -> int:
    objects, examples = read(rendered), read(secrets)
    pods = [pod for thing in objects if (pod := pod_of(thing))]
    faults = [
        *(fault for thing in objects + examples for fault in schema_faults(thing)),
        *(f"there is no {kind}" for kind in sorted(KINDS - {thing["kind"] for thing in objects})),
        *(fault for pod in pods for fault in law_faults(pod)),
        *(fault for pod in pods for fault in reference_faults(pod, objects, examples)),
        *(fault for thing in objects for fault in selector_faults(thing, pods)),
        *(fault for thing in objects if thing["kind"] == "ServiceAccount" for fault in token_faults(thing)),
        *(fault for thing in objects if thing["kind"] == "ConfigMap" for fault in config_faults(thing, examples)),
    ]
    for fault in faults:
        print(f"{rendered}: {fault}", file=sys.stderr)
    if not faults:
        print(f"{rendered}: {len(objects)} objects with {len(pods)} kinds of pod are as they must be")
    return 1 if faults else 0


def read(path: str) -> list[Object]:
    return [thing for thing in yaml.safe_load_all(Path(path).read_text(encoding="utf-8")) if thing]


def name_of(thing: Object) -> str:
    return f"{thing['kind']}/{thing['metadata']['name']}"


def at(thing: Any, path: str) -> Any:
    """What stands at `a.b.c`, or None."""
    for key in path.split("."):
        thing = thing.get(key) if isinstance(thing, dict) else None
    return thing


def pod_of(thing: Object) -> Pod | None:
    """The pod that an object makes, wherever its kind keeps it; none where it makes none."""
    template = at(thing, "spec.jobTemplate.spec.template") or at(thing, "spec.template")
    if template is None:
        return None
    return Pod(name_of(thing), at(template, "metadata.labels") or {}, template.get("spec") or {})


def schema_faults(thing: Object) -> Iterator[str]:
    for release in RELEASES:
        try:
            validate(thing, release, strict=True)
        except ValidationError as fault:
            where = ".".join(str(step) for step in fault.path)
            yield f"{name_of(thing)}, Kubernetes {release}: {where}: {fault.message}"
        except SchemaNotFoundError as fault:
            yield f"{name_of(thing)}: {fault.message}"


def law_faults(pod: Pod) -> Iterator[str]:
    yield from broken(POD_LAW, pod.spec, pod.name)
    containers = [*pod.spec.get("initContainers", []), *pod.spec.get("containers", [])]
    if not containers:
        yield f"{pod.name} has no container"
    for container in containers:
        yield from broken(CONTAINER_LAW, container, f"{pod.name}, container {container.get('name')}")


def broken(law: Object, thing: Object, name: str) -> Iterator[str]:
    for path, wanted in law.items():
        found = at(thing, path)
        if found != wanted:
            yield f"{name}: {path} is {found!r} and must be {wanted!r}"


def token_faults(account: Object) -> Iterator[str]:
    yield from broken({"automountServiceAccountToken": False}, account, name_of(account))


def reference_faults(pod: Pod, objects: list[Object], examples: list[Object]) -> Iterator[str]:
    there = {name_of(thing) for thing in objects + examples}
    wanted = [f"ServiceAccount/{pod.spec.get('serviceAccountName')}"]
    for volume in pod.spec.get("volumes", []):
        for kind, path in (
            ("ConfigMap", "configMap.name"),
            ("Secret", "secret.secretName"),
            ("PersistentVolumeClaim", "persistentVolumeClaim.claimName"),
        ):
            if at(volume, path):
                wanted.append(f"{kind}/{at(volume, path)}")
    for container in pod.spec.get("containers", []):
        for source in container.get("envFrom", []):
            wanted.append(f"Secret/{at(source, 'secretRef.name')}")
    yield from (f"{pod.name} refers to {name}, which is not there" for name in wanted if name not in there)


def selector_faults(thing: Object, pods: list[Pod]) -> Iterator[str]:
    """A selector that finds no pod does nothing, and nobody is told."""
    spec = thing.get("spec") or {}
    selectors = [at(spec, "podSelector.matchLabels"), at(spec, "selector.matchLabels")]
    if thing["kind"] == "Service":
        selectors.append(spec.get("selector"))
    if pod := pod_of(thing):
        affinity = at(pod.spec, "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution") or []
        spread = pod.spec.get("topologySpreadConstraints", [])
        selectors += [at(term, "labelSelector.matchLabels") for term in [*affinity, *spread]]
    for selector in filter(None, selectors):
        if not any(selector.items() <= pod.labels.items() for pod in pods):
            yield f"{name_of(thing)} selects {selector}, which no pod is"


def config_faults(config: Object, examples: list[Object]) -> Iterator[str]:
    """The configuration must be TOML, listen where the Service looks, and name secrets that there are."""
    text = at(config, "data")["coffer.toml"]
    try:
        listen = tomllib.loads(text)["server"]["listen"]
    except (tomllib.TOMLDecodeError, KeyError) as fault:
        yield f"{name_of(config)} is no configuration of a service: {fault!r}"
        return
    if listen != "0.0.0.0:8484":
        yield f"{name_of(config)} listens on {listen}, where nobody calls"
    known = {key for secret in examples for key in secret["stringData"]}
    for key in re.findall(re.escape(SECRETS_FOLDER) + r"([\w.-]+)", text):
        if key not in known:
            yield f"{name_of(config)} reads the secret {key}, which the example lacks"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
