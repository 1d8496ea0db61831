"""One authorizer: asked about each request that stands at a gate of it. Nobody waits longer than its
time-out, and nobody is let in but by its word, unless policy says so.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from linkerd2_py._ext.exchange.gate import Denial
from linkerd2_py._ext.metrics.series import Counter
from linkerd2_py._ext.route.checkpoint import HeldRequest
from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.base.grpc.status import GrpcError
from linkerd2_py.base.tasks import spawn
from linkerd2_py.proto.gen import external_auth_pb2 as external_auth
from linkerd2_py.proxy.policy.authorizers.messages import (
    AnswerError,
    LetIn,
    check_request,
    read_answer,
)
from linkerd2_py.proxy.policy.external import External

logger = logging.getLogger(__name__)

CHECKS_MAX: Final = 1000
"""Under way at once, of all requests; one more is as one that nobody answers."""
_CHECK: Final = "/envoy.service.auth.v3.Authorization/Check"
_TOLD_MAX: Final = 100


class Counters(NamedTuple):
    """Of one client's requests of one route."""

    allowed: Counter
    denied: Counter
    by_result: dict[str, Counter]


class Authorizer:
    """Of one External. `asks` is how many requests it is asked about now, of all authorizers."""

    def __init__(
        self, said: External, *, client: GrpcClient, own_name: str, checks: set[asyncio.Task[None]]
    ) -> None:
        self._said = said
        self._client = client
        self._own_name = own_name
        self._checks = checks
        self._told: set[str] = set()

    def ask(self, held: HeldRequest, *, principal: str | None, counters: Counters) -> None:
        """For a Checkpoint."""
        if len(self._checks) >= CHECKS_MAX:
            self._fail(held, counters, reason="too many requests wait for it")
            return
        request = check_request(
            held, principal=principal, own_name=self._own_name, extensions=self._said.extensions
        )
        task = spawn(self._check(held, request, counters), name="external authorization")
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)
        held.on_gone = partial(self._on_gone, task, counters)

    def _on_gone(self, task: asyncio.Task[None], counters: Counters) -> None:
        counters.by_result["gone"].inc()
        task.cancel()

    async def _check(self, held: HeldRequest, request: bytes, counters: Counters) -> None:
        try:
            raw = await self._client.unary(_CHECK, request, timeout_s=self._said.timeout_s)
            answer = read_answer(external_auth.CheckResponse.FromString(raw), held)
        except asyncio.CancelledError:
            # Its client has gone, or we go.
            self._fail(held, counters, reason="it is asked no more")
            raise
        except GrpcError as error:
            self._fail(held, counters, reason=str(error))
        except DecodeError:
            self._fail(held, counters, reason="its answer cannot be read")
        except AnswerError as error:
            self._fail(held, counters, reason=str(error), denial=error.denial)
        except Exception as error:
            # Whatever else it is, nobody is let in by it.
            logger.exception("external authorization at %s", self._said.authority)
            self._fail(held, counters, reason=type(error).__name__)
        else:
            self._settle(held, answer, counters)

    def _settle(self, held: HeldRequest, answer: LetIn | Denial, counters: Counters) -> None:
        if held.over:
            return
        if isinstance(answer, Denial):
            counters.by_result["deny"].inc()
            counters.denied.inc()
            held.deny(answer)
            return
        counters.by_result["allow"].inc()
        counters.allowed.inc()
        held.let_in(answer.edits)
        for name in answer.left_out:
            self._tell(f"what it wants of {name} is not done")

    def _fail(
        self, held: HeldRequest, counters: Counters, *, reason: str, denial: Denial | None = None
    ) -> None:
        if held.over:
            return
        self._tell(reason)
        if self._said.fail_open:
            counters.by_result["fail_open"].inc()
            counters.allowed.inc()
            held.let_in()
            return
        counters.by_result["fail_closed"].inc()
        counters.denied.inc()
        text = f"external authorization failed: {reason}"[:300]
        status = self._said.status_on_error
        printable = text if text.isprintable() else "external authorization failed"
        held.deny(denial or Denial(status, text=printable))

    def _tell(self, reason: str) -> None:
        """Each reason once."""
        if reason in self._told or len(self._told) >= _TOLD_MAX:
            return
        self._told.add(reason)
        logger.warning("external authorization at %s: %r", self._said.authority, reason[:300])
