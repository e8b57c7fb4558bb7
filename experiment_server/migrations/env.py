"""Runs migrations over the connection that `schema.upgrade` hands in."""

from collections.abc import Collection
from typing import Any

from alembic import context
from sqlalchemy import delete, insert

from experiment_server.models import Compatibility, Row

connection = context.config.attributes["connection"]


def keep_oldest_program(ctx: Any, step: Any, heads: Collection[str], run_args: Any) -> None:
    """Notes which programs can go on with the tables as a migration left them."""
    [revision] = heads
    if revision in {"0001", "0002"}:  # before there was a place for it
        return
    oldest = context.script.get_revision(revision).module.oldest_program
    connection.execute(delete(Compatibility))
    connection.execute(insert(Compatibility).values(id=1, oldest_program=oldest))


context.configure(
    connection=connection,
    target_metadata=Row.metadata,
    render_as_batch=True,
    on_version_apply=keep_oldest_program,
)
context.run_migrations()
