"""setup.py on a small engine of its own: what it compiles, leaves out, and says when something is missing."""

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.release_only

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with two engine modules, one of them a test door."""
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "README.md").write_text("a project")
    core = tmp_path / "src/linkerd2_py/_ext/core"
    core.mkdir(parents=True)
    for package in (core, core.parent.parent):
        (package / "__init__.py").write_text('__version__ = "0"\n')
    for name in ("__init__.py", "engine.h"):
        shutil.copy(ROOT / "_ext" / name, core.parent / name)
    (core / "one.pyx").write_text("def number():\n    return 1\n")
    (core / "one.pyi").write_text("def number() -> int: ...\n")
    (core / "testing.pyx").write_text("def door():\n    return 2\n")
    (core / "testing.pyi").write_text("def door() -> int: ...\n")
    return tmp_path


def build(project: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "-q", *words],
        cwd=project,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def modules(folder: Path) -> set[str]:
    return {path.name.split(".")[0] for path in folder.rglob("*.so")}


def ask(folder: Path, program: str) -> str:
    """What the program prints with the package of this folder."""
    words = [sys.executable, "-c", program]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def compiler_without(header: str, folder: Path) -> str:
    """A `cc` for which `header` does not exist."""
    program = folder / "cc"
    program.write_text(
        "#!/bin/sh\n"
        f'for word; do case $word in *.c) grep -qs "<{header}>" "$word" && exit 1;; esac; done\n'
        'exec gcc "$@"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_a_build_in_place_includes_test_doors_and_keeps_c_files_away(project: Path) -> None:
    done = build(project, "build_ext", "--inplace")
    assert done.returncode == 0, done.stderr
    assert modules(project / "src") == {"engine", "testing"}
    assert not list((project / "src").rglob("*.c"))


NUMBERS = (
    "import linkerd2_py._ext.{0}.one as one, linkerd2_py._ext.core.testing as door;"
    " print(one.number(), door.door(), one.__name__, one.__file__ == door.__file__)"
)


def test_modules_of_one_name_in_two_packages_are_two(project: Path) -> None:
    again = project / "src/linkerd2_py/_ext/again"
    again.mkdir()
    (again / "__init__.py").touch()
    (again / "one.pyx").write_text("def number():\n    return 7\n")
    assert build(project, "build_ext", "--inplace").returncode == 0
    assert modules(project / "src") == {"engine", "testing"}
    assert ask(project / "src", NUMBERS.format("core")) == "1 2 linkerd2_py._ext.core.one False"
    assert ask(project / "src", NUMBERS.format("again")) == "7 2 linkerd2_py._ext.again.one False"
    missing = "import linkerd2_py._ext.core.two"
    assert ask(project / "src", missing).startswith("ModuleNotFoundError: ")


def test_a_module_that_fails_at_its_import_says_why(project: Path) -> None:
    broken = "def fail():\n    raise RuntimeError('on purpose')\nfail()\n"
    (project / "src/linkerd2_py/_ext/core/one.pyx").write_text(broken)
    assert build(project, "build_ext", "--inplace").returncode == 0
    failed = "import linkerd2_py._ext.core.one"
    assert ask(project / "src", failed) == "RuntimeError: on purpose"


def test_an_engine_makes_no_module_that_is_not_its_own(project: Path) -> None:
    assert build(project, "build_ext", "--inplace").returncode == 0
    start = "import types; from linkerd2_py._ext import engine; "
    unknown = start + "engine.create(types.SimpleNamespace(name='nobody'))"
    assert ask(project / "src", unknown) == "ImportError: the engine has no module 'nobody'"
    assert ask(project / "src", start + "engine.create(3)").startswith("AttributeError: ")
    assert ask(project / "src", start + "engine.execute(types)").startswith("TypeError: ")


def test_modules_of_earlier_builds_do_not_stay_beside_the_engine(project: Path) -> None:
    core = project / "src/linkerd2_py/_ext/core"
    (core / "one.cpython-311-x86_64-linux-gnu.so").touch()
    assert build(project, "build_ext", "--inplace").returncode == 0
    assert modules(project / "src") == {"engine", "testing"}


def test_progress_is_told_where_it_is_asked_for(project: Path) -> None:
    assert build(project, "build_ext", "--inplace", L5D_PROGRESS="0").stdout == ""
    for source in (project / "src").rglob("*.pyx"):
        source.write_text("def number():\n    return 3\n")
    told = build(project, "build_ext", "--inplace", L5D_PROGRESS="1").stdout
    # Translators speak at once; their lines may be mixed.
    assert "[1/2] Cythonizing src/" in told
    assert "[2/2] Cythonizing src/" in told
    assert "\ncompiled 1 of 2 modules: linkerd2_py._ext.core." in told
    assert told.rstrip().rpartition("\n")[2].startswith("compiled 2 of 2 modules: ")


def test_an_unchanged_module_is_not_replaced(project: Path) -> None:
    build(project, "build_ext", "--inplace")
    built = sorted((project / "src").rglob("*.so"))
    before = [path.stat().st_ino for path in built]
    assert build(project, "build_ext", "--inplace").returncode == 0
    assert [path.stat().st_ino for path in built] == before


def test_only_limits_the_build_to_one_package(project: Path) -> None:
    only = ("build_ext", "--inplace", "--only", "linkerd2_py._ext.core.o")
    done = build(project, *only)
    assert done.returncode == 0, done.stderr
    assert modules(project / "src") == {"engine"}
    (project / "src/linkerd2_py/_ext/core/two.pyx").write_text("def number():\n    return 2\n")
    done = build(project, *only)
    assert done.returncode == 1
    assert "core.two has yet to be compiled: build without --only" in done.stderr
    assert build(project, "build_ext", "--inplace").returncode == 0
    (project / "src/linkerd2_py/_ext/core/one.pyx").write_text("def number():\n    return 5\n")
    assert build(project, *only).returncode == 0
    assert ask(project / "src", NUMBERS.format("core")).startswith("5 2 ")


def test_a_release_copy_has_no_test_doors_a_debug_copy_has(project: Path) -> None:
    assert build(project, "build", "--build-lib", "out/release").returncode == 0
    assert modules(project / "out/release") == {"engine"}
    assert not list((project / "out/release").rglob("testing.*"))
    assert build(project, "build", "--build-lib", "out/debug", L5D_DEBUG="1").returncode == 0
    assert modules(project / "out/debug") == {"engine", "testing"}


def test_copies_carry_signatures_but_no_sources(project: Path) -> None:
    assert build(project, "build", "--build-lib", "out").returncode == 0
    suffixes = {path.suffix for path in (project / "out").rglob("*") if path.is_file()}
    assert suffixes == {".py", ".pyi", ".so"}


def test_the_engine_can_be_left_to_a_later_step(project: Path) -> None:
    assert build(project, "build_ext", "--inplace", L5D_ENGINE="skip").returncode == 0
    assert not modules(project)


@pytest.mark.parametrize(
    ("header", "package"),
    [
        ("nghttp2/nghttp2.h", "libnghttp2-dev"),
        ("openssl/ssl.h", "libssl-dev"),
        ("Python.h", "python3-dev"),
    ],
)
def test_a_missing_header_names_its_debian_package(
    project: Path, tmp_path: Path, header: str, package: str
) -> None:
    done = build(project, "build_ext", "--inplace", CC=compiler_without(header, tmp_path))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        f"linkerd2-py: the C compiler cannot read {header}; "
        f"on Debian and Ubuntu: apt-get install {package}"
    )


def test_a_missing_compiler_is_named_too(project: Path) -> None:
    done = build(project, "build_ext", "--inplace", CC="/nonexistent/cc")
    assert done.returncode == 1
    assert "apt-get install gcc libc6-dev" in done.stderr.strip().splitlines()[-1]


def test_an_error_in_a_module_is_the_last_word(project: Path) -> None:
    (project / "src/linkerd2_py/_ext/core/one.pyx").write_text("cdef nonsense(\n")
    done = build(project, "build_ext", "--inplace")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("linkerd2-py: Cython could not compile")


def wheels(project: Path) -> list[str]:
    return [path.name for path in (project / "dist").glob("*.whl")]


def test_a_wheel_has_the_engine_and_says_for_which_interpreter(project: Path) -> None:
    done = build(project, "bdist_wheel")
    assert done.returncode == 0, done.stderr
    (name,) = wheels(project)
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert name == f"linkerd2_py-0-{tag}-{tag}-linux_{os.uname().machine}.whl"
    with zipfile.ZipFile(project / "dist" / name) as archive:
        compiled = [one for one in archive.namelist() if one.endswith(".so")]
    assert [one.split(".")[0] for one in compiled] == ["linkerd2_py/_ext/engine"]


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"L5D_ENGINE": "skip"}, "L5D_ENGINE=skip is for set-ups in place"),
        ({"L5D_DEBUG": "1"}, "a wheel of the debug engine is for nobody"),
        ({"L5D_METRICS": "0"}, "a wheel of the unmetered engine is for nobody"),
    ],
)
def test_no_wheel_is_made_without_the_engine_for_release(
    project: Path, environment: dict[str, str], reason: str
) -> None:
    done = build(project, "bdist_wheel", **environment)
    assert done.returncode == 1
    assert reason in done.stderr
    assert wheels(project) == []


def test_no_wheel_is_made_where_the_sources_of_the_engine_are_missing(project: Path) -> None:
    shutil.rmtree(project / "src/linkerd2_py/_ext")
    (project / "src/linkerd2_py/_ext").write_text("../../_ext")
    done = build(project, "bdist_wheel")
    assert done.returncode == 1
    assert "no engine in src/linkerd2_py/_ext: build from a clone or from the sdist" in done.stderr
    assert wheels(project) == []


def test_a_wheel_with_more_than_the_engine_is_not_left_behind(project: Path) -> None:
    version = f"{sys.version_info[0]}{sys.version_info[1]}"
    lib = project / f"build/lib.linux-{os.uname().machine}-cpython-{version}/linkerd2_py"
    lib.mkdir(parents=True)
    (lib / "stray.so").touch()
    done = build(project, "bdist_wheel")
    assert done.returncode == 1
    assert "a wheel with linkerd2_py/stray.so, linkerd2_py/_ext/engine." in done.stderr
    assert wheels(project) == []
