"""What a mesh.yaml says of what is outside of the mesh: every mistake with its line and field. What the words
mean is in tests/contract/source/policies/egress.yaml, beside their equals in a cluster.
"""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.routes import HTTPRoute, TLSRoute
from linkerd2_py.controlplane.sources.local.egress_rules import EgressRules
from linkerd2_py.controlplane.sources.local.mesh_file import MeshFileError, parse_mesh
from linkerd2_py.controlplane.sources.local.mesh_spec import MeshSpec
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot


def mesh(said: str) -> MeshSpec:
    text = f"workloads: {{web: {{command: [web]}}}}\negress: {said}\n"
    return parse_mesh(text, source="mesh.yaml")


@pytest.mark.parametrize(("word", "allows"), [("allow", True), ("deny", False)])
def test_one_word_is_about_everything(word: str, allows: bool) -> None:
    assert mesh(word).policies == (EgressNetwork("default", "egress", allows=allows),)


def test_each_port_has_one_route_of_all_its_hosts() -> None:
    said = '{allow: [a.test, "http://b.test", "https://c.test:8443", "http://b.test:8080", a.test]}'
    network, *routes = mesh(said).policies
    assert network == EgressNetwork("default", "egress", allows=False)
    found = [(type(one), one.name, one.hostnames) for one in routes]  # type: ignore[attr-defined]
    assert found == [
        (HTTPRoute, "egress-80", ("a.test", "b.test")),
        (TLSRoute, "egress-443", ("a.test",)),
        (TLSRoute, "egress-8443", ("c.test",)),
        (HTTPRoute, "egress-8080", ("b.test",)),
    ]


HOST = "must be a host in small letters, as api.example, *.example, http://api.example:8080 or"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("forbid", "egress: must be one of allow, deny, not 'forbid'"),
        ("[a.test]", "egress: must be one of allow, deny, not a list"),
        ("{}", "egress: must say something: allow"),
        ("{deny: [a.test]}", "egress.deny: is not a known field; known are: allow"),
        ("{allow: []}", "egress.allow: must not be empty"),
        ("{allow: a.test}", "egress.allow: must be a list, not 'a.test'"),
        ("{allow: [A.test]}", f"egress.allow[0]: {HOST}"),
        ("{allow: [a.test:80]}", f"egress.allow[0]: {HOST}"),
        ("{allow: ['ftp://a.test']}", f"egress.allow[0]: {HOST}"),
        ("{allow: ['http://a.test:0']}", f"egress.allow[0]: {HOST}"),
        ("{allow: ['http://a.test/path']}", f"egress.allow[0]: {HOST}"),
        ("{allow: ['*']}", f"egress.allow[0]: {HOST}"),
        ("{allow: ['a.*.test']}", f"egress.allow[0]: {HOST}"),
        (
            "{allow: ['http://a.test', 'https://b.test:80']}",
            "egress.allow[1]: port 80 cannot be http for one host and https for another",
        ),
    ],
)
def test_a_mistake_is_named_with_line_and_field(said: str, message: str) -> None:
    with pytest.raises(MeshFileError) as caught:
        mesh(said)
    (line,) = caught.value.problems
    assert line.startswith(f"mesh.yaml:2: {message}")


@given(st.text(max_size=80))
def test_any_host_is_a_route_or_one_line(host: str) -> None:
    item = yaml.ScalarNode("tag:yaml.org,2002:str", host, yaml.Mark("", 0, 0, 0, None, None))
    mark = item.start_mark
    listed = yaml.SequenceNode("tag:yaml.org,2002:seq", [item], mark)
    key = yaml.ScalarNode("tag:yaml.org,2002:str", "allow", mark)
    reader = NodeReader("mesh.yaml")
    rules = EgressRules(reader, namespace="shop")
    found = rules.objects(
        Spot(yaml.MappingNode("tag:yaml.org,2002:map", [(key, listed)], mark), "egress")
    )
    assert bool(reader.problems) == (len(found) == 1)
    assert all(line.isprintable() for line in reader.messages())
