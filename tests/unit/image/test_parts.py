"""The parts of the builder: equal input is equal bytes, and what is wrong is said in a line."""

import hashlib
import importlib.util
import io
import lzma
import marshal
import struct
import sys
import tarfile
from pathlib import Path
from types import CodeType

import pytest

from image import bytecode, debian
from image.bill import Component, bill
from image.capability import permitted
from image.contents import Image, load
from image.debian import Package, unpack
from image.elf import missing_libraries, needed
from image.errors import ImageError
from image.oci import build, layer_blob
from image.tree import CAPABILITY, Entry, Tree, matches, merged

pytestmark = pytest.mark.release_only


def tree(*paths: str) -> Tree:
    made = Tree()
    for path in paths:
        made.add(path, Entry(path.encode()))
    return made


def test_an_archive_does_not_tell_in_which_order_it_was_made() -> None:
    assert tree("b/x", "a").archive() == tree("a", "b/x").archive()


def test_an_archive_has_folders_before_what_is_in_them_and_no_times_or_owners() -> None:
    made = tree("usr/bin/x")
    made.folders["tmp"] = 0o1777
    made.entries["bin"] = Entry(link="usr/bin")
    made.add("/sbin/y", Entry(b"y", mode=0o755, capability=permitted(["net_raw"])))
    with tarfile.open(fileobj=io.BytesIO(made.archive())) as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == ["bin", "tmp", "usr", "usr/bin", "usr/bin/x", "usr/sbin", "usr/sbin/y"]
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {
        (0, 0, 0, "")
    }
    assert members[1].mode == 0o1777
    capability = members[-1].pax_headers[CAPABILITY].encode("utf-8", "surrogateescape")
    assert capability == struct.pack("<IIIII", 0x0200_0000, 1 << 13, 0, 0, 0)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("./lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("/bin/sleep", "usr/bin/sleep"),
        ("lib", "lib"),
        ("usr/lib/x", "usr/lib/x"),
        ("library/x", "library/x"),
    ],
)
def test_paths_are_those_of_a_merged_usr(path: str, expected: str) -> None:
    assert merged(path) == expected


def test_a_pattern_means_a_folder_with_all_that_is_in_it() -> None:
    assert matches("a/b/c", ["a/b"])
    assert matches("a/b/c.pyi", ["*.pyi"])
    assert not matches("a/bc", ["a/b"])


def package(folder: Path, files: dict[str, bytes], compress: str = "xz") -> Path:
    """A Debian package as dpkg-deb writes one."""

    def archive(content: dict[str, bytes]) -> bytes:
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w") as made:
            for name, text in content.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(text), 0o4755
                made.addfile(member, io.BytesIO(text))
        return lzma.compress(sink.getvalue()) if compress == "xz" else sink.getvalue()

    parts = {
        "debian-binary": b"2.0\n",
        f"control.tar.{compress}": archive({"./control": b"Package: x\n"}),
        f"data.tar.{compress}": archive(files),
    }
    raw = b"!<arch>\n"
    for name, content in parts.items():
        raw += f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode() + content
        raw += b"\n" * (len(content) % 2)
    path = folder / "x_1%3a2_all.deb"
    path.write_bytes(raw)
    return path


def test_a_package_is_read_without_being_installed(tmp_path: Path) -> None:
    unpacked = unpack(package(tmp_path, {"./bin/x": b"odd", "./etc/y": b"even"}))
    assert unpacked.control == "Package: x\n"
    # Whoever made it: nothing in an image gives rights.
    assert unpacked.tree.entries == {
        "usr/bin/x": Entry(b"odd", mode=0o755),
        "etc/y": Entry(b"even", mode=0o755),
    }
    assert (Package("x_1%3a2_all.deb", "").name, Package("x_1%3a2_all.deb", "").version) == (
        "x",
        "1:2",
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"!<arch>\n"])
def test_what_is_no_package_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.deb").write_bytes(content)
    with pytest.raises(ImageError):
        unpack(tmp_path / "x.deb")


def test_a_package_that_is_compressed_another_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"control\.tar\.zst: .* xz and gzip are known"):
        unpack(package(tmp_path, {}, compress="zst"))


def test_another_distribution_is_sent_to_the_containerfile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(debian, "RELEASE", "hamm")
    with pytest.raises(ImageError, match=r"build with image/Containerfile"):
        debian.check_machine()


def test_another_interpreter_is_told_which_one_it_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytecode, "PYTHON", (3, 9))
    with pytest.raises(ImageError, match=r"the images have Python 3\.9, and this is 3\."):
        bytecode.check_interpreter()


def test_modules_are_compiled_beside_their_sources() -> None:
    source = b"NAMES = {'a', 'b', 'c'}\ndef f(x): return x in {'d', 'e', 'f'}\n"
    made, again = Tree(), Tree()
    for one in (made, again):
        one.add("usr/lib/x.py", Entry(source))
        bytecode.add_compiled(one)
    assert made == again
    compiled = made.entries[f"usr/lib/__pycache__/x.{bytecode.SUFFIX}"].content
    assert compiled[:4] == importlib.util.MAGIC_NUMBER
    assert compiled[4:16] == b"\1\0\0\0" + importlib.util.source_hash(source)
    code = marshal.loads(compiled[16:])
    assert isinstance(code, CodeType)
    assert code.co_filename == "/usr/lib/x.py"


def test_a_module_that_does_not_compile_ends_the_build() -> None:
    made = Tree()
    made.add("x.py", Entry(b"def"))
    with pytest.raises(ImageError, match="a module does not compile: SyntaxError"):
        bytecode.add_compiled(made)


def test_the_libraries_of_a_file_are_read_from_it() -> None:
    assert "libc.so.6" in needed(Path(sys.executable).resolve().read_bytes())
    assert needed(b"#!/bin/sh\n") == []
    made = Tree()
    made.add("bin/python", Entry(Path(sys.executable).resolve().read_bytes()))
    assert "libc.so.6" in missing_libraries(made)["usr/bin/python"]


def test_a_bill_says_the_same_of_the_same() -> None:
    parts = [Component("deb", "libc6", "2:1~a+b"), Component("pypi", "A_b", "1", "00", "MIT")]
    told = bill("x", "1", parts, architecture="amd64")
    assert told == bill("x", "1", [*reversed(parts), parts[0]], architecture="amd64")
    assert b'"pkg:deb/debian/libc6@2%3A1%7Ea%2Bb?arch=amd64&distro=debian-12"' in told
    assert b'"pkg:pypi/a-b@1"' in told


def test_an_image_is_its_layers_and_how_it_runs() -> None:
    blob = layer_blob(tree("a").archive(), unpacked=1)
    image = Image("x", "An x", ("base",), "7", ("/x",), {"A": "b"}, (80,))
    built = build(
        image, {"base": blob, "x": blob}, reference="r/x:1", version="1", architecture="arm64"
    )
    assert built.digest == f"sha256:{hashlib.sha256(built.manifest).hexdigest()}"
    assert built.unpacked == 2
    assert b'"architecture":"arm64"' in built.config
    assert b'"A=b"' in built.config


def test_contents_that_are_not_known_are_named(tmp_path: Path) -> None:
    path = tmp_path / "contents.toml"
    path.write_text("[layers.base]\ndebain = []\n[images]\n")
    with pytest.raises(ImageError, match="base says what is not known: debain"):
        load(path)
    path.write_text(
        "[layers.base]\n[images.x]\ntitle = 'x'\nlayers = ['bse']\nuser = '1'\nentrypoint = []\n"
    )
    with pytest.raises(ImageError, match="x has no such layer: bse"):
        load(path)
