"""How likely a planned study is to find what its authors assume: power by simulation."""

from __future__ import annotations

from analysis.power.plan import FEL2023, Plan
from analysis.power.study import power

__all__ = ["FEL2023", "Plan", "power"]
