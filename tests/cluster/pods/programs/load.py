"""`load.py URL RATE [COUNT]`: starts RATE requests a second whatever becomes of them, until there were COUNT
or SIGTERM comes. No more than some run at once: a machine that cannot keep up gets fewer.

Prints a line of JSON each second and a last one with `"end": true`: how many were answered with 2xx, what
became of the others by its name, how long the slowest took, and which pods answered.
"""

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from typing import Any

import httpx2

LIMIT_S = 30.0
MOST_AT_ONCE = 64


class Load:
    def __init__(self, url: str) -> None:
        self.ok = 0
        self.failed: Counter[str] = Counter()
        self.pods: Counter[str] = Counter()
        self.slowest_s = 0.0
        self._url = url
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64)
        self.client = httpx2.AsyncClient(trust_env=False, timeout=LIMIT_S, limits=limits)

    async def ask(self) -> None:
        began = time.monotonic()
        try:
            answer = await self.client.get(self._url)
            if answer.is_success:
                self.ok += 1
                self.pods[str(answer.json().get("pod", ""))] += 1
            else:
                # A proxy says in a header what it could not do.
                why = answer.headers.get("l5d-proxy-error", "")
                self.failed[f"status {answer.status_code} {why}".strip()] += 1
        except (httpx2.HTTPError, OSError, ValueError) as error:
            self.failed[type(error).__name__] += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def report(self, **more: Any) -> None:
        said = {"ok": self.ok, "failed": self.failed, "slowest_s": round(self.slowest_s, 3)}
        print(json.dumps({**said, "pods": self.pods, **more}), flush=True)


async def main(url: str, rate: str, count: str = "0") -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    load, every_s, wanted = Load(url), 1 / float(rate), int(count)
    began = told = time.monotonic()
    running: set[asyncio.Task[None]] = set()
    started = 0
    while not stop.is_set() and (not wanted or started < wanted):
        # What a busy machine made a little late is made up for: the rate holds over all.
        late_s = time.monotonic() - began - started * every_s
        began += late_s if late_s > 1 else 0.0
        await asyncio.sleep(max(0.0, -late_s))
        if len(running) >= MOST_AT_ONCE:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(load.ask())  # noqa: TID251  # a program of its own
        running.add(task)
        task.add_done_callback(running.discard)
        started += 1
        if time.monotonic() - told >= 1:
            told = time.monotonic()
            load.report()
    if running:
        await asyncio.wait(running)
    load.report(end=True)
    await load.client.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
