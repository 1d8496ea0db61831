"""Tests that make network namespaces need root, and say so where they do not have it."""

import os

import pytest


def need_root() -> None:
    """Skip the test when it may not make network namespaces."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes network namespaces and packet filter rules")
