"""Which names a listener for tools answers to."""

import pytest

from linkerd2_py.base.hosts import is_answered


@pytest.mark.parametrize(
    "authority",
    [
        *(
            "",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]",
            "[::1]:80",
            "::1",
            "10.0.0.1:4191",
        ),
        *(
            "[fe80::1%eth0]:80",
            "localhost",
            "LOCALHOST.:80",
            "web.localhost",
            "web-0",
            "Web-0:4191",
        ),
        *("web.shop.svc", "web-0.web.shop.svc.cluster.local:80", "10-0-0-1.shop.pod.cluster.local"),
    ],
)
def test_addresses_and_own_names_are_answered(authority: str) -> None:
    assert is_answered(authority, names={"web-0"})


@pytest.mark.parametrize(
    "authority",
    [
        *("attacker.example", "attacker.example:80", "localhost.attacker.example", "web-1", "svc"),
        *("web-0.attacker.example", "127.0.0.1.attacker.example", "127.0.0.1:80:80", "0x7f000001"),
        *(
            "127.1",
            "2130706433",
            "[attacker.example]",
            "[",
            ":80:",
            "notlocalhost",
            "cluster.local",
        ),
        *("user@localhost", "localhost/", "127.0.0.1/", "a\0b"),
    ],
)
def test_other_names_are_not(authority: str) -> None:
    assert not is_answered(authority, names={"web-0"})
