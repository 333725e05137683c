"""Looks at a dataset before a run: ``mmsapiens check`` and ``mmsapiens browse``."""

from mmsapiens.preflight.browse import browse, build_draw, write_rgb
from mmsapiens.preflight.check import Case, Check, Finding, Item, Summary, TextTable
from mmsapiens.preflight.contact_sheet import choose_items, draw_contact_sheet
from mmsapiens.preflight.image_check import ImageCheck
from mmsapiens.preflight.map_check import MAP_CHECKS, MapCheck
from mmsapiens.preflight.records import SPLITS, Records, list_records
from mmsapiens.preflight.report import Report, make_report
from mmsapiens.preflight.scan import Reading, scan
from mmsapiens.preflight.seg_check import SegMapCheck

CHECKS: tuple[Check, ...] = (ImageCheck(), SegMapCheck(), *MAP_CHECKS)
"""All checks, in the order in which they see a sample; those without their field pass."""

__all__ = [
    "CHECKS",
    "SPLITS",
    "Case",
    "Check",
    "Finding",
    "ImageCheck",
    "Item",
    "MapCheck",
    "Reading",
    "Records",
    "Report",
    "SegMapCheck",
    "Summary",
    "TextTable",
    "browse",
    "build_draw",
    "choose_items",
    "draw_contact_sheet",
    "list_records",
    "make_report",
    "scan",
    "write_rgb",
]
