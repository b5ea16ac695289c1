"""All benchmarks: `python -m tests.bench`. They print ratios from one run; nothing is asserted, machines are noisy."""

from __future__ import annotations

import sys

from tests.bench import audit_webhook, corpus_files, flood, host, intake, records, scaling, throughput, whole_command


def main() -> None:
    of_logs = (throughput, scaling, whole_command, audit_webhook) if corpus_files.CORPUS.is_dir() else ()
    if not of_logs:
        print(f"skipped: the labelled corpus is not at {corpus_files.CORPUS}", file=sys.stderr)
    for bench in (*of_logs, intake, host, records, flood):
        print(f"\n{(bench.__doc__ or '').strip().splitlines()[0]}", flush=True)
        bench.main()


if __name__ == "__main__":
    main()
