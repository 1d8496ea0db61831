"""Compile every .pyx under _ext; all other packaging facts live in pyproject.toml.

`L5D_DEBUG=1` builds with assertions and live-object counters; `L5D_SANITIZE=address,undefined` adds sanitizers.
`build_ext --only PREFIX` compiles one package of the engine, for a quick edit-test loop.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SRC = Path("src")
EXT = SRC / "linkerd2_py" / "_ext"
DEBUG = os.environ.get("L5D_DEBUG") == "1"
SANITIZE = os.environ.get("L5D_SANITIZE", "")

Options.warning_errors = True


def compile_args() -> list[str]:
    """Flags of the C compiler: hardened release, or assertions with frames for the debugger."""
    common = ["-std=c11", "-Wall", "-Wno-unused-function", "-fno-strict-aliasing"]
    if SANITIZE:
        return [*common, "-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={SANITIZE}"]
    if DEBUG:
        return [*common, "-Og", "-g"]
    return [*common, "-O2", "-g0", "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong", "-fcf-protection"]


def link_args() -> list[str]:
    """Full RELRO in release; the sanitizer runtime where one is asked for."""
    return [f"-fsanitize={SANITIZE}"] if SANITIZE else ["-Wl,-z,relro,-z,now"]


def extension(path: Path) -> Extension:
    """One compilation unit per .pyx, named after its place below `src`."""
    name = ".".join(path.relative_to(SRC).with_suffix("").parts)
    return Extension(
        name=name,
        sources=[path.as_posix()],
        define_macros=[("L5D_DEBUG", "1" if DEBUG else "0"), ("_GNU_SOURCE", "1")],
        include_dirs=[(EXT / "core").as_posix()],
        libraries=["nghttp2"] if "http2" in path.parts else [],
        extra_compile_args=compile_args(),
        extra_link_args=link_args(),
    )


class BuildExt(build_ext):
    """`build_ext` that can be limited to one package of the engine."""

    user_options = [*build_ext.user_options, ("only=", None, "compile only modules with this prefix")]

    def initialize_options(self) -> None:
        super().initialize_options()
        self.only = None

    def finalize_options(self) -> None:
        super().finalize_options()
        self.extensions = cythonize(
            [e for e in self.extensions if not self.only or e.name.startswith(self.only)],
            build_dir="build/cython-debug" if DEBUG else "build/cython",
            compiler_directives={"language_level": "3"},
        )


setup(
    ext_modules=[extension(path) for path in sorted(EXT.rglob("*.pyx"))],
    cmdclass={"build_ext": BuildExt},
)
