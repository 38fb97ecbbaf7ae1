#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checkpoint and restore of a container: hostel-shim against the same CRIU run by hand, in turn, for a small and a large process.

checkpoint.py BUILD [ROUNDS]

By hand: `criu dump --leave-running` of the same container with the same options, and `criu restore` into the same root, both by command
line. "freeze" is how long the container stands still: all of the dump.
"""
import json, os, pathlib, shutil, statistics, subprocess, sys, tempfile, time

BUILD = pathlib.Path(sys.argv[1]).resolve()
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 10
os.environ['HOSTEL_BUILD'] = str(BUILD)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'tests'))
from shimlib import EXITED, SHIM, STDERR, STDOUT, Shim, busybox_root, container_plan

PARENT = f'/hostel-ckbench-{os.getpid()}'
OPTIONS = ['--manage-cgroups=ignore', '--network-lock', 'skip', '--tcp-established', '--file-locks', '--log-file', 'hand.log', '-v2']
HOLD = 'import os, time; data = bytearray(os.urandom(1 << 20) * {mb}); print("up", flush=True); time.sleep(10 ** 6)'


def program(mb):
    return {'Entrypoint': ['/usr/bin/python3', '-c', HOLD.format(mb=mb)],
            'Mounts': [{'Type': 'bind', 'Source': os.path.realpath(p), 'Target': p, 'ReadOnly': True} for p in ('/usr', '/lib', '/lib64')]}


class Container:
    def __init__(self, base, root, mb):
        self.base, self.ident = base, f'{os.getpid():032x}{mb:032x}'
        self.plan = container_plan(base, self.ident, root, f'{PARENT}/{self.ident}', ['true'], program(mb))
        self.folder = base / 'checkpoint'

    def run(self, *more):
        """Milliseconds until it runs."""
        self.shim = Shim(self.base, self.plan, more, ident=self.ident, kind='container', binary=SHIM)
        self.shim.connect()
        self.client = self.shim.attach(STDOUT | STDERR)
        begin = time.monotonic()
        self.pid = self.shim.start().pid
        return (time.monotonic() - begin) * 1000

    def kill(self):
        self.shim.signal(9)
        self.shim.wait(EXITED)
        self.shim.bye()
        self.shim.ended()

    def fresh_folder(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def ours(self):
        self.fresh_folder()
        said = json.loads(self.shim.checkpoint(self.folder))
        self.shim.resume()
        return said['frozen_ns'] / 1e6

    def externals(self, restore):
        doc = json.loads((self.folder / 'container.json').read_text())
        sources = {m['destination']: m['source'] for m in self.plan['guest']['oci']['mounts'] if m['type'] == 'bind'}
        out = []
        for m in doc['mounts']:
            source = (f'/sys/fs/cgroup/{m["cgroup"]}{PARENT}/{self.ident}' if 'cgroup' in m else
                      sources[m['to']] + m['rest'] if 'to' in m else m['host'])
            out += ['--external', f'mnt[{m["key"]}]:{os.path.realpath(source)}' if restore else f'mnt[{m["at"]}]:{m["key"]}']
        return out, [p for p in doc['pipes'] if p]

    def by_hand(self):
        """A dump; needs the container.json of one of ours."""
        external, _ = self.externals(False)
        net = os.stat(f'/proc/{self.pid}/ns/net').st_ino
        into = self.base / 'hand'
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        begin = time.monotonic()
        subprocess.run(['criu', 'dump', '--tree', str(self.pid), '--images-dir', str(into), '--leave-running', '--freeze-cgroup',
                        f'/sys/fs/cgroup/unified{PARENT}/{self.ident}', '--ghost-limit', '1073741824', '--external', f'net[{net}]:net',
                        *external, *OPTIONS], check=True)
        return (time.monotonic() - begin) * 1000

    def restore_by_hand(self):
        """Of our images: a network namespace, the overlay, criu; killed again."""
        external, pipes = self.externals(True)
        r = self.plan['host']['rootfs']
        root, pidfile = self.base / 'handroot', self.base / 'pid'
        root.mkdir(exist_ok=True)
        pidfile.unlink(missing_ok=True)
        ends = [os.pipe() for _ in pipes]
        net = f'hck{os.getpid()}'
        inherit = [w for (_, end), key in zip(ends, pipes) for w in ('--inherit-fd', f'fd[{end}]:{key}')]
        script = (f'set -e; ip netns add {net}; exec 9</run/netns/{net}; mount -t overlay overlay -o lowerdir={":".join(r["lower"])},'
                  f'upperdir={r["upper"]},workdir={r["work"]} {root}; exec "$@"')
        begin = time.monotonic()
        subprocess.run(['unshare', '-m', 'sh', '-c', script, 'sh', 'criu', 'restore', '--restore-detached', '--images-dir', str(self.folder),
                        '--work-dir', str(self.base), '--root', str(root), '--pidfile', str(pidfile), '--inherit-fd', 'fd[9]:net', *inherit,
                        *external, *OPTIONS], check=True, pass_fds=[end for _, end in ends])
        took = (time.monotonic() - begin) * 1000
        pid = int(pidfile.read_text())
        os.kill(pid, 9)
        while os.path.exists(f'/proc/{pid}'):
            time.sleep(0.01)
        for pair in ends:
            for fd in pair:
                os.close(fd)
        subprocess.run(['sh', '-c', f'umount /run/netns/{net} 2>/dev/null; ip netns del {net}'], check=False, capture_output=True)
        return took


def line(what, hand, ours):
    def text(values):
        return f'{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})'

    ratio = statistics.median(o / h for o, h in zip(ours, hand))
    print(f'| {what} | {text(hand)} | {text(ours)} | {ratio:.2f}× |', flush=True)


def measure(base, root, mb):
    c = Container(base, root, mb)
    try:
        c.run()
        c.client.read_until(b'up\n')
        c.ours()
        dumps = [(c.by_hand(), c.ours()) for _ in range(ROUNDS)]
        c.kill()
        restores = []
        for _ in range(ROUNDS):
            took = c.run('--restore', str(c.folder))
            # In the cgroups that this one has, since those are mounted.
            restores.append((c.restore_by_hand(), took))
            c.kill()
        line(f'freeze, {mb} MB', *zip(*dumps))
        line(f'restore, {mb} MB', *zip(*restores))
    finally:
        c.shim.kill()
        subprocess.run([str(SHIM), '--undo', '--kind', 'container', '--state-dir', str(base / 'state')], check=True)


def main():
    base = pathlib.Path(tempfile.mkdtemp(prefix='hostel-ckbench-'))
    try:
        root = busybox_root(base / 'root')
        print(f'| what, ms, n = {ROUNDS} | by hand | hostel | ratio |\n|---|---|---|---|')
        for mb in (10, 256):
            measure(base / str(mb), root, mb)
    finally:
        for path in pathlib.Path('/sys/fs/cgroup').glob(f'*{PARENT}'):
            path.rmdir()
        shutil.rmtree(base, ignore_errors=True)


main()
