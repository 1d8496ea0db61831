from collections.abc import Iterable, Mapping

LabelPairs = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]

def make_labels(pairs: LabelPairs) -> bytes: ...
