"""The unit of deploy/systemd under a real systemd: a container boots from this machine's own files,
with everything that is written kept in memory. Needs root and systemd-nspawn."""

import os
import shutil
import subprocess

import pytest
from testing_support.processes import BUILD, ROOT

UNIT = ROOT / "deploy/systemd/dimwatch-server.service"
SECONDS = 300

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("systemd-nspawn"),
    reason="needs root and systemd-nspawn (Debian's systemd-container)",
)

TARGET = """
[Unit]
Description=Only what is looked at
Requires=basic.target dimwatch-server.service look.service
AllowIsolate=yes
"""

LOOK = """
[Unit]
After=basic.target
[Service]
Type=oneshot
StandardOutput=file:/looked
StandardError=file:/looked
ExecStart=/bin/bash /look.sh
"""

# Each step's outcome on a line of its own.
SCRIPT = """
show() { systemctl show dimwatch-server -p "$1" --value; }
until_ready() {
  for _ in $(seq 300); do dimwatch runs > /dev/null 2>&1 && return; sleep 0.2; done
}
until_ready
pid=$(show MainPID)
echo "user $(stat -c %U /proc/$pid)"
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/$pid/status
echo "folder $(stat -c '%U %a' /var/lib/dimwatch)"
touch /dimwatch-was-here; echo "outside $(nsenter -t $pid -m touch /dimwatch-was-here 2>&1 | tail -c 22)"
# Snapshots of real estimates, whose products need memory that is written and then executed.
echo "bench $(dimwatch bench --seconds 2 --rows 256 --dim 64 --window 512 --json)"
echo 'log_level = "debug"' > /etc/dimwatch/server.toml
systemctl reload dimwatch-server
echo "reloaded $(show Result) $(show MainPID | grep -c "^$pid$")"
kill -9 "$pid"
sleep 1; until_ready
echo "after a kill $(systemctl is-active dimwatch-server), started again $(show NRestarts) times"
systemctl stop dimwatch-server
echo "stopped $(show Result)"
journalctl -u dimwatch-server --no-pager -o cat
systemctl exit
"""


def prepare(root):
    system = root / "etc/systemd/system"
    for program in ("dimwatch", "dimwatch-server"):
        shutil.copy(BUILD / "bin" / program, root / "usr/local/bin")
    shutil.copy(UNIT, system)
    (system / "looked-at.target").write_text(TARGET)
    (system / "look.service").write_text(LOOK)
    (root / "look.sh").write_text(SCRIPT)
    (root / "etc/dimwatch").mkdir(exist_ok=True)
    (root / "etc/dimwatch/server.toml").write_text('log_level = "info"\n')
    # As the head of the unit says.
    command = "useradd --system --home-dir /var/lib/dimwatch --shell /usr/sbin/nologin dimwatch"
    subprocess.run(["chroot", root, *command.split()], check=True, timeout=60)


def boot(root):
    """What was seen inside, and what nspawn said."""
    command = ["systemd-nspawn", "--register=no", "--keep-unit", "--private-network", "-D", root]
    done = subprocess.run(
        [*command, "--boot", "--", "--unit=looked-at.target"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=SECONDS,
    )
    looked = root / "looked"
    return (looked.read_text() if looked.exists() else ""), done.stdout


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    memory = tmp_path_factory.mktemp("boot")
    mounted = []

    def mount(*words):
        done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"this machine lets not even root mount: {done.stderr.strip()}")
        mounted.append(words[-1])

    try:
        mount("-t", "tmpfs", "tmpfs", memory)
        for name in ("upper", "work", "root"):
            (memory / name).mkdir()
        layers = f"lowerdir=/,upperdir={memory}/upper,workdir={memory}/work"
        mount("-t", "overlay", "overlay", "-o", layers, memory / "root")
        prepare(memory / "root")
        looked, said = boot(memory / "root")
        if not looked:
            pytest.skip(f"no container starts on this machine: {said[-300:]}")
        yield looked
    finally:
        for place in reversed(mounted):
            subprocess.run(["umount", place], check=True)


def test_it_serves_as_its_own_user_without_privileges_in_its_own_folder(seen):
    assert "user dimwatch\n" in seen
    assert "CapEff:\t0000000000000000\n" in seen and "NoNewPrivs:\t1\n" in seen
    assert "Seccomp:\t2\n" in seen, "system calls are filtered"
    assert "folder dimwatch 700\n" in seen
    assert "Read-only file system" in seen[seen.index("outside "):].splitlines()[0]


def test_it_estimates_in_there(seen):
    [bench] = [line for line in seen.splitlines() if line.startswith("bench ")]
    assert '"estimates"' in bench and '"estimates": 0' not in bench and '"estimates":0' not in bench


def test_a_reload_keeps_it_and_a_kill_starts_it_again(seen):
    assert "reloaded success 1\n" in seen and "configuration read again result=OK" in seen
    assert "after a kill active, started again 1 times\n" in seen
    assert "stopped success\n" in seen and "info stopped\n" in seen
    assert "session opened" in seen, "it logs into the journal"
