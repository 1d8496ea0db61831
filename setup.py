"""Compile every .pyx under _ext into one shared object, the module `engine`; all other packaging facts live
in pyproject.toml.

`L5D_DEBUG=1` builds with assertions and live-object counters; `L5D_SANITIZE=address,undefined` adds
sanitizers; `L5D_PROGRESS=1` prints a line for each module that is translated or compiled; `L5D_METRICS=0`
counts no traffic, to measure what counting costs; `L5D_ENGINE=skip` registers the package without compiling,
for set-ups that compile in a step of their own. `build_ext --only PREFIX` compiles one package of the engine
and links it with what the others were compiled to before, for a quick edit-test loop. Modules named `testing`
open cdef classes to the tests: each has a file of its own, built in place and with assertions, never into a
wheel.
"""

import filecmp
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from Cython.Compiler.Errors import CompileError
from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist
from setuptools.modified import newer_group

SRC = Path("src")
EXT = SRC / "linkerd2_py" / "_ext"
TRANSLATED = "build/cython"
DEBUG = os.environ.get("L5D_DEBUG") == "1"
SANITIZE = os.environ.get("L5D_SANITIZE", "")
METRICS = os.environ.get("L5D_METRICS", "1") != "0"
FLAVOUR = "sanitized" if SANITIZE else "debug" if DEBUG else "" if METRICS else "unmetered"
PROGRESS = os.environ.get("L5D_PROGRESS") == "1"
ENGINE = "linkerd2_py._ext.engine"
SKIP_ENGINE = os.environ.get("L5D_ENGINE") == "skip"

# What the C compiler must be able to read, and the Debian package that holds it.
HEADERS = {
    "stdio.h": "gcc libc6-dev",
    "Python.h": "python3-dev",
    "nghttp2/nghttp2.h": "libnghttp2-dev",
    "openssl/ssl.h": "libssl-dev",
}

# What the modules of a folder are linked with.
LIBRARIES = {"http2": ("nghttp2",), "tls": ("ssl", "crypto"), "jwt": ("crypto",)}

Options.warning_errors = True


def compile_args() -> list[str]:
    """Flags of the C compiler: hardened release, or assertions with frames for the debugger."""
    common = ["-std=c11", "-Wall", "-Wno-unused-function", "-fno-strict-aliasing"]
    if SANITIZE:
        return [*common, "-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={SANITIZE}"]
    if DEBUG:
        return [*common, "-Og", "-g"]
    hardening = ["-D_FORTIFY_SOURCE=2", "-fstack-protector-strong", "-fcf-protection"]
    return [*common, "-O2", "-g0", *hardening]


def link_args() -> list[str]:
    """Full RELRO in release; the sanitizer runtime where one is asked for."""
    return [f"-fsanitize={SANITIZE}"] if SANITIZE else ["-Wl,-z,relro,-z,now"]


def extension(path: Path) -> Extension:
    """One compilation unit per .pyx, named after its place below `src`."""
    name = ".".join(path.relative_to(SRC).with_suffix("").parts)
    return Extension(
        name=name,
        sources=[path.as_posix()],
        # A changed C header or flag must recompile; Cython itself follows .pxd files.
        depends=["setup.py", *(header.as_posix() for header in sorted(EXT.rglob("*.h")))],
        define_macros=[
            ("L5D_DEBUG", "1" if DEBUG else "0"),
            ("L5D_METRICS", "1" if METRICS else "0"),
            ("_GNU_SOURCE", "1"),
        ],
        include_dirs=[(EXT / "core").as_posix()],
        libraries=[name for part in path.parts for name in LIBRARIES.get(part, ())],
        extra_compile_args=compile_args(),
        extra_link_args=link_args(),
    )


def units() -> list[Extension]:
    """The modules of the engine that are one shared object."""
    return [extension(path) for path in sorted(EXT.rglob("*.pyx")) if path.stem != "testing"]


def engine() -> Extension:
    """That object. What is compiled into it are not its sources: each unit has flags of its own."""
    parts = {part for unit in units() for part in unit.name.split(".")}
    libraries = [name for part, names in LIBRARIES.items() if part in parts for name in names]
    return Extension(ENGINE, sources=[], libraries=libraries, extra_link_args=link_args())


def extensions() -> list[Extension]:
    """One for each file that is made; none of an engine whose sources are not here."""
    doors = [extension(path) for path in sorted(EXT.rglob("testing.pyx"))]
    return [engine(), *doors] if units() else doors


def linked_name(unit: Extension) -> str:
    """Of the function that makes the module: its last name alone is that of several."""
    return "PyInit_" + unit.name.replace(".", "_")


def table_of(modules: Iterable[Extension]) -> str:
    """The C source that says which modules are in the shared object."""
    modules = list(modules)
    made = "".join(f"extern PyObject *{linked_name(one)}(void);\n" for one in modules)
    rows = "".join(f'    {{"{one.name}", {linked_name(one)}}},\n' for one in modules)
    table = f"static const struct _inittab MODULES[] = {{\n{rows}}};\n"
    return f"#include <Python.h>\n\n{made}\n{table}\n#include <engine.h>\n"


