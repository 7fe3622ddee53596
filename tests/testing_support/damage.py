"""What disks do to a server's data folder. The server is not running meanwhile."""

import sqlite3


def spoil_database(file):
    """Overwrites a page of an index, which no row is lost with."""
    database = sqlite3.connect(file)
    page = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'scalars_by_name'")
    (root,) = page.fetchone()
    (size,) = database.execute("PRAGMA page_size").fetchone()
    database.close()
    with file.open("r+b") as raw:
        raw.seek((root - 1) * size)
        raw.write(b"\xee" * size)
