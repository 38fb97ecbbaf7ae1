# SPDX-License-Identifier: Apache-2.0
"""Runs containers by tests/tools/ctr_driver.c, which plays the shim, in folders and cgroups of the test's own."""
import json, os, pathlib, queue, shutil, signal, subprocess, threading, time

BUILD = pathlib.Path(os.environ.get('HOSTEL_BUILD', pathlib.Path(__file__).resolve().parent.parent / 'build'))
TOOLS = BUILD / 'tests/tools'
DRIVER, PROBE, SECCOMP = TOOLS / 'ctr_driver', TOOLS / 'ctr_probe', TOOLS / 'seccomp_tool'
INIT = BUILD / 'hostel-init'
CGROUPS = pathlib.Path('/sys/fs/cgroup')
IS_V2 = (CGROUPS / 'cgroup.controllers').exists()


def cgroup_dirs(path):
    roots = [CGROUPS] if IS_V2 else [p for p in CGROUPS.iterdir() if p.is_dir() and not p.is_symlink()]
    return [r / path.lstrip('/') for r in roots if (r / path.lstrip('/')).is_dir()]


def make_layer(path):
    """A small image: busybox, the prober, and a user database."""
    for d in 'bin etc proc sys dev tmp root home/app'.split():
        (path / d).mkdir(parents=True, exist_ok=True)
    shutil.copy('/bin/busybox', path / 'bin/busybox')
    shutil.copy(PROBE, path / 'bin/probe')
    for name in 'sh cat ls id ps mount env hostname sleep true false echo stat df touch dd grep head pwd readlink kill'.split():
        (path / 'bin' / name).symlink_to('busybox')
    (path / 'etc/passwd').write_text('root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n')
    (path / 'etc/group').write_text('root:x:0:\nstaff:x:50:app\naudio:x:63:\napp:x:1000:\n')
    (path / 'bin/noexec').write_text('#!/bin/sh\n')
    (path / 'bin/nointerp').write_text('#!/no/such/shell\n')
    (path / 'bin/nointerp').chmod(0o755)
    (path / 'bin/garbage').write_bytes(b'\0\1\2\3')
    (path / 'bin/garbage').chmod(0o755)
    (path / 'tmp').chmod(0o1777)
    return path


class Failed(Exception):
    pass


class World:
    """What the tests of one run share: an image, a cgroup parent."""

    def __init__(self, base):
        self.base = base
        self.layer = make_layer(base / 'layer')
        self.parent = f'/hostel-ctr-{os.getpid()}'
        self.count = 0

    def close(self):
        for d in cgroup_dirs(self.parent):
            for sub in d.iterdir():
                if sub.is_dir():
                    sub.rmdir()
            d.rmdir()

    def leaks(self):
        left = [str(s) for d in cgroup_dirs(self.parent) for s in d.iterdir() if s.is_dir()]
        mounts = pathlib.Path('/proc/self/mountinfo').read_text()
        left += [line for line in mounts.splitlines() if str(self.base) in line]
        return left


