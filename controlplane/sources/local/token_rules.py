"""The rules of `jwt` of a policy in a mesh.yaml: which tokens there are, by names that `allow` knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from linkerd2_py.controlplane.mesh.tokens import (
    Claim,
    ClaimHeader,
    JWTAuthentication,
    KeySource,
    Tokens,
)
from linkerd2_py.controlplane.policy import tokens as texts_of
from linkerd2_py.controlplane.policy.outbound.annotated import duration
from linkerd2_py.controlplane.sources.local import notations
from linkerd2_py.controlplane.sources.local.names import LABEL_RULE, NameRules, is_label
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

_TOKENS: Final = (
    *("issuer", "audiences", "keys", "header", "forward", "algorithms", "leeway", "refresh"),
    *("claims", "headers"),
)
_KEYS: Final = ("url", "file", "inline")


class TokenRules:
    """What cannot be used is noted in the reader."""

    def __init__(self, reader: NodeReader, *, namespace: str, names: NameRules) -> None:
        self._reader = reader
        self._namespace = namespace
        self._names = names

    def objects(self, spot: Spot, *, prefix: str) -> dict[str, JWTAuthentication]:
        """By the names that they have in the file."""
        found: dict[str, JWTAuthentication] = {}
        for name, each in (self._reader.mapping(spot) or {}).items():
            if not is_label(name):
                self._reader.refuse(each, reason=f"{LABEL_RULE}, not {name[:80]!r}")
                continue
            called = self._names.free("authentication", f"{prefix}-{name}")
            found[name] = JWTAuthentication(self._namespace, called, self._tokens(each))
        return found

    def _tokens(self, spot: Spot) -> Tokens | None:
        """None after a problem."""
        entries = self._reader.fields(spot, allowed=_TOKENS)
        if entries is None:
            return None
        for name in ("issuer", "keys"):
            if name not in entries:
                missing = spot.below(name, node=spot.node)
                self._reader.refuse(missing, reason="is missing")
        if not {"issuer", "keys"} <= entries.keys():
            return None
        issuer = self._sound(entries["issuer"], texts_of.issuer_problem)
        keys = self._keys(entries["keys"])
        header = (
            self._sound(entries["header"], texts_of.header_problem) if "header" in entries else ""
        )
        forward = self._reader.boolean(entries["forward"]) if "forward" in entries else False
        return Tokens(
            issuer=issuer or "",
            keys=keys or KeySource("jwks", ""),
            audiences=tuple(self._texts(entries.get("audiences"))),
            header=(header or "").lower(),
            forward=forward is True,
            algorithms=tuple(
                self._texts(entries.get("algorithms"), problem=texts_of.algorithm_problem)
            ),
            refresh_s=self._seconds(entries.get("refresh")),
            leeway_s=self._seconds(entries.get("leeway"), most_s=texts_of.MOST_LEEWAY_S),
            claims=tuple(self._claims(entries.get("claims"))),
            headers=tuple(self._headers(entries.get("headers"))),
        )

    def _keys(self, spot: Spot) -> KeySource | None:
        """A URL as a text, or a mapping that says which it is."""
        if not self._reader.is_mapping(spot):
            url = self._sound(spot, texts_of.url_problem)
            return None if url is None else KeySource("url", url)
        entries = self._reader.some(spot, allowed=_KEYS)
        if len(entries) != 1:
            if entries:
                self._reader.refuse(spot, reason=f"must be one of {', '.join(_KEYS)}")
            return None
        ((kind, said),) = entries.items()
        if kind == "url":
            url = self._sound(said, texts_of.url_problem)
            return None if url is None else KeySource("url", url)
        if kind == "file":
            path = self._sound(said, _path_problem)
            return None if path is None else KeySource("file", path)
        inline = self._sound(said, texts_of.jwks_problem)
        return None if inline is None else KeySource("jwks", inline)

    def _claims(self, spot: Spot | None) -> Iterator[Claim]:
        for name, each in self._named(spot):
            values = tuple(self._texts(each))
            if values:
                yield Claim(name, values)

    def _headers(self, spot: Spot | None) -> Iterator[ClaimHeader]:
        for header, each in self._named(spot):
            if problem := texts_of.told_problem(header):
                self._reader.refuse(each, reason=problem)
                continue
            claim = self._reader.text(each)
            if claim:
                yield ClaimHeader(claim, header.lower())

    def _named(self, spot: Spot | None) -> Iterator[tuple[str, Spot]]:
        if spot is not None:
            yield from (self._reader.mapping(spot) or {}).items()

    def _texts(
        self, spot: Spot | None, *, problem: Callable[[str], str] | None = None
    ) -> Iterator[str]:
        """One, or a list of some."""
        if spot is None:
            return
        for each in self._reader.one_or_more(spot):
            text = self._sound(each, problem or _empty_problem)
            if text is not None:
                yield text

    def _sound(self, spot: Spot, problem: Callable[[str], str]) -> str | None:
        text = self._reader.text(spot)
        if text is None:
            return None
        if found := problem(text):
            self._reader.refuse(spot, reason=found)
            return None
        return text

    def _seconds(self, spot: Spot | None, *, most_s: float | None = None) -> float | None:
        text = None if spot is None else notations.span(self._reader, spot)
        if spot is None or text is None:
            return None
        seconds = duration(text) / 1000
        if most_s is not None and seconds > most_s:
            self._reader.refuse(spot, reason="must not be longer than 10m")
        return seconds


def _empty_problem(written: str) -> str:
    return "" if written else "must not be empty"


def _path_problem(written: str) -> str:
    return (
        ""
        if written.startswith("/")
        else "must be the whole path of a file, such as /etc/keys.json"
    )
