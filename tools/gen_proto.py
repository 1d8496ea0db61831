"""Regenerate proto/gen from proto/*.proto: `python tools/gen_proto.py [OUTPUT_ROOT]`.

The output is committed, so that neither a build nor an installation needs a protobuf compiler.
OUTPUT_ROOT is the folder that gets `linkerd2_py/proto/gen/...`; by default the source tree itself.
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
# Maps the sources to the package of the generated modules, so that their imports are absolute.
PACKAGE_PATH = "linkerd2_py/proto/gen"
MESSAGES = (
    "net",
    "meta",
    "http_types",
    "destination",
    "identity",
    "opaque_route",
    "tls_route",
    "http_route",
    "grpc_route",
    "inbound",
    "outbound",
    "tap",
    "transport_header",
    "otlp_trace",
    "external_auth",
)
SERVICES = ("destination", "identity", "inbound", "outbound", "tap", "otlp_trace", "external_auth")


def compile_protos(*, output: Path) -> None:
    """Write message modules with their stubs, and client and server code for the services."""
    sources = [f"{PACKAGE_PATH}/{name}.proto" for name in MESSAGES]
    services = [f"{PACKAGE_PATH}/{name}.proto" for name in SERVICES]
    _protoc([f"--python_out={output}", f"--pyi_out={output}", *sources])
    _protoc([f"--grpc_python_out={output}", *services])


def _protoc(arguments: list[str]) -> None:
    well_known = files("grpc_tools") / "_proto"
    paths = [f"--proto_path={PACKAGE_PATH}={PROTO}", f"--proto_path={well_known}"]
    if protoc.main(["protoc", *paths, *arguments]) != 0:
        raise SystemExit("gen_proto: the protobuf compiler refused proto/*.proto; see above")


def main() -> None:
    """Generate into the tree, or into the folder given."""
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "src"
    output.mkdir(parents=True, exist_ok=True)
    compile_protos(output=output)


if __name__ == "__main__":
    main()
