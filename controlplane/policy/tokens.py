"""What may stand in a JWTAuthentication: what is wrong with a text, in words; empty where nothing is. The
webhook and mesh.yaml both ask here.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py.controlplane.mesh.tokens import ALGORITHMS

LARGEST_SET: Final = 64 * 1024
MOST_LEEWAY_S: Final = 600.0
MOST_LISTED: Final = 64
_URL: Final = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?(/[!-\"$-~]*)?"
)
_KINDS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_PRIVATE: Final = "d"


def issuer_problem(written: str) -> str:
    """As the token's `iss` has it."""
    return "" if written and len(written) <= 1024 else "must be the iss of the tokens"


def url_problem(written: str) -> str:
    """Of http or https, without a user or a fragment."""
    found = _URL.fullmatch(written)
    if found is None or not 0 < int(found["port"] or 80) < 65536:
        return f"{written[:80]!r} is no URL of http or https"
    return ""


def algorithm_problem(written: str) -> str:
    """One with a public key."""
    if written in ALGORITHMS:
        return ""
    return f"{written[:40]!r} is none of {', '.join(ALGORITHMS)}"


def header_problem(written: str) -> str:
    """A field of requests that may be changed."""
    try:
        Edits(set=[(written.encode(), b"")])
    except ValueError:
        return f"{written[:40]!r} is no header that is anybody's to say"
    return ""


def told_problem(written: str) -> str:
    """The same, and the token's own is no place for what it says."""
    if written.lower() == "authorization":
        return "authorization is where tokens stand"
    return header_problem(written)


def jwks_problem(written: str) -> str:
    """A JSON Web Key Set with at least one public key of a kind that proxies have; and no private one."""
    if len(written) > LARGEST_SET:
        return f"must not have more than {LARGEST_SET} bytes"
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return "is no JSON"
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or not all(isinstance(one, dict) for one in keys):
        return "must be an object with a list of keys"
    if any(_PRIVATE in one for one in keys):
        return "has a private key in it: only the public half belongs here"
    if not any(_is_public(one) for one in keys):
        return "has no public key that can verify tokens: RSA, EC or OKP"
    return ""


def _is_public(key: dict[str, Any]) -> bool:
    kind = key.get("kty")
    names = _KINDS.get(kind) if isinstance(kind, str) else None
    return names is not None and all(isinstance(key.get(name), str) for name in names)
