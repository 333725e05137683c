"""Prints what this installation and this machine are, and what is wrong with them.

    mmsapiens doctor

Versions, packages, devices, where configs, data and weights are, optional extras. Exits with 1 if
something is wrong, and says how to mend it.
"""

from __future__ import annotations

import argparse

from mmsapiens.doctor import examine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes: nothing."""


def run(args: argparse.Namespace) -> int:
    """Prints the report; returns the exit code."""
    code = 0
    for title, findings in examine():
        print(title)
        for finding in findings:
            mark = "!" if finding.cure else " "
            print(f"{mark} {finding.name:24}{finding.text}")
            if finding.cure:
                print(f"{'':26}{finding.cure}")
                code = 1
    print("Something is wrong: see the lines with !." if code else "Nothing is wrong.")
    return code
