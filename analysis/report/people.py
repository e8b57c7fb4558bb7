"""Who took part, as the export says: people of the study, of its pilot or preview, or machines."""

from __future__ import annotations

import re

from analysis.responses import Export

__all__ = ["kind_caution", "kind_of", "people_of"]

MACHINES = re.compile(r"Machine participants:(?: (\d+) of (\d+))?")  # as `read_export` remarks
PARTLY = "partly machine"


def kind_of(export: Export) -> str | None:
    """The kind of participants: "real", "pilot", "preview", "machine"; None if nothing says.

    "partly machine" if some of them are, by a remark on the export.
    """
    kind = (export.codebook or {}).get("participants")
    for remark in export.remarks:
        found = MACHINES.match(remark)
        if found and kind != "machine":
            kind = "machine" if found[1] == found[2] else PARTLY
    return None if kind is None else str(kind)


def people_of(export: Export) -> str:
    """What to call them: "participants", or "machine participants" and so on."""
    kind = kind_of(export)
    if kind == PARTLY:
        return "participants (some of them machines)"
    return "participants" if kind in (None, "real") else f"{kind} participants"


def kind_caution(export: Export) -> str:
    """That they are not the study's participants; empty if they are."""
    people, kind = people_of(export), kind_of(export)
    if people == "participants":
        return ""
    if kind == PARTLY:
        return "Some participants are machines, not people: cite no number as the study's result."
    machines = "machine participants, not people" if kind == "machine" else people
    return f"These are {machines}, and not those of the study: cite no number as its result."
