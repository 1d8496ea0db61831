"""Any bytes as a certificate signing request: a refusal of ours or, for what is unharmed, the key; never
anything else.
"""

from cryptography import x509
from hypothesis import example, given
from hypothesis import strategies as st

from linkerd2_py.controlplane.identity.csr import check_csr
from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError
from tests.support.certificates import IDENTITY, common_name, csr, dns_names, new_key

KEY = new_key()
GOOD = csr(KEY, subject=common_name(IDENTITY))
SEEDS = [GOOD, csr(KEY), csr(KEY, extensions=[]), csr(KEY, extensions=[dns_names("a", "b")])]
# Names near ours, as one who wants another's certificate would write them.
NAMES = st.sampled_from(
    [
        IDENTITY,
        IDENTITY.upper(),
        f"{IDENTITY}.",
        f" {IDENTITY}",
        f"{IDENTITY}\0",
        f"{IDENTITY}\0.example",
        f"x.{IDENTITY}",
        f"*.{IDENTITY}",
        "*",
        "a",
    ]
)
EXPECTED = {Reason.CSR_BYTES, Reason.CSR_RULE}


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A request with bytes exchanged, taken out and put in."""
    raw = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(raw) - 1))
        change = draw(st.sampled_from(["set", "cut", "insert", "copy"]))
        if change == "set":
            raw[at] = draw(st.integers(0, 255))
        elif change == "cut" and len(raw) > 40:
            del raw[at : at + draw(st.integers(1, 20))]
        elif change == "insert":
            raw[at:at] = draw(st.binary(min_size=1, max_size=20))
        else:
            start = draw(st.integers(0, len(raw) - 1))
            piece = raw[start : start + 30]
            raw[at : at + len(piece)] = piece
    return bytes(raw)


def judged(der: bytes) -> Reason | None:
    """The reason of the refusal; None for a request whose key would be certified."""
    try:
        key = check_csr(der, identity=IDENTITY)
    except RefusedError as refusal:
        reason, words = refusal.reason, str(refusal)
    else:
        assert key.public_numbers() == KEY.public_key().public_numbers()
        return None
    assert reason in EXPECTED
    assert words
    return reason


@given(mutated())
def test_mutated_request_is_refused_in_words(der: bytes) -> None:
    judged(der)


@given(st.binary(max_size=400))
@example(b"")
@example(b"\x30\x80\x00\x00")
def test_any_bytes_are_unreadable(der: bytes) -> None:
    assert judged(der) is Reason.CSR_BYTES


@given(st.lists(NAMES, max_size=3), st.lists(NAMES, max_size=2))
@example([IDENTITY], [])
@example([IDENTITY], [IDENTITY])
def test_signed_request_passes_with_its_one_name_only(names: list[str], subject: list[str]) -> None:
    parts = [part for name in subject for part in common_name(name[:64])]
    der = csr(KEY, extensions=[dns_names(*names)], subject=x509.Name(parts))
    is_good = names == [IDENTITY] and subject in ([], [IDENTITY])
    assert judged(der) is (None if is_good else Reason.CSR_RULE)


def test_every_single_byte_counts() -> None:
    """Only the form of the signature may change: unused bits may be declared at its end."""
    signed = x509.load_der_x509_csr(GOOD).tbs_certrequest_bytes
    for at in range(len(GOOD)):
        for value in (0x00, 0xFF, GOOD[at] ^ 0x01, GOOD[at] ^ 0x80):
            changed = GOOD[:at] + bytes([value]) + GOOD[at + 1 :]
            if changed != GOOD and judged(changed) is None:
                assert x509.load_der_x509_csr(changed).tbs_certrequest_bytes == signed


def test_seeds_are_what_they_seem() -> None:
    assert [judged(seed) for seed in SEEDS] == [None, None, Reason.CSR_RULE, Reason.CSR_RULE]
