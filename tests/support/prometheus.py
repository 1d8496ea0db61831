"""A real Prometheus (Debian's) for tests: with a configuration, or with samples that are written into its files."""

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.ports import free_address
from tests.support.processes import Child
from tests.support.wait import eventually_async, patience

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None, reason="prometheus is not installed"
)


@dataclass
class Prometheus:
    """One that runs; `ask` is its own HTTP API."""

    url: str
    client: httpx2.AsyncClient
    child: Child

    async def ask(self, path: str, **fields: str) -> Any:
        response = await self.client.get(f"/api/v1/{path}", params=fields)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    async def query(self, expression: str, *, at: float) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask("query", query=expression, time=f"{at:.3f}"))[
            "result"
        ]
        return found

    async def is_ready(self) -> bool:
        assert self.child.process.poll() is None, self.child
        try:
            return (await self.client.get("/-/ready")).status_code == 200
        except httpx2.TransportError:
            return False


@asynccontextmanager
async def prometheus(folder: Path, config: Mapping[str, Any]) -> AsyncIterator[Prometheus]:
    """With what is below `folder`/tsdb already, if there is something."""
    # JSON is YAML.
    (folder / "prometheus.yml").write_text(json.dumps(config))
    host, port = free_address()
    argv = [
        PROMETHEUS or "",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address={host}:{port}",
    ]
    url = f"http://{host}:{port}"
    with Child.start(argv, log=folder / "prometheus.log") as child:
        async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            running = Prometheus(url, client, child)
            is_ready: bool = await eventually_async(
                running.is_ready, deadline_s=30, what="prometheus ready"
            )
            assert is_ready
            yield running


def backfill(folder: Path, text: str) -> None:
    """Samples in OpenMetrics' format, with their times, into `folder`/tsdb."""
    source = folder / "samples.om"
    source.write_text(text)
    promtool("tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "tsdb"))


def promtool(*words: str, stdin: str | None = None) -> str:
    """What it says; AssertionError with that if it finds a fault."""
    done = subprocess.run(
        [PROMTOOL or "", *words],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=50 * patience(),
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said
