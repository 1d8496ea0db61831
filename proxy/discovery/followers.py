"""The streams of the destination API about one target, and whom they tell."""

from __future__ import annotations

import asyncio
from typing import Protocol

from linkerd2_py.base.grpc.status import Code
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proxy.addresses import Authority, SocketAddr
from linkerd2_py.proxy.discovery import messages
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.messages import Change, EndpointSet, Profile


class Watching(Protocol):
    """What the followers below tell."""

    def on_profile(self, profile: Profile) -> None: ...
    def on_no_profile(self) -> None: ...
    def on_change(self, change: Change) -> None: ...
    def on_failed(self) -> None: ...
    def on_rejected(self, code: Code) -> None: ...


class ProfileFollower:
    """The profile stream of one target; gives up waiting for its first answer after a while."""

    def __init__(
        self, target: Authority | SocketAddr, *, watch: Watching, lookups: Lookups
    ) -> None:
        self._watch = watch
        wait_s = lookups.rules.profile_initial_timeout_s
        self._timer = asyncio.get_running_loop().call_later(wait_s, watch.on_no_profile)
        self._task = lookups.get_profile(str(target), follower=self)

    def close(self) -> None:
        self._timer.cancel()
        self._task.cancel()

    def on_connected(self) -> None:
        """A profile holds until another one comes."""

    def on_message(self, raw: bytes) -> None:
        self._timer.cancel()
        message = destination.DestinationProfile.FromString(raw)
        self._watch.on_profile(messages.profile(message))

    def on_failed(self) -> None:
        """The timer decides how long that may take."""

    def on_rejected(self, code: Code) -> None:
        self._timer.cancel()
        self._watch.on_no_profile()


class EndpointsFollower:
    """The endpoint stream of one name."""

    def __init__(self, found: EndpointSet, *, watch: Watching) -> None:
        self._set = found
        self._watch = watch

    def on_connected(self) -> None:
        self._set.reconnected()

    def on_message(self, raw: bytes) -> None:
        change = self._set.apply(destination.Update.FromString(raw))
        if change is not None:
            self._watch.on_change(change)

    def on_failed(self) -> None:
        self._watch.on_failed()

    def on_rejected(self, code: Code) -> None:
        self._watch.on_rejected(code)


class NamedEndpoints:
    """Asks for the endpoints of one name at a time, and tells them to `watch`."""

    def __init__(self, *, watch: Watching, lookups: Lookups) -> None:
        self._watch = watch
        self._lookups = lookups
        self._name: Authority | None = None
        self._get: asyncio.Task[None] | None = None

    def follow(self, name: Authority | None) -> None:
        """Those of `name`, and of no other name any more."""
        if name == self._name:
            return
        if self._get is not None:
            self._get.cancel()
        self._name, self._get = name, None
        if name is not None:
            found = EndpointSet(on_skipped=self._lookups.on_skipped)
            follower = EndpointsFollower(found, watch=self._watch)
            self._get = self._lookups.get(name, follower=follower)