class Container:
    def __init__(self, world, cmd, spec=None, plan=None, inside=None, stdin=False, start=True, state=None):
        """spec: members of the spec; inside: of ctr_plan_in; plan: function that may change the plan."""
        world.count += 1
        self.world = world
        self.id = f'{world.count:02d}' + 'ab' * 31
        self.state = state or world.base / f'inst{world.count}'
        self.state.mkdir(exist_ok=True)
        self.cgroup = f'{world.parent}/{self.id[:12]}'
        self.spec = {'Version': 1, 'Kind': 'container', 'NetworkMode': 'none', 'Cmd': list(cmd), **(spec or {})}
        self.inside = {'id': self.id, 'cgroup': self.cgroup, 'rootfs': str(self.state / 'rootfs'), **(inside or {})}
        self.events, self.seen, self.data = queue.Queue(), [], {}
        self.stdin = stdin
        self.driver = None
        self.write_plan(plan)
        if start:
            self.run()

    def file(self, name, value):
        path = self.state / name
        path.write_text(json.dumps(value))
        return str(path)

    def tool(self, *args):
        r = subprocess.run([DRIVER, *args], capture_output=True, text=True)
        if r.returncode:
            raise Failed(r.stderr.strip())
        return json.loads(r.stdout)

    def write_plan(self, change):
        oci = self.tool('plan', self.file('spec.json', self.spec), self.file('in.json', self.inside))
        self.plan = {
            'version': 1, 'id': self.id, 'name': 'test', 'kind': 'container', 'state_dir': str(self.state),
            'run_dir': str(self.state),
            'host': {'cgroup': self.cgroup, 'net': {'mode': self.spec['NetworkMode']},
                     'rootfs': {'lower': [str(self.world.layer)], 'upper': str(self.state / 'rw/upper'),
                                'work': str(self.state / 'rw/work')}},
            'guest': {'oci': oci, 'user': self.spec.get('User', ''), 'groups': self.spec.get('GroupAdd', [])},
        }
        (self.state / 'rw').mkdir(exist_ok=True)
        if change:
            change(self.plan)
        self.file('plan.json', self.plan)

    def run(self):
        args = [DRIVER, 'run', str(self.state)] + ['tty'] * bool(self.spec.get('Tty')) + ['stdin'] * self.stdin
        self.driver = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self.pump, daemon=True).start()

    def pump(self):
        for line in self.driver.stdout:
            self.events.put(json.loads(line))
        self.events.put({'event': 'end', 'id': ''})

    def wait(self, *names, id='', timeout=15):
        """The next event of one of these names; what comes before it is kept in seen and data."""
        end = time.monotonic() + timeout
        while True:
            try:
                e = self.events.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise Failed(f'no {names} of {id!r}; seen {self.seen}, data {self.data}') from None
            self.seen.append(e)
            if e['event'] == 'data':
                key = (e['id'], e['fd'])
                self.data[key] = self.data.get(key, '') + e['text']
            if e['event'] in names and (e.get('id', '') == id or e['event'] == 'done'):
                return e
            if e['event'] == 'end':
                raise Failed(f'driver ended before {names}: {self.seen}')

    def started(self):
        e = self.wait('started', 'failed')
        if e['event'] == 'failed':
            raise Failed(e['text'])
        return e['pid']

    def exited(self, timeout=15):
        e = self.wait('exited', 'failed', timeout=timeout)
        if e['event'] == 'failed':
            raise Failed(e['text'])
        return e

    def out(self, id='', fd=1):
        return self.data.get((id, fd), '')

    def until(self, text, id='', fd=1):
        while text not in self.out(id, fd):
            self.wait('data', id=id)

    def do(self, **command):
        self.driver.stdin.write((json.dumps(command) + '\n').encode())
        self.driver.stdin.flush()
        e = self.wait('done')
        if e['text']:
            raise Failed(e['text'])

    def exec(self, name, cmd, stdin=False, **members):
        process = self.tool('process', self.file('spec.json', self.spec), self.file(f'x-{name}.json', {'cmd': cmd, **members}))
        self.do(do='exec', id=name, file=self.file(f'p-{name}.json', process), tty=members.get('tty', False), stdin=stdin)

    def run_exec(self, name, cmd, **members):
        self.exec(name, cmd, **members)
        e = self.wait('exec-exited', 'exec-failed', id=name)
        if e['event'] == 'exec-failed':
            raise Failed(e['text'])
        return e['code'], self.out(name)

    def close(self):
        if self.driver and self.driver.poll() is None:
            try:
                self.do(do='signal', n=int(signal.SIGKILL))
                self.wait('exited', 'failed')
            except (Failed, BrokenPipeError):
                self.driver.kill()
                subprocess.run([DRIVER, 'undo', str(self.state)])
        if self.driver:
            self.driver.wait()
            self.driver.stdout.close()
            try:
                self.driver.stdin.close()
            except BrokenPipeError:
                pass  # a command that came too late
