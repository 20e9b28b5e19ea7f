"""What alembic runs: the revisions, in the transaction that :func:`tailrace.store.schema.upgrade` was given."""

from alembic import context

from tailrace.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    # The transaction is the caller's: all revisions, or none.
    transaction_per_migration=False,
)
context.run_migrations()
