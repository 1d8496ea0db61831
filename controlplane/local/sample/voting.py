"""The ballot box: gRPC, one method per emoji, votes counted in this replica's memory.

VoteDoughnut always fails: it is the planted fault that the mesh's tools are there to find.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc

from linkerd2_py.controlplane.local.sample import serving
from linkerd2_py.controlplane.local.sample.emoji import CATALOGUE
from linkerd2_py.controlplane.local.sample.gen import emojivoto_pb2 as pb

logger = logging.getLogger("linkerd2_py.sample.voting")
FAULTY: Final = "doughnut"

Call: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Vote = Callable[[pb.VoteRequest, Call], Awaitable[pb.VoteReply]]


class BallotBox:
    """The votes of one replica."""

    def __init__(self, *, pod: str) -> None:
        self._pod = pod
        self._votes: Counter[str] = Counter()

    def vote(self, shortcode: str) -> Vote:
        """The method that counts a vote for `shortcode`; for the faulty one, refuses it."""

        async def count(_request: pb.VoteRequest, call: Call) -> pb.VoteReply:
            if shortcode == FAULTY:
                logger.error("%s failed: UNKNOWN: ballot has a hole in it", method_of(shortcode))
                await call.abort(grpc.StatusCode.UNKNOWN, "ballot has a hole in it")
            self._votes[shortcode] += 1
            return pb.VoteReply(votes=self._votes[shortcode])

        return count

    async def results(self, request: pb.ResultsRequest, call: Call) -> pb.ResultsReply:
        shares = [pb.Result(shortcode=code, votes=n) for code, n in self._votes.most_common()]
        return pb.ResultsReply(pod=self._pod, results=shares)


def method_of(shortcode: str) -> str:
    """`joy` -> `VoteJoy`."""
    return f"Vote{shortcode.capitalize()}"


def service(*, pod: str) -> grpc.GenericRpcHandler:
    """VotingService, ready to be served."""
    box = BallotBox(pod=pod)
    methods = {
        method_of(code): grpc.unary_unary_rpc_method_handler(
            box.vote(code), pb.VoteRequest.FromString, pb.VoteReply.SerializeToString
        )
        for code in CATALOGUE
    }
    methods["Results"] = grpc.unary_unary_rpc_method_handler(
        box.results, pb.ResultsRequest.FromString, pb.ResultsReply.SerializeToString
    )
    return grpc.method_handlers_generic_handler("emojivoto.v1.VotingService", methods)


if __name__ == "__main__":
    at = serving.replica()
    serving.run(serving.serve_grpc(service(pod=at.pod), at=at))
