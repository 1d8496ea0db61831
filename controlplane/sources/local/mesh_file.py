"""mesh.yaml: from a file to a `MeshSpec`, or to a list of everything that is wrong with it.

Every message reads `FILE:LINE: FIELD: REASON`. The rules themselves are in `mesh_rules`.
"""

import os
import stat
from pathlib import Path

import yaml

from linkerd2_py.controlplane.sources.local.mesh_rules import MeshRules
from linkerd2_py.controlplane.sources.local.mesh_spec import MeshSpec
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

# libyaml's parser, where it is there, is three times as quick.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Far above any mesh one machine holds; bounds what a wrong file name can make us read.
MOST_BYTES = 1 << 20


class MeshFileError(Exception):
    """The file cannot be used; `problems` has one line for each reason."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_mesh_file(path: Path) -> MeshSpec:
    """Read and validate a file; raises `MeshFileError`, also when it cannot be read."""
    content = _read(path)
    if len(content) > MOST_BYTES:
        raise MeshFileError((f"{path}: is larger than {MOST_BYTES} bytes",))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MeshFileError((f"{path}:{line}: is not UTF-8 text",)) from error
    return parse_mesh(text, source=str(path))


def _read(path: Path) -> bytes:
    """The content, and a byte too many of what is too large. Never waits: nobody may ever write to a pipe of
    that name.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:  # pathlib knows no opener
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise MeshFileError((f"{path}: cannot be read: it is not a regular file",))
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise MeshFileError((f"{path}: cannot be read: {error.strerror}",)) from error


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def parse_mesh(text: str, *, source: str) -> MeshSpec:
    """Validate the text of a mesh.yaml; `source` names it in messages."""
    root = _compose(text, source=source)
    reader = NodeReader(source)
    mesh = MeshRules(reader).mesh(Spot(root, ""))
    if reader.problems:
        raise MeshFileError(reader.messages())
    return mesh


def _compose(text: str, *, source: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise MeshFileError((f"{source}:{line}: is not YAML: {error.problem}",)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise MeshFileError((f"{source}:{line}: is not YAML: {error.reason}",)) from error
    except RecursionError as error:
        raise MeshFileError((f"{source}:1: is nested too deeply",)) from error
    if root is None:
        raise MeshFileError((f"{source}:1: is empty: workloads are needed",))
    if not isinstance(root, yaml.MappingNode):
        raise MeshFileError((f"{source}:1: must be a mapping with services and workloads",))
    return root
