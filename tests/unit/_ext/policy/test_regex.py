"""Regular expressions over whole texts: what they mean, and which are refused. (Fuzzed against Python's in
tests/fuzz/test_regex.py.)
"""

import time

import pytest

from linkerd2_py._ext.policy.regex import Regex, RegexError


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/api/[^/]*", ["/api/", "/api/1"], ["/api", "/api/1/2", "x/api/"]),
        ("^/a$", ["/a"], ["/a/", "b/a"]),
        (
            r"/emojivoto\.v1\.VotingService/VoteDoughnut",
            ["/emojivoto.v1.VotingService/VoteDoughnut"],
            ["/"],
        ),
        ("^/a$|^/b$", ["/a", "/b"], ["/c", "/a/b"]),
        ("/a|/b", ["/a", "/b"], ["/ab", "/a/b"]),
        ("(?i)/Users", ["/users", "/USERS"], ["/user"]),
        ("", [""], ["a"]),
        (".*", ["", "/x\u00e9"], ["\n"]),
        ("(?s).*", ["\n"], []),
        (r"\A/x\z", ["/x"], ["/xx"]),
        ("[[:alpha:]_]+", ["ab_"], ["a1"]),
        ("[[:^digit:]]", ["a"], ["1"]),
        ("\u00e9+", ["\u00e9", "\u00e9\u00e9"], ["e"]),
        (r"\x{2f}\x41", ["/A"], ["/a"]),
        ("(?P<id>[0-9]{2,3})(?<rest>x?)", ["12", "123x"], ["1", "1234"]),
        ("a**", ["", "aa"], ["b"]),
    ],
)
def test_a_pattern_matches_whole_texts(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    regex = Regex(pattern.encode())
    assert [text for text in matching if not regex.matches(text.encode())] == []
    assert [text for text in others if regex.matches(text.encode())] == []


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(a)\1", "not supported"),
        (r"a\b", "not supported"),
        (r"\pL", "not supported"),
        ("(?=a)", "not supported"),
        ("(?<=a)b", "no '>'"),
        ("(?i:a)", "not supported"),
        ("(?m)a", "one line"),
        ("a^b", "within"),
        ("(a$)b", "within"),
        ("(^a)*", "within"),
        ("[a&&b]", "classes of classes"),
        ("[a[b]]", "classes of classes"),
        ("[\u00e9]", "more than ASCII"),
        ("[b-a]", "range"),
        ("[a", "no end"),
        ("(a", "no end"),
        ("a)", "closes nothing"),
        ("*a", "repeats nothing"),
        ("a{", "no '}'"),
        ("a{x}", "numbers"),
        ("a{3,2}", "from 3 to 2"),
        ("a{9999}", "more than 1000"),
        ("\\", "not supported"),
        ("(" * 60 + ")" * 60, "nested"),
        ("a" * 5000, "longer"),
        ("(?:a|b)*a(?:a|b){20}", "too"),
        ("((x{1000}){1000}){1000}", "too large"),
        ("(((){1000}){1000}){1000}", "too complex"),
    ],
)
def test_what_is_wrong_or_not_supported_or_too_large_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(RegexError, match=words):
        Regex(pattern.encode())


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(RegexError, match="UTF-8"):
        Regex(b"\xff")


def test_a_pattern_that_is_a_text_needs_no_table() -> None:
    regex = Regex(rb"^/a\.b/c$")
    assert (regex.exact, regex.size) == (b"/a.b/c", 0)
    assert Regex(b"/a.b").exact is None


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("/a/[^/]*", "/a/"),
        ("^/a$", "/a"),
        ("/a|/b", ""),
        (".*", ""),
        ("^(/a)b*", "/a"),
        ("/a?b", "/"),
    ],
)
def test_what_all_texts_begin_with_is_known(pattern: str, prefix: str) -> None:
    assert Regex(pattern.encode()).prefix == prefix.encode()


@pytest.mark.parametrize(
    "pattern", [b"(?:a|b)*a(?:a|b){20}", b"(((){1000}){1000}){1000}", b"(a?){1000}a{1000}"]
)
def test_compiling_takes_a_bounded_time(pattern: bytes) -> None:
    """In processor time, with room for any machine: what is bounded is the number of steps."""
    before = time.process_time()
    with pytest.raises(RegexError):
        Regex(pattern)
    assert time.process_time() - before < 5