def write_changed(path: Path, text: str) -> None:
    """What is as it was keeps its time."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def forget_old_modules(folder: Path) -> None:
    """Of builds that gave each module a file of its own."""
    for module in folder.rglob("_ext/**/*.so"):
        if module.name.partition(".")[0] not in {"engine", "testing"}:
            module.unlink()


def forget_old_translations() -> None:
    """Cython itself does not see that directives changed."""
    written = Path("setup.py").stat().st_mtime
    for translated in Path(TRANSLATED).rglob("*.c"):
        if translated.stat().st_mtime < written:
            translated.unlink()


class BuildExt(build_ext):
    """`build_ext` that links the engine of its modules, can be limited to one package, names missing headers,
    and replaces modules in use safely.
    """

    user_options = [
        *build_ext.user_options,
        ("only=", None, "compile only modules with this prefix"),
    ]

    def initialize_options(self) -> None:
        super().initialize_options()
        self.only = None
        self.compiled = itertools.count(1)

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or len(os.sched_getaffinity(0))
        if FLAVOUR:
            # Neither objects nor modules of one flavour may pass for those of another.
            self.build_temp += f"-{FLAVOUR}"
            self.build_lib += f"-{FLAVOUR}" if self.inplace else ""
        if not self.inplace and not FLAVOUR:
            self.extensions = [e for e in self.extensions if not e.name.endswith(".testing")]
        self.units = units() if self.extensions else []
        if self.only:
            named = [e for e in self.extensions if e.name.startswith(self.only)]
            self.extensions = [e for e in self.extensions if e.name == ENGINE or e in named]

    def run(self) -> None:
        """Cython first, here and not earlier, so that an sdist carries no generated C."""
        if self.extensions:
            forget_old_modules(Path(self.build_lib))
            forget_old_translations()
            wanted = [e for e in (*self.units, *self.extensions) if self.is_wanted(e)]
            try:
                translated = cythonize(
                    wanted,
                    build_dir=TRANSLATED,
                    nthreads=self.parallel,
                    # Nothing here can be pickled or is introspected: code for that would be a third of a
                    # module.
                    compiler_directives={
                        "language_level": "3",
                        "auto_pickle": False,
                        "binding": False,
                    },
                    quiet=not (self.verbose or PROGRESS),
                )
            except CompileError as error:
                # What is wrong stands above, from Cython itself; its own stack is of no use.
                sys.exit(f"linkerd2-py: Cython could not compile {error}")
            generated = {ext.name: ext.sources for ext in translated}
            for ext in wanted:
                ext.sources = generated[ext.name]
        super().run()

    def is_wanted(self, ext: Extension) -> bool:
        """Whether it is translated and compiled: a module, and of the package that was asked for."""
        return ext.name != ENGINE and ext.name.startswith(self.only or "")

    def build_extensions(self) -> None:
        missing = [header for header in HEADERS if not self.can_include(header)]
        if missing:
            packages = " ".join(HEADERS[header] for header in missing)
            sys.exit(
                f"linkerd2-py: the C compiler cannot read {', '.join(missing)}; "
                f"on Debian and Ubuntu: apt-get install {packages}"
            )
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        if ext.name == ENGINE:
            self.build_engine(ext)
            return
        super().build_extension(ext)
        self.tell_progress(ext)

    def build_engine(self, ext: Extension) -> None:
        """Compile what changed, and link all of it where anything did."""
        with ThreadPoolExecutor(self.parallel) as pool:
            compiled = list(pool.map(self.compile_unit, self.units))
        folder = Path(self.build_temp)
        table, exported = folder / "engine.c", folder / "engine.map"
        write_changed(table, table_of(self.units))
        # All other names are nobody else's business, and cost nothing at a start.
        write_changed(exported, "{ global: PyInit_engine; local: *; };\n")
        target = self.get_ext_fullpath(ext.name)
        needed = [*compiled, str(table), str(exported), str(EXT / "engine.h"), "setup.py"]
        if not (self.force or newer_group(needed, target, "newer")):
            return
        made = self.compiler.compile(
            [str(table)],
            output_dir=self.build_temp,
            include_dirs=[str(EXT)],
            extra_postargs=compile_args(),
        )
        self.compiler.link_shared_object(
            [*compiled, *made],
            target,
            libraries=self.get_libraries(ext),
            library_dirs=ext.library_dirs,
            runtime_library_dirs=ext.runtime_library_dirs,
            extra_postargs=[*ext.extra_link_args, f"-Wl,--version-script={exported}"],
            build_temp=self.build_temp,
            target_lang="c",
        )

    def compile_unit(self, unit: Extension) -> str:
        """Its object file, made if need be, in which the module has a name of its own."""
        translated = f"{TRANSLATED}/{SRC}/{unit.name.replace('.', '/')}.c"
        (made,) = self.compiler.object_filenames([translated], output_dir=self.build_temp)
        linked = f"{made.removesuffix('.o')}.linked.o"
        if not self.is_wanted(unit):
            if not Path(linked).exists():
                sys.exit(f"linkerd2-py: {unit.name} has yet to be compiled: build without --only")
            return linked
        if self.force or newer_group([*unit.sources, *unit.depends], linked, "newer"):
            self.compiler.compile(
                unit.sources,
                output_dir=self.build_temp,
                macros=unit.define_macros,
                include_dirs=unit.include_dirs,
                extra_postargs=unit.extra_compile_args,
            )
            renamed = f"PyInit_{unit.name.rpartition('.')[2]}={linked_name(unit)}"
            self.spawn(["objcopy", "--redefine-sym", renamed, made, linked])
        self.tell_progress(unit)
        return linked

    def tell_progress(self, ext: Extension) -> None:
        if PROGRESS:
            modules = [e for e in (*self.units, *self.extensions) if self.is_wanted(e)]
            count = f"{next(self.compiled)} of {len(modules)} modules"
            # In one piece: compilers of several modules end at once, and `print` writes a line in two.
            sys.stdout.write(f"compiled {count}: {ext.name}\n")
            sys.stdout.flush()

    def can_include(self, header: str) -> bool:
        """Ask the compiler itself, with the flags and folders of the real build."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(f"#include <stddef.h>\n#include <{header}>\n")
            folders = [f"-I{path}" for path in self.compiler.include_dirs]
            try:
                probe = subprocess.run(
                    [*self.compiler.compiler_so, *folders, "-fsyntax-only", source.as_posix()],
                    capture_output=True,
                    check=False,
                )
            except OSError:
                return False
            return probe.returncode == 0

    def copy_extensions_to_source(self) -> None:
        """Replace in-place modules by renaming, and only those that changed: running processes keep their old
        file.
        """
        forget_old_modules(EXT.parent)
        build_py = self.get_finalized_command("build_py")
        for ext in self.extensions:
            filename = self.get_ext_filename(ext.name)
            target = Path(
                build_py.get_package_dir(ext.name.rpartition(".")[0]), Path(filename).name
            )
            built = Path(self.build_lib, filename)
            if target.exists() and filecmp.cmp(built, target, shallow=False):
                continue
            fresh = target.with_name(f"{target.name}.{os.getpid()}")
            shutil.copy2(built, fresh)
            fresh.replace(target)


