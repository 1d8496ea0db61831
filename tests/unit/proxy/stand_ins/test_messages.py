"""protobuf over its C library alone: the same classes, made when they are asked for."""

import json
import subprocess
import sys

import pytest

STANDS = "from linkerd2_py.proxy.stand_ins import stand_in; stand_in()\n"


def run(script: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env or None
    )
    return done.stdout.strip()


SAYS = """
import json, sys
from linkerd2_py.proto.gen import destination_pb2, identity_pb2, inbound_pb2, net_pb2, outbound_pb2, tap_pb2
from linkerd2_py.proto.gen.http_types_pb2 import Scheme, HttpMethod
from google.protobuf.duration_pb2 import Duration

update = destination_pb2.Update(add=destination_pb2.WeightedAddrSet(
    addrs=[destination_pb2.WeightedAddr(weight=3, addr=net_pb2.TcpAddress(port=80))],
    metric_labels={"a": "b"}))
profile = destination_pb2.DestinationProfile(routes=[destination_pb2.Route(timeout=Duration(seconds=2, nanos=5))])
again = destination_pb2.DestinationProfile.FromString(profile.SerializeToString())
try:
    destination_pb2.NoSuchMessage
    missing = ""
except AttributeError as error:
    missing = str(error)
print(json.dumps([
    destination_pb2.Update.FromString(update.SerializeToString()).add.addrs[0].addr.port,
    update.WhichOneof("update"), dict(update.add.metric_labels),
    again.routes[0].timeout.ToNanoseconds(),
    Scheme.Registered.Name(Scheme.HTTPS), HttpMethod.Registered.Value("PUT"),
    str(update), repr(type(update)), type(update).__qualname__,
    outbound_pb2.OutboundPolicy().protocol.DESCRIPTOR.full_name,
    isinstance(update.add.addrs[0], destination_pb2.WeightedAddr),
    missing,
]))
"""


def test_messages_are_what_they_are_in_the_library() -> None:
    assert json.loads(run(STANDS + SAYS)) == json.loads(run(SAYS))


def test_every_name_of_the_generated_modules_is_there() -> None:
    names = """
import importlib, json, pkgutil, linkerd2_py.proto.gen as gen
modules = sorted(m.name for m in pkgutil.iter_modules(gen.__path__) if m.name.endswith("_pb2"))
loaded = {name: importlib.import_module(f"linkerd2_py.proto.gen.{name}") for name in modules}
"""
    told = (
        names
        + """
print(json.dumps({name: {each: str(getattr(module, each)) if isinstance(getattr(module, each), (int, type)) else ""
    for each in vars(module) if each[:1].isupper() and each != "DESCRIPTOR"} for name, module in loaded.items()}))
"""
    )
    wanted = json.loads(run(told))
    asked = (
        STANDS
        + names
        + f"""
wanted = json.loads({json.dumps(json.dumps(wanted))})
print(json.dumps({{name: {{each: str(getattr(loaded[name], each)) if isinstance(getattr(loaded[name], each), (int, type)) else ""
    for each in has}} for name, has in wanted.items()}}))
"""
    )
    assert sum(map(len, wanted.values())) > 30
    assert json.loads(run(asked)) == wanted


def test_the_python_half_is_loaded_when_somebody_asks() -> None:
    script = STANDS + (
        "import sys; from linkerd2_py.proto.gen import destination_pb2 as messages; "
        "name = 'google.protobuf.internal.python_message'; "
        "assert not hasattr(sys.modules[name], '__file__'); "
        "update = messages.Update(no_endpoints={}); "
        "from google.protobuf.internal import python_message; "
        "assert python_message.GeneratedProtocolMessageType; assert sys.modules[name].__file__; "
        "from google.protobuf import json_format; print(json_format.MessageToDict(update))"
    )
    assert run(script) == "{'noEndpoints': {}}"


@pytest.mark.parametrize("choice", ["python", "upb"])
def test_another_implementation_may_be_asked_for(choice: str) -> None:
    script = STANDS + (
        "from google.protobuf.internal import api_implementation; print(api_implementation.Type()); "
        "from linkerd2_py.proto.gen import destination_pb2 as messages; "
        "assert messages.Update.FromString(messages.Update(no_endpoints={}).SerializeToString())"
    )
    env = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": choice}
    assert run(script, **env) == choice
