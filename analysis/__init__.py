"""From an export to figures and a report: mixed-effects logistic regression (to come)."""
