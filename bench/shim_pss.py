#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mean PSS of fifty idle shims (the figure: at most 150 KB each of containers, 400 KB of VMs).

usage: shim_pss.py [N]             start N containers of busybox by hand and measure their shims
       shim_pss.py --vm BUILD [N]  N image VMs by a hosteld of our own: shims, and what hosteld grows by
       shim_pss.py --pids PID...   measure running ones
"""
import glob, os, pathlib, shutil, signal, sys, tempfile, time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / d) for d in ('tests', 'bench')]
import shimlib


def rollup(pid):
    fields = {}
    for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()[1:]:
        key, value = line.split(':')
        fields[key] = int(value.split()[0])
    return fields


def report(pids):
    rows = [rollup(p) for p in pids]
    mean = lambda key: sum(r[key] for r in rows) / len(rows)
    print(f'{len(rows)} shims: mean PSS {mean("Pss"):.1f} KB (own dirty pages {mean("Private_Dirty"):.1f} KB, '
          f'shared pages {mean("Rss") - mean("Private_Dirty") - mean("Private_Clean"):.0f} KB resident)')


def start(base, i, root, parent):
    ident = f'{os.getpid():08x}{i:056x}'
    plan = shimlib.container_plan(f'{base}/{i}', ident, root, f'{parent}/{ident}', ['sleep', '1000'])
    s = shimlib.Shim(f'{base}/{i}', plan, ident=ident, kind='container', binary=shimlib.SHIM)
    s.connect()
    s.start()
    return s


def stop(s):
    s.signal(9)
    s.wait(shimlib.EXITED)
    s.bye()
    s.ended()


def remove_cgroups(parent):
    for path in glob.glob(f'/sys/fs/cgroup/*{parent}') + glob.glob(f'/sys/fs/cgroup{parent}'):
        os.rmdir(path)


def vms(build, n):
    """A few boot at once; all idle when they are measured."""
    from peers import pss_kb
    from setup import Setup
    setup = Setup(build, '--cpus-total', '200', '--memory-total', f'{n * 200 + 6000}m', '--manage-memory', f'{n * 100 + 128}m')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        daemon = setup.daemon.process.pid
        run = lambda i: setup.hostel('run', '-d', '--vm', '--name', f'vm{i}', '-m', '128m', '--network', 'none', 'busybox', 'sleep', '100000')
        run('warm')
        setup.hostel('rm', '-f', 'vmwarm')
        time.sleep(3)
        before = pss_kb(daemon)
        for i in range(n):
            run(i)
        time.sleep(10)  # hostel-guest tidies up after three seconds
        report([p for p in setup.daemon.programs() if p != daemon])
        print(f'hosteld: {before} KB without, {pss_kb(daemon)} KB with {n}: {(pss_kb(daemon) - before) / n:.1f} KB more for each')
    finally:
        setup.close()


def main():
    if sys.argv[1:2] == ['--vm']:
        return vms(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 50)
    if sys.argv[1:2] == ['--pids']:
        return report(sys.argv[2:])
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    base, shims = tempfile.mkdtemp(prefix='hostel-pss-'), []
    parent = f'/hostel-pss-{os.getpid()}'
    root = shimlib.busybox_root(f'{base}/root')
    try:
        for i in range(n):
            shims.append(start(base, i, root, parent))
        report([s.proc.pid for s in shims])
    finally:
        for s in shims:
            stop(s)
        remove_cgroups(parent)
        shutil.rmtree(base)


if __name__ == '__main__':
    main()
