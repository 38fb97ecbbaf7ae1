# SPDX-License-Identifier: Apache-2.0
"""Real boots of real VMs: QEMU, Debian's cloud kernel, hostel-guest."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

import vmlib
from vmlib import Vm

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists(vmlib.DEB) or not vmlib.DRIVER.exists(),
                                reason="needs root, a kernel (tools/fetch.sh kernel) and a build")

ERR_INVALID, ERR_NOT_FOUND, ERR_STATE, ERR_DENIED, ERR_UNAVAILABLE = 0, 1, 3, 4, 6


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    return vmlib.make_kernel(tmp_path_factory.mktemp("hostel"))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return vmlib.make_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module", autouse=True)
def no_cgroups_left():
    yield
    for d in pathlib.Path("/sys/fs/cgroup").glob(f"*/hostel-vmtest-{os.getpid()}"):
        d.rmdir()


@contextlib.contextmanager
def vm_of(*args, **kw):
    vm = Vm(*args, **kw)
    try:
        yield vm
    finally:
        vm.kill()


@pytest.fixture
def start(tmp_path, kernel, image):
    """Starts image VMs that end with the test."""
    with contextlib.ExitStack() as stack:
        def make(*args, name="vm", **kw):
            return stack.enter_context(vm_of(tmp_path / name, *kernel, image, args=args, **kw))
        yield make


@pytest.fixture(scope="module")
def shared(tmp_path_factory, kernel, image):
    """One VM for everything that only needs a further process in it."""
    files = [{"path": "/etc/hosts", "mode": 0o644, "content": "127.0.0.1 localhost\n"}]
    with vm_of(tmp_path_factory.mktemp("vm") / "shared", *kernel, image, args=["sleep", "100000"],
               guest={"files": files}) as vm:
        vm.started()
        yield vm


# ---- the payload ----

def test_a_command_runs_under_its_own_kernel(start):
    vm = start("sh", "-c", "uname -r; echo $$ $(id -u) $(cat /proc/sys/kernel/hostname); echo bad >&2; exit 7")
    vm.started()
    assert vm.exited() == (7, False, "")
    release, line = vm.out().split("\n", 1)
    assert release != os.uname().release and "cloud" in release
    assert line == "1 0 guest-name\n"
    assert vm.out(what="err") == "bad\n"
    assert vm.is_clean()


@pytest.mark.parametrize("command, kind, words", [
    ("no-such-thing", ERR_NOT_FOUND, "executable file not found in $PATH"),
    ("/bin/nothing", ERR_NOT_FOUND, "no such file or directory"),
    ("/etc/not-executable", ERR_DENIED, "permission denied"),
])
def test_a_command_that_cannot_run_says_what_a_container_says(start, command, kind, words):
    vm = start(command)
    assert vm.failed()[0] == kind
    assert words in vm.failed()[1]
    assert vm.is_clean()


def test_what_was_written_is_there_after_a_restart(start, tmp_path):
    vm = start("sh", "-c", "echo kept > /root/file; touch /etc/passwd")
    assert vm.exited()[0] == 0
    vm = start("sh", "-c", "cat /root/file")
    assert vm.exited()[0] == 0
    assert vm.out() == "kept\n"


def test_stdin_reaches_the_command_and_its_end_too(start):
    vm = start("sh", "-c", "cat; echo after", stdin=True)
    vm.started()
    vm.send("write", "-", "hello there")
    vm.saw("hello there\n")
    vm.send("close", "-")
    assert vm.exited()[0] == 0
    assert vm.out() == "hello there\nafter\n"


def test_output_that_nobody_reads_survives_the_end(start):
    vm = start("sh", "-c", "cat; head -c 100000 /dev/zero", stdin=True)
    vm.started()
    vm.send("read", "-", "off")
    vm.send("close", "-")
    assert vm.exited()[0] == 0
    # the driver ends 20 rounds after the exit; what it has not read is in the pipe by then


def test_a_tty_has_a_size_and_can_be_resized(start):
    vm = start("sh", "-c", "stty size; trap 'stty size' WINCH; while :; do sleep 0.1; done", tty=True)
    vm.started()
    vm.send("resize", "-", 40, 120)
    vm.saw("40 120")
    vm.send("signal", "-", 9)
    assert vm.exited()[0] == 137


def test_signals_reach_the_first_process(start):
    vm = start("sh", "-c", "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
    vm.started()
    vm.saw("ready")
    vm.send("signal", "-", 15)
    assert vm.exited() == (3, False, "")
    assert vm.out() == "ready\ngot\n"


def test_memory_runs_out_inside(start):
    vm = start("dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1")
    vm.started()
    assert vm.exited()[:2] == (137, True)
    vm.event("oom")


# ---- deaths ----

def test_a_killed_monitor_is_said(start):
    vm = start("sleep", "1000")
    os.kill(vm.started(), signal.SIGKILL)
    assert vm.exited() == (137, False, "monitor died")
    assert vm.is_clean()


def test_the_monitor_dies_with_its_shim(start):
    vm = start("sleep", "1000")
    pid = vm.started()
    vm.driver.kill()
    vm.driver.wait()
    for _ in range(100):
        if not os.path.exists(f"/proc/{pid}") or " Z " in pathlib.Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.02)
    pytest.fail("QEMU still runs")


def test_a_kernel_that_dies_is_told_with_its_console(start):
    vm = start("true", vm={"append": "rdinit=/nothing"})
    kind, text = vm.failed()
    assert kind == ERR_UNAVAILABLE
    assert "its console ends with:" in text and "Kernel panic" in text
    assert vm.is_clean()


def test_a_kernel_that_hangs_is_given_up_in_time(start):
    vm = start("true", vm={"boot_timeout_ms": 300})
    kind, text = vm.failed()
    assert kind == ERR_UNAVAILABLE
    assert text.startswith("the VM did not boot within 0 s")
    assert time.monotonic() - vm.begin < 30
    assert vm.is_clean()


def test_what_is_no_kernel_is_told_in_qemus_words(start, tmp_path):
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"no kernel" * 1000)
    vm = start("true", vm={"kernel": str(garbage)})
    kind, text = vm.failed()
    assert kind == ERR_UNAVAILABLE and text.startswith("qemu: ")


def test_a_missing_file_is_named(start):
    vm = start("true", vm={"kernel": "/nonexistent/vmlinuz"})
    kind, text = vm.failed()
    assert kind == ERR_NOT_FOUND and "/nonexistent/vmlinuz" in text
    assert "no such file or directory" not in text, "docker's client would think of the command"


# ---- in a running VM ----

def test_exec_runs_beside_the_payload(shared):
    assert shared.run("ex1", "sh", "-c", "ps | grep -c '[s]leep 100000'; exit 5") == (5, "1\n")


def test_exec_takes_users_by_name(shared):
    code, out = shared.run("ex2", "id", user="app:staff")
    assert out.startswith("uid=1000(app) gid=50(staff)")


def test_exec_of_what_is_not_there(shared):
    shared.exec("ex3", "nonsense")
    kind, text = shared.failed("ex3")
    assert kind == ERR_NOT_FOUND and "executable file not found" in text


def test_exec_with_a_tty_and_stdin(shared):
    shared.exec("ex4", "sh", tty=True, stdin=True)
    shared.event("started ex4")
    shared.send("write", "ex4", "echo a$((1+1))b")
    shared.saw("a2b", "ex4")
    shared.send("resize", "ex4", 33, 99)
    shared.send("write", "ex4", "stty size; exit 4")
    shared.saw("33 99", "ex4")
    assert shared.exited("ex4")[0] == 4


def test_a_stream_left_unread_does_not_stop_another(shared):
    shared.exec("flood", "cat", "/dev/zero")
    shared.event("started flood")
    shared.send("read", "flood", "off")
    time.sleep(1)
    assert shared.run("beside", "echo", "still here") == (0, "still here\n")
    shared.send("signal", "flood", 9)
    assert shared.exited("flood")[0] == 137


def test_much_data_comes_whole(shared):
    code, out = shared.run("bulk", "sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done")
    assert code == 0 and out == "".join(f"line-{i}\n" for i in range(20000))


def test_files_of_the_plan_are_in_place(shared):
    assert shared.run("hosts", "cat", "/etc/hosts")[1] == "127.0.0.1 localhost\n"


def test_masks_and_capabilities_hold_inside(shared):
    assert shared.run("mask", "wc", "-c", "/proc/kcore")[1].split()[0] == "0"
    code, out = shared.run("mount", "mount", "-t", "tmpfs", "x", "/tmp")
    assert code != 0


def test_the_guests_clock_is_the_hosts(shared):
    before = time.time()
    guest = float(shared.run("date", "date", "+%s")[1])
    assert before - 2 < guest < time.time() + 2


def test_stats_and_top(shared):
    kind, text = shared.answer("stats")
    stats = __import__("json").loads(text)
    assert kind == "-1"
    assert stats["cpu_ns"] > 0 and stats["cpus"] == 1 and stats["pids"] >= 1
    assert 200 << 20 < stats["memory_total_bytes"] < 256 << 20
    rows = __import__("json").loads(shared.answer("top")[1])["Processes"]
    assert any("sleep 100000" in r[-1] for r in rows)
    assert shared.answer("nonsense")[0] != "-1"


def test_a_frozen_vm_stands_still_and_goes_on_with_the_right_time(shared):
    shared.exec("tick", "sh", "-c", "while :; do date +%s.; sleep 0.1; done")
    shared.saw(".", "tick")
    shared.send("freeze", 1)
    assert shared.answer("qmp:query-status")[1] == "paused"
    time.sleep(0.3)
    n = len(shared.out("tick"))
    time.sleep(2.5)
    assert len(shared.out("tick")) == n
    shared.send("freeze", 0)
    shared.wait_for(lambda: len(shared.out("tick")) > n + 40, "ticks")
    last = float(shared.out("tick").split("\n")[-2])
    assert abs(last - time.time()) < 2
    shared.send("signal", "tick", 9)
    shared.exited("tick")


def test_qemu_runs_without_privileges(shared):
    status = pathlib.Path(f"/proc/{shared.started()}/status").read_text()
    assert int(re.search(r"Uid:\t(\d+)", status)[1]) >= 0x70000000
    assert re.search(r"CapEff:\t0+\n", status)
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status


# ---- machines ----

def test_a_machine_without_anything_boots_into_the_guest_alone(tmp_path, kernel):
    with vm_of(tmp_path / "idle", *kernel, kind="machine") as vm:
        vm.started()
        code, out = vm.run("x", "/sbin/init", "--version")
        assert code == 0 and out.startswith("hostel-guest ")
        vm.send("signal", "-", 15)
        assert vm.exited() == (0, False, "")
        assert vm.is_clean()


def boot_sector(folder, text):
    """A disk that prints a text on the serial line by BIOS port writes, then halts."""
    code = b"\xfa\x31\xc0\x8e\xd8\xbe\x20\x7c"  # cli; xor ax,ax; mov ds,ax; mov si,0x7c20
    code += b"\xba\xf8\x03"                      # mov dx,0x3f8
    code += b"\xac\x84\xc0\x74\x03\xee\xeb\xf8"  # next: lodsb; test al,al; jz halt; out dx,al; jmp next
    code += b"\xf4\xeb\xfd"                      # halt: hlt; jmp halt
    sector = (code.ljust(0x20, b"\x90") + text + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    disk = folder / "disk.raw"
    disk.write_bytes(sector.ljust(1 << 20, b"\0"))
    return disk


def test_a_disk_is_booted_and_its_console_is_the_payloads_stream(tmp_path):
    disk = boot_sector(tmp_path, b"HELLO FROM DISK\r\n")
    vm = {"disks": [{"path": str(disk)}]}
    with vm_of(tmp_path / "m", None, None, kind="machine", vm=vm) as m:
        m.started()
        m.saw("HELLO FROM DISK")
        m.send("signal", "-", 15)  # this one has no ACPI
        m.send("exec", "x", m.folder / "plan.json")
        assert "without hostel-guest" in m.event("refused")
        with vm_of(tmp_path / "second", None, None, kind="machine", vm=vm) as second:
            assert 'Failed to get "write" lock' in second.failed()[1]
        m.send("signal", "-", 9)
        assert m.exited() == (137, False, "")
        assert m.is_clean()
    assert disk.exists()


def test_a_missing_disk_is_named(tmp_path):
    with vm_of(tmp_path / "m", None, None, kind="machine", vm={"disks": [{"path": "/nonexistent/disk"}]}) as m:
        kind, text = m.failed()
        assert kind == ERR_NOT_FOUND and text.startswith("disk /nonexistent/disk: ")


def test_an_overlay_leaves_the_disk_below_alone(tmp_path):
    disk = boot_sector(tmp_path, b"FROM BELOW\r\n")
    before = disk.read_bytes()
    top = tmp_path / "m/disk0.qcow2"
    with vm_of(tmp_path / "m", None, None, kind="machine", vm={"disks": [
            {"path": str(top), "backing": str(disk)},
            {"path": str(tmp_path / "m/disk1.qcow2"), "new_bytes": 20 << 30}]}) as m:
        m.started()
        m.saw("FROM BELOW")
        m.send("signal", "-", 9)
        m.exited()
    assert disk.read_bytes() == before
    assert "20 GiB" in subprocess.run(["qemu-img", "info", tmp_path / "m/disk1.qcow2"], capture_output=True,
                                      text=True).stdout


INIT = r"""
#include <fcntl.h>
#include <linux/input.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	char dev[] = "/dev/input/event0";
	struct input_event ev;
	syscall(SYS_finit_module, open("/button.ko", O_RDONLY), "", 0);
	syscall(SYS_finit_module, open("/evdev.ko", O_RDONLY), "", 0);
	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
	for (; dev[16] <= '9'; dev[16]++) {
		int fd = open(dev, O_RDONLY);
		if (fd < 0)
			break;
		if (!fork()) {
			printf("listening\n"), fflush(stdout);
			while (read(fd, &ev, sizeof(ev)) == sizeof(ev))
				if (ev.type == EV_KEY && ev.code == KEY_POWER)
					printf("power button\n"), fflush(stdout), reboot(RB_POWER_OFF);
		}
	}
	for (;;)
		pause();
}
"""


def test_a_machines_own_kernel_boots_and_hears_the_power_button(tmp_path, kernel):
    (tmp_path / "init.c").write_text(INIT)
    subprocess.run(["gcc", "-static", "-O1", "-w", "-o", tmp_path / "init", tmp_path / "init.c"], check=True)
    deb = tmp_path / "deb"
    subprocess.run(["dpkg-deb", "-x", vmlib.DEB, deb], check=True)
    for module in "button.ko", "evdev.ko":
        next(deb.rglob(module)).rename(tmp_path / module)
    initrd = tmp_path / "initrd"
    initrd.write_bytes(subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"init\nbutton.ko\nevdev.ko\n", cwd=tmp_path,
                                      capture_output=True, check=True).stdout)
    with vm_of(tmp_path / "m", kernel[0], None, kind="machine",
               vm={"initrd": str(initrd), "agent": False, "append": "console=ttyS0 quiet"}) as m:
        m.started()
        m.saw("listening")
        m.send("signal", "-", 15)
        assert m.exited() == (0, False, "")
        assert "power button" in m.out()


# ---- network ----

@pytest.fixture
def bridge():
    name = f"vmt{os.getpid() % 100000}"
    net = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", f"{net}.1/24", "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield name, net
    finally:
        subprocess.run(["ip", "link", "del", name])


def test_a_vm_has_its_address_on_the_bridge(start, bridge):
    name, net = bridge
    tap = f"hvt{os.getpid() % 100000}"
    guest = {"mode": "bridge", "ifname": "eth0", "mac": "02:42:0a:00:00:05", "address": f"{net}.5/24",
             "gateway": f"{net}.1", "mtu": 1500}
    vm = start("sh", "-c", f"ip addr show eth0; ip route; ping -c 1 -W 20 {net}.1 && echo reached",
               host={"net": {**guest, "bridge": name, "host_ifname": tap, "egress_bps": 0, "ingress_bps": 0}},
               guest={"net": guest})
    vm.started()
    assert vm.exited()[0] == 0
    assert f"inet {net}.5/24" in vm.out() and "02:42:0a:00:00:05" in vm.out()
    assert f"default via {net}.1" in vm.out() and "reached" in vm.out()
    assert not os.path.exists(f"/sys/class/net/{tap}")
