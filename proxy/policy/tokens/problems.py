"""What may be wrong with a token: the name of it in metrics, the words for who sent it, and the status."""

from __future__ import annotations

from typing import Final, NamedTuple

from linkerd2_py._ext.jwt.tokens import BROKEN, BUSY, MISSING, TOO_LONG, TWICE

MALFORMED: Final = "malformed"
ALGORITHM: Final = "algorithm"
ISSUER: Final = "issuer"
AUDIENCE: Final = "audience"
EXPIRED: Final = "expired"
EARLY: Final = "early"
KEY: Final = "key"
NO_KEYS: Final = "no keys"
SIGNATURE: Final = "signature"
CLAIMS: Final = "claims"


class Problem(NamedTuple):
    """`rank`: of several kinds of tokens that one is none of, what was found of the likeliest is told: the
    lowest. `mistrusts`: it is the token's fault.
    """

    text: str
    status: int = 401
    rank: int = 10
    mistrusts: bool = True


# They stand in l5d-proxy-error, grpc-message and www-authenticate, and say nothing of what the token says.
PROBLEMS: Final = {
    MISSING: Problem("inbound policy requires a token", mistrusts=False, rank=100),
    TWICE: Problem("the token is given more than once"),
    TOO_LONG: Problem("the token is too long"),
    MALFORMED: Problem("the token is malformed"),
    ALGORITHM: Problem("the token is signed by an algorithm that is not taken"),
    ISSUER: Problem("the token is of another issuer", rank=20),
    AUDIENCE: Problem("the token is for another audience", rank=15),
    EXPIRED: Problem("the token has expired"),
    EARLY: Problem("the token is not valid yet"),
    KEY: Problem("the token is signed by a key that its issuer does not have"),
    SIGNATURE: Problem("the signature of the token is not its issuer's"),
    CLAIMS: Problem("the token does not say what inbound policy requires", 403, rank=1),
    NO_KEYS: Problem("the keys of the issuer are not known", 503, rank=5, mistrusts=False),
    BUSY: Problem("too many tokens wait to be checked", 503, rank=5, mistrusts=False),
    BROKEN: Problem("the token could not be checked", 500, rank=5, mistrusts=False),
}
