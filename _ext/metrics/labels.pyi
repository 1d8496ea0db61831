from collections.abc import Iterable, Mapping
from typing import TypeAlias

LabelPairs: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]

def make_labels(pairs: LabelPairs) -> bytes: ...
