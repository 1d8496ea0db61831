"""The table, the JSON document and the page show what was measured, and the page stands alone."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from bench.goals import judge
from bench.report import chart, document, page, table
from bench.report.columns import COLUMNS, column, significant
from bench.results import Outcome, Run
from bench.scenarios import ALL
from tests.support.bench_results import MACHINE, outcome, row

LATENCIES = {"p50_us": [50.0], "p90_us": [80.0], "p99_us": [900.0], "p999_us": [20_000.0]}
VOID = {"meta", "link", "br"}


def measured(**fields: object) -> Outcome:
    return outcome(
        row("ours", "ours", {"cpu_us_per_exchange": [10.0], **LATENCIES}),
        row("nginx", "nginx", {"cpu_us_per_exchange": [20.0], **LATENCIES}),
        row("relay", "limit", {"cpu_us_per_exchange": [8.0], **LATENCIES}),
        row("direct", "direct", LATENCIES),
        **fields,
    )


def run(*outcomes: Outcome) -> Run:
    return Run(MACHINE, "2026-01-01T00:00:00+00:00", outcomes)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.00012, "0.00012"), (4.5678, "4.57"), (78.94, "78.9"), (12345.6, "12346")],
)
def test_figures_have_the_digits_that_mean_something(value: float, text: str) -> None:
    assert significant(value) == text


def test_every_scenarios_columns_have_headings() -> None:
    for scenario in ALL.values():
        assert set(scenario.columns) | {scenario.cost} <= set(COLUMNS)


def test_a_column_nobody_described_is_headed_by_its_key() -> None:
    assert column("furlongs").heading == "furlongs"


def test_the_table_has_ratios_to_ours_and_to_the_limit() -> None:
    lines = list(table.lines(measured(absent={"envoy": "envoy is not installed"}), judged=True))
    cells = {line.split()[0]: line.split() for line in lines if line.startswith("  ")}
    assert cells["nginx"][1:3] == ["20", "50"]
    assert cells["nginx"][-2:] == ["0.50", "2.50"]
    assert cells["relay"][-2:] == ["1.25", "1.00"]
    assert cells["direct"][1] == "–"
    assert "  without envoy: envoy is not installed" in lines
    assert lines[-1].startswith("  ours is better than every peer")


def test_the_tables_columns_are_aligned() -> None:
    rows = list(table.aligned([["", "a"], ["long name", "1"], ["x", "12345"]]))
    assert len({len(line) for line in rows}) == 1


def test_a_smoke_run_prints_no_verdict_but_failures() -> None:
    assert not any("better" in line for line in table.lines(measured(), judged=False))
    failed = replace(measured(), failed={"nginx": "nginx did not listen"})
    assert "  nginx FAILED: nginx did not listen" in list(table.lines(failed, judged=False))


def test_goals_that_were_measured_are_listed() -> None:
    lines = list(table.goal_lines(judge(run(measured()))))
    assert any("the relay" in line and "missed" in line and "1.25" in line for line in lines)
    assert not any("G10" in line for line in lines)
    assert not list(table.goal_lines(judge(run())))


def test_the_document_has_everything(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    document.write(run(measured()), path)
    found = json.loads(path.read_text())
    assert found["machine"]["cores"] == 2
    assert [each["subject"] for each in found["rows"]] == ["ours", "nginx", "relay", "direct"]
    assert found["rows"][1]["cpu_us_per_exchange"] == 20.0
    assert found["verdicts"][0]["given"]
    assert {goal["state"] for goal in found["goals"]} >= {"missed", "not measured"}


class Tags(HTMLParser):
    """Checks that tags nest, and gathers attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_well_formed_and_needs_nothing_else() -> None:
    text = page.page(run(measured(), replace(measured(), failure="<broken>")))
    tags = Tags(text)
    assert not tags.open
    assert not {"script", "link", "img", "iframe"} & set(tags.tags)
    assert all(value.startswith("#") for name, value in tags.attributes if name in {"href", "src"})
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert "<Some> processor" in tags.words[tags.words.index("Processor") + 1]
    assert "no verdict: <broken>" in tags.words


def test_charts_name_and_describe_themselves() -> None:
    for picture in (chart.bars(measured()), chart.percentiles(measured())):
        root = ET.fromstring(picture)
        title, description = root.find("title"), root.find("desc")
        assert title is not None
        assert description is not None
        labels = root.attrib["aria-labelledby"].split()
        assert labels == [title.attrib["id"], description.attrib["id"]]
        assert "nginx" in (description.text or "")
        assert "nginx" in [text.text for text in root.iter("text")]


def test_bars_are_as_long_as_what_they_show() -> None:
    root = ET.fromstring(chart.bars(measured()))
    ours, nginx, relay = (float(bar.attrib["width"]) for bar in root.iter("rect"))
    assert nginx / ours == pytest.approx(2, rel=0.01)
    assert relay / ours == pytest.approx(0.8, rel=0.01)


def test_dots_of_later_percentiles_are_further_right() -> None:
    root = ET.fromstring(chart.percentiles(measured()))
    xs = [float(dot.attrib["cx"]) for dot in root.iter("circle")][:4]
    assert all(left < right for left, right in pairwise(xs))


def test_what_was_not_measured_has_no_chart() -> None:
    bare = outcome(row("ours", "ours", {"rss_kib": [1.0]}))
    assert chart.bars(bare) == ""
    assert chart.percentiles(bare) == ""
