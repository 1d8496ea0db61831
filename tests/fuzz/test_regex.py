"""Our automata of regular expressions against Python's `re`, on patterns and texts that are made to fit each
other.
"""

import contextlib
import re
import warnings

from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.policy.regex import Regex, RegexError

LETTERS = "abA/.-_1 "
ATOMS = st.one_of(
    st.sampled_from(
        ["a", "b", "A", "/", "1", "-", "_", r"\.", ".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\x61"]
    ),
    st.sampled_from(
        ["[ab]", "[^a]", "[a-b1]", "[^/]", "[]a]", "[a-]", r"[\d_]", r"[^\w]", "[^]b]", r"[\-a]"]
    ),
)
COUNTS = st.sampled_from(
    ["", "", "", "*", "+", "?", "*?", "+?", "??", "{0}", "{2}", "{0,2}", "{1,}", "{2,3}?"]
)
PATTERNS = st.recursive(
    st.builds("{}{}".format, ATOMS, COUNTS),
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=4).map("".join),
        st.lists(parts, min_size=1, max_size=3).map("|".join).map("({})".format),
        st.builds("(?:{}){}".format, parts, COUNTS),
        st.builds("(?P<n>{}){}".format, parts, st.sampled_from(["", "*", "?"])),
        st.builds("({}|){}".format, parts, COUNTS),
    ),
    max_leaves=8,
)
TEXTS = st.text(alphabet=LETTERS, max_size=12)


def compiled(pattern: str) -> Regex | None:
    """None where it would be too large, which is the only reason not to take one of these."""
    try:
        return Regex(pattern.encode())
    except RegexError as error:
        if not str(error).startswith("too "):
            raise
        return None


def matches(pattern: str, text: str, flags: re.RegexFlag) -> bool | None:
    """What Python says; None where it finds a pattern wrong (a name of a group twice)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.fullmatch(pattern.encode(), text.encode(), flags) is not None
        except re.error:
            return None


@given(
    PATTERNS,
    st.lists(TEXTS, min_size=1, max_size=8),
    st.booleans(),
    st.sampled_from(["{}", "^{}$", "^(?:{})"]),
)
def test_the_same_texts_match(pattern: str, texts: list[str], any_case: bool, frame: str) -> None:
    if "|" in pattern:
        pattern = f"(?:{pattern})"
    pattern = frame.format(pattern)
    wanted = [matches(pattern, text, re.IGNORECASE if any_case else re.NOFLAG) for text in texts]
    if None in wanted:
        return
    regex = compiled(f"(?i){pattern}" if any_case else pattern)
    if regex is None:
        return
    assert [regex.matches(text.encode()) for text in texts] == wanted


@given(
    PATTERNS.filter(lambda one: matches(one, "", re.NOFLAG) is not None).flatmap(
        lambda one: st.tuples(st.just(one), st.from_regex(one.encode(), fullmatch=True))
    )
)
def test_what_a_pattern_can_make_it_matches(found: tuple[str, bytes]) -> None:
    pattern, text = found
    if re.fullmatch(pattern.encode(), text) is None:
        return
    regex = compiled(pattern)
    assert regex is None or regex.matches(text)


@given(st.text(alphabet="ab(){}[]?*+|\\^$.,:-&~12xdwPi<>!=\u00e9", max_size=24))
def test_any_pattern_is_compiled_or_refused(pattern: str) -> None:
    """Whatever it is, and never to something that matches more than Python's does."""
    try:
        regex = Regex(pattern.encode())
    except RegexError:
        return
    for text in ("", "a", "ab", "a1", "xx", "}"):
        if regex.matches(text.encode()):
            assert matches(pattern, text, re.NOFLAG) in (True, None)


@given(st.binary(max_size=40))
def test_no_bytes_break_it(pattern: bytes) -> None:
    with contextlib.suppress(RegexError):
        Regex(pattern).matches(pattern)
