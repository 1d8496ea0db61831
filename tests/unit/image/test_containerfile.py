"""The Containerfile has the images of `contents.toml`: their layers in order, users, entry points, variables."""

import json
import re
import shlex

import pytest

from image.contents import FOLDER, Image, load

pytestmark = pytest.mark.release_only

STAGES = re.split(r"^FROM ", (FOLDER / "Containerfile").read_text(), flags=re.MULTILINE)[1:]


def instructions(name: str) -> list[tuple[str, str]]:
    """Those of one image's stage."""
    (stage,) = (one for one in STAGES if one.startswith(f"scratch AS {name}\n"))
    lines = [line.partition(" ") for line in stage.splitlines()[1:] if line]
    return [(word, rest) for word, _, rest in lines]


@pytest.mark.parametrize("image", load().images.values(), ids=lambda image: image.name)
def test_a_stage_says_what_the_contents_say(image: Image) -> None:
    told = instructions(image.name)
    copied = [rest for word, rest in told if word == "COPY"]
    folders = [*image.layers, image.name]
    assert copied == [f"--from=build /layers/{name}/ /" for name in folders]
    once = dict(told)
    assert once["USER"] == image.user
    assert json.loads(once["ENTRYPOINT"]) == [*image.entrypoint]
    variables = dict(one.split("=", 1) for one in shlex.split(once.get("ENV", "")))
    assert variables == image.env
    assert [int(port) for port in once.get("EXPOSE", "").split()] == [*image.ports]
    assert f'image.title="{image.name}"' in once["LABEL"]


def test_there_is_no_other_stage() -> None:
    names = [stage.partition("\n")[0].rpartition(" AS ")[2] for stage in STAGES]
    assert names == ["build", *load().images]


def test_the_build_stage_runs_our_own_builder() -> None:
    (line,) = (line for line in STAGES[0].splitlines() if line.startswith("RUN "))
    assert line == "RUN ./mesh image --unpacked /layers"
