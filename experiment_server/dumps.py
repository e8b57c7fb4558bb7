"""PostgreSQL's dumps, made and read by its own programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL

from experiment_server.database import DatabaseError
from experiment_server.models import Audit

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def dump(url: URL, path: Path) -> None:
    """Writes a whole database of one moment into a file, and reads that to its end."""
    _call("pg_dump", url, "--format=custom", "--no-owner", f"--file={path}")
    _call("pg_restore", None, f"--file={os.devnull}", str(path))


def load(path: Path, url: URL, tables: Iterable[str]) -> None:
    """Puts a dump in the place of those of some tables that there are, all or nothing.

    pg_restore alone would leave those that the dump does not know, of a newer version perhaps.
    """
    drop = f"DROP TABLE IF EXISTS {', '.join(sorted(tables))} CASCADE"
    options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    with tempfile.TemporaryDirectory() as folder:  # which nobody else may read
        sql = Path(folder) / "dump.sql"
        _call("pg_restore", None, "--no-owner", f"--file={sql}", str(path))
        _call("psql", url, *options, f"--command={drop}", f"--file={sql}")


def version(path: Path) -> str | None:
    """The schema version of a dump."""
    rows = _rows(path, "alembic_version")
    return rows[0]["version_num"] if rows else None


def log(path: Path) -> list[Audit]:
    """The audit entries of a dump, in their order."""
    entries = [
        Audit(
            **{
                **row,
                "id": int(row["id"]),
                "at": datetime.fromisoformat(row["at"]),
                "detail": json.loads(row["detail"]),
            }
        )
        for row in _rows(path, "audit")
    ]
    return sorted(entries, key=lambda entry: entry.id)


def _rows(path: Path, table: str) -> list[dict[str, str]]:
    """A table without nulls, as COPY writes it: a line a row, tabs between, the rest escaped."""
    sql = _call("pg_restore", None, "--data-only", f"--table={table}", "--file=-", str(path))
    found = re.search(
        rf"^COPY \S*\b{table} \((.*?)\) FROM stdin;\n(.*?)^\\\.$", sql, re.MULTILINE | re.DOTALL
    )
    if found is None:
        return []
    columns = found.group(1).replace('"', "").split(", ")
    lines = found.group(2).removesuffix("\n").split("\n") if found.group(2) else []
    return [dict(zip(columns, map(_unescape, line.split("\t")), strict=True)) for line in lines]


def _unescape(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found.group(1), found.group(1)), value)


def _call(program: str, url: URL | None, *options: str) -> str:
    """What a program of PostgreSQL's prints. Its password goes by the environment, not by `ps`."""
    found = shutil.which(program)
    if found is None:
        raise DatabaseError(f"{program} is not on PATH: install PostgreSQL's client programs")
    command, environment = [found, *options], dict(os.environ)
    if url is not None:
        open_url = url.set(drivername="postgresql", password=None)
        command.append(f"--dbname={open_url.render_as_string(hide_password=False)}")
        if url.password:
            environment["PGPASSWORD"] = str(url.password)
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        problem = next((line for line in said if "error:" in line.lower()), said[0])
        raise DatabaseError(f"{program} failed: {problem}")
    return done.stdout
