# SPDX-License-Identifier: Apache-2.0
"""A VM under tests/tools/vm_driver, which drives the payload table as hostel-shim does.

HOSTEL_KERNEL_DEB   Debian's cloud kernel (tools/fetch.sh kernel)
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("HOSTEL_BUILD", TOP / "build"))
DRIVER = BUILD / "tests/tools/vm_driver"
BOOT_TOOL = BUILD / "tests/tools/boot_tool"
GUEST = BUILD / "hostel-guest"
DEB = os.environ["HOSTEL_KERNEL_DEB"]
FEATURES = "virtio_pci virtio_console virtio_blk virtio_net erofs overlay ext4".split()
APPLETS = "sh ls cat echo true false uname sleep ps id stty kill dd wc head ip ping mount date trap env pwd touch".split()
PATIENCE = int(os.environ.get("HOSTEL_PATIENCE", "60"))  # seconds; two cores shared with others

MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
]
CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_RAW"]


_kernel = []


def make_kernel(root):
    """(vmlinuz, initramfs) of a bundle below root; the first one serves the whole session."""
    if not _kernel:
        _kernel.append(unpack_kernel(root))
    return _kernel[0]


def unpack_kernel(root):
    subprocess.run([BOOT_TOOL, "add", root, "k", DEB], check=True, capture_output=True)
    out = subprocess.run([BOOT_TOOL, "initramfs", root, "k", GUEST, *FEATURES], check=True,
                         capture_output=True, text=True)
    return root / "kernels/k/vmlinuz", pathlib.Path(out.stdout.strip())


def make_image(folder, programs=()):
    """An EROFS image of busybox, and further static programs."""
    tree = folder / "tree"
    for d in "bin etc tmp root dev proc sys".split():
        (tree / d).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    for a in APPLETS:
        (tree / "bin" / a).symlink_to("busybox")
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/tmp:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\napp:x:1000:\nstaff:x:50:\n")
    (tree / "etc/not-executable").write_text("x")
    for p in programs:
        shutil.copy(p, tree / "bin" / p.name)
    image = folder / "image.erofs"
    subprocess.run(["mkfs.erofs", "-x-1", image, tree], check=True, capture_output=True)
    return image


def make_plan(folder, ident, cgroup, kernel, initrd, image=None, args=("true",), tty=False, kind="vm", vm=None,
              guest=None, host=None, process=None):
    """The plan of one VM whose files lie in a folder."""
    plan = {
        "version": 1, "id": ident, "name": folder.name, "kind": kind,
        "state_dir": str(folder), "run_dir": str(folder),
        "host": {
            "cgroup": cgroup, "net": {"mode": "none"}, "resources": {},
            "vm": {"accel": "tcg", "vcpus": 1, "memory_bytes": 256 << 20,
                   "boot_timeout_ms": PATIENCE * 1000, "agent": bool(initrd)},
        },
        "guest": {"user": "", "net": {"mode": "none"}},
    }
    if kernel:
        plan["host"]["vm"]["kernel"] = str(kernel)
    if initrd:
        plan["host"]["vm"]["initrd"] = str(initrd)
    if image:
        plan["host"]["rootfs"] = {"erofs": str(image), "disk": str(folder / "rw.img"),
                                  "disk_bytes": 1 << 30}
        plan["guest"]["oci"] = {
            "ociVersion": "1.2.0", "hostname": "guest-name", "root": {"path": "rootfs"},
            "process": {"args": list(args), "cwd": "/", "env": ["PATH=/bin"], "terminal": tty,
                        "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")},
                        **(process or {})},
            "mounts": MOUNTS,
            "linux": {"maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"]},
        }
    plan["host"].update(host or {})
    plan["host"]["vm"].update(vm or {})
    plan["guest"].update(guest or {})
    return plan


class Vm:
    """One start; collects what the driver prints."""
    count = 0

    def __init__(self, folder, kernel, initrd, image=None, args=("true",), tty=False, stdin=False,
                 kind="vm", vm=None, guest=None, host=None, process=None):
        Vm.count += 1
        self.folder = folder
        self.id = f"{os.getpid():08x}{Vm.count:04x}" + "0" * 52
        self.cgroup = f"/hostel-vmtest-{os.getpid()}/{self.id[:12]}"
        folder.mkdir(exist_ok=True)
        plan = make_plan(folder, self.id, self.cgroup, kernel, initrd, image, args, tty, kind, vm, guest, host, process)
        (folder / "plan.json").write_text(json.dumps(plan))
        argv = [DRIVER, "--kind", kind, "--id", self.id, "--state-dir", folder]
        argv += ["--tty"] * tty + ["--stdin"] * stdin
        self.begin = time.monotonic()
        self.driver = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines, self.streams = [], {}
        self.cond = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.driver.stdout:
            word = line.rstrip("\n").split(" ", 2)
            with self.cond:
                if word[0] in ("out", "err"):
                    key = word[1], word[0]
                    self.streams[key] = self.streams.get(key, b"") + bytes.fromhex(word[2])
                else:
                    self.lines.append(line.rstrip("\n"))
                self.cond.notify_all()
        with self.cond:
            self.lines.append("gone")
            self.cond.notify_all()

    def wait_for(self, test, what, timeout=PATIENCE):
        with self.cond:
            ok = self.cond.wait_for(lambda: test() or "gone" in self.lines, timeout)
            assert test(), f"{what} ({'gone' if ok else 'time-out'}): {self.lines} {self.streams}"

    def event(self, start, timeout=PATIENCE):
        """The rest of the first line that starts with these words."""
        def find():
            return next((l for l in self.lines if (l + " ").startswith(start + " ")), None)
        self.wait_for(lambda: find() is not None, start, timeout)
        return find()[len(start):].strip()

    def started(self):
        """Pid of QEMU."""
        self.wait_for(lambda: any(l.startswith(("started -", "failed -", "refused")) for l in self.lines), "start")
        return int(self.event("started -"))

    def exited(self, name="-"):
        """(code, oom, text)"""
        w = self.event(f"exited {name}").split(" ", 2)
        return int(w[0]), bool(int(w[1])), w[2] if len(w) > 2 else ""

    def failed(self, name="-"):
        """(kind, text)"""
        kind, text = self.event(f"failed {name}").split(" ", 1)
        return int(kind), text

    def out(self, name="-", what="out"):
        return self.streams.get((name, what), b"").decode(errors="replace")

    def send(self, *words):
        self.driver.stdin.write(" ".join(map(str, words)) + "\n")
        self.driver.stdin.flush()

    def saw(self, text, name="-", what="out", timeout=PATIENCE):
        self.wait_for(lambda: text in self.out(name, what), f"{text!r} in {name}", timeout)

    def answer(self, question):
        with self.cond:
            seen = len(self.lines)
        self.send("query", question)
        self.wait_for(lambda: any(l.startswith(("answer", "refused")) for l in self.lines[seen:]), question)
        line = next(l for l in self.lines[seen:] if l.startswith(("answer", "refused")))
        return line.split(" ", 2)[1:]

    def exec(self, name, *args, tty=False, stdin=False, **process):
        f = self.folder / f"process-{name}.json"
        f.write_text(json.dumps({"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": "",
                                 "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")},
                                 **process}))
        self.send("exec", name, f, *["tty"] * tty, *["stdin"] * stdin)

    def run(self, name, *args, **kw):
        """(exit code, output) of an exec."""
        self.exec(name, *args, **kw)
        code = self.exited(name)[0]
        self.event(f"end out {name}")
        return code, self.out(name)

    def kill(self):
        """Never leaves a QEMU behind: it dies with the driver."""
        self.driver.kill()
        self.driver.wait()
        for d in pathlib.Path("/sys/fs/cgroup").glob("*" + self.cgroup):
            for _ in range(50):
                try:
                    d.rmdir()
                    break
                except OSError:
                    time.sleep(0.02)
            with contextlib.suppress(OSError):
                d.parent.rmdir()  # another VM of this run may be in it

    def is_clean(self):
        return not list(pathlib.Path("/sys/fs/cgroup").glob("*" + self.cgroup))
