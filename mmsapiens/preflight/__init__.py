"""Looks at a dataset before a run: ``mmsapiens check`` and ``mmsapiens browse``."""

from mmsapiens.preflight.browse import browse, build_draw
from mmsapiens.preflight.check import Check
from mmsapiens.preflight.contact_sheet import choose_items, draw_contact_sheet
from mmsapiens.preflight.image_check import ImageCheck
from mmsapiens.preflight.map_check import MAP_CHECKS
from mmsapiens.preflight.people_check import PeopleCheck
from mmsapiens.preflight.records import list_records
from mmsapiens.preflight.report import make_report
from mmsapiens.preflight.scan import scan
from mmsapiens.preflight.seg_check import SegMapCheck

CHECKS: tuple[Check, ...] = (ImageCheck(), SegMapCheck(), *MAP_CHECKS, PeopleCheck())
"""All checks, in the order in which they see a sample; those without their field pass."""

__all__ = [
    "CHECKS",
    "browse",
    "build_draw",
    "choose_items",
    "draw_contact_sheet",
    "list_records",
    "make_report",
    "scan",
]
