"""What the tokens of a mesh on one machine prove."""

import pytest

from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens

WEB, VOTING = "web.ns.id", "voting.ns.id"


async def refusal(tokens: WorkloadTokens, token: bytes, *, identity: str = WEB) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await tokens.check(token, identity=identity)
    return caught.value


async def test_token_proves_the_identity_it_was_issued_for() -> None:
    tokens = WorkloadTokens()
    first, second = tokens.issue(WEB), tokens.issue(WEB)
    assert first != second
    assert first.decode().isprintable()
    for token in (first, second, first + b"\n"):
        await tokens.check(token, identity=WEB)


async def test_token_of_another_workload_says_whose_it_is() -> None:
    tokens = WorkloadTokens()
    found = await refusal(tokens, tokens.issue(VOTING))
    assert found.reason is Reason.OTHER_IDENTITY
    assert "proves 'voting.ns.id'" in str(found)


async def test_token_of_another_mesh_proves_nothing() -> None:
    found = await refusal(WorkloadTokens(), WorkloadTokens().issue(WEB))
    assert found.reason is Reason.NOT_AUTHENTICATED


@pytest.mark.parametrize("cut", [slice(0, -1), slice(1, None), slice(0, 0)])
async def test_part_of_a_token_proves_nothing(cut: slice) -> None:
    tokens = WorkloadTokens()
    token = tokens.issue(WEB)[cut]
    found = await refusal(tokens, token)
    assert found.reason is (Reason.NOT_AUTHENTICATED if token else Reason.TOKEN)
    assert not token or token.decode() not in str(found)


async def test_withdrawn_token_proves_nothing_and_its_twin_still_does() -> None:
    tokens = WorkloadTokens()
    gone, kept = tokens.issue(WEB), tokens.issue(WEB)
    tokens.withdraw(gone)
    tokens.withdraw(gone)
    assert (await refusal(tokens, gone)).reason is Reason.NOT_AUTHENTICATED
    await tokens.check(kept, identity=WEB)
