"""What the migration creates is what the code declares."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from trunkline.client.store import migrate, open_store
from trunkline.services.notification.tables import METADATA, NOTIFICATIONS


def test_the_migration_creates_the_tables_that_are_declared(store_url: str) -> None:
    store = open_store(store_url)
    migrate(store, NOTIFICATIONS)
    with store.read() as tx:
        differences = compare_metadata(MigrationContext.configure(tx), METADATA)
    store.close()
    ours = [one for one in differences if "notification_schema_version" not in str(one)]
    assert ours == []
