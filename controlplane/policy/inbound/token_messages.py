"""JWTAuthentications as messages."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.controlplane.mesh.tokens import TOKENS_GROUP, JWTAuthentication
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import meta_pb2 as meta

_NS = 1_000_000_000


def permit_jwt(
    found: JWTAuthentication, *, mesh_tls: inbound.Authn.PermitMeshTLS | None
) -> inbound.Authn.PermitJwt:
    """`mesh_tls`: what a client must prove beside the token. ValueError for one that is not understood."""
    tokens = found.tokens
    if tokens is None:
        raise ValueError(f"{found.name} means no token")
    jwt = inbound.Authn.PermitJwt
    message = jwt(
        metadata=meta.Metadata(
            resource=meta.Resource(group=TOKENS_GROUP, kind="JWTAuthentication", name=found.name)
        ),
        issuer=tokens.issuer,
        audiences=tokens.audiences,
        header=tokens.header,
        forward=tokens.forward,
        refresh=_duration(tokens.refresh_s),
        algorithms=tokens.algorithms,
        leeway=_duration(tokens.leeway_s),
        claims=[jwt.Claim(name=one.name, values=one.values) for one in tokens.claims],
        headers=[jwt.ClaimHeader(claim=one.claim, header=one.header) for one in tokens.headers],
        mesh_tls=mesh_tls,
    )
    setattr(message, tokens.keys.kind, tokens.keys.said)
    return message


def _duration(seconds: float | None) -> Duration | None:
    if seconds is None:
        return None
    whole, nanos = divmod(round(seconds * _NS), _NS)
    return Duration(seconds=whole, nanos=nanos)
