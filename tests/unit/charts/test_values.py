"""The values: their order, and what they may be."""

from __future__ import annotations

import pytest

from linkerd2_py import __version__
from linkerd2_py.charts.evaluate import ValuesError
from linkerd2_py.charts.values import Layers, defaults, laid_over, read, values_of


def test_defaults_are_sound_and_of_this_version():
    values = values_of(Layers())
    assert values == defaults()
    assert values["linkerdVersion"] == __version__


def test_later_layers_win_and_flags_win_over_files(tmp_path):
    path = tmp_path / "anchors.pem"
    path.write_text("PEM")
    layers = Layers(
        files=("identityTrustDomain: a.b\nproxy: {uid: 5}", "identityTrustDomain: c.d"),
        set=("controllerReplicas=2",),
        set_string=("podLabels.number=1",),
        set_file=(f"identityTrustAnchorsPEM={path}",),
    )
    values = values_of(layers)
    assert values["identityTrustDomain"] == "c.d"
    assert values["proxy"] == {**defaults()["proxy"], "uid": 5}
    assert values["controllerReplicas"] == 2
    assert values["podLabels"] == {"number": "1"}
    assert values["identityTrustAnchorsPEM"] == "PEM"


def test_null_takes_away_what_stands_below():
    assert laid_over({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": None}, "d": None}) == {
        "a": {"c": 2}
    }


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (
            Layers(set=("proxy.logLvel=x",)),
            r"proxy\.logLvel: no such value: did you mean logLevel\?",
        ),
        (Layers(set=("proxy.uid=null",)), r"proxy\.uid: is missing"),
        (Layers(set=("proxy=1",)), "proxy: 1 is not an object"),
        (Layers(set=("proxy.ports.admin=0",)), r"proxy\.ports\.admin: 0 is less than 1"),
        (Layers(set=("proxy.ports.admin=70000",)), "is more than 65535"),
        (Layers(set=("imagePullPolicy=now",)), "imagePullPolicy: 'now' is not one of Always"),
        (Layers(set=("podAnnotations.a=1",)), r"podAnnotations\.a: 1 is not a string"),
        (Layers(set=("proxy.resources.cpu.limit=much",)), "'much' is not an amount"),
        (
            Layers(set=("proxy.logLevel=\x1b[31m",)),
            r"proxy\.logLevel: has signs that cannot be printed",
        ),
        (Layers(set=("configReaders[0].name=x",)), r"configReaders\[0\]\.namespace: is missing"),
        (Layers(files=("- a",)), "values file 1: values are a mapping"),
        (Layers(files=("a: [",), names=("my.yaml",)), "my.yaml: no YAML"),
        (Layers(files=("podAnnotations: {d: 2001-01-01}",)), "is a date: quote it"),
        (Layers(set_file=("clusterDomain=/no/such",)), "--set-file: /no/such"),
    ],
)
def test_what_values_may_not_be(layers, words):
    with pytest.raises(ValuesError, match=words):
        values_of(layers)


def test_aliases_cannot_make_a_small_file_large():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ValuesError, match="far too large"):
        read("\n".join(lines), name="bomb.yaml")
