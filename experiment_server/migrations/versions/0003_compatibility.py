"""Which programs can work with the tables, and by which secret key people are known"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
oldest_program = "0003"


def upgrade() -> None:
    op.create_table(
        "compatibility",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("oldest_program", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("study_state", sa.Column("key_check", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("study_state", schema=None) as batch_op:
        batch_op.drop_column("key_check")
    op.drop_table("compatibility")
