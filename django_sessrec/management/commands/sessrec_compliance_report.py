"""Command: write the compliance report."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from django_sessrec.management.command import SessrecCommand
from django_sessrec.models import AuditEntry
from django_sessrec.privacy.compliance_report import as_markdown, compliance_report


class Command(SessrecCommand):
    help = "Write the compliance report as Markdown and JSON: what is kept, why, for how long, who decided."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="Where to write.")

    def handle(self, *, out: Path, **options: Any) -> None:
        report = compliance_report()
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / "compliance_report.json").write_text(
                json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8"
            )
            (out / "compliance_report.md").write_text(as_markdown(report), "utf-8")
        except OSError as problem:
            raise CommandError(f"--out {out} can't be written: {problem.strerror}") from None
        AuditEntry.objects.note(AuditEntry.Action.COMPLIANCE_REPORT, "command")
        kept = report["retention"]
        late = [table["table"] for table in kept["tables"] if not table["within_limit"]]
        late += [each["artifact"] for each in kept["artifacts"] if not each["within_limit"]]
        if late:
            self.stderr.write(f"{', '.join(late)}: older than RETENTION_DAYS allows; run sessrec_prune")
        self.stdout.write(f"{out / 'compliance_report.md'} and {out / 'compliance_report.json'} written")
