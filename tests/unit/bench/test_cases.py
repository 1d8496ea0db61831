"""Every micro-benchmark does its work, and notices when the engine does not."""

import pytest

from bench.micro.cases import all_cases, parsing
from bench.micro.messages import BROWSER_REQUEST, RESPONSE, SIDECAR_REQUEST

CASES = all_cases()


def test_the_messages_have_the_sizes_they_are_known_by() -> None:
    assert [len(SIDECAR_REQUEST), len(BROWSER_REQUEST), len(RESPONSE)] == [105, 700, 114]


@pytest.mark.parametrize("name", CASES)
def test_a_case_does_its_work_more_than_once(name: str) -> None:
    with CASES[name].prepare() as run:
        run(1)
        run(2)


def test_a_message_with_other_fields_is_noticed() -> None:
    with pytest.raises(AssertionError), parsing(SIDECAR_REQUEST, fields=4):
        pass
