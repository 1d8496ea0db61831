"""What is in the images, and what is not."""

import importlib.util
import json
import re
import stat
from pathlib import Path, PurePosixPath

import pytest

from image.elf import missing_libraries
from image.tree import Tree
from tests.support.images import CONTROLLER, NAMES, PROXY, build
from tests.support.oci_archive import CAPABILITY, OciArchive

pytestmark = [pytest.mark.slow, pytest.mark.release_only, pytest.mark.timeout(600)]

MB = 1_000_000
COMPRESSED = {PROXY: 35 * MB, CONTROLLER: 70 * MB}
UNPACKED = {PROXY: 95 * MB, CONTROLLER: 200 * MB}
PACKAGES = "usr/lib/python3/dist-packages/"
# Programs that build, install, or give a shell; folders and files of what only developers read.
UNWANTED_PROGRAMS = re.compile(
    r"(.*-)?(sh|bash|dash|gcc|cc|c\+\+|g\+\+|ld|as|make|perl[\d.]*|pip[\d.]*|curl|wget|su|mount)"
    r"|(apt|dpkg)(-.*)?"
)
UNWANTED_FOLDERS = {
    *("test", "tests", "idlelib", "ensurepip", "tkinter", "lib2to3", "pip", "setuptools"),
}
UNWANTED_KINDS = {".pyx", ".pxd", ".c", ".h", ".a", ".o", ".key", ".pem", ".p8"}
# The roots that are trusted.
PUBLIC = {"usr/lib/ssl/cert.pem", f"{PACKAGES}certifi/cacert.pem"}
KEY = re.compile(rb"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\r?\n[A-Za-z0-9+/=]{32}")
LICENCE = re.compile(r"(licenses/.*)?(LICEN[CS]E|COPYING|NOTICE|AUTHORS)", re.IGNORECASE)
# Their authors put no text of it into their wheels; the bill says which licence it is.
WITHOUT_TEXT = {"protobuf", "grpcio_health_checking", "kubernetes"}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def image(images: dict[str, OciArchive], name: str) -> OciArchive:
    return images[name]


@pytest.fixture(scope="module")
def trees(images: dict[str, OciArchive]) -> dict[str, Tree]:
    return {name: image.tree() for name, image in images.items()}


@pytest.fixture
def tree(trees: dict[str, Tree], name: str) -> Tree:
    return trees[name]


def described(tree: Tree) -> dict[str, str]:
    """Folders of the packages' descriptions, by the name of the package."""
    ends = (path for path in tree.entries if path.endswith(".dist-info/METADATA"))
    folders = [path.removesuffix("/METADATA") for path in ends]
    names = (PurePosixPath(one).name.removesuffix(".dist-info") for one in folders)
    return {name.rpartition("-")[0]: one for name, one in zip(names, folders, strict=True)}


def debian(tree: Tree) -> set[str]:
    return {path.rpartition("/")[2] for path in tree.entries if "/dpkg/status.d/" in path}


def test_they_are_small(image: OciArchive, name: str, tree: Tree) -> None:
    assert image.compressed <= COMPRESSED[name]
    assert tree.size <= UNPACKED[name]


def test_the_same_input_is_the_same_digest(images: dict[str, OciArchive], tmp_path: Path) -> None:
    again = build(tmp_path / "again", "--anew")
    assert {name: again[name].digest for name in NAMES} == {
        name: images[name].digest for name in NAMES
    }


def test_they_stand_on_the_same_layers(images: dict[str, OciArchive]) -> None:
    proxy, controller = (
        {layer["digest"]: layer["size"] for layer in images[name].manifest["layers"]}
        for name in NAMES
    )
    shared = proxy.keys() & controller.keys()
    assert sum(proxy[one] for one in shared) > 0.9 * sum(proxy.values())


def test_how_they_run(images: dict[str, OciArchive]) -> None:
    proxy, controller = (images[name].config["config"] for name in NAMES)
    assert (proxy["User"], controller["User"]) == ("2102", "2103")
    assert proxy["Entrypoint"] == ["/usr/lib/linkerd/linkerd2-proxy-identity"]
    assert controller["Entrypoint"] == ["/usr/bin/linkerd2-py"]
    for name, config in zip(NAMES, (proxy, controller), strict=True):
        assert config["Labels"]["org.opencontainers.image.title"] == name
        assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
        assert config["Labels"]["org.opencontainers.image.version"]


def test_they_are_called_as_a_bare_name_in_a_pod_is(image: OciArchive, name: str) -> None:
    (line,) = image.index["manifests"]
    tag = line["annotations"]["org.opencontainers.image.ref.name"]
    assert line["annotations"]["io.containerd.image.name"] == f"docker.io/library/{name}:{tag}"


