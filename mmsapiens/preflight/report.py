"""What a check of a dataset says, as JSON and for the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Group
from rich.text import Text

from mmsapiens.preflight.check import Check, Finding, Summary
from mmsapiens.preflight.scan import Reading

MAX_PRINTED = 3
"""Cases of a finding that are printed; the JSON has all."""


@dataclass(frozen=True)
class Report(Summary):
    """What all checks say: findings, faults first, figures by name of the check, and tables.

    Args:
        samples: How many were read, by split.
    """

    samples: dict[str, int]

    @property
    def num_faults(self) -> int:
        """How many kinds of faults there are."""
        return sum(finding.level == "fault" for finding in self.findings)

    def write_json(self, path: Path) -> None:
        """Writes all of it but the tables."""
        findings = [asdict(finding) for finding in self.findings]
        content = {"samples": self.samples, "findings": findings, **self.figures}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def render(self) -> Group:
        """Returns the report for a rich console, whose width is not to cut the tables off."""
        tables = (Text(f"{table}\n", no_wrap=True, overflow="ignore") for table in self.tables)
        samples = ", ".join(f"{num} {split}" for split, num in self.samples.items())
        verdict = f"{self.num_faults} kinds of faults" if self.num_faults else "no faults"
        end = Text(f"samples: {samples or 0}; {verdict}.")
        return Group(*tables, *map(_render_finding, self.findings), end)


def make_report(
    checks: Sequence[Check],
    metainfo: dict,
    readings: Sequence[Reading],
    findings: Iterable[Finding] = (),
    allow: Sequence[str] = (),
) -> Report:
    """Lets the checks say what their measurements mean.

    Args:
        checks: Those that made the readings.
        metainfo: The dataset's.
        readings: Of all samples.
        findings: What was found before.
        allow: Kinds of faults that count as notes.
    """
    unreadable = tuple(case for reading in readings for case in reading.unreadable)
    all_findings = list(findings)
    if unreadable:
        message = "files that are missing, damaged or of another format; mend or remove them"
        all_findings.append(Finding("unreadable", "fault", message, unreadable))
    summaries: dict[str, Summary] = {}
    for check in checks:
        measured = [(r.item, r.measured[check.name]) for r in readings if check.name in r.measured]
        if measured:
            summaries[check.name] = check.summarise(metainfo, measured)
            all_findings += summaries[check.name].findings
    all_findings = [replace(f, level="note") if f.kind in allow else f for f in all_findings]
    return Report(
        samples=dict(Counter(reading.item.split for reading in readings)),
        findings=sorted(all_findings, key=lambda finding: finding.level),
        figures={name: summary.figures for name, summary in summaries.items()},
        tables=[table for summary in summaries.values() for table in summary.tables],
    )


def _render_finding(finding: Finding) -> Text:
    cases = [f"{c.path}: {c.detail}" if c.detail else c.path for c in finding.cases]
    more = [f"... and {len(cases) - MAX_PRINTED} more"] if len(cases) > MAX_PRINTED else []
    style = "red" if finding.level == "fault" else "yellow"
    return Text.assemble(
        (f"{finding.level}: {finding.kind} ({len(cases)})", style),
        f" {finding.message}",
        *(f"\n    {line}" for line in cases[:MAX_PRINTED] + more),
    )
