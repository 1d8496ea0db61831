"""Routes from .proto files: what is no service is passed over, whatever stands in it."""

from __future__ import annotations

import pytest

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.profiles.protobuf import protobuf_routes

VOTING = """
syntax = "proto3"; // service Comment { rpc No (A) returns (B); }
/* service Other { rpc No (A) returns (B); } */
import "google/api/annotations.proto";
option go_package = "example.org/voting;v1{";
package emojivoto.v1;
message Vote { string choice = 1 [deprecated = true]; message Inner { } oneof x { int32 service = 2; } }
enum Kind { NONE = 0; }
service Voting {
  option deprecated = true;
  rpc Vote100 (Vote) returns (stream .emojivoto.v1.Vote);
  rpc Results (Vote) returns (Vote) {
    option (google.api.http) = { get: "/results/{id}" additional { get: '}' } };
    option idempotency_level = NO_SIDE_EFFECTS;
  }
  rpc Retry (Vote) returns (Vote) { option (idempotency_level) = IDEMPOTENT; };
  rpc Once (Vote) returns (Vote) { option idempotency_level = IDEMPOTENCY_UNKNOWN; }
}
extend google.protobuf.MethodOptions { string mine = 50001; }
service Empty {}
"""


def test_a_route_for_each_method() -> None:
    found = protobuf_routes(VOTING, source="voting.proto")
    assert [(one["name"], one.get("isRetryable", False)) for one in found] == [
        ("Vote100", False),
        ("Results", True),
        ("Retry", True),
        ("Once", False),
    ]
    expected = {"method": "POST", "pathRegex": r"/emojivoto\.v1\.Voting/Vote100"}
    assert found[0]["condition"] == expected


def test_without_a_package_a_service_has_its_own_name() -> None:
    found = protobuf_routes("service A { rpc B (C) returns (D); }", source="a.proto")
    assert found[0]["condition"]["pathRegex"] == "/A/B"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("service A", "a.proto: ends too early: is it a .proto file?"),
        ("service A { rpc B (", "a.proto: ends too early"),
        ("service A;", "a.proto: service A: '{' is expected, not ';'"),
        ('\nx = "', "a.proto: line 2: a text that does not end"),
        ("{" * 100_000, "a.proto: ends too early"),
    ],
)
def test_what_is_no_such_file(text: str, message: str) -> None:
    with pytest.raises(CliError) as caught:
        protobuf_routes(text, source="a.proto")
    assert str(caught.value).startswith(message)
