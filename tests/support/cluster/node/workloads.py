"""Objects for tests with real pods: programs of tests/cluster/pods/programs as Deployments, Jobs and such.

Pods get the programs from a ConfigMap and run them with the Python of the controllers' image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from linkerd2_py import __version__

IMAGE: Final = f"linkerd2-py-controller:{__version__}"
PROGRAMS: Final = Path(__file__).parents[3] / "cluster" / "pods" / "programs"
PORT: Final = 8080
_PLACE: Final = "/programs"
# A pod that is to end is told so while its clients still learn of it: who may lose no request waits as long
# before it stops listening, with a mesh and without.
_LINGERS_S: Final = 10

Object = dict[str, Any]


def programs_map() -> Object:
    """All programs, as one ConfigMap: each namespace that runs any needs it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "programs"},
        "data": {path.name: path.read_text() for path in sorted(PROGRAMS.glob("*.py"))},
    }


def server(
    program: str, *, port: int = PORT, host: str = "0.0.0.0", lingers: bool = False, **more: Any
) -> Object:
    """A container that listens; `lingers`: for a while after it was told to end. `more` are fields of it."""
    told = {"HOST": host, "PORT": str(port)}
    made = _container(program, environment=told) | {"ports": [{"containerPort": port}]}
    # A connection says nothing of the program: its proxy accepts it.
    asked = "httpGet" if program == "http_server.py" else "tcpSocket"
    where = {"port": port, "path": "/"} if asked == "httpGet" else {"port": port}
    made["readinessProbe"] = {asked: where, "periodSeconds": 1}
    if lingers:
        made["lifecycle"] = {"preStop": {"sleep": {"seconds": _LINGERS_S}}}
    return made | more


def client(program: str, *words: str, wait_s: float = 60.0) -> Object:
    """A container that asks, and ends."""
    return _container(program, *words, environment={"WAIT_S": str(wait_s)})


def pod_spec(*containers: Object, **more: Any) -> Object:
    """Of a pod that ends as soon as it may."""
    volume = {"name": "programs", "configMap": {"name": "programs"}}
    return {
        "terminationGracePeriodSeconds": 30,
        "automountServiceAccountToken": True,
        "containers": list(containers),
        "volumes": [volume],
        **more,
    }


def pod(name: str, spec: Object, *, annotations: Mapping[str, str] | None = None) -> Object:
    about = {"name": name, "labels": {"app": name}, "annotations": dict(annotations or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}


def deployment(name: str, spec: Object, *, replicas: int = 1, **annotations: str) -> Object:
    """Its pods' label `app` is its name; a keyword is an annotation of `config.linkerd.io`."""
    return _named("apps/v1", "Deployment", name) | {
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": _template(name, spec, annotations),
        }
    }


def stateful_set(name: str, spec: Object, *, replicas: int) -> Object:
    """Of the headless service of the same name."""
    return _named("apps/v1", "StatefulSet", name) | {
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": name}},
            "template": _template(name, spec, {}),
        }
    }


def job(name: str, spec: Object) -> Object:
    """It fails with its first failure."""
    return _named("batch/v1", "Job", name) | {"spec": _job_spec(name, spec)}


def cron_job(name: str, spec: Object) -> Object:
    """Once a minute."""
    return _named("batch/v1", "CronJob", name) | {
        "spec": {
            "schedule": "* * * * *",
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": _job_spec(name, spec)},
        }
    }


def service(name: str, *, port: int = PORT, **more: Any) -> Object:
    """Of the pods that have its name as their label `app`."""
    ports = [{"name": "port", "port": port, "targetPort": PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": more.pop("annotations", {})},
        "spec": {"selector": {"app": name}, "ports": ports, **more},
    }


def _container(program: str, *words: str, environment: Mapping[str, str]) -> Object:
    name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return {
        "name": "program",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python3", f"{_PLACE}/{program}", *words],
        "env": [name, *({"name": key, "value": value} for key, value in environment.items())],
        "volumeMounts": [{"name": "programs", "mountPath": _PLACE, "readOnly": True}],
    }


def _named(version: str, kind: str, name: str) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def _template(name: str, spec: Object, annotations: Mapping[str, str]) -> Object:
    said = {
        f"config.linkerd.io/{key.replace('_', '-')}": value for key, value in annotations.items()
    }
    return {"metadata": {"labels": {"app": name}, "annotations": said}, "spec": spec}


def _job_spec(name: str, spec: Object) -> Object:
    return {"backoffLimit": 0, "template": _template(name, {**spec, "restartPolicy": "Never"}, {})}


def container_names(one: Object) -> Sequence[str]:
    """Of a pod: those that run for as long as it does, its native sidecars too."""
    spec = one["spec"]
    lasting = [made for made in spec.get("initContainers", []) if made.get("restartPolicy")]
    return [made["name"] for made in (*lasting, *spec["containers"])]
