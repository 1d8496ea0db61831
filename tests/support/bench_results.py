"""Results of a benchmark that was never run."""

from collections.abc import Mapping, Sequence

from bench.machine import Machine
from bench.results import Outcome, Row, Sample
from bench.subjects.subject import Family

MACHINE = Machine(
    cpu="<Some> processor",
    cores=2,
    kernel="6.1",
    congestion_control="cubic",
    clocksource="tsc",
    python="3.11",
    linkerd2_py="0.1",
    load_average=(0.5, 0.25, 0.125),
    mitigations="none",
)


def row(
    subject: str,
    family: Family,
    figures: Mapping[str, Sequence[float]],
    *,
    scenario: str = "http1-64",
) -> Row:
    """A row from each figure's value in each pass."""
    passes = len(next(iter(figures.values())))
    samples = tuple(
        Sample({key: values[at] for key, values in figures.items()}) for at in range(passes)
    )
    return Row(scenario, subject, family, "1.0", samples)


def outcome(*rows: Row, cost: str = "cpu_us_per_exchange", **fields: object) -> Outcome:
    """A scenario with these rows, on a machine that stayed the same."""
    known: dict[str, object] = {
        "scenario": rows[0].scenario,
        "description": "of a test",
        "unit": "exchange",
        "cost": cost,
        "columns": (cost, "p50_us"),
        "ours": rows[0].subject,
        "rows": rows,
        "calibration": (10_000.0, 10_000.0),
    }
    return Outcome(**(known | fields))  # type: ignore[arg-type]
