"""Reading callgrind's profiles, and comparing counts with a baseline."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.micro import instructions as command
from bench.micro.baseline import BadBaseline, Baseline, Change, Circumstances, changes
from bench.micro.callgrind import CountingFailed, per_operation, total_instructions
from bench.micro.cases import all_cases
from bench.micro.instructions import FAILED, GREW, main, verdict

PROFILE = """\
# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 7533
cmd:  python -m bench.micro.run http1-parse-response 20000
part: 1

desc: Trigger: Program termination

positions: line
events: Ir
summary: 230550092

fn=(1) totals
0 162

totals: 230550099
"""
HERE = Circumstances("x86_64", "3.11.7", "glibc 2.36", "GCC: (Debian 12.2.0-14) 12.2.0", "release")


def test_the_total_is_that_of_the_whole_profile() -> None:
    assert total_instructions(PROFILE) == 230550099


def test_a_profile_that_was_cut_off_has_no_total() -> None:
    with pytest.raises(CountingFailed, match="ends before its totals"):
        total_instructions(PROFILE[: PROFILE.index("totals: ")])


def test_other_events_than_instructions_are_refused() -> None:
    with pytest.raises(CountingFailed, match="counted Ir Dr Dw"):
        total_instructions(PROFILE.replace("events: Ir", "events: Ir Dr Dw"))


def test_what_both_runs_spend_on_their_start_cancels_out() -> None:
    start, operation = 200_000_000, 1562
    once, twice = start + 1000 * operation, start + 2000 * operation
    assert per_operation(once, twice, 1000) == operation


def test_twice_the_operations_must_take_more() -> None:
    with pytest.raises(CountingFailed, match="2000 operations"):
        per_operation(500, 500, 1000)


def test_changes_are_in_percent_of_the_baseline() -> None:
    found = changes(
        {"slower": 100.0, "faster": 100.0, "not counted": 5.0}, {"slower": 103.0, "faster": 75.0}
    )
    assert [change.case for change in found] == ["slower", "faster"]
    assert [change.percent for change in found] == [pytest.approx(3.0), pytest.approx(-25.0)]


def test_a_case_that_the_baseline_lacks_is_new_and_has_not_grown() -> None:
    [change] = changes({}, {"case": 10.0})
    assert change.percent is None
    assert not change.exceeds(0)


@pytest.mark.parametrize(
    ("now", "exceeds"), [(101.0, False), (102.0, False), (102.1, True), (50.0, False)]
)
def test_growth_up_to_the_tolerance_is_accepted(now: float, exceeds: bool) -> None:
    assert Change("case", 100.0, now).exceeds(2.001) is exceeds


def test_the_verdict_names_what_grew(capsys: pytest.CaptureFixture[str]) -> None:
    before = Baseline(HERE, {"steady": 100.0, "grown": 100.0})
    found = changes(before.instructions, {"steady": 101.0, "grown": 110.0})
    assert verdict(found, before, HERE, tolerance=2) == GREW
    assert capsys.readouterr().err == "grew by more than 2 %: grown\n"
    assert verdict(found, before, HERE, tolerance=20) == 0
    assert capsys.readouterr().err == ""


def test_the_verdict_says_when_the_baseline_is_of_another_compiler(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = Baseline(HERE, {"steady": 100.0})
    here = replace(HERE, compiler="GCC: (Debian 14.2.0-19) 14.2.0")
    assert verdict(changes(before.instructions, {"steady": 100.0}), before, here, tolerance=2) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "compiler: GCC: (Debian 12.2.0-14) 12.2.0 → GCC: (Debian 14.2.0-19) 14.2.0" in said


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = Baseline(Circumstances.here(), {"case": 12.5})
    written.write(tmp_path / "baseline.json")
    assert Baseline.read(tmp_path / "baseline.json") == written


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"circumstances": {}, "instructions": {}}',
        '{"instructions": {"case": "many"}}',
    ],
)
def test_another_file_is_no_baseline(content: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(BadBaseline, match=r"other\.json is no file that --json wrote"):
        Baseline.read(tmp_path / "other.json")


def test_a_count_of_nothing_is_refused(tmp_path: Path) -> None:
    Baseline(HERE, {"case": 0.0}).write(tmp_path / "baseline.json")
    with pytest.raises(BadBaseline, match="not above 0"):
        Baseline.read(tmp_path / "baseline.json")


def test_the_committed_baseline_has_every_case() -> None:
    baseline = Baseline.read(Path(command.__file__).with_name("baseline.json"))
    assert list(baseline.instructions) == list(all_cases())


def test_a_missing_baseline_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--compare", str(tmp_path / "none.json")]) == FAILED
    assert (
        capsys.readouterr().err
        == f"instructions: {tmp_path}/none.json: No such file or directory\n"
    )


def test_a_folder_that_is_missing_is_told_before_counting(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--json", str(tmp_path / "none" / "counts.json")]) == FAILED
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"instructions: {tmp_path}/none is no folder\n"


def test_a_missing_valgrind_is_one_line_with_its_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([]) == FAILED
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "apt-get install valgrind" in said.err


@pytest.mark.parametrize("argument", ["--tolerance=-1", "--tolerance=nan", "no-such-case"])
def test_bad_arguments_are_named(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([argument])
    assert ended.value.code == 2
    assert argument.rpartition("=")[2] in capsys.readouterr().err
