"""Kill everything and count: `python -m benchmarks.chaos --out build/chaos.json`.

The example shop with two web workers, Celery and its broker, its events in a Postgres of their own, reached
in each of SET_UPS, and simulated visitors at its door. Web server, worker, broker and that Postgres are
killed (kill -9) in turn and started again by their supervisor. Everything that the visitors sent and were
answered is then looked for in the tables; exits with 1 where anything is lost or a page has failed.
"""

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.chaos.scenario import IN_TURN, ONE_EACH, SET_UPS, STREAM, THE_CONSUMER, rehearse
from example_shop.stack.console import say
from example_shop.stack.folders import remove_abandoned_scratch, scratch_folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--set-ups", nargs="+", choices=SET_UPS, default=SET_UPS)
    parser.add_argument("--pace", type=float, default=6, help="seconds between two kills")
    parser.add_argument("--once", action="store_true", help="kill each program once only")
    arguments = parser.parse_args()
    remove_abandoned_scratch()
    report = {}
    for name in arguments.set_ups:
        say(f"{name}:")
        try:
            kills = [*(ONE_EACH if arguments.once else IN_TURN), *(THE_CONSUMER if name == STREAM else ())]
            report[name] = asdict(rehearse(kills, arguments.pace, name))
        finally:
            shutil.rmtree(scratch_folder(), ignore_errors=True)
        say(json.dumps(report[name], indent=2))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(found["lost"] or found["stored_twice"] or found["http_5xx"] for found in report.values()))


if __name__ == "__main__":
    sys.exit(main())
