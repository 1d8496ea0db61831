"""Our control plane in a node, worked with by the command line as people do, and namespaces meshed by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from tests.support.cluster.node import workloads
from tests.support.cluster.node.node import Node
from tests.support.wait import eventually, patience

CLI: Final = (sys.executable, "-m", "linkerd2_py.cli.main")
NAMESPACE: Final = "linkerd"
INJECT: Final = "linkerd.io/inject"
# For a pod: to be made, to get its certificate, to be ready, beside others that want the same.
READY_S: Final = 60.0

Object = dict[str, Any]


class Mesh:
    """Of the cluster that `node` is."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def cli(self, *words: str, stdin: str = "") -> str:
        """What the command printed. Fails the test when it fails."""
        done = self.try_cli(*words, stdin=stdin)
        said = f"linkerd2-py {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, said
        return done.stdout

    def try_cli(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Whatever became of it."""
        environment = {**os.environ, "KUBECONFIG": str(self.node.kubeconfig), "NO_COLOR": "1"}
        return subprocess.run(
            [*CLI, *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )

    def install(self, *words: str) -> None:
        """What is printed is applied, as the README says; then wait until it is ready."""
        self.apply_kinds()
        self.apply(self.cli("install", *words))
        self.wait_ready()

    def apply_kinds(self) -> None:
        """The kinds of a mesh are there."""
        self.apply(self.cli("install", "--crds"))

    def uninstall(self) -> None:
        """What is printed is deleted, as the README says."""
        # A namespace of an earlier test may still be going.
        manifest = self.cli("uninstall", "--force")
        self.node.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=manifest)

    def apply(self, manifest: str, *words: str) -> None:
        self.node.kubectl("apply", "--filename=-", *words, stdin=manifest)

    def installed(self) -> bool:
        found = self.node.kubectl.try_(
            "get", f"--namespace={NAMESPACE}", "configmap/linkerd-config"
        )
        return found.returncode == 0

    def wait_ready(self) -> None:
        """Every Deployment of the control plane has all its pods, of its last template."""
        for one in self.node.items("deployments", f"--namespace={NAMESPACE}"):
            name = one["metadata"]["name"]
            rolled = ("rollout", "status", f"deployment/{name}", f"--timeout={_limit(120)}s")
            self.node.kubectl(f"--namespace={NAMESPACE}", *rolled)

    @contextmanager
    def namespace(self, name: str, *, inject: str = "enabled") -> Iterator[Place]:
        """A namespace with the programs in it, whose pods are meshed; it goes at the end."""
        about = {"name": name, "annotations": {INJECT: inject} if inject else {}}
        # One that is going is waited for; what never was is gone at once.
        gone = ("wait", "--for=delete", f"namespace/{name}", f"--timeout={_limit(READY_S)}s")
        self.node.kubectl.try_(*gone)
        self.node.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": about})
        place = Place(self.node, name)
        try:
            account = ("get", "serviceaccount/default", f"--namespace={name}")
            eventually(lambda: self.node.kubectl.try_(*account).returncode == 0, deadline_s=30)
            place.apply(workloads.programs_map())
            yield place
        finally:
            self.node.kubectl("delete", "namespace", name, "--wait=false")


class Place:
    """A namespace, and what tests do in one."""

    def __init__(self, node: Node, name: str) -> None:
        self.node = node
        self.name = name

    def kubectl(self, *words: str, stdin: str = "") -> str:
        return self.node.kubectl(f"--namespace={self.name}", *words, stdin=stdin)

    def apply(self, *objects: Object) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(listed))

    def items(self, kind: str, *words: str) -> list[Object]:
        return self.node.items(kind, f"--namespace={self.name}", *words)

    def pods(self, app: str) -> list[Object]:
        """Those with this label that are not going."""
        found = self.items("pods", f"--selector=app={app}")
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]

    def wait_rolled(self, *workloads: str) -> None:
        """Until each has all its pods, ready."""
        for workload in workloads:
            self.kubectl("rollout", "status", workload, f"--timeout={_limit(READY_S)}s")

    def wait_job(self, name: str) -> list[Object]:
        """What the job's program said, a line of JSON each, once its pod has ended well."""
        self.wait_end(f"job-name={name}")
        said = self.kubectl(
            "logs", f"--selector=job-name={name}", "--container=program", "--tail=-1"
        )
        return [json.loads(line) for line in said.splitlines()]

    def wait_end(self, selector: str) -> None:
        """Until a pod has ended well: with all its containers, sidecars too."""

        def phase() -> str:
            pods = self.items("pods", f"--selector={selector}")
            return pods[0]["status"]["phase"] if pods else ""

        eventually(lambda: phase() in {"Succeeded", "Failed"}, deadline_s=READY_S, what=selector)
        if phase() == "Failed":
            raise AssertionError(self.kubectl("logs", f"--selector={selector}", "--all-containers"))

    def ask(self, kind: str, target: str, *, times: int = 1, name: str = "ask") -> list[Object]:
        """What a meshed Job was answered."""
        asking = workloads.client("ask.py", kind, target, str(times))
        self.apply(workloads.job(name, workloads.pod_spec(asking)))
        return self.wait_job(name)

    @contextmanager
    def load(self, url: str, *, rate: int, name: str = "load") -> Iterator[Load]:
        """Requests all the while, from a meshed pod: what became of them is there at the end."""
        asking = workloads.client("load.py", url, str(rate))
        spec = workloads.pod_spec(asking, restartPolicy="Never")
        self.apply(workloads.pod(name, spec))
        load = Load(self, name)
        load.wait_answered(1)
        yield load
        load.end()


class Load:
    """Requests that go on."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name
        self.result: Object = {}

    def reports(self) -> list[Object]:
        """What it has said so far, a line each second."""
        words = ("logs", f"pod/{self._name}", "--container=program", "--tail=-1")
        said = self._place.node.kubectl.try_(f"--namespace={self._place.name}", *words)
        return [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]

    def answered(self) -> int:
        reports = self.reports()
        return int(reports[-1]["ok"]) if reports else 0

    def wait_answered(self, more: int) -> None:
        """Until this many more were answered."""
        wanted = self.answered() + more
        eventually(lambda: self.answered() >= wanted, deadline_s=READY_S, what=f"{more} answers")

    def end(self) -> None:
        """Tell it to end, and count."""
        kill = "import os; os.kill(1, 15)"
        self._place.kubectl("exec", self._name, "--container=program", "--", "python3", "-c", kill)

        def over() -> bool:
            reports = self.reports()
            return bool(reports and reports[-1].get("end"))

        eventually(over, deadline_s=READY_S, what=f"the end of {self._name}")
        self.result = self.reports()[-1]

    def assert_none_failed(self, *, at_least: int) -> None:
        assert self.result["failed"] == {}, self.result
        assert self.result["ok"] >= at_least, self.result


def _limit(seconds: float) -> int:
    return int(seconds * patience())


def names_of(objects: Sequence[Object]) -> list[str]:
    return sorted(one["metadata"]["name"] for one in objects)
