"""The committed generated code is what the .proto files say, and the wire is Linkerd's."""

import subprocess
import sys
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message
from grpc_tools import protoc

from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import grpc_route_pb2 as grpc_route
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proto.gen import identity_pb2 as identity
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proto.gen import opaque_route_pb2 as opaque_route
from linkerd2_py.proto.gen import otlp_trace_pb2 as otlp
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proto.gen import tap_pb2 as tap
from linkerd2_py.proto.gen import tls_route_pb2 as tls_route
from linkerd2_py.proto.gen import transport_header_pb2 as transport_header

ROOT = Path(__file__).resolve().parents[3]
GENERATED = ROOT / "proto" / "gen"


MODULES = {
    "net": net,
    "meta": meta,
    "http_types": http_types,
    "destination": destination,
    "identity": identity,
    "opaque_route": opaque_route,
    "tls_route": tls_route,
    "http_route": http_route,
    "grpc_route": grpc_route,
    "inbound": inbound,
    "outbound": outbound,
    "tap": tap,
    "transport_header": transport_header,
    "otlp_trace": otlp,
}


def written_by(version: str) -> bool:
    """Whether the committed code is of this release of the generator: another words it differently."""
    text = (GENERATED / "destination_pb2_grpc.py").read_text()
    return f"GRPC_GENERATED_VERSION = '{version}'" in text


@pytest.mark.skipif(
    not written_by(metadata.version("grpcio-tools")),
    reason="the committed code was written by another release of grpcio-tools",
)
def test_committed_code_is_what_the_generator_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "tools/gen_proto.py"), str(tmp_path)], check=True)
    fresh = tmp_path / "linkerd2_py/proto/gen"
    names = sorted(path.name for path in fresh.iterdir() if path.is_file())
    committed = sorted(path.name for path in GENERATED.glob("*_pb2*.py*"))
    assert names == committed
    for name in names:
        assert (fresh / name).read_text() == (GENERATED / name).read_text(), name


@pytest.mark.parametrize("name", MODULES)
def test_committed_messages_are_those_of_the_sources(name: str, tmp_path: Path) -> None:
    output = tmp_path / "descriptors"
    paths = [f"-Ilinkerd2_py/proto/gen={ROOT / 'proto'}", f"-I{files('grpc_tools') / '_proto'}"]
    source = f"linkerd2_py/proto/gen/{name}.proto"
    assert protoc.main(["protoc", *paths, f"--descriptor_set_out={output}", source]) == 0
    (fresh,) = FileDescriptorSet.FromString(output.read_bytes()).file
    committed = FileDescriptorProto()
    MODULES[name].DESCRIPTOR.CopyToProto(committed)
    for message in (*fresh.message_type, *committed.message_type):
        clear_json_names(message)
    assert fresh == committed


