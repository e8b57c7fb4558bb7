"""${message}"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None
# The oldest program that can go on with these tables: the one before where this migration only
# adds what older programs need not know (tables, columns that may be null or have a server
# default, indices). Its own where it takes away, renames, or asks for more: then the programs
# that still used it must have been replaced by an earlier release.
oldest_program = ${repr(up_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
