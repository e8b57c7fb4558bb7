"""A report of an analysis: one page to read, all numbers as JSON, figures and tables as files."""

from __future__ import annotations

from analysis.report.account import tell
from analysis.report.folder import check_out, write_report
from analysis.report.provenance import Provenance, read_bundle
from analysis.report.results import results

__all__ = ["Provenance", "check_out", "read_bundle", "results", "tell", "write_report"]
