"""Runs migrations over the connection that `database.Database.migrate` hands in."""

from alembic import context

from experiment_server.models import Row

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Row.metadata, render_as_batch=True)
context.run_migrations()
