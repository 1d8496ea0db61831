"""Slices: their size, their order, and changes between them."""

from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry

SLICE = 65_536


def names(text: str) -> list[str]:
    return [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]


def filled(count: int, *, label_bytes: int = 60) -> tuple[Registry, list[object]]:
    registry = Registry(max_series=100_000)
    held: list[object] = []
    for number in range(count):
        handle = door.http(registry, b"", b'a="%0*d"' % (label_bytes, number))
        door.request(handle)
        door.response(handle, 200, latency_ns=number)
        held.append(handle)
    return registry, held


def test_families_come_in_one_order_and_empty_ones_not_at_all() -> None:
    registry = Registry()
    keep = [
        registry.counter("a_total", "A."),
        door.tcp(registry, b""),
        door.http(registry, b"", b""),
    ]
    text = b"".join(registry.render(0)).decode()
    assert len(keep) == 3
    assert [name for name in names(text) if not name.startswith("process_")] == [
        "request_total",
        "tcp_open_total",
        "tcp_open_connections",
        "tcp_read_bytes_total",
        "tcp_write_bytes_total",
        "a_total",
    ]


def test_series_keep_the_order_in_which_they_came() -> None:
    registry = Registry()
    held = [registry.counter("a_total", "A.", {"n": n}) for n in ("z", "a", "m")]
    text = b"".join(registry.render(0)).decode()
    assert len(held) == 3
    order = [line[11] for line in text.splitlines() if line.startswith("a_total{")]
    assert order == ["z", "a", "m"]


def test_slices_are_full_but_never_larger_than_the_bound() -> None:
    registry, held = filled(300)
    slices = list(registry.render(0))
    assert len(held) == 300 and len(slices) > 5
    assert all(len(piece) == SLICE for piece in slices[:-1])
    assert 0 < len(slices[-1]) <= SLICE


def test_a_histogram_larger_than_a_slice_is_cut() -> None:
    registry, held = filled(4, label_bytes=4000)
    slices = list(registry.render(0))
    assert len(held) == 4
    assert max(map(len, slices)) == SLICE
    assert b"".join(slices).count(b"response_latency_ms_bucket{") == 4 * 26


def test_many_series_without_a_line_give_comments_and_never_an_empty_slice() -> None:
    registry = Registry(max_series=100_000)
    held = [door.http(registry, b"", b'a="%d"' % number) for number in range(30_000)]
    slices = list(registry.render(0))
    assert len(held) == 30_000
    assert b"#\n" in slices
    assert all(slices)


def test_series_added_between_slices_wait_for_the_next_rendering() -> None:
    registry, held = filled(300)
    rendering = registry.render(0)
    first = next(rendering)
    for number in range(100):
        held.append(door.http(registry, b"", b'fresh="%d"' % number))
    assert b"fresh=" not in first + b"".join(rendering)
    assert b"".join(registry.render(0)).count(b"\nrequest_total{fresh") == 100


def test_series_dropped_between_slices_are_still_written() -> None:
    registry, held = filled(300)
    rendering = registry.render(0)
    first = next(rendering)
    held.clear()
    b"".join(registry.render(10**15))
    assert (first + b"".join(rendering)).count(b"response_latency_ms_count") == 300


def test_a_status_that_appears_between_slices_repeats_no_line() -> None:
    registry, held = filled(1500)
    rendering = registry.render(0)
    text = next(rendering)
    for handle in held:
        for status in (100, 404):
            door.response(handle, status)  # type: ignore[arg-type]  # held are HTTP handles
    text += b"".join(rendering)
    lines = [line.rpartition(b" ")[0] for line in text.splitlines() if not line.startswith(b"#")]
    assert len(lines) == len(set(lines))


def test_two_renderings_do_not_disturb_each_other() -> None:
    registry, held = filled(200)
    one, two = registry.render(0), registry.render(0)
    texts = [b"", b""]
    for piece_one, piece_two in zip(one, two, strict=False):
        texts[0] += piece_one
        texts[1] += piece_two
    assert len(held) == 200
    assert texts[0][:500_000] == texts[1][:500_000]


def test_a_finished_rendering_stays_finished() -> None:
    rendering = Registry().render(0)
    assert b"process_" in b"".join(rendering)
    assert list(rendering) == []


def test_an_abandoned_rendering_lets_go_of_its_series() -> None:
    registry, held = filled(300)
    next(registry.render(0))
    held.clear()
    assert b"request_total" not in b"".join(registry.render(10**15))
