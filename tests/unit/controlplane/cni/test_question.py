"""Questions of container runtimes, as the specification has them and as nobody should ask them."""

from __future__ import annotations

import json

import pytest

from linkerd2_py.controlplane.cni.question import (
    VERSIONS,
    CniError,
    Code,
    PodName,
    error_of,
    read_question,
    result_of,
)

ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u-1"
BEFORE = {"cniVersion": "1.0.0", "ips": [{"address": "10.1.2.3/24"}], "dns": {}}


def configuration(**more: object) -> bytes:
    return json.dumps({"cniVersion": "1.0.0", "name": "n", "type": "linkerd-cni", **more}).encode()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_result_of_those_before_us_is_passed_on(version: str) -> None:
    asked = read_question(
        {"CNI_COMMAND": "ADD", "CNI_ARGS": ARGS, "CNI_CONTAINERID": "c"},
        configuration(cniVersion=version, prevResult=BEFORE),
    )
    assert asked.pod == PodName("shop", "web-0", "u-1")
    assert json.loads(result_of(asked)) == {**BEFORE, "cniVersion": version}


def test_alone_it_has_nothing_to_tell() -> None:
    asked = read_question({"CNI_COMMAND": "ADD"}, configuration())
    assert asked.pod is None
    assert json.loads(result_of(asked)) == {"cniVersion": "1.0.0"}


@pytest.mark.parametrize(
    ("command", "arguments", "text", "code", "told"),
    [
        ("", "", b"{}", Code.BAD_VARIABLES, "CNI_COMMAND is ''"),
        ("DEL", "", b"{}", Code.BAD_VARIABLES, "CNI_COMMAND is 'DEL'"),
        ("ADD", "", b"{", Code.UNREADABLE, "not JSON"),
        ("ADD", "", b"[" * 100_000, Code.UNREADABLE, "not JSON"),
        ("ADD", "", b"[]", Code.UNREADABLE, "not an object"),
        ("ADD", "", configuration(cniVersion="2.0.0"), Code.INCOMPATIBLE_VERSION, "2.0.0"),
        ("ADD", "", configuration(cniVersion=None), Code.INCOMPATIBLE_VERSION, "None"),
        (
            *("ADD", "K8S_POD_NAMESPACE=../../secrets;K8S_POD_NAME=x", configuration()),
            *(Code.BAD_VARIABLES, "'../../secrets' is not a name"),
        ),
        (
            *("ADD", "K8S_POD_NAMESPACE=a;K8S_POD_NAME=x?y", configuration()),
            *(Code.BAD_VARIABLES, "'x\\?y' is not a name"),
        ),
    ],
)
def test_what_makes_no_sense(
    command: str, arguments: str, text: bytes, code: Code, told: str
) -> None:
    with pytest.raises(CniError, match=told) as caught:
        read_question({"CNI_COMMAND": command, "CNI_ARGS": arguments}, text)
    assert caught.value.code is code


def test_an_error_is_one_line_of_json() -> None:
    text = error_of(CniError(Code.TRY_AGAIN, 'it said "no"\nand \x1b[31mred'), version="0.4.0")
    assert text.count(b"\n") == 1
    assert b"\x1b" not in text
    assert json.loads(text) == {
        "cniVersion": "0.4.0",
        "code": 11,
        "msg": 'linkerd-cni: it said "no" and \x1b[31mred',
    }
