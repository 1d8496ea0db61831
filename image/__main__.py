"""`./mesh image`: builds the images, and says how large they are.

python -m image [proxy|controller] [--out DIR] [--tag TAG] [--registry PREFIX] [--unpacked DIR]
                [--anew] | lock
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from image import bytecode, debian, oci, wheels
from image.bill import PLACE, bill
from image.contents import Image, load
from image.errors import ImageError
from image.layers import Made, Workshop
from image.locking import lock
from image.oci import Blob, Built, layer_blob
from image.tree import Entry, Tree
from linkerd2_py import __version__

ROOT: Final = Path(__file__).parent.parent
_SHORT: Final = {"proxy": "linkerd2-py-proxy", "controller": "linkerd2-py-controller"}


def main(words: Sequence[str]) -> int:
    """0, or one line and 1 (it cannot be built) or 2 (wrong usage)."""
    given = _parser().parse_args(words)
    try:
        if given.what == "lock":
            lock(ROOT)
        else:
            _build(given)
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    return 0


def _build(given: argparse.Namespace) -> None:
    started = time.monotonic()
    debian.check_machine()
    bytecode.check_interpreter()
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    scratch = ROOT / "build/image"
    scratch.mkdir(parents=True, exist_ok=True)
    # Two builds may run at once.
    with tempfile.TemporaryDirectory(dir=scratch, prefix="wheel-") as folder:
        own = wheels.build_own(ROOT, Path(folder))
        images = _images(
            given, Workshop(_cache(), own, debian.architecture(), reuse=not given.anew)
        )
    for built in images:
        if given.unpacked:
            oci.lay_down(built, given.unpacked)
        print(f"{built.reference} {built.digest}")
        print(f"  {_mb(built.compressed)} compressed, {_mb(built.unpacked)} unpacked")
    print(f"{out}, in {time.monotonic() - started:.0f} s")


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _images(given: argparse.Namespace, workshop: Workshop) -> list[Built]:
    """Those that are asked for, written as archives and as one layout."""
    contents = load()
    wanted = [contents.images[_SHORT[name]] for name in ([given.what] if given.what else _SHORT)]
    names = dict.fromkeys(name for image in wanted for name in image.layers)
    made = {name: workshop.make(contents.layers[name]) for name in names}
    architecture = workshop.architecture
    images = []
    for image in wanted:
        reference = f"{given.registry}/{image.name}:{given.tag}"
        joined = _join(image, made, reference=reference, architecture=architecture, out=given.out)
        images.append(joined)
    oci.write_layout(images, given.out / "layout", architecture=architecture)
    return images


def _join(
    image: Image, made: dict[str, Made], *, reference: str, architecture: str, out: Path
) -> Built:
    """The image, with its bill of materials in it and beside it."""
    components = [one for name in image.layers for one in made[name].components]
    told = bill(image.name, __version__, components, architecture=architecture)
    tree = Tree()
    tree.add(PLACE.format(image=image.name), Entry(told))
    blobs: dict[str, Blob] = {name: made[name].blob for name in image.layers}
    blobs[image.name] = layer_blob(tree.archive(), unpacked=tree.size)
    built = oci.build(
        image, blobs, reference=reference, version=__version__, architecture=architecture
    )
    (out / f"{image.name}.cdx.json").write_bytes(told)
    oci.write_archive(built, out / f"{image.name}.tar", architecture=architecture)
    return built


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "linkerd2-py/image")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./mesh image", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "what", nargs="?", choices=(*_SHORT, "lock"), help="one of both; default: both"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build/image/out", metavar="DIR")
    parser.add_argument("--tag", default=__version__)
    parser.add_argument("--registry", default="docker.io/library", metavar="PREFIX")
    parser.add_argument(
        "--unpacked", type=Path, metavar="DIR", help="each layer as a folder, too (as root)"
    )
    parser.add_argument("--anew", action="store_true", help="make every layer, whatever is kept")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
