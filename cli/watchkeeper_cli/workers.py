"""Judging in several processes: parts go out, batches come back. Workers keep no state between events, so it matters not who gets what."""

from __future__ import annotations

import multiprocessing
import queue
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_cli.ending import UNREADABLE, CommandError
from watchkeeper_cli.parts import Batch, Counts, Part, PartJudge, Setup, Unreadable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from multiprocessing.process import BaseProcess

WAITING_BATCHES = 8  # per worker; a full queue makes workers wait, so that memory stays flat
PARTS_AHEAD = 2  # per worker
LOOK_SECONDS = 1.0  # how soon a dead worker is noticed


def judge_in_processes(setup: Setup, parts: Iterator[Part], jobs: int) -> Generator[Batch | Counts | Unreadable]:
    """Everything that the parts give, in no particular order; the workers' counts at the end."""
    context = multiprocessing.get_context()
    tasks: Any = context.Queue()
    results: Any = context.Queue(jobs * WAITING_BATCHES)
    workers = [context.Process(target=_work, args=(setup, tasks, results), daemon=True) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    try:
        yield from _exchange(parts, workers, tasks, results)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
        for channel in (tasks, results):
            channel.cancel_join_thread()
            channel.close()


def _exchange(parts: Iterator[Part], workers: Sequence[BaseProcess], tasks: Any, results: Any) -> Iterator[Batch | Counts | Unreadable]:
    decoder: msgspec.msgpack.Decoder[Batch | Counts | Unreadable] = msgspec.msgpack.Decoder(Batch | Counts | Unreadable)
    ahead = 0
    exhausted = False
    working = len(workers)
    while working:
        while not exhausted and ahead < PARTS_AHEAD * len(workers):
            part = next(parts, None)
            if part is None:
                exhausted = True
                for _ in workers:
                    tasks.put(None)
            else:
                tasks.put(part)
                ahead += 1
        try:
            result = results.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            if any(worker.exitcode for worker in workers):
                raise CommandError("a worker process died before its work was done; where memory is short, use fewer --jobs", UNREADABLE) from None
            continue
        if result is None:
            ahead -= 1
            continue
        decoded = decoder.decode(result)
        working -= isinstance(decoded, Counts)
        yield decoded


def _work(setup: Setup, tasks: Any, results: Any) -> None:
    """A worker process: takes parts until there are none. Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    judge = PartJudge(setup)
    encode = msgspec.msgpack.Encoder().encode  # a tenth of what pickle costs
    with suppress(BrokenPipeError):
        while (part := tasks.get()) is not None:
            for result in judge.judge(part):
                results.put(encode(result))
            results.put(None)
        results.put(encode(judge.counts()))
