"""Rules of JWTAuthentications."""

from __future__ import annotations

from linkerd2_py.controlplane.policy import tokens as texts_of
from linkerd2_py.controlplane.policy.admission.fields import Asked, Field
from linkerd2_py.controlplane.policy.admission.notations import duration_problem, seconds_of


def check_jwt_authentication(asked: Asked) -> None:
    """An issuer with keys, and texts that proxies can use."""
    spec = asked.spec
    _check_named(spec["issuer"])
    spec["issuer"].check(texts_of.issuer_problem)
    _check_keys(spec)
    spec["fromHeader"].check(texts_of.header_problem)
    spec["forward"].is_true()
    for audience in spec["audiences"]:
        if not audience.text():
            audience.refuse("must not be empty")
    for algorithm in spec["algorithms"]:
        algorithm.check(texts_of.algorithm_problem)
    for name in ("refreshInterval", "leeway"):
        spec[name].check(duration_problem)
    if spec["leeway"].is_said and (seconds_of(spec["leeway"].text()) or 0) > texts_of.MOST_LEEWAY_S:
        spec["leeway"].refuse("must not be longer than 10m")
    for claim in spec["claims"]:
        _check_named(claim["name"])
        if not len(claim["values"]):
            claim["values"].refuse("at least one must be said")
        for value in claim["values"]:
            value.text()
    for told in spec["claimToHeaders"]:
        _check_named(told["claim"])
        _check_named(told["header"])
        told["header"].check(texts_of.told_problem)


def _check_keys(spec: Field) -> None:
    inline, url = spec["jwks"], spec["jwksUri"]
    if inline.is_said == url.is_said:
        spec.refuse("exactly one of jwks and jwksUri must be said")
    inline.check(texts_of.jwks_problem)
    url.check(texts_of.url_problem)


def _check_named(field: Field) -> None:
    if not field.text():
        field.refuse("must be said")
