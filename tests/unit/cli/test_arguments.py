"""What the words on the command line mean: resources, durations, global flags."""

from __future__ import annotations

import pytest

from linkerd2_py.cli.commands.diagnostics import qualified
from linkerd2_py.cli.commands.stat import Filter, other_end_of
from linkerd2_py.cli.durations import parse_duration, short_age
from linkerd2_py.cli.errors import EXIT_USAGE, CliError
from linkerd2_py.cli.main import hoist_globals
from linkerd2_py.cli.resources import Resource, canonical_kind, parse_resources


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("deploy", [("deployment", "")]),
        ("deploy web", [("deployment", "web")]),
        ("deploy web api", [("deployment", "web"), ("deployment", "api")]),
        ("deploy/web po/web-0", [("deployment", "web"), ("pod", "web-0")]),
        ("deploy/ po/", [("deployment", ""), ("pod", "")]),
        ("Authorities", [("authority", "")]),
        ("all", [("all", "")]),
    ],
)
def test_resources(words: str, expected: list[tuple[str, str]]) -> None:
    assert parse_resources(words.split()) == [Resource(kind, name) for kind, name in expected]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "no resource is given"),
        ("foo", "unknown resource type 'foo'"),
        ("deploy/a/b", "invalid resource"),
        ("deploy a/b", "not both"),
        ("deploy/web deploy/web", "given twice"),
        ("all/ deploy/", "'all' cannot stand beside"),
    ],
)
def test_resources_that_make_no_sense(words: str, message: str) -> None:
    with pytest.raises(CliError, match=message) as caught:
        parse_resources(words.split())
    assert caught.value.status == EXIT_USAGE


def test_every_short_and_plural_name_is_known() -> None:
    assert canonical_kind("svc") == canonical_kind("services") == "service"
    assert canonical_kind("po") == canonical_kind("pods") == "pod"
    assert canonical_kind("au") == canonical_kind("authorities") == "authority"
    short = {"cj": "cronjob", "ds": "daemonset", "rc": "replicationcontroller", "rs": "replicaset"}
    assert {name: canonical_kind(name) for name in short} == short
    assert canonical_kind("sts") == canonical_kind("statefulsets") == "statefulset"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1m", 60), ("1h30m", 5400), ("500ms", 0.5), ("1.5s", 1.5), ("0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text, flag="-t") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "m", "-1m", "1 m", "1mm", "1d", "x1m", "1m!"])
def test_durations_that_go_would_not_read(text: str) -> None:
    with pytest.raises(CliError, match=r"-t: .* is not a duration"):
        parse_duration(text, flag="-t")


@pytest.mark.parametrize(
    ("seconds", "age"),
    [
        (-1, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (660, "11m"),
        (90 * 60, "90m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (9 * 3600, "9h"),
        (49 * 3600, "2d"),
    ],
)
def test_ages(seconds: float, age: str) -> None:
    assert short_age(seconds) == age


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("-n x stat deploy", "stat deploy -n x"),
        ("--namespace=x --verbose stat deploy", "stat deploy --namespace=x --verbose"),
        ("-nx --api-addr h:1 local status", "local status -nx --api-addr h:1"),
        (
            "--context=a --kubeconfig f --as me --as-group a --as-group=b -L l get po",
            "get po --context=a --kubeconfig f --as me --as-group a --as-group=b -L l",
        ),
        ("-Lx --linkerd-namespace y --contexts z", "-Lx --linkerd-namespace y --contexts z"),
        ("stat deploy -n x", "stat deploy -n x"),
        ("-n x get -- pods", "get -n x -- pods"),
        ("--help", "--help"),
        ("-n x --help", "-n x --help"),
        ("-n", "-n"),
        ("", ""),
    ],
)
def test_global_flags_before_the_command_move_behind_it(before: str, after: str) -> None:
    assert hoist_globals(before.split()) == after.split()


NONE = ("", "")


def test_other_end_by_name() -> None:
    found = other_end_of([Resource("deployment")], to=("deploy/web", "shop"), from_=NONE)
    assert found == Filter("to", Resource("deployment", "web"), "shop")


def test_namespace_alone_means_the_same_type_over_there() -> None:
    found = other_end_of([Resource("pod")], to=NONE, from_=("", "shop"))
    assert found == Filter("from", Resource("pod"), "shop")


@pytest.mark.parametrize(
    ("kind", "to", "from_", "message"),
    [
        ("pod", ("deploy/a", ""), ("deploy/b", ""), "exclude each other"),
        ("namespace", ("", "x"), NONE, "cannot be used with the type namespace"),
        ("pod", NONE, ("au/x", ""), "--from an authority"),
    ],
)
def test_other_ends_that_clash(
    kind: str, to: tuple[str, str], from_: tuple[str, str], message: str
) -> None:
    with pytest.raises(CliError, match=message):
        other_end_of([Resource(kind)], to=to, from_=from_)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("web-svc", "web-svc.shop.svc.cluster.local:80"),
        ("web-svc:8080", "web-svc.shop.svc.cluster.local:8080"),
        ("a.b.svc.cluster.local:1", "a.b.svc.cluster.local:1"),
    ],
)
def test_authorities_are_filled_up(text: str, full: str) -> None:
    assert qualified(text, namespace="shop") == full


@pytest.mark.parametrize("text", ["", ":80", "web:", "web:http"])
def test_authorities_that_are_none(text: str) -> None:
    with pytest.raises(CliError, match="is not an authority"):
        qualified(text, namespace="shop")
