"""A saved run as Markdown."""

from bench.report import markdown

DOCUMENT = {
    "date": "2026-11-24T10:00:00+00:00",
    "machine": {"cores": 2, "cpu": "A Processor", "kernel": "6.1"},
    "rows": [
        {"scenario": "http1-64", "subject": "ours", "version": "1", "cpu_us_per_exchange": 9.456},
        {"scenario": "http1-64", "subject": "nginx", "version": "1.22", "cpu_us_per_exchange": 16},
        {"scenario": "metrics-cost", "subject": "ours", "version": "1", "cpu_us_per_exchange": 9},
    ],
    "goals": [
        {"goal": "G1", "text": "less", "bound": 0.8, "measured": 0.59123, "state": "met"},
        {"goal": "G2", "text": "more", "bound": 1, "measured": None, "state": "not measured"},
    ],
}


def test_a_row_for_each_scenario_that_compares() -> None:
    text = list(markdown.lines(DOCUMENT))
    assert text[0] == "2026-11-24, 2 processors (A Processor), Linux 6.1, nginx 1.22:"
    assert "| http1-64 | CPU µs | 9.46 | – | 16 | – | – | – | – |" in text
    assert not [line for line in text if "metrics-cost" in line]


def test_goals_with_and_without_a_figure() -> None:
    text = list(markdown.lines(DOCUMENT))
    assert "| G1 | less | 0.8 | 0.591 | met |" in text
    assert "| G2 | more | 1 | – | not measured |" in text
