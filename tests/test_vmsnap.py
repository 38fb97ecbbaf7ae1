# SPDX-License-Identifier: Apache-2.0
"""VMs whose state is written to a folder and brought back, by hostel-shim: src/qemu/{checkpoint,restore,saved,split}.c."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

import shimlib
import vmlib
from shimlib import STDERR, STDIN, STDOUT, ShimError

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists(vmlib.DEB) or not vmlib.DRIVER.exists(),
                                reason="needs root, a kernel (tools/fetch.sh kernel) and a build")

COUNTER = """echo 0123456789abcdef0123456789abcdef > /etc/machine-id
i=0; while read x; do i=$((i+1)); echo "$i $x"; done; echo over"""

# Rewrites all of its memory in every pass, and looks first whether it is as the last pass left it; says much.
CHECKER = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#define WORDS (24ul << 17)
static uint64_t word(uint64_t i, uint64_t pass) { return (i + 1) * 0x9e3779b97f4a7c15u ^ pass * 0xc2b2ae3d27d4eb4fu; }
int main(void)
{
	uint64_t *m = malloc(WORDS * 8), bad;
	for (uint64_t i = 0; i < WORDS; i++)
		m[i] = word(i, 0);
	for (uint64_t pass = 1;; pass++) {
		bad = 0;
		for (uint64_t i = 0; i < WORDS; i++) {
			bad += m[i] != word(i, pass - 1);
			m[i] = word(i, pass);
		}
		for (int i = 0; i < 3000; i++) /* more than what may be under way */
			printf("pass %lu line %d\n", (unsigned long)pass, i);
		printf("pass %lu bad %lu\n", (unsigned long)pass, (unsigned long)bad);
		fflush(stdout);
	}
}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    return vmlib.make_kernel(tmp_path_factory.mktemp("hostel"))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    made = tmp_path_factory.mktemp("image")
    (made / "checker.c").write_text(CHECKER)
    subprocess.run(["gcc", "-static", "-O2", "-o", made / "checker", made / "checker.c"], check=True)
    return vmlib.make_image(made, [made / "checker"])


@pytest.fixture(scope="module", autouse=True)
def no_cgroups_left():
    yield
    for d in pathlib.Path("/sys/fs/cgroup").glob(f"*/hostel-vmsnap-{os.getpid()}"):
        d.rmdir()


@pytest.fixture(scope="module")
def bridge():
    name = f"vms{os.getpid() % 100000}"
    net = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", f"{net}.1/24", "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield name, net
    finally:
        subprocess.run(["ip", "link", "del", name])


def on_bridge(bridge, number):
    """Of a plan: a card with an address of its own."""
    name, net = bridge
    guest = {"mode": "bridge", "ifname": "eth0", "mac": f"02:42:0a:00:00:{number:02x}", "address": f"{net}.{number}/24",
             "gateway": f"{net}.1", "mtu": 1500}
    host = {**guest, "bridge": name, "host_ifname": f"hs{os.getpid() % 100000}-{number}", "egress_bps": 0, "ingress_bps": 0}
    files = [{"path": "/etc/hosts", "mode": 0o644, "content": f"{net}.{number} self\n"}]
    return {"host": {"net": host}, "guest": {"net": guest, "files": files}}


class SnapVm(shimlib.Shim):
    """A VM under hostel-shim."""
    count = 0

    def __init__(self, base, kernel, image, *args, restore=None, ident=None, stdin=True, options=(), disk=None, **kw):
        SnapVm.count += 1
        self.ident = ident or f"{os.getpid():08x}{SnapVm.count:04x}" + "0" * 52
        self.cgroup = f"/hostel-vmsnap-{os.getpid()}/{SnapVm.count}"
        base.mkdir(exist_ok=True)
        (base / "state").mkdir(exist_ok=True)
        if disk:
            subprocess.run(["cp", "--sparse=always", disk, base / "state/rw.img"], check=True)
        plan = vmlib.make_plan(base / "state", self.ident, self.cgroup, *kernel, image, args or ("sh", "-c", COUNTER), **kw)
        plan["name"] = base.name
        options = [*options, *["--stdin"] * stdin, *(["--restore", str(restore)] if restore else [])]
        super().__init__(base, plan, ["--log", "json-file", *options], self.ident, kw.get("kind", "vm"), shimlib.SHIM)

    def connect(self):
        hello = super().connect()
        self.sock.settimeout(vmlib.PATIENCE)
        return hello

    def begin(self, streams=STDIN | STDOUT | STDERR):
        self.connect()
        c = self.attach(streams)
        c.sock.settimeout(vmlib.PATIENCE)
        self.request(shimlib.START)
        m = self.wait_any(shimlib.STARTED, shimlib.FAILED)
        assert m.type == shimlib.STARTED, m.text
        self.qemu = m.pid
        return c

    def wait_any(self, *kinds):
        while True:
            for m in self.events:
                if m.type in kinds:
                    self.events.remove(m)
                    return m
            self.events.append(self.receive())

    def kill_payload(self):
        self.signal(9)
        code = self.wait(shimlib.EXITED).code
        self.bye()
        self.ended()
        return code

    def clean(self):
        self.kill()
        for d in pathlib.Path("/sys/fs/cgroup").glob("*" + self.cgroup):
            for _ in range(100):
                with contextlib.suppress(OSError):
                    d.rmdir()
                if not d.exists():
                    break
                time.sleep(0.02)


def say(client, word):
    """The line that the payload answers."""
    client.send(word.encode() + b"\n")
    return client.read_until(b" " + word.encode() + b"\n").decode().split("\n")[-2]


@pytest.fixture
def vm(tmp_path, kernel, image):
    made = []

    def make(*args, name="vm", **kw):
        made.append(SnapVm(tmp_path / name, *(kw.pop("boot", None) or (kernel, image)), *args, **kw))
        return made[-1]
    yield make
    for v in made:
        v.clean()


class Saved:
    """A VM that runs, and a state of it."""

    def __init__(self, base, kernel, image, bridge):
        self.vm = SnapVm(base / "vm", kernel, image, **on_bridge(bridge, 5))
        self.client = self.vm.begin()
        assert say(self.client, "a") == "1 a"
        self.folder = base / "state"
        self.folder.mkdir()
        self.said = json.loads(self.vm.checkpoint(self.folder))
        self.status = self.vm.request(shimlib.QUERY, b"qmp:query-status")
        self.disk = base / "disk"
        subprocess.run(["cp", "--sparse=always", self.vm.state / "rw.img", self.disk], check=True)
        self.client.send(b"b\n")  # waits until it runs on
        self.vm.resume()


@pytest.fixture(scope="module")
def saved(tmp_path_factory, kernel, image, bridge):
    s = Saved(tmp_path_factory.mktemp("saved"), kernel, image, bridge)
    yield s
    s.vm.clean()


@pytest.fixture
def copy(vm, saved):
    """A copy of the saved one, restored."""
    return lambda name, **kw: vm(name=name, restore=kw.pop("folder", saved.folder), disk=saved.disk, **kw)


def folder(tmp_path, name="state"):
    (tmp_path / name).mkdir()
    return tmp_path / name


def output(v, name, *args):
    """Of a command inside."""
    caps = {k: vmlib.CAPS for k in ("bounding", "effective", "permitted")}
    c = v.exec(name, {"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": "", "capabilities": caps})
    c.sock.settimeout(vmlib.PATIENCE)
    out = c.read_all()[1].decode()
    v.wait(shimlib.EXEC_EXITED, lambda m: m.exec_id == name)
    return out


def has_the_time(v):
    before = time.time()
    return before - 2 < float(output(v, "date", "date", "+%s")) < time.time() + 2


# ---- one that runs on ----

def test_it_stands_still_and_runs_on(saved):
    assert saved.said["bytes"] > 1 << 20 and saved.said["frozen_ns"] > 0
    assert saved.status == "postmigrate"
    assert saved.client.read_until(b"2 b\n")
    assert sorted(p.name for p in saved.folder.iterdir()) == ["memory", "stream", "vm.json"]
    doc = json.loads((saved.folder / "vm.json").read_text())
    assert doc["format"] == "hostel-vm" and doc["machine"]["memory_bytes"] == 256 << 20 and doc["qemu"] >= 7002
    assert (saved.folder / "stream").stat().st_size == doc["stream_bytes"] < 4 << 20
    assert (saved.folder / "memory").stat().st_size == 256 << 20 > doc["memory_bytes"]


def test_an_exec_runs_on_too_and_clock_and_disk_are_right(saved, tmp_path):
    v = saved.vm
    c = v.exec("long", {"args": ["sh", "-c", "read x; echo got $x; date > /tmp/f; sync"], "cwd": "/", "env": ["PATH=/bin"], "user": ""},
               STDIN | STDOUT | STDERR)
    v.wait(shimlib.EXEC_STARTED, lambda m: m.exec_id == "long")
    v.checkpoint(folder(tmp_path))
    with pytest.raises(ShimError) as e:
        v.checkpoint(folder(tmp_path, "other"))
    assert e.value.args[0] == "STATE"
    time.sleep(2.5)
    v.resume()
    c.send(b"it\n")
    c.sock.settimeout(vmlib.PATIENCE)
    assert c.read_until(b"got it\n")
    v.wait(shimlib.EXEC_EXITED, lambda m: m.exec_id == "long")
    assert has_the_time(v)


def test_one_that_its_user_froze_stays_frozen(saved, tmp_path):
    v = saved.vm
    status = lambda: v.request(shimlib.QUERY, b"qmp:query-status")
    v.freeze(1)
    v.checkpoint(folder(tmp_path))
    v.resume()
    assert status() == "postmigrate"
    v.freeze(0)
    assert status() == "running"
    assert say(saved.client, "thawed").endswith(" thawed")


def test_a_full_disk_is_said_and_it_runs_on(saved, tmp_path):
    small = folder(tmp_path, "small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "hostel-vmsnap", small], check=True)
    try:
        with pytest.raises(ShimError) as e:
            saved.vm.checkpoint(small)
        assert "No space left on device" in e.value.args[1] and not list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)
    assert say(saved.client, "runs").endswith(" runs")
    saved.vm.checkpoint(folder(tmp_path))
    saved.vm.resume()


# ---- copies ----

def test_copies_are_others_and_share_their_memory(copy, saved, bridge):
    a, b = [copy(f"copy{n}", **on_bridge(bridge, n)) for n in (6, 7)]
    clients = [v.begin() for v in (a, b)]
    assert [say(c, "x") for c in clients] == ["2 x", "2 x"]
    seen = []
    for n, v in ((6, a), (7, b)):
        address = output(v, "ip", "ip", "addr", "show", "eth0")
        assert f"inet {bridge[1]}.{n}/24" in address and f"02:42:0a:00:00:{n:02x}" in address and f".5/24" not in address
        assert output(v, "ping", "ping", "-c", "1", "-W", "20", f"{bridge[1]}.1").count("1 packets received")
        assert output(v, "hosts", "cat", "/etc/hosts") == f"{bridge[1]}.{n} self\n"
        assert has_the_time(v)
        seen += [output(v, "id", "cat", "/etc/machine-id"), output(v, "random", "head", "-c", "16", "/proc/sys/kernel/random/uuid")]
    assert len(set(seen)) == 4 and "0123456789abcdef0123456789abcdef\n" not in seen
    assert output(saved.vm, "ping7", "ping", "-c", "1", "-W", "20", f"{bridge[1]}.7").count("1 packets received")
    rows = pathlib.Path(f"/proc/{a.qemu}/smaps").read_text().split(" /")
    clean = [int(r.split("Shared_Clean:")[1].split()[0]) for r in rows if "state/memory" in r.split("\n")[0]]
    assert sum(clean) > 0  # KiB that both map: how much depends on what they have touched so far
    assert saved.client and say(saved.client, "original").endswith(" original")


def test_it_comes_back_in_place_and_its_execs_are_over(vm, copy, bridge, tmp_path):
    v = copy("vm", **on_bridge(bridge, 9))
    c = v.begin()
    assert say(c, "first") == "2 first"
    v.exec("long", {"args": ["sleep", "7777"], "cwd": "/", "env": ["PATH=/bin"], "user": ""}, client=False)
    v.wait(shimlib.EXEC_STARTED, lambda m: m.exec_id == "long")
    state = folder(tmp_path)
    c.send(b"under way\n")
    v.checkpoint(state)
    assert v.kill_payload() == 137
    assert c.read_all()[1] in (b"", b"3 under way\n")
    back = vm(name="vm", ident=v.ident, restore=state, options=["--stdin-once"], **on_bridge(bridge, 9))
    c = back.begin()
    second = say(c, "second")
    assert "7777" not in output(back, "ps", "ps")
    # either its shim had the line before its state was saved, or it was its client's yet
    seen = [e["log"] for e in back.log_entries()][1:]
    assert seen == (["3 under way\n", "4 second\n"] if second == "4 second" else ["3 second\n"])
    c.end()
    assert c.read_until(b"over\n")
    assert back.wait(shimlib.EXITED).code == 0


@pytest.mark.parametrize("what, kind, words", [
    ("json", "CORRUPT", "it is damaged"),
    ("foreign", "CORRUPT", "it is not the state of a VM"),
    ("version", "UNSUPPORTED", "it is of version 2"),
    ("memory", "UNSUPPORTED", "saved with memory in bytes of 268435456, and this start has 134217728"),
    ("processors", "UNSUPPORTED", "saved with a number of processors of 1, and this start has 2"),
    ("device", "UNSUPPORTED", "and this start has (none)"),
    ("tsc", "UNSUPPORTED", "saved with a TSC rate in kHz of 2000000, and this start has 3000000"),
    ("qemu", "UNSUPPORTED", "saved by QEMU 5.2, and this host has"),
    ("short memory", "CORRUPT", "memory: it is damaged"),
    ("short stream", "CORRUPT", "its saved state cannot be brought back: "),
    ("stream", "CORRUPT", "its saved state cannot be brought back: "),
    ("nothing", "NOT_FOUND", "vm.json"),
])
def test_what_cannot_be_brought_back_is_refused_with_a_reason(copy, saved, tmp_path, bridge, what, kind, words):
    state = tmp_path / "damaged"
    state.mkdir()
    for p in saved.folder.iterdir():
        if p.name != "stream":
            (state / p.name).hardlink_to(p)
    shutil.copy(saved.folder / "stream", state / "stream")
    doc = json.loads((state / "vm.json").read_text())
    kw = on_bridge(bridge, 8)
    edits = {"foreign": lambda: doc.update(format="x"), "version": lambda: doc.update(version=2), "qemu": lambda: doc.update(qemu=5002),
             "tsc": lambda: doc["machine"].update(tsc_khz=2000000)}
    if what == "json" or what in edits or what == "nothing":
        (state / "vm.json").unlink()
    if what in edits:
        edits[what]()
        (state / "vm.json").write_text(json.dumps(doc))
    elif what == "json":
        (state / "vm.json").write_text('{"version": 1, "form')
    elif what == "short memory":
        (state / "memory").unlink()
        (state / "memory").write_bytes(bytes(4096))
    elif what == "short stream":
        os.truncate(state / "stream", (state / "stream").stat().st_size // 2)
    elif what == "stream":
        with open(state / "stream", "r+b") as f:
            f.write(b"garbage")
    vm_part = {"memory": {"memory_bytes": 128 << 20}, "processors": {"vcpus": 2}, "tsc": {"tsc_khz": 3000000}}.get(what)
    if what == "device":
        kw["host"]["net"] = {"mode": "none"}
    v = copy("copy", folder=state, vm=vm_part, **kw)
    v.connect()
    v.request(shimlib.START)
    m = v.wait(shimlib.FAILED)
    assert (shimlib.KINDS[m.kind], words in m.text, "\n" in m.text) == (kind, True, False), m.text
    v.bye()
    v.ended()


# ---- machines ----

# Sends back each byte that comes on the serial line, plus one; looks for it now and then, to let QEMU breathe.
ECHO = (b"\xfa\xb9\x00\x20\xe2\xfe\xba\xfd\x03\xec\xa8\x01\x74\xf3"  # cli; next: mov cx,0x2000; loop $; in al,0x3fd; test al,1; jz next
        b"\xba\xf8\x03\xec\xfe\xc0\xee\xeb\xea")  # in al,0x3f8; inc al; out 0x3f8,al; jmp next


def test_a_machine_comes_back_with_its_disk_but_not_one_that_is_used_in_place(vm, tmp_path):
    base = tmp_path / "base.raw"
    base.write_bytes((ECHO.ljust(510, b"\0") + b"\x55\xaa").ljust(1 << 20, b"\0"))
    machine = dict(kind="machine", boot=((None, None), None), stdin=True)
    top = lambda name: {"disks": [{"path": str(tmp_path / name / "state/disk0.qcow2"), "backing": str(base)}]}

    def until_it_echoes(v):
        c = v.begin()
        for _ in range(vmlib.PATIENCE * 5):  # what comes before its loader runs is lost
            c.send(b"\x05")
            c.sock.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                c.read_until(b"\x06")
                return c
        pytest.fail("no echo")
    v = vm(name="m", vm=top("m"), **machine)
    c = until_it_echoes(v)
    state = folder(tmp_path)
    v.checkpoint(state)
    assert v.kill_payload() == 137
    back = vm(name="m", ident=v.ident, vm=top("m"), restore=state, **machine)
    until_it_echoes(back)
    assert back.kill_payload() == 137

    v = vm(name="n", vm={"disks": [{"path": str(base)}]}, **machine)
    until_it_echoes(v)
    with pytest.raises(ShimError) as e:
        v.checkpoint(folder(tmp_path, "none"))
    assert e.value.args[0] == "UNSUPPORTED" and f"the disk {base} is used in place" in e.value.args[1]
    other = v.attach(STDIN | STDOUT)
    other.sock.settimeout(vmlib.PATIENCE)
    other.send(b"y")
    assert other.read_until(b"z")


# ---- no byte is lost ----

def test_a_guest_that_checks_its_whole_memory_finds_nothing_lost(vm, tmp_path):
    v = vm("checker", stdin=False)
    c = v.begin(STDOUT)
    heard = b""
    for n in range(5):
        heard += c.read_until(b"bad 0\n") + c.read_until(b"line %d\n" % (500 * n))  # in the midst of them
        state = folder(tmp_path, f"state{n}")
        v.checkpoint(state)
        assert v.kill_payload() == 137
        heard += c.buf + b"".join(part for _, part in c.frames())
        c = (v := vm(name="vm", ident=v.ident, restore=state, stdin=False)).begin(STDOUT)
        shutil.rmtree(state)
    heard += c.buf + c.read_until(b"bad 0\n") + c.read_until(b"bad 0\n")
    lines = heard.decode().split("\n")[:-1]
    passes = len(lines) // 3001
    wanted = [f"pass {n + 1} {what}" for n in range(passes) for what in [*(f"line {i}" for i in range(3000)), "bad 0"]]
    assert passes > 5 and lines == wanted


def test_a_monitor_killed_meanwhile_is_said(saved, tmp_path):
    v = saved.vm
    os.kill(v.qemu, signal.SIGSTOP)
    fd = os.open(folder(tmp_path), os.O_RDONLY | os.O_DIRECTORY)
    seq = v.send(shimlib.CHECKPOINT, fds=[fd])
    os.close(fd)
    os.kill(v.qemu, signal.SIGKILL)
    m = v.wait(shimlib.REPLY, lambda m: m.seq == seq)
    assert shimlib.KINDS[m.kind] == "UNAVAILABLE" and "the monitor died" in m.text
    assert v.wait(shimlib.EXITED).code == 137
