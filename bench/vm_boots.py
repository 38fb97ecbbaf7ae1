#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Boots a machine type again and again: does it hang, does its clock run as the host's?
q35|microvm [boots] [TSC kHz, for microvm: as "hostel inspect" of a VM's plan.json has it]"""
import json, pathlib, statistics, sys, tempfile, time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
import conftest
conftest.find_kernel()  # sets HOSTEL_KERNEL_DEB
import vmlib

SLEEP = 2  # seconds by the guest's clock


def boot(folder, kernel, initrd, image, vm):
    v = vmlib.Vm(folder, kernel, initrd, image, vm=vm,
                 args=["sh", "-c", f"date +%s; echo begin; sleep {SLEEP}; echo end"])
    try:
        v.started()
        took = time.monotonic() - v.begin
        v.saw("begin")
        off = abs(int(v.out().split()[0]) + 0.5 - time.time())
        begin = time.monotonic()
        v.saw("end")
        slept = time.monotonic() - begin
        assert v.exited()[0] == 0
    finally:
        v.kill()
    return took, off, slept


def main():
    machine = sys.argv[1] if len(sys.argv) > 1 else "q35"
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    vm = {"machine": machine}
    if len(sys.argv) > 3:
        vm["tsc_khz"] = int(sys.argv[3])
    vmlib.FEATURES.insert(0, "virtio_mmio")
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        kernel, initrd = vmlib.make_kernel(d)
        image = vmlib.make_image(d)
        # as the engine does: a busy host's timer check ends in a panic without no_timer_check
        vm["append"] = json.loads((kernel.parent / "bundle.json").read_text())["append"]
        rows, hangs = [], 0
        for i in range(n):
            try:
                rows.append(boot(d / f"vm{i}", kernel, initrd, image, vm))
            except AssertionError as e:
                hangs += 1
                print(f"boot {i}: {str(e)[:500]}", flush=True)
    took, off, slept = zip(*rows)
    print(f"{machine}: {n} boots, {hangs} failed; started after {statistics.median(took):.2f} s "
          f"({min(took):.2f} to {max(took):.2f}); clock off by at most {max(off):.1f} s; "
          f"sleep {SLEEP} took {min(slept):.3f} to {max(slept):.3f} s")


if __name__ == "__main__":
    main()
