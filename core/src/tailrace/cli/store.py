"""``tailrace store``."""

from tailrace.cli.session import COMMON, Common, Shared


def upgrade(*, common: Common = COMMON, session: Shared) -> int:
    """Make the tables of the store, or bring them up to date."""
    before, after = session.engine.upgrade_store(session.user)
    terminal = session.terminal
    if common.json:
        terminal.document({"store": session.engine.store.place, "before": before, "revision": after})
    elif before == after:
        terminal.line(f"The store is up to date (revision {after}).")
    elif before is None:
        terminal.line(f"Made the tables (revision {after}) in:")
        terminal.line(f"  {session.engine.store.place}")
    else:
        terminal.line(f"Upgraded the store from revision {before} to {after}.")
    return 0


def show(*, common: Common = COMMON, session: Shared) -> int:
    """Say where the store is, of which revision, and how many jobs wait in it."""
    from tailrace.store.schema import HEAD

    store, terminal = session.engine.store, session.terminal
    found = store.revision()
    kind = "SQLite" if store.is_sqlite else "PostgreSQL"
    facts: dict[str, str | int | None] = {"kind": kind, "revision": found, "known": HEAD}
    if found == HEAD:
        facts |= {state.value: count for state, count in session.engine.jobs.unfinished().items()}
        facts["workers"] = session.engine.jobs.workers_alive()
    if common.json:
        terminal.document({"store": store.place, **facts})
    else:
        terminal.line(store.place)
        rows = [(name, "none yet" if value is None else str(value)) for name, value in facts.items()]
        terminal.table((), rows, indent="  ")
    return 0
