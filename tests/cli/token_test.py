"""dimwatch token, and how the command shows a token to a server."""

import json
import os
import re
import signal
import stat

import pytest
from client import Client
from testing_support.processes import Server, wait_until


@pytest.fixture()
def file(tmp_path):
    return tmp_path / "tokens.json"


def test_make_prints_the_token_once_and_keeps_its_hash(dimwatch, file):
    made = dimwatch("token", "make", "--tokens", file, "--project", "emotion", "--scope", "ingest",
                    "--note", "Ada")
    assert made.code == 0 and re.fullmatch(r"dimwatch_[0-9a-f]{12}_[0-9a-f]{64}\n", made.out)
    kept = file.read_text()
    assert made.out.strip() not in kept and made.out.strip().split("_")[2] not in kept
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [token] = json.loads(kept)["tokens"]
    assert token["id"] == made.out.split("_")[1] and token["id"] in made.err and "SIGHUP" in made.err
    assert (token["projects"], token["scopes"], token["note"]) == (["emotion"], ["ingest"], "Ada")
    other = dimwatch("token", "make", "--tokens", file, "--all-projects", "--scope", "admin")
    assert other.out != made.out and len(json.loads(file.read_text())["tokens"]) == 2


def test_list_shows_what_there_is_and_revoke_takes_it_away(dimwatch, file):
    for words in (["--project", "a", "--project", "b", "--scope", "read", "--scope", "ingest"],
                  ["--all-projects", "--scope", "admin", "--expires", "never"],
                  ["--project", "c", "--scope", "read", "--expires", "1ms"]):
        assert dimwatch("token", "make", "--tokens", file, *words).code == 0
    table = dimwatch("token", "list", "--tokens", file).out.splitlines()
    assert "a,b" in table[1] and "ingest,read" in table[1] and "expired" not in table[1]
    assert "never" in table[2] and table[3].rstrip().endswith("(expired)")
    listed = json.loads(dimwatch("token", "list", "--tokens", file, "--json").out)
    ids = [token["id"] for token in listed]
    assert "expire_time" not in listed[1]
    wrong = dimwatch("token", "revoke", "--tokens", file, ids[0], "0" * 12)
    assert wrong.code == 1 and "0" * 12 in wrong.err and "nothing was changed" in wrong.err
    assert dimwatch("token", "revoke", "--tokens", file, ids[0], ids[2]).code == 0
    left = json.loads(dimwatch("token", "list", "--tokens", file, "--json").out)
    assert [token["id"] for token in left] == [ids[1]]


def test_bad_requests_for_tokens_are_refused(dimwatch, file):
    for words, code, word in [
        (["--scope", "read"], 1, "--all-projects"),
        (["--scope", "read", "--project", "a", "--all-projects"], 1, "--all-projects"),
        (["--project", "a"], 2, "--scope"),
        (["--project", "a", "--scope", "write"], 2, "write"),
        (["--project", "a*", "--scope", "read"], 1, "a*"),
        (["--project", "a", "--scope", "read", "--expires", "soon"], 1, "'soon'"),
        (["--project", "a", "--scope", "read", "--expires", "-3d"], 1, "'-3d'"),
        (["--project", "a", "--scope", "read", "--expires", "99999999999d"], 1, "36500d"),
    ]:
        result = dimwatch("token", "make", "--tokens", file, *words)
        assert result.code == code and word in result.err and result.out == "", words
    assert not file.exists()
    assert "none.json" in dimwatch("token", "list", "--tokens", file.with_name("none.json")).err


def test_the_command_shows_its_token(dimwatch, tmp_path, file, monkeypatch):
    token = dimwatch("token", "make", "--tokens", file, "--project", "a", "--scope", "read").out.strip()
    (tmp_path / "token").write_text(token + "\n")
    (tmp_path / "empty").write_text("")
    with Server(tmp_path, "--tokens", file) as server:
        refused = dimwatch("runs", server=server.grpc)
        assert refused.code == 1 and "no token" in refused.err
        assert dimwatch("runs", "--token-file", tmp_path / "token", server=server.grpc).code == 0
        missing = dimwatch("runs", "--token-file", tmp_path / "empty", server=server.grpc)
        assert missing.code == 2 and "empty" in missing.err
        monkeypatch.setenv("DIMWATCH_TOKEN", token)
        assert dimwatch("runs", server=server.grpc).code == 0
        assert dimwatch("watch", "r", server=server.grpc).err.endswith("'r' does not exist\n")
        assert "needs the scope admin" in dimwatch("delete", "r", "--yes", server=server.grpc).err
        assert token not in server.output()
