"""Label text: escaping, order, what is left out."""

import pytest

from linkerd2_py._ext.metrics.labels import make_labels


def test_the_order_given_is_kept() -> None:
    assert make_labels([("b", "1"), ("a", "2")]) == b'b="1",a="2"'


def test_a_mapping_will_do() -> None:
    assert make_labels({"version": "1"}) == b'version="1"'


def test_nothing_gives_nothing() -> None:
    assert make_labels([]) == b""


def test_quote_backslash_and_newline_are_escaped() -> None:
    assert make_labels([("a", 'x"y\\z\n')]) == b'a="x\\"y\\\\z\\n"'


@pytest.mark.parametrize("control", ["\x00", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028"])
def test_control_characters_are_replaced(control: str) -> None:
    assert make_labels([("a", f"x{control}y")]) == 'a="x\ufffdy"'.encode()


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert make_labels([(b"a", b"x\xff")]) == 'a="x\ufffd"'.encode()


def test_a_lone_surrogate_is_replaced() -> None:
    assert make_labels([("a", "x\ud800")]) == b'a="x?"'


@pytest.mark.parametrize("name", ["", "9a", "a-b", "a b", 'a"', "a\n", "é", "__name__", "le"])
def test_a_name_that_may_not_be_used_is_left_out(name: str) -> None:
    assert make_labels([(name, "1"), ("b", "2")]) == b'b="2"'


def test_the_first_of_equal_names_stays() -> None:
    assert make_labels([("a", "1"), ("a", "2")]) == b'a="1"'


@pytest.mark.parametrize("text", ["x" * 10_000, '"' * 10_000, "\U0001f600" * 10_000])
def test_a_long_value_ends_early_without_cutting_a_character_or_an_escape(text: str) -> None:
    value = make_labels([("a", text)])[3:-1]
    assert 500 <= len(value) <= 512
    assert set(value.decode().replace('\\"', '"')) == {text[0]}


def test_a_set_has_a_largest_size() -> None:
    text = make_labels([(f"a{number}", "x" * 500) for number in range(20)])
    assert 3500 < len(text) <= 4096
    assert text.startswith(b'a0="')
