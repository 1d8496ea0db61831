"""The header with which two proxies carry HTTP/1 over HTTP/2."""

import pytest

from linkerd2_py._ext.exchange.testing import Asked

MARK = b"l5d-orig-proto"
OTHER = (b"x-other", b"1")
# version, form, and what the header says of them
WORDS = [
    ("1.1", "origin", b"HTTP/1.1"),
    ("1.0", "origin", b"HTTP/1.0"),
    ("1.1", "absolute", b"HTTP/1.1; absolute-form"),
    ("1.0", "absolute", b"HTTP/1.0; absolute-form"),
]
UNKNOWN = [
    b"",
    b"HTTP/1.",
    b"HTTP/1.2",
    b"HTTP/2",
    b"HTTP/2.0",
    b"http/1.1",
    b"HTTP/1.1 ",
    b"HTTP/1.1;absolute-form",
    b"HTTP/1.1; absolute-forms",
    b"HTTP/1.1; absolute-xxxx",
    b"HTTP/1.1; Absolute-Form",
]


@pytest.mark.parametrize(("version", "form", "word"), WORDS)
def test_a_request_is_marked_last_with_version_and_form(
    version: str, form: str, word: bytes
) -> None:
    request = Asked([OTHER], version=version, form=form)
    assert request.mark_request() == 1
    assert request.fields == [OTHER, (MARK, word)]


@pytest.mark.parametrize(("version", "form", "word"), WORDS)
def test_a_marked_request_has_its_version_form_target_and_host_again(
    version: str, form: str, word: bytes
) -> None:
    request = Asked([(MARK, word), OTHER], version="2", authority=b"web:80", path=b"/x?y")
    assert request.restore_request()
    assert (request.version, request.form) == (version, form)
    assert request.target == (b"http://web:80/x?y" if form == "absolute" else b"/x?y")
    assert request.fields == [OTHER, (b"Host", b"web:80")]


def test_the_form_that_a_codec_saw_is_not_the_one_that_was_sent() -> None:
    request = Asked([(MARK, b"HTTP/1.1")], version="2", form="absolute")
    assert request.restore_request()
    assert request.form == "origin"


@pytest.mark.parametrize(
    ("scheme", "path", "target"),
    [
        (b"https", b"/x", b"https://web/x"),
        (b"http", b"/", b"http://web/"),
        (b"http", b"*", b"http://web"),
        (b"http", b"*x", b"http://web*x"),
    ],
)
def test_an_absolute_form_is_rebuilt_as_it_was_asked_for(
    scheme: bytes, path: bytes, target: bytes
) -> None:
    word = b"HTTP/1.1; absolute-form"
    request = Asked([(MARK, word)], version="2", scheme=scheme, authority=b"web", path=path)
    assert request.restore_request()
    assert request.target == target


@pytest.mark.parametrize(
    ("authority", "hosts", "expected"),
    [
        (b"web", [], [(b"Host", b"web")]),
        (b"web", [(b"host", b"other")], [(b"host", b"other")]),
        (b"", [], []),
    ],
)
def test_a_host_is_added_only_where_there_is_an_authority_and_none_came(
    authority: bytes, hosts: list[tuple[bytes, bytes]], expected: list[tuple[bytes, bytes]]
) -> None:
    request = Asked([(MARK, b"HTTP/1.0"), *hosts], version="2", authority=authority)
    assert request.restore_request()
    assert request.fields == expected


@pytest.mark.parametrize("word", UNKNOWN)
def test_a_word_that_linkerd_does_not_write_leaves_a_request_as_it_came(word: bytes) -> None:
    request = Asked([OTHER, (MARK, word)], version="2")
    assert not request.restore_request()
    assert (request.version, request.form, request.target) == ("2", "origin", b"")
    assert request.fields == [OTHER]


def test_a_request_without_the_header_stays_as_it_came() -> None:
    request = Asked([OTHER], version="2")
    assert not request.restore_request()
    assert (request.version, request.fields) == ("2", [OTHER])


def test_a_header_said_twice_goes_whole_and_its_first_word_counts() -> None:
    request = Asked([(MARK, b"HTTP/1.0"), (MARK, b"HTTP/1.1")], version="2", authority=b"")
    assert request.restore_request()
    assert (request.version, request.fields) == ("1.0", [])


def test_the_header_is_removed_without_being_believed() -> None:
    head = Asked([(MARK, b"HTTP/1.0"), OTHER, (b"L5D_Orig_Proto", b"HTTP/1.0")], version="2")
    assert head.strip() == 2
    assert (head.version, head.fields) == ("2", [OTHER])
    assert head.strip() == 0


@pytest.mark.parametrize(
    ("version", "word"), [("1.0", b"HTTP/1.0"), ("1.1", b"HTTP/1.1"), ("2", b"HTTP/1.1")]
)
def test_a_response_is_marked_with_what_the_workload_answered_not_with_what_it_claims(
    version: str, word: bytes
) -> None:
    response = Asked([(MARK, b"HTTP/1.0; absolute-form"), OTHER], form="absolute")
    response.mark_response(version)
    assert response.fields == [OTHER, (MARK, word)]


@pytest.mark.parametrize(("version", "form", "word"), WORDS)
def test_a_marked_response_has_its_version_again(version: str, form: str, word: bytes) -> None:
    response = Asked([(MARK, word), OTHER], version="2", form=form)
    response.restore_response()
    assert (response.version, response.fields) == (version, [OTHER])


@pytest.mark.parametrize("word", UNKNOWN)
def test_a_word_that_linkerd_does_not_write_is_dropped_from_a_response(word: bytes) -> None:
    response = Asked([(MARK, word), OTHER], version="2")
    response.restore_response()
    assert (response.version, response.fields) == ("2", [OTHER])


def test_a_response_without_the_header_stays_as_it_came() -> None:
    response = Asked([OTHER], version="2")
    response.restore_response()
    assert (response.version, response.fields) == ("2", [OTHER])
