"""What `make run` shows: an intruder among ordinary traffic, and nothing but the intruder."""

import json
from pathlib import Path

from tests.support.commands import watchkeeper

ROOT = Path(__file__).parents[2]
BREAK_IN = "2026-03-12T02:41"


def test_the_sample_shows_the_intruder_in_every_log_and_nobody_else():
    done = watchkeeper("judge", "--output", "json", "samples", cwd=ROOT)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert {row["source"] for row in rows} == {"k8s-audit", "cloudtrail", "vpcflow"}
    assert {"P2"} <= {row["severity"] for row in rows}
    assert min(row["observed_at"] for row in rows) >= BREAK_IN
    assert {row["identity"] or row["origin"] for row in rows}.isdisjoint({"oidc:alice@shop.example", "arn:aws:iam::492817365042:user/alice"})
    assert "rejected:" not in done.stderr
