"""An API server that does not answer, and a command line without a client for any."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from linkerd2_py.cli import cluster
from linkerd2_py.cli.cluster import Cluster
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.options import Globals


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def kubeconfig(silent: str, tmp_path: Path) -> Path:
    path = tmp_path / "config"
    config = {
        "clusters": [{"name": "a", "cluster": {"server": silent}}],
        "users": [{"name": "a", "user": {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_silence_is_waited_for_no_longer_than_the_command_waits(
    silent: str, kubeconfig: Path
) -> None:
    found = Cluster(kubeconfig, Globals())
    try:
        with pytest.raises(CliError, match=f"^{silent} does not answer within 0.1 s$"):
            found.get("/version", {}, timeout_s=0.1)
    finally:
        found.close()


def test_without_the_client_of_kubernetes_one_is_told_how_to_get_it(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda _name: None)
    with pytest.raises(CliError, match=r"pip install 'linkerd2-py\[k8s\]'"):
        Cluster(kubeconfig, Globals())
