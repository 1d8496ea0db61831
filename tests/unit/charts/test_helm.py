"""Trees as templates. That Helm makes equal objects of them is tested with Helm itself, in
`tests/cluster`.
"""

from __future__ import annotations

import pytest

from linkerd2_py.charts.helm import TreeError, condition, scalar, template
from linkerd2_py.charts.nodes import (
    NAMESPACE,
    AtLeast,
    Choice,
    Default,
    Each,
    Entries,
    Equal,
    Items,
    Let,
    Manifest,
    Not,
    Ref,
    Refusal,
    When,
    Without,
    every,
    extended,
    some,
    text,
)

TEXT = 'include "linkerd2-py.text"'


def lines(*parts):
    first, *others = template(Manifest("x.yaml", parts), source="x.py").splitlines()
    assert first.startswith("{{- /*")
    if "define" in others[0]:
        assert f'define "{TEXT.split(chr(34))[1]}"' in others.pop(0)
    return others


def test_a_mapping_as_lines():
    text_of, entries, *others = template(
        Manifest("x.yaml", ({"data": {"a": Entries(Ref("proxy.tracing.labels"))}},)), source="x.py"
    ).splitlines()[1:]
    assert text_of.startswith('{{- define "linkerd2-py.text" }}')
    assert entries.startswith('{{- define "linkerd2-py.entries" }}{{- range $key, $value := . }}')
    assert (
        others[-1]
        == '  a: {{ include "linkerd2-py.entries" $.Values.proxy.tracing.labels | toJson }}'
    )


def test_an_object():
    tree = {
        "metadata": {"name": "linkerd-dst", "namespace": NAMESPACE},
        "image": text(
            Ref("proxy.image.name"), ":", Default(Ref("proxy.image.version"), Ref("linkerdVersion"))
        ),
        "cpu": When(Ref("proxy.resources.ephemeral-storage.limit"), Ref("proxy.uid"), otherwise=0),
        "args": ["a", When(Not(Ref("disableIPv6")), Items(("b", Ref("clusterDomain"))))],
        "subjects": Each("reader", Ref("configReaders"), {"name": Ref("name", of="reader")}),
        "items": [{"first": When(Ref("cniEnabled"), 1), "second": ["x", ["z"], {}, []]}],
    }
    version = f"({TEXT} (default $.Values.linkerdVersion $.Values.proxy.image.version))"
    image = f'print ({TEXT} $.Values.proxy.image.name) ":" {version}'
    assert lines(tree) == [
        "---",
        "metadata:",
        "  name: linkerd-dst",
        "  namespace: {{ $.Release.Namespace | toJson }}",
        f"image: {{{{ {image} | toJson }}}}",
        '{{- if (index $.Values.proxy.resources "ephemeral-storage").limit }}',
        "cpu: {{ $.Values.proxy.uid | toJson }}",
        "{{- else }}",
        "cpu: 0",
        "{{- end }}",
        "args:",
        "  - a",
        "  {{- if not $.Values.disableIPv6 }}",
        "  - b",
        "  - {{ $.Values.clusterDomain | toJson }}",
        "  {{- end }}",
        "subjects:",
        "  {{- range $reader := $.Values.configReaders }}",
        "  - name: {{ $reader.name | toJson }}",
        "  {{- end }}",
        "items:",
        "  -",
        "    {{- if $.Values.cniEnabled }}",
        "    first: 1",
        "    {{- end }}",
        "    second:",
        "      - x",
        "      - - z",
        "      - {}",
        "      - []",
    ]


def test_a_mapping_with_what_values_add():
    assert lines({"labels": extended({"a": "1"}, Ref("podLabels"), Ref("commonLabels"))}) == [
        "---",
        "labels:",
        '  a: "1"',
        "  {{- range $key, $value := $.Values.podLabels }}",
        '  {{- if not (or (hasKey $.Values.commonLabels $key) (has $key (list "a"))) }}',
        "  {{ $key | toJson }}: {{ $value | toJson }}",
        "  {{- end }}",
        "  {{- end }}",
        "  {{- range $key, $value := $.Values.commonLabels }}",
        '  {{- if not (has $key (list "a")) }}',
        "  {{ $key | toJson }}: {{ $value | toJson }}",
        "  {{- end }}",
        "  {{- end }}",
    ]


def test_a_file():
    parts = (
        Refusal(Ref("cniEnabled"), 'a "word"'),
        Let("shown", Without(Ref(""), ("identity.issuer.tls",))),
        When(Ref("cniEnabled"), {"kind": "A"}),
        Each("one", Ref("configReaders"), {"kind": "B"}),
    )
    assert lines(*parts) == [
        "{{- if $.Values.cniEnabled }}",
        '{{- fail "a \\"word\\"" }}',
        "{{- end }}",
        "{{- $shown := deepCopy $.Values }}",
        '{{- $_ := unset $shown.identity.issuer "tls" }}',
        "{{- if $.Values.cniEnabled }}",
        "---",
        "kind: A",
        "{{- end }}",
        "{{- range $one := $.Values.configReaders }}",
        "---",
        "kind: B",
        "{{- end }}",
    ]


@pytest.mark.parametrize(
    ("tested", "expected"),
    [
        (every(Ref("a"), Not(Ref("b"))), "and $.Values.a (not $.Values.b)"),
        (some(Ref("a"), every(Ref("b"), Ref("c"))), "or $.Values.a (and $.Values.b $.Values.c)"),
        (Equal(Ref("a"), "x"), f'eq ({TEXT} $.Values.a) "x"'),
        (AtLeast(Ref("a"), 0), "ge (int $.Values.a) 0"),
        (Choice(Ref("a"), "x", "y"), 'ternary "x" "y" (not (not $.Values.a))'),
        (Choice(Not(Ref("a")), "x", Ref("b")), 'ternary "x" $.Values.b (not $.Values.a)'),
    ],
)
def test_conditions(tested, expected):
    assert condition(tested) == expected


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("linkerd-dst", "linkerd-dst"),
        ("linkerd.io/x", "linkerd.io/x"),
        ("yes", '"yes"'),
        ("Off", '"Off"'),
        ("1.5", '"1.5"'),
        ("", '""'),
        ("- a", '"- a"'),
        ("a: b", '"a: b"'),
        ("*", '"*"'),
        ("a\nb", '"a\\nb"'),
        ("{{ .Values }}", '{{ "{{ .Values }}" | toJson }}'),
    ],
)
def test_texts_that_are_always_the_same(plain, expected):
    assert scalar(plain) == expected


def test_a_condition_that_is_always_the_same_is_a_mistake_in_the_tree():
    with pytest.raises(TreeError, match="leave it out"):
        lines(When(True, {"kind": "A"}))
