"""What a person is told of a rotation: where it stands, who is waited for, what to run."""

from __future__ import annotations

from linkerd2_py.cli.rotation.look import Look
from linkerd2_py.cli.rotation.steps import Proxy, Rotation, Seen
from linkerd2_py.cli.rotation.tell import plan_lines, status_lines

OLD, NEW, BOTH = frozenset({"old"}), frozenset({"new"}), frozenset({"old", "new"})
ROTATION = Rotation(fresh="new", retired=OLD, issuer="new")
WORKLOADS = (
    Proxy("shop", "web-1", "deploy/web", OLD),
    Proxy("shop", "web-2", "deploy/web", OLD),
    Proxy("shop", "by-hand-1", "deploy/by-hand", OLD),
    Proxy("shop", "once-1", "job/once\x1b[2J", OLD),
)


def seen(bundle: frozenset[str], *proxies: Proxy, issuer: str = "old", begun: bool = True) -> Look:
    found = Seen(bundle, issuer, proxies, ROTATION if begun else None)
    return Look(found, (), {}, {}, None)


def test_nothing_has_begun() -> None:
    assert list(status_lines(seen(OLD, *WORKLOADS, begun=False), manual={})) == [
        "no rotation has begun; 1 anchor(s) in the bundle, 4 proxies",
        "next: `linkerd2-py identity rotate-anchors --apply` will make the new anchor and the issuer below it",
    ]


def test_who_is_waited_for_and_what_helps() -> None:
    manual = {
        "shop deploy/by-hand": "its template has a proxy with anchors of its own: inject it anew"
    }
    assert list(status_lines(seen(BOTH, *WORKLOADS), manual=manual)) == [
        "next: restart the workloads whose proxies trust only the old anchor",
        "4 of 4 proxies are waited for:",
        "  shop deploy/web (2)",
        "  shop deploy/by-hand (1): its template has a proxy with anchors of its own: inject it anew",
        # Whatever an object is called does nothing to a terminal.
        "  shop job/once\\x1b[2J (1)",
        "restart them with `linkerd2-py identity rotate-anchors --apply --restart`, or yourself:",
        "  kubectl rollout restart -n shop deploy/web",
        "what no template makes anew must end, or be made again by whoever made it",
        "then: `linkerd2-py identity rotate-anchors --apply`",
    ]


def test_certificates_are_waited_for_or_asked_for_by_a_restart() -> None:
    presents_old = Proxy("shop", "web-1", "deploy/web", BOTH, issuer="old")
    assert list(status_lines(seen(BOTH, presents_old, issuer="new"), manual={}))[3:] == [
        "certificates are renewed by themselves when 70 % of their time is over;",
        "pods that are restarted get theirs at once: `linkerd2-py identity rotate-anchors --apply --restart`",
        "then: `linkerd2-py identity rotate-anchors --apply`",
    ]


def test_the_plan_shows_where_it_stands() -> None:
    assert all(line.startswith(" ") for line in [*plan_lines(seen(OLD, begun=False))][1:])
    marks = [line[0] for line in plan_lines(seen(BOTH, *WORKLOADS))]
    assert "".join(marks) == "√√√→       "
    done = [line[0] for line in plan_lines(seen(NEW, issuer="new"))]
    assert "".join(done) == "√√√√√√√√√√→"
