"""The Huffman code of HPACK, against a library that has it from the same table."""

import pytest
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.http2.testing import decode_huffman

END_OF_STRING = 256
CODES = [f"{code:0{size}b}" for code, size in zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)]


def packed(bits: str, padding: str = "1") -> bytes:
    """Filled up to whole bytes."""
    bits += padding * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8) if bits else b""


def coded(text: bytes) -> bytes:
    return packed("".join(CODES[byte] for byte in text))


@pytest.mark.parametrize("byte", range(256))
def test_each_symbol_is_decoded(byte: int) -> None:
    assert decode_huffman(coded(bytes([byte]))) == bytes([byte])


@given(st.binary(max_size=300))
def test_what_was_coded_comes_back(text: bytes) -> None:
    assert decode_huffman(coded(text)) == text


def test_the_examples_of_the_rfc() -> None:
    """RFC 7541 appendix C.4 and C.6."""
    assert decode_huffman(bytes.fromhex("f1e3c2e5f23a6ba0ab90f4ff")) == b"www.example.com"
    assert decode_huffman(bytes.fromhex("a8eb10649cbf")) == b"no-cache"
    assert decode_huffman(bytes.fromhex("6402")) == b"302"


def test_nothing_stands_for_nothing() -> None:
    assert decode_huffman(b"") == b""


@pytest.mark.parametrize(
    "bits",
    [
        pytest.param(CODES[ord("a")] + "000", id="padding of zeros"),
        pytest.param(CODES[ord("a")] + "110", id="padding that ends in a zero"),
        pytest.param(CODES[ord("&")] + "1" * 8, id="a whole byte of padding"),
        pytest.param("1" * 16, id="nothing but padding"),
        pytest.param(CODES[END_OF_STRING] + "11", id="the end of a string within it"),
        pytest.param(CODES[0][:8], id="half a code"),
    ],
)
def test_what_is_no_code_is_refused(bits: str) -> None:
    """RFC 7541 section 5.2."""
    assert len(bits) % 8 == 0
    assert decode_huffman(packed(bits)) is None
