"""`python -m bench`: from the arguments to tables, a JSON file and a page. Run it through `./mesh bench`."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from bench.arguments import Options, parse
from bench.errors import BenchError
from bench.goals import judge
from bench.machine import Placement, fingerprint, usable_cores
from bench.progress import Progress
from bench.report import document, page, table
from bench.results import Run
from bench.run import Runner
from bench.scenarios import ALL
from bench.subjects import PEERS, subjects
from bench.subjects.subject import Subject


def main(words: Sequence[str]) -> int:
    """0: all was measured and nothing went wrong; 1: something did; 2: the arguments are wrong."""
    options = parse(words)
    if options.listing:
        for scenario in ALL.values():
            print(f"{scenario.name:24} {scenario.description}")
        return 0
    # SIGTERM as Ctrl-C: every `with` on the way out ends its children.
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="linkerd2-py-bench-"))
    sound = True
    try:
        run = measure(options, folder)
        sound = run.sound
        report(run, options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; nothing is left running", file=sys.stderr)
        return 130
    finally:
        if sound:
            shutil.rmtree(folder)
    if not sound:
        print(f"bench: not everything went well; logs are in {folder}", file=sys.stderr)
    return 0 if sound else 1


def measure(options: Options, folder: Path) -> Run:
    """Everything that was asked for."""
    placement = Placement.choose(usable_cores(), one_is_enough=options.effort.smoke)
    progress = Progress(sys.stderr)
    machine = fingerprint()
    runner = Runner(chosen(options), placement, options.effort, folder, progress)
    try:
        return runner.run([ALL[name] for name in options.scenarios], machine=machine)
    finally:
        progress.clear()


def chosen(options: Options) -> Mapping[str, Subject]:
    """All subjects but the peers that were not named."""
    unwanted = set(PEERS) - set(options.peers)
    return {
        name: subject
        for name, subject in subjects(options.given).items()
        if subject.family not in unwanted
    }


def report(run: Run, options: Options) -> None:
    """To the terminal and into files."""
    for outcome in run.outcomes:
        print(*table.lines(outcome, judged=not options.effort.smoke), "", sep="\n")
    if not options.effort.smoke:
        print(*table.goal_lines(judge(run)), sep="\n")
    if options.json:
        document.write(run, options.json)
    if options.html:
        page.write(run, options.html)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
