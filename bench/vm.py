#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A VM of ours that runs `true` against a bare QEMU command line with the same kernel, modules, image, machine
and kernel command line.  Pairs in turn, medians with spread.  [rounds]"""
import pathlib, resource, shutil, statistics, subprocess, sys, tempfile, time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
import conftest
conftest.find_kernel()  # sets HOSTEL_KERNEL_DEB
import vmlib


def bare_initrd(folder, initrd):
    """The same initramfs with bench/vm_init.c for hostel-guest."""
    tree = folder / "bare"
    tree.mkdir()
    subprocess.run(["cpio", "-idmu", "--quiet"], input=initrd.read_bytes(), cwd=tree, check=True)
    subprocess.run(["gcc", "-static", "-O2", "-D_GNU_SOURCE", "-o", tree / "init", TOP / "bench/vm_init.c"], check=True)
    names = subprocess.run(["find", "."], cwd=tree, capture_output=True, check=True).stdout
    out = folder / "bare.img"
    out.write_bytes(subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names, cwd=tree,
                                   capture_output=True, check=True).stdout)
    return out


def bare(kernel, initrd, image):
    begin = time.monotonic()
    subprocess.run(["qemu-system-x86_64", "-machine", "q35,usb=off,vmport=off,smbus=off,sata=off", "-accel", "tcg",
                    "-cpu", "max", "-smp", "1", "-m", "256M", "-nodefaults", "-display", "none", "-no-reboot",
                    "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1",
                    "-serial", "file:/dev/null", "-device", "virtio-serial-pci,max_ports=2",
                    "-drive", f"file={image},format=raw,if=virtio,readonly=on"], check=True)
    return time.monotonic() - begin


def ours(folder, kernel, initrd, image):
    begin = time.monotonic()
    vm = vmlib.Vm(folder, kernel, initrd, image, args=["true"])
    assert vm.exited()[0] == 0
    took = time.monotonic() - begin
    vm.kill()
    shutil.rmtree(folder)
    return took


def measured(fn, *args):
    """(seconds, seconds of cpu): the latter tells more on a busy machine."""
    def cpu():
        u = resource.getrusage(resource.RUSAGE_CHILDREN)
        return u.ru_utime + u.ru_stime
    before = cpu()
    took = fn(*args)
    return took, cpu() - before


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        kernel, initrd = vmlib.make_kernel(d)
        image = vmlib.make_image(d)
        other = bare_initrd(d, initrd)
        a, b = [], []
        for i in range(rounds):
            a.append(measured(bare, kernel, other, image))
            b.append(measured(ours, d / "vm", kernel, initrd, image))
            print("bare %.2f s (cpu %.2f), ours %.2f s (cpu %.2f)" % (a[-1] + b[-1]), flush=True)
    for i, what in enumerate(("time", "cpu")):
        x, y = [v[i] for v in a], [v[i] for v in b]
        q = lambda v: f"{statistics.median(v):.2f} s ({min(v):.2f} to {max(v):.2f})"
        print(f"{what}: bare QEMU {q(x)}; ours {q(y)}; ratio of medians "
              f"{statistics.median(y) / statistics.median(x):.2f}, of best {min(y) / min(x):.2f}")


if __name__ == "__main__":
    main()
