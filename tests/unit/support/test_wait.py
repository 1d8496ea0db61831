"""How long tests wait for what never comes."""

import pytest

from tests.support import wait


def test_patience_is_bounded_and_never_less_than_on_an_idle_machine() -> None:
    assert 1.0 <= wait.patience() <= 20.0


def test_deadlines_and_time_outs_are_stretched_by_it(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = request.node.get_closest_marker("timeout")
    assert marker is not None
    assert marker.args[0] >= float(request.config.getini("timeout"))
    moments = iter(range(100))
    monkeypatch.setattr(wait, "patience", lambda: 10.0)
    monkeypatch.setattr(wait.time, "monotonic", lambda: float(next(moments)))
    monkeypatch.setattr(wait.time, "sleep", lambda _: None)
    asked: list[None] = []
    with pytest.raises(AssertionError, match="not within"):
        wait.eventually(lambda: asked.append(None), deadline_s=2)
    assert len(asked) == 20