def test_the_layout_has_both(images: dict[str, OciArchive], out: Path) -> None:
    told = json.loads((out / "layout/index.json").read_text())
    digests = {one["digest"] for one in told["manifests"]}
    assert digests == {image.digest for image in images.values()}
    blobs = {f"sha256:{path.name}" for path in (out / "layout/blobs/sha256").iterdir()}
    assert blobs == {digest for image in images.values() for digest in image.blobs}


def test_only_the_program_of_the_init_container_gives_rights(image: OciArchive) -> None:
    gives = []
    for member in image.members():
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        assert member.mtime == 0
        assert member.isfile() or member.isdir() or member.issym()
        assert not member.mode & (stat.S_ISUID | stat.S_ISGID)
        assert member.issym() or member.name == "tmp" or not member.mode & 0o022
        if CAPABILITY in member.pax_headers:
            gives.append(member.name)
    assert gives == ["usr/lib/linkerd/linkerd2-proxy-init"]


def test_nothing_builds_installs_or_is_a_secret(tree: Tree) -> None:
    paths = [PurePosixPath(path) for path in tree.entries]
    programs = [path.name for path in paths if {"bin", "sbin"} & {*path.parts}]
    assert "python3.11" in programs
    assert [one for one in programs if UNWANTED_PROGRAMS.fullmatch(one)] == []
    assert [str(path) for path in paths if UNWANTED_FOLDERS & {*path.parts}] == []
    odd = {str(path) for path in paths if path.suffix in UNWANTED_KINDS}
    assert odd <= PUBLIC
    assert [path for path, entry in tree.files() if KEY.search(entry.content)] == []


def test_every_module_is_compiled_for_good(tree: Tree) -> None:
    sources = {path for path, _ in tree.files() if path.endswith(".py")}
    compiled = {path for path in tree.entries if path.endswith(".pyc")}
    assert len(sources) > 300
    for path in sources:
        module = PurePosixPath(path)
        beside = f"{module.parent}/__pycache__/{module.stem}.cpython-311.pyc"
        content = tree.entries[beside].content
        assert content[4:8] == b"\x01\0\0\0"  # by hash, and never checked
        assert content[8:16] == importlib.util.source_hash(tree.entries[path].content)
        compiled.remove(beside)
    assert compiled == set()


def test_every_library_that_is_asked_for_is_there(tree: Tree) -> None:
    assert missing_libraries(tree) == {}


def test_the_programs_of_a_pod_have_the_names_that_manifests_call(trees: dict[str, Tree]) -> None:
    entries = trees[PROXY].entries
    programs = ("proxy", "proxy-identity", "network-validator", "proxy-init")
    for path in ("linkerd-await", *(f"linkerd2-{program}" for program in programs)):
        assert entries[f"usr/lib/linkerd/{path}"].mode == 0o755
    assert "usr/bin/sleep" in entries


def test_the_sidecars_image_has_nothing_of_the_control_plane(trees: dict[str, Tree]) -> None:
    entries = trees[PROXY].entries
    ours = {
        path.removeprefix(f"{PACKAGES}linkerd2_py/").partition("/")[0]
        for path in entries
        if path.startswith(f"{PACKAGES}linkerd2_py/")
    }
    assert ours == {"__init__.py", "__pycache__", "_ext", "base", "proto", "proxy"}
    # Ours has no description there: what it would say is about the whole.
    packages = {"cffi", "cryptography", "protobuf", "pycparser", "uvloop"}
    assert described(trees[PROXY]).keys() == packages


def test_the_bill_names_everything(tree: Tree, name: str, out: Path) -> None:
    inside = tree.entries[f"usr/share/linkerd2-py/{name}.cdx.json"].content
    assert inside == (out / f"{name}.cdx.json").read_bytes()
    told = json.loads(inside)
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.5")
    listed = {
        (one["purl"].partition("/")[0], one["name"].lower().replace("-", "_"))
        for one in told["components"]
    }
    wheels = {("pkg:pypi", one.lower()) for one in described(tree)}
    packages = {("pkg:deb", one.replace("-", "_")) for one in debian(tree)}
    assert listed == wheels | packages | {("pkg:pypi", "linkerd2_py")}
    assert ("pkg:deb", "libc6") in listed


def test_licences_are_kept(tree: Tree) -> None:
    for package in debian(tree):
        place = f"usr/share/doc/{package}"
        entry = tree.entries.get(place) or tree.entries[f"{place}/copyright"]
        assert entry.link or entry.content
    without = {
        package
        for package, folder in described(tree).items()
        if not any(
            LICENCE.match(path.removeprefix(f"{folder}/"))
            for path in tree.entries
            if path.startswith(f"{folder}/")
        )
    }
    assert without <= WITHOUT_TEXT
