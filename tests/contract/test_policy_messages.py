"""Policies that Linkerd's own controller sent are read whole by our messages, and written again as they came."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import outbound_pb2 as outbound

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "contract" / "policy"
CASES = sorted(RECORDED.glob("*.json"))

pytestmark = pytest.mark.skipif(
    not CASES, reason="no recordings of Linkerd's policy controller here"
)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_recorded_policies_are_read_whole_and_written_again(path: Path) -> None:
    kind = inbound.Server if path.stem.startswith("inbound") else outbound.OutboundPolicy
    for wire in map(bytes.fromhex, json.loads(path.read_text()).get("wire_hex") or ()):
        message = kind.FromString(wire)
        assert not list(unknown(message))
        written = message.SerializeToString()
        # Entries of maps have no order; else the bytes are the same.
        assert sorted(written) == sorted(wire)
        assert kind.FromString(written) == message


def unknown(message: Message) -> Iterator[str]:
    """Fields that were sent and that our message does not know."""
    for field in UnknownFieldSet(message):
        yield f"{message.DESCRIPTOR.full_name}.{field.field_number}"
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None or descriptor.message_type.GetOptions().map_entry:
            continue
        for inner in value if descriptor.is_repeated else [value]:
            yield from unknown(inner)
