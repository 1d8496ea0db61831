"""Many who ask for the same service and read what they are told, in the process of the control plane."""

import asyncio

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.streams.stream import UpdateStream


class Readers:
    """Subscribers of one path, each with a task that reads."""

    def __init__(self, destination: Destination, *, path: str) -> None:
        self._watches = destination.endpoints
        self._question = destination.endpoints_question(path)
        self._streams: list[UpdateStream] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._missing = 0
        self._all_told = asyncio.Event()

    async def open(self, count: int) -> None:
        """So many; each has read its first message then."""
        self.expect(count)
        for _ in range(count):
            stream = await self._watches.subscribe(self._question)
            self._streams.append(stream)
            self._tasks.append(spawn(self._read(stream), name="bench-reader"))
        await self.told()

    def expect(self, messages: int) -> None:
        """So many are to be read, by all of them together."""
        self._missing = messages
        self._all_told.clear()

    async def told(self) -> None:
        """Wait until what is expected has been read."""
        await self._all_told.wait()

    async def close(self) -> None:
        """Give all streams back."""
        await cancel_all(self._tasks)
        for stream in self._streams:
            self._watches.unsubscribe(self._question, stream=stream)

    async def _read(self, stream: UpdateStream) -> None:
        async for _ in stream:
            self._missing -= 1
            if not self._missing:
                self._all_told.set()