def clear_json_names(message: DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        clear_json_names(nested)


def test_generator_names_a_broken_proto(tmp_path: Path) -> None:
    output = tmp_path / "a-file"
    output.write_text("in the way")
    run = subprocess.run(
        [sys.executable, str(ROOT / "tools/gen_proto.py"), str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0


def test_address_bytes_are_big_endian_numbers_in_fixed_fields() -> None:
    address = net.TcpAddress(ip=net.IPAddress(ipv4=0x0A000001), port=8080)
    # 0x0a: field 1, message of 5 bytes; 0x0d: field 1, fixed32 (little endian on the wire);
    # 0x10: field 2, varint 8080.
    assert address.SerializeToString() == bytes.fromhex("0a05 0d 0100000a 10 903f")


def test_endpoint_fields_have_the_numbers_of_the_proxy_api() -> None:
    fields = destination.WeightedAddr.DESCRIPTOR.fields_by_name
    # Numbers of our own begin at 10,000.
    assert {name: field.number for name, field in fields.items() if field.number < 10_000} == {
        "addr": 1,
        "weight": 3,
        "metric_labels": 4,
        "tls_identity": 5,
        "protocol_hint": 6,
        "authority_override": 7,
        "http2": 8,
        "resource_ref": 9,
    }


def test_hint_of_a_transport_header_stands_beside_the_protocol() -> None:
    hint = destination.ProtocolHint(
        h2=destination.ProtocolHint.H2(),
        opaque_transport=destination.ProtocolHint.OpaqueTransport(inbound_port=4143),
    )
    assert hint.SerializeToString() == bytes.fromhex("0a00 12 03 08 af20")


def test_service_paths_are_linkerds() -> None:
    service = destination.DESCRIPTOR.services_by_name["Destination"]
    assert service.full_name == "io.linkerd.proxy.destination.Destination"
    assert [method.name for method in service.methods] == ["Get", "GetProfile"]
    assert all(method.server_streaming for method in service.methods)


def test_certify_is_linkerds() -> None:
    service = identity.DESCRIPTOR.services_by_name["Identity"]
    assert service.full_name == "io.linkerd.proxy.identity.Identity"
    assert [method.name for method in service.methods] == ["Certify"]
    asked = identity.CertifyRequest(identity="a", token=b"t", certificate_signing_request=b"c")
    assert asked.SerializeToString() == bytes.fromhex("0a0161 120174 1a0163")
    given = identity.CertifyResponse(leaf_certificate=b"l", intermediate_certificates=[b"i", b"j"])
    given.valid_until.seconds = 1
    assert given.SerializeToString() == bytes.fromhex("0a016c 120169 12016a 1a020801")


@pytest.mark.parametrize(
    ("service", "watch"),
    [
        (inbound.DESCRIPTOR.services_by_name["InboundServerPolicies"], ("GetPort", "WatchPort")),
        (outbound.DESCRIPTOR.services_by_name["OutboundPolicies"], ("Get", "Watch")),
    ],
    ids=lambda it: getattr(it, "name", ""),
)
def test_policies_are_got_once_or_watched(
    service: ServiceDescriptor, watch: tuple[str, str]
) -> None:
    package = service.file.name.rpartition("/")[2].removesuffix(".proto")
    assert service.full_name == f"io.linkerd.proxy.{package}.{service.name}"
    assert tuple(method.name for method in service.methods) == watch
    assert [method.server_streaming for method in service.methods] == [False, True]


def test_fields_of_routes_have_the_numbers_of_the_proxy_api() -> None:
    def numbers(message: type[Message]) -> dict[str, int]:
        return {name: field.number for name, field in message.DESCRIPTOR.fields_by_name.items()}

    assert numbers(inbound.Authz) == {
        "networks": 1,
        "authentication": 2,
        "labels": 3,
        "metadata": 4,
        # Ours.
        "external_authorization": 10042,
    }
    assert numbers(inbound.HttpRoute) == {
        "metadata": 1,
        "hosts": 2,
        "authorizations": 3,
        "rules": 4,
    }
    assert numbers(outbound.Backend) == {"metadata": 1, "forward": 2, "balancer": 3, "queue": 4}
    assert numbers(outbound.HttpRoute.RouteBackend) == {
        "backend": 1,
        "filters": 3,
        "requestTimeout": 4,
    }
    # The codes of gRPC; one is misspelt by Linkerd.
    assert numbers(outbound.GrpcRoute.Retry.Conditions) == {
        "cancelled": 1,
        "deadine_exceeded": 4,
        "resource_exhausted": 8,
        "internal": 13,
        "unavailable": 14,
    }


def test_spans_have_the_numbers_and_the_service_of_otlp() -> None:
    service = otlp.DESCRIPTOR.services_by_name["TraceService"]
    assert service.full_name == "opentelemetry.proto.collector.trace.v1.TraceService"
    assert [method.name for method in service.methods] == ["Export"]
    assert {field.name: field.number for field in otlp.Span.DESCRIPTOR.fields} == {
        "trace_id": 1,
        "span_id": 2,
        "parent_span_id": 4,
        "name": 5,
        "kind": 6,
        "start_time_unix_nano": 7,
        "end_time_unix_nano": 8,
        "attributes": 9,
        "status": 15,
        "flags": 16,
    }
    request = otlp.ExportTraceServiceRequest()
    some = request.resource_spans.add()
    some.resource.attributes.add(key="k").value.int_value = 1
    some.scope_spans.add().spans.add(name="n").status.code = otlp.Status.STATUS_CODE_ERROR
    assert request.SerializeToString() == bytes.fromhex(
        "0a16 0a09 0a07 0a016b 12021801 1209 1207 2a016e 7a021802"
    )


def test_old_pod_identity_number_stays_unused() -> None:
    fields = destination.TlsIdentity.DESCRIPTOR.fields
    assert sorted(field.number for field in fields) == [1, 3, 4]


def test_transport_header_is_linkerds() -> None:
    assert transport_header.Header.DESCRIPTOR.full_name == "transport.l5d.io.Header"
    http2 = transport_header.SessionProtocol(http2=transport_header.SessionProtocol.Http2())
    header = transport_header.Header(port=8080, name="a", session_protocol=http2)
    assert header.SerializeToString() == bytes.fromhex("08903f 120161 1a021200")
    http1 = transport_header.SessionProtocol(http1=transport_header.SessionProtocol.Http1())
    assert http1.SerializeToString() == bytes.fromhex("0a00")


def test_tap_is_linkerds() -> None:
    service = tap.DESCRIPTOR.services_by_name["Tap"]
    assert service.full_name == "io.linkerd.proxy.tap.Tap"
    (observe,) = service.methods
    assert (observe.name, observe.client_streaming, observe.server_streaming) == (
        "Observe",
        False,
        True,
    )


def test_fields_of_tap_have_the_numbers_of_the_proxy_api() -> None:
    numbers: dict[str, dict[str, int]] = {}

    def visit(message: Descriptor) -> None:
        if not message.GetOptions().map_entry:
            name = message.full_name.removeprefix("io.linkerd.proxy.tap.")
            numbers[name] = {field.name: field.number for field in message.fields}
            # What is ours stands where Linkerd will not.
            ours = {field for field, number in numbers[name].items() if number >= 1000}
            assert ours == ({"lost"} if name == "TapEvent" else set())
            numbers[name] = {
                field: numbers[name][field] for field in numbers[name] if field not in ours
            }
        for nested in message.nested_types:
            visit(nested)

    for message in tap.DESCRIPTOR.message_types_by_name.values():
        visit(message)
    assert numbers == {
        "ObserveRequest": {"limit": 1, "match": 2, "extract": 3},
        "ObserveRequest.Match": {
            "all": 1,
            "any": 2,
            "not": 3,
            "source": 4,
            "destination": 5,
            "http": 6,
            "destination_label": 7,
            "route_label": 8,
        },
        "ObserveRequest.Match.Seq": {"matches": 1},
        "ObserveRequest.Match.Label": {"key": 1, "value": 2},
        "ObserveRequest.Match.Tcp": {"netmask": 1, "ports": 3},
        "ObserveRequest.Match.Tcp.Netmask": {"ip": 1, "mask": 2},
        "ObserveRequest.Match.Tcp.PortRange": {"min": 1, "max": 2},
        "ObserveRequest.Match.Http": {"scheme": 1, "authority": 2, "method": 3, "path": 4},
        "ObserveRequest.Match.Http.StringMatch": {"exact": 1, "prefix": 2},
        "ObserveRequest.Extract": {"http": 1},
        "ObserveRequest.Extract.Http": {"headers": 1},
        "ObserveRequest.Extract.Http.Headers": {},
        "Eos": {"grpc_status_code": 1, "reset_error_code": 2},
        "TapEvent": {
            "source": 1,
            "destination": 2,
            "http": 3,
            "destination_meta": 4,
            "source_meta": 5,
            "proxy_direction": 6,
            "route_meta": 7,
        },
        "TapEvent.EndpointMeta": {"labels": 1},
        "TapEvent.RouteMeta": {"labels": 1},
        "TapEvent.Http": {"request_init": 1, "response_init": 2, "response_end": 3},
        "TapEvent.Http.StreamId": {"base": 1, "stream": 2},
        "TapEvent.Http.RequestInit": {
            "id": 1,
            "method": 2,
            "scheme": 3,
            "authority": 4,
            "path": 5,
            "headers": 6,
        },
        "TapEvent.Http.ResponseInit": {
            "id": 1,
            "since_request_init": 2,
            "http_status": 3,
            "headers": 4,
        },
        "TapEvent.Http.ResponseEnd": {
            "id": 1,
            "since_request_init": 2,
            "since_response_init": 3,
            "response_bytes": 4,
            "eos": 5,
            "trailers": 6,
        },
    }
    assert dict(tap.TapEvent.ProxyDirection.items()) == {"UNKNOWN": 0, "INBOUND": 1, "OUTBOUND": 2}
