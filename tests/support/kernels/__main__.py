"""`python -m tests.support.kernels --kernel 6.12 -- python -m pytest tests/bpf`: run a command of the repository on other kernels.

The command starts in the repository, a copy of which is in the guest at its own path, as is this Python's virtual environment. What it writes is thrown
away, but for $OUT (the word stands for that folder in the command, and is in its environment), which comes back to --out/SERIES. Exit status: the
command's, with several kernels that of the first that failed; 124 when a guest ran out of time, 125 when it ended without telling a status.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.kernels.guest import Ended, boot, printable
from tests.support.kernels.images import data_image, root_image
from tests.support.kernels.matrix import SUITES, KernelsError, series_of
from tests.support.kernels.packages import fetch, install_tools
from tests.support.kernels.results import judge

REPOSITORY = Path(__file__).resolve().parents[3]
_line = threading.Lock()


def say(text: str) -> None:
    with _line:
        print(text, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.support.kernels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", action="append", default=[], metavar="SERIES", help=f"{', '.join(SUITES)} or all (the default); may be given again")
    parser.add_argument("--jobs", type=int, default=2, help="kernels at a time (2)")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="for one kernel (300)")
    parser.add_argument("--memory", type=int, default=512, metavar="MIB", help="of one guest (512)")
    parser.add_argument("--tree", type=Path, default=REPOSITORY, metavar="DIR", help="another checkout, to be run at this repository's place")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for what the command leaves under $OUT, by series")
    parser.add_argument("--skips", type=Path, metavar="TOML", help="judge $OUT/junit.xml, and fail on skips that this table does not expect; needs --out")
    parser.add_argument("--fetch-again", action="store_true", help="look for newer kernels than the cached ones")
    parser.add_argument("command", nargs="*", metavar="-- COMMAND", help="none: make ready and boot nothing")
    given = parser.parse_args()
    if given.skips and not given.out:
        parser.error("--skips needs --out")
    return given


def run(given: argparse.Namespace) -> int:
    series = series_of(given.kernel)
    install_tools(say)
    fetch(series, say, again=given.fetch_again)
    root = root_image(say)
    if not given.command:
        return 0
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(given.jobs) as pool:
        data = Path(scratch, "data.ext4")
        data_image(data, series, given.tree.resolve(), REPOSITORY, given.command)
        started = [pool.submit(run_one, one, root, data, given) for one in series]
        ended = [future.result() for future in started]
    say("kernels: " + "; ".join(f"{one.series} {one.said}" for one in ended))
    return next((one.status for one in ended if one.status), 0)


def run_one(series: str, root: Path, data: Path, given: argparse.Namespace) -> Ended:
    def tell(text: str) -> None:
        say(f"[{series}] {text}")

    ended = boot(series, root, data, memory_mib=given.memory, timeout_seconds=given.timeout, out=given.out, say=tell)
    tell(ended.said)
    if given.skips:
        counts, complaints = judge(given.out, given.skips, series)
        tell(f"{counts}; {len(complaints) or 'no'} complaints")
        for complaint in complaints:
            tell(printable(f"- {complaint}"))
        if complaints and not ended.status:
            return Ended(series, 1, ended.seconds)
    return ended


def main() -> int:
    try:
        return run(arguments())
    except KernelsError as error:
        print(f"kernels: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
