"""The certificates of a run lead to its anchor, by other people's judgement, and name one end each."""

from pathlib import Path

from bench.certificates import make_certificates
from tests.support.certificates import openssl


def test_each_end_has_a_leaf_that_leads_to_the_anchor(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    assert made.client.name != made.server.name
    for leaf in (made.client, made.server):
        said = openssl(
            "verify",
            *("-CAfile", made.anchors),
            *("-untrusted", leaf.chain),
            *("-verify_hostname", leaf.name),
            leaf.chain,
        )
        assert said.strip().endswith(": OK")


def test_a_key_is_its_leafs_and_stands_with_it_in_one_file(tmp_path: Path) -> None:
    leaf = make_certificates(tmp_path).server
    public = openssl("x509", "-in", leaf.chain, "-noout", "-pubkey")
    assert openssl("pkey", "-in", leaf.key, "-pubout") == public
    assert leaf.both.read_bytes() == leaf.chain.read_bytes() + leaf.key.read_bytes()


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
