"""Data folders that earlier versions wrote are brought to the present schema, and nothing is lost."""

import gzip
import sqlite3

import pytest

from client import Client
from damage_test import go_on
from dimwatch.v1 import query_pb2
from testing_support.processes import ROOT, Server

DATA = ROOT / "tests/data/databases"
SCHEMAS = [1, 2, 3, 4]


def unpack(name, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.decompress((DATA / name).read_bytes()))


def select(file, statement):
    database = sqlite3.connect(file)
    rows = database.execute(statement).fetchall()
    database.close()
    return rows


def estimates(client, run_id):
    return [(e.step, e.probe, e.mean, e.standard_error) for e in client.estimates(run_id)]


def scalars(client, run_id):
    request = query_pb2.ListScalarsRequest(run_id=run_id, page_size=10000)
    return [(s.step, s.name, s.value) for s in client.queries.ListScalars(request).scalars]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_database_of_an_earlier_schema_is_upgraded_with_all_that_it_holds(tmp_path, schema):
    file = tmp_path / "data/dimwatch.db"
    unpack(f"schema-{schema}.db.gz", file)
    if schema == 1:
        unpack("schema-1-live.log.gz", tmp_path / "data/runs/run-live/000000000001.log")
    assert select(file, "PRAGMA user_version") == [(schema,)]
    before = {
        run: [
            select(file, f"SELECT {columns} FROM {table} WHERE run = {number} ORDER BY step, {name}")
            for columns, table, name in (
                ("step, probe, mean, standard_error", "estimates", "probe"),
                ("step, name, value", "scalars", "name"),
            )
        ]
        for number, run in select(file, "SELECT id, run_id FROM runs")
    }
    assert max(len(kept) for kept, _ in before.values()) >= 24
    with Server(tmp_path) as server, Client(server.grpc) as client:
        assert "damaged" not in server.output()
        for run, (kept, reported) in before.items():
            assert estimates(client, run) == kept
            assert scalars(client, run) == reported
            assert client.history(run)
        if schema == 1:
            go_on(client, "live")  # behind a log of the first format
        client.create("new")
        stream = client.open("new")
        stream.samples(1, 10)
        stream.estimate(10)
    assert select(file, "PRAGMA user_version")[0][0] > max(SCHEMAS)


def test_every_schema_before_the_present_one_is_tried():
    header = (ROOT / "src/store/sqlite_schema.h").read_text()
    [line] = [line for line in header.splitlines() if "kSqliteSchemaVersion =" in line]
    present = int(line.split("=")[1].split(";")[0])
    assert list(range(1, present)) == SCHEMAS, "keep a database of the schema that was left behind"
