# SPDX-License-Identifier: Apache-2.0
"""Containers checkpointed and brought back by CRIU, through hostel-shim; the test plays the daemon (shimlib)."""
import glob, itertools, json, os, pathlib, re, shutil, signal, socket, subprocess, time

import pytest

from shimlib import *

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not SHIM.exists() or not (BUILD / 'tests/tools/ctr_driver').exists(),
                                reason='needs root, hostel-shim and ctr_driver')

PARENT = f'/hostel-criutest-{os.getpid()}'
PYTHON = '/usr/bin/python3'
numbers = itertools.count(1)


def cgroups(path):
    return glob.glob(f'/sys/fs/cgroup/*{path}') + glob.glob(f'/sys/fs/cgroup{path}')


def host_programs(script):
    """Spec of a container that has the host's programs: Python among them."""
    return {'Entrypoint': [PYTHON, '-c', script],
            'Mounts': [{'Type': 'bind', 'Source': p, 'Target': p, 'ReadOnly': True} for p in ('/usr', '/lib', '/lib64', '/bin')]}


class Instance:
    """An instance's folder and its shims, one after the other."""

    def __init__(self, base, root, args, options=(), spec=None, edit=None):
        self.ident = f'{os.getpid():032x}{next(numbers):032x}'
        self.base, self.options = base, [*options]
        self.cgroup = f'{PARENT}/{self.ident}'
        self.plan = container_plan(base, self.ident, root, self.cgroup, ['sh', '-c', args] if isinstance(args, str) else args, spec)
        if edit:
            edit(self.plan)
        self.shim = None

    def run(self, streams=STDOUT | STDERR, restore=None):
        more = ['--restore', str(restore)] if restore else []
        self.shim = Shim(self.base, self.plan, [*self.options, *more], ident=self.ident, kind='container', binary=SHIM)
        self.shim.connect()
        self.client = self.shim.attach(streams)
        self.pid = self.shim.start().pid
        return self.client

    def kill(self, code=137):
        """As after a checkpoint: SIGKILL, and all of it is gone."""
        self.shim.signal(signal.SIGKILL)
        m = self.shim.wait(EXITED)
        assert m.code == code
        self.shim.bye()
        assert self.shim.ended() == 0
        assert not cgroups(self.cgroup)

    def clean(self):
        if self.shim:
            self.shim.kill()
        subprocess.run([str(SHIM), '--undo', '--kind', 'container', '--state-dir', str(self.base / 'state')], check=True)
        assert not cgroups(self.cgroup)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    yield busybox_root(tmp_path_factory.mktemp('root'))
    for path in cgroups(PARENT):
        os.rmdir(path)


@pytest.fixture
def instance(root, tmp_path):
    made = []

    def make(args, *options, **more):
        made.append(Instance(tmp_path / str(len(made)), root, args, options, **more))
        return made[-1]

    yield make
    for i in made:
        i.clean()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / 'checkpoint'
    path.mkdir()
    return path


COUNT = 'i=0; while :; do i=$((i+1)); echo n$i; sleep 0.1; done'


def numbers_of(text):
    return [int(n) for n in re.findall(rb'n(\d+)\n', text)]


def logged(i):
    return numbers_of(b''.join(e['log'].encode() for e in i.shim.log_entries()))


def test_a_counting_process_goes_on_at_its_number(instance, folder):
    i = instance(COUNT)
    i.run().read_until(b'n3\n')
    said = json.loads(i.shim.checkpoint(folder))
    assert said['frozen_ns'] > 0 and said['bytes'] > 10000
    i.kill()
    before = logged(i)
    client = i.run(restore=folder)
    client.read_until(b'n%d\n' % (before[-1] + 3))
    i.kill()
    after = logged(i)
    assert after == list(range(1, len(after) + 1)), 'a number is missing, or there twice'


def test_it_stands_still_until_it_is_let_go(instance, folder):
    i = instance(COUNT)
    i.run().read_until(b'n3\n')
    i.shim.checkpoint(folder)
    with pytest.raises(ShimError, match='written already'):
        i.shim.checkpoint(folder)
    time.sleep(0.2)
    there = len(logged(i))
    time.sleep(0.5)
    assert len(logged(i)) == there
    i.shim.resume()
    i.client.read_until(b'n%d\n' % (there + 3))
    i.kill()
    assert logged(i) == list(range(1, len(logged(i)) + 1))
