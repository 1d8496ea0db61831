"""The command line: which scenarios, which peers, how hard, and where the results go."""

import argparse
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bench.scenarios import ALL
from bench.scenarios.scenario import Effort
from bench.subjects import PEERS

_DEFAULT = Effort(passes=7, seconds=1.5, warmup=0.5, calibration_s=0.5)
_QUICK = Effort(passes=3, seconds=0.4, warmup=0.2, calibration_s=0.3)
_SMOKE = Effort(passes=1, seconds=0.2, warmup=0.1, calibration_s=0.1, smoke=True)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `given`: a linkerd2-proxy binary."""

    scenarios: tuple[str, ...]
    peers: tuple[str, ...]
    given: Path | None
    effort: Effort
    json: Path | None
    html: Path | None
    listing: bool


def parse(words: Sequence[str]) -> Options:
    """Exits with status 2 and a line that names what is unknown, and what is known."""
    parser = _parser()
    found = parser.parse_args(words)
    known_peers = _names(parser, found.peers.split(","), known=PEERS, what="peer")
    return Options(
        scenarios=_names(parser, found.scenarios, known=ALL, what="scenario") or tuple(ALL),
        peers=known_peers,
        given=_given(parser, found.peer),
        effort=_effort(found),
        json=found.json,
        html=found.html,
        listing=found.list,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line; the usage is for --help."""
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mesh bench",
        description="Measures our proxy beside its peers. About an hour for everything; "
        "--quick: about twelve minutes.",
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="default: all (see --list)"
    )
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--quick", action="store_true", help="fewer and shorter passes")
    speed.add_argument(
        "--smoke", action="store_true", help="correctness only: one tiny pass, no verdict"
    )
    parser.add_argument(
        "--peers", default=",".join(PEERS), help="default: %(default)s; '' for none"
    )
    parser.add_argument(
        "--peer", metavar="linkerd2-proxy=PATH", help="a binary that is configured as ours"
    )
    parser.add_argument("--passes", type=_positive_int, metavar="N", help="of each subject")
    parser.add_argument("--seconds", type=_positive_float, metavar="S", help="length of a pass")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with charts there"
    )
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    return parser


def _effort(found: argparse.Namespace) -> Effort:
    base = _SMOKE if found.smoke else _QUICK if found.quick else _DEFAULT
    return Effort(
        passes=found.passes or base.passes,
        seconds=found.seconds or base.seconds,
        warmup=base.warmup,
        calibration_s=base.calibration_s,
        smoke=base.smoke,
    )


def _names(
    parser: argparse.ArgumentParser, wanted: Iterable[str], *, known: Iterable[str], what: str
) -> tuple[str, ...]:
    known = tuple(known)
    names = tuple(dict.fromkeys(name.strip() for name in wanted if name.strip()))
    for name in names:
        if name not in known:
            near = [each for each in known if each.startswith(name)]
            near = near or difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            parser.error(f"unknown {what} {name!r}{hint}; there are: {', '.join(known)}")
    return names


def _given(parser: argparse.ArgumentParser, text: str | None) -> Path | None:
    if text is None:
        return None
    name, equals, path = text.partition("=")
    if name != "linkerd2-proxy" or not equals or not path:
        parser.error(f"--peer takes linkerd2-proxy=PATH, not {text!r}")
    return Path(path)


def _positive_int(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def _positive_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 3600:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, not {text!r}")
    return value
