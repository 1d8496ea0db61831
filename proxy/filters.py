"""What routes do to requests and responses themselves, of either direction: from the messages of policy to
values, and from there to the engine's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.exchange.plan import Refusal
from linkerd2_py.proxy.modifiers import UNCHANGED, Modifier, Modifiers, modifier
from linkerd2_py.proxy.redirects import Redirect, redirect
from linkerd2_py.proxy.rewrites import Rewrite, rewrite

_MODIFIED: Final = {
    "request_header_modifier": "of_requests",
    "response_header_modifier": "of_responses",
}
# The last of gRPC's codes, and the one for all that there are none of.
_LAST_CODE: Final = 16
_UNKNOWN: Final = 2
# What is answered where a code of gRPC is no answer, as it is no call; all others: 500.
_STATUS_OF_CODE: Final = {4: 504, 5: 404, 7: 403, 8: 429, 14: 503}


class Injected(NamedTuple):
    """What `share` of `of` requests are answered instead."""

    status: int
    text: str
    share: int = 1
    of: int = 1
    code: int = -1
    """What calls of gRPC are told; -1: what is like the status."""

    @property
    def always(self) -> bool:
        """Whether no request goes on."""
        return self.share >= self.of


_NO_BEGINNING: Final = Injected(
    500, "a beginning is to be replaced, and the route means no beginning"
)


class Filters(NamedTuple):
    """Of the requests that are left of the failures, those that lead elsewhere are redirected, and the rest
    is changed, and asks for something else.
    """

    injected: Injected | None = None
    redirect: Redirect | None = None
    modifiers: Modifiers = UNCHANGED
    rewrite: Rewrite | None = None

    @property
    def replaces_beginning(self) -> bool:
        """Whether it matters which beginning of a path a condition means."""
        paths = [one.path for one in (self.redirect, self.rewrite) if one is not None]
        return any(path is not None and path.of_beginning for path in paths)

    def at(self, beginning: int | None) -> Filters:
        """For the requests of a condition that means paths with a beginning of that length; None: it means
        whole paths or a pattern, and what would replace a beginning fails.
        """
        if not self.replaces_beginning:
            return self
        if beginning is None:
            return Filters(_NO_BEGINNING)
        redirect, rewrite = self.redirect, self.rewrite
        return self._replace(
            redirect=None if redirect is None else redirect.at(beginning),
            rewrite=None if rewrite is None else rewrite.at(beginning),
        )

    def refusal(self) -> Refusal | None:
        """Who is answered in an endpoint's place; None: nobody."""
        made = None if self.redirect is None else self.redirect.engine()
        if self.injected is not None:
            status, text, share, of, code = self.injected
            return Refusal(status, text, code=code, share=share, of=of, redirect=made)
        return None if made is None else Refusal(redirect=made)

    def request_edits(self) -> Edits | None:
        """None: nothing is changed."""
        modifier, rewrite = self.modifiers.of_requests, self.rewrite
        if rewrite is None:
            return None if modifier is None else modifier.edits()
        path = None if rewrite.path is None else rewrite.path.engine()
        return (modifier or Modifier()).edits(path=path, host=rewrite.host)

    def response_edits(self) -> Edits | None:
        """None: nothing is changed."""
        modifier = self.modifiers.of_responses
        return None if modifier is None else modifier.edits()


NO_FILTERS: Final = Filters()


def filters_of(messages: Iterable[Any], *, forbidden: str) -> tuple[Filters, list[str]]:
    """Of a rule or a backend, and what is left out. `forbidden`: what failures say that have no words of
    their own. ValueError for what cannot be done.
    """
    found = NO_FILTERS
    left_out: list[str] = []
    for one in messages:
        kind = one.WhichOneof("kind")
        if kind is None:
            raise ValueError("a filter without a kind")
        if kind == "failure_injector":
            found = _injecting(found, _injected(one.failure_injector, forbidden))
        elif kind == "redirect" and found.redirect is None:
            found = found._replace(redirect=redirect(one.redirect))
        elif kind == "url_rewrite" and found.rewrite is None:
            found = found._replace(rewrite=rewrite(one.url_rewrite))
        elif kind in _MODIFIED and getattr(found.modifiers, _MODIFIED[kind]) is None:
            made, not_ours = modifier(getattr(one, kind))
            modifiers = found.modifiers._replace(**{_MODIFIED[kind]: made})
            found = found._replace(modifiers=modifiers)
            left_out += not_ours
        else:
            left_out.append(f"another {kind.replace('_', ' ')}")
    if found.redirect is not None and found.rewrite is not None:
        raise ValueError("what is redirected is not rewritten")
    return found, left_out


def _injecting(filters: Filters, more: Injected) -> Filters:
    """The first, unless a later one means all."""
    first = filters.injected
    if first is None or (more.always and not first.always):
        return filters._replace(injected=more)
    return filters


def _injected(injector: Any, forbidden: str) -> Injected:
    made = _failure(injector, injector.message or forbidden)
    if not injector.HasField("ratio"):
        return made
    ratio = injector.ratio
    if not ratio.denominator:
        raise ValueError("a failure for a share of no requests")
    return made._replace(share=ratio.numerator, of=ratio.denominator)


def _failure(injector: Any, text: str) -> Injected:
    if "status" not in injector.DESCRIPTOR.fields_by_name:
        code = injector.code if injector.code <= _LAST_CODE else _UNKNOWN
        return Injected(_STATUS_OF_CODE.get(injector.code, 500), text, code=code)
    status = int(injector.status)
    if not 200 <= status <= 599:
        raise ValueError(f"a failure with status {status}")
    return Injected(status, text)
