"""The catalogue: gRPC, no state, so any number of replicas gives the same answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc

from linkerd2_py.controlplane.local.sample import serving
from linkerd2_py.controlplane.local.sample.gen import emojivoto_pb2 as pb

CATALOGUE: Final[Mapping[str, str]] = {
    "beer": "🍺",
    "cactus": "🌵",
    "cat": "🐱",
    "dog": "🐶",
    "doughnut": "🍩",
    "ghost": "👻",
    "joy": "😂",
    "pizza": "🍕",
    "rocket": "🚀",
    "sparkles": "✨",
    "sunglasses": "😎",
    "taco": "🌮",
}


async def list_all(
    _request: pb.ListAllRequest, _call: grpc.aio.ServicerContext[Any, Any]
) -> pb.ListAllReply:
    return pb.ListAllReply(
        emoji=[pb.Emoji(shortcode=code, text=text) for code, text in CATALOGUE.items()]
    )


async def find_by_shortcode(
    request: pb.FindByShortcodeRequest, _call: grpc.aio.ServicerContext[Any, Any]
) -> pb.FindByShortcodeReply:
    """An unknown shortcode is an empty reply, not an error: asking is legal."""
    text = CATALOGUE.get(request.shortcode)
    if text is None:
        return pb.FindByShortcodeReply()
    return pb.FindByShortcodeReply(emoji=pb.Emoji(shortcode=request.shortcode, text=text))


def service() -> grpc.GenericRpcHandler:
    """EmojiService, ready to be served."""
    return grpc.method_handlers_generic_handler(
        "emojivoto.v1.EmojiService",
        {
            "ListAll": grpc.unary_unary_rpc_method_handler(
                list_all, pb.ListAllRequest.FromString, pb.ListAllReply.SerializeToString
            ),
            "FindByShortcode": grpc.unary_unary_rpc_method_handler(
                find_by_shortcode,
                pb.FindByShortcodeRequest.FromString,
                pb.FindByShortcodeReply.SerializeToString,
            ),
        },
    )


if __name__ == "__main__":
    serving.run(serving.serve_grpc(service(), at=serving.replica()))