def build_page(*words: str) -> None:
    """The dashboard's, where its sources have changed since it was built."""
    done = subprocess.run([sys.executable, "tools/web_bundle.py", *words], check=False)
    if done.returncode:
        sys.exit("linkerd2-py: an sdist without the dashboard's page is none")


class BuildPy(build_py):
    """With the dashboard's page where it can be had: the rest of a checkout needs neither Node nor npm."""

    def run(self) -> None:
        has_page = (SRC / "linkerd2_py/controlplane/web/app").exists()
        if has_page and not (SKIP_ENGINE or FLAVOUR or self.editable_mode):
            build_page("--optional")
        super().run()


class Sdist(sdist):
    """Always with that page: whoever builds from it needs no Node."""

    def run(self) -> None:
        build_page()
        super().run()


class BdistWheel(bdist_wheel):
    """No wheel without its engine, and none with one that is not for release, passes for a wheel."""

    def run(self) -> None:
        if SKIP_ENGINE:
            sys.exit(
                "linkerd2-py: L5D_ENGINE=skip is for set-ups in place: unset it to make a wheel"
            )
        if FLAVOUR:
            sys.exit(f"linkerd2-py: a wheel of the {FLAVOUR} engine is for nobody: unset L5D_*")
        if not units():
            # As where links came as files: an archive of the repository, or a checkout without them.
            sys.exit(f"linkerd2-py: no engine in {EXT}: build from a clone or from the sdist")
        super().run()
        (made,) = (name for kind, _, name in self.distribution.dist_files if kind == "bdist_wheel")
        with zipfile.ZipFile(made) as archive:
            compiled = [name for name in archive.namelist() if name.endswith(".so")]
        if [name.partition(".")[0] for name in compiled] != [ENGINE.replace(".", "/")]:
            Path(made).unlink()
            sys.exit(f"linkerd2-py: a wheel with {', '.join(compiled) or 'no engine'} is none")


# Guarded, because a translating process that is spawned rather than forked reads this file again.
if __name__ == "__main__":
    setup(
        ext_modules=[] if SKIP_ENGINE else extensions(),
        cmdclass={
            "bdist_wheel": BdistWheel,
            "build_ext": BuildExt,
            "build_py": BuildPy,
            "sdist": Sdist,
        },
    )
