"""Samples of a minute, as proxies would have exposed them each second."""

from collections.abc import Callable, Iterable, Mapping

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore

Lines = Callable[[int], Iterable[str]]


def metrics_of(namespace: str, pods: Mapping[str, Lines]) -> EmbeddedStore:
    """The store, at the end of the minute; a pod `web-0` is one of the deployment `web`."""
    samples = SampleStore()
    for second in range(61):
        for pod, lines in pods.items():
            labels = {"namespace": namespace, "pod": pod, "deployment": pod.rpartition("-")[0]}
            text = "\n".join(lines(second)) + "\n"
            samples.append(Key(namespace, pod), labels=labels, text=text, at_ms=second * 1000)
    clock = ManualClock()
    clock.advance(60)
    return EmbeddedStore(samples, clock=clock)


def histogram(family: str, labels: str, count: float, *, bounds: tuple[str, str]) -> list[str]:
    """All between two bounds."""
    low, high = bounds
    values = ((low, 0.0), (high, count), ("+Inf", count))
    return [f'{family}_bucket{{{labels},le="{bound}"}} {value}' for bound, value in values]
