"""All benchmarks: `python -m tests.bench`. They print ratios from one run; nothing is asserted, machines are noisy."""

from __future__ import annotations

import sys

from tests.bench import corpus_files, scaling, throughput, whole_command


def main() -> None:
    if not corpus_files.CORPUS.is_dir():
        print(f"skipped: the labelled corpus is not at {corpus_files.CORPUS}", file=sys.stderr)
        return
    for bench in (throughput, scaling, whole_command):
        print(f"\n{(bench.__doc__ or '').strip().splitlines()[0]}", flush=True)
        bench.main()


if __name__ == "__main__":
    main()
