"""The commands of the researcher's side, for the command line."""

from __future__ import annotations

import click

from experiment_server.admin_login import admin_password_command
from experiment_server.audit import audit_command
from experiment_server.backup import backup_command, restore_command
from experiment_server.export import export_command
from experiment_server.identities import forget_command, payments_command
from experiment_server.ownership import rekey_command
from experiment_server.recruitment import pause_command, resume_command

COMMANDS: tuple[click.Command, ...] = (
    export_command,
    payments_command,
    forget_command,
    backup_command,
    restore_command,
    rekey_command,
    admin_password_command,
    pause_command,
    resume_command,
    audit_command,
)
