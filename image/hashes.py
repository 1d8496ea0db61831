"""Digests, as registries write them and as file names have them."""

import hashlib


def sha256_hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest(content: bytes) -> str:
    """As OCI writes it."""
    return f"sha256:{sha256_hex(content)}"
