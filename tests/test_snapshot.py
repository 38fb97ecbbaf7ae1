# SPDX-License-Identifier: Apache-2.0
"""Snapshots: what is kept of a disk and what comes back, in place and as a new instance; out to a file and in again;
what is refused; what a death of the daemon leaves."""
import json, os, pathlib, shutil, subprocess

import pytest

from conftest import Hosteld, waiter
from test_recovery import state

wait_for = waiter(120)


@pytest.fixture(scope='module')
def world(root_only, busybox_tar):
    d = Hosteld('--memory-total', '64g', '--cpus-total', '64')
    try:
        d.start()
        d.ok('load', '-q', '-i', busybox_tar)
        yield d
    finally:
        left = d.teardown()
    assert not left, f'left behind: {left}'


@pytest.fixture
def d(world):
    """The daemon, with nothing in it."""
    yield world
    for name in [i['name'] for i in world.api('GET', '/hostel/v1/instances?all=1').json]:
        world.ok('rm', '-f', name, timeout=60)


def sh(d, name, script):
    return d.ok('exec', name, 'sh', '-c', script)


def snapshots(d, name):
    return json.loads(d.ok('snapshot', 'ls', name, '--format', 'json'))


def half_made(d):
    return [p for p in os.listdir(f'{d.root}/tmp') if p.startswith('snap-')]


FILL = '''set -e; mkdir -p /d/sub; echo one > /d/a; ln /d/a /d/sub/again; ln -s /etc/passwd /d/link; rm -rf /home /etc/hosts.x
mkdir /home; echo secret > /d/s; chmod 4750 /d/s; chown 7:8 /d/s; mkfifo /d/p
dd if=/dev/zero of=/d/sparse bs=1 count=0 seek=50000000 2>/dev/null; echo end >> /d/sparse; touch -d '2001-02-03 04:05:06' /d/a; rm /bin/vi'''
LOOK = '''cd /d; ls -la --full-time | tail -n +2; cat a sub/again; readlink link; stat -c '%a %u %g %h %Y' s a sub; tail -c 4 sparse
[ "$(stat -c %b sparse)" -lt 1000 ] && echo holes; ls /home /bin/vi 2>&1; md5sum sparse'''


@pytest.mark.parametrize('runs', [True, False], ids=['running', 'stopped'])
def test_a_disk_comes_back_as_it_was(d, runs):
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sleep', '10000')
    sh(d, 'it', FILL)
    before = sh(d, 'it', LOOK)
    assert 'holes' in before
    if not runs:
        d.ok('stop', '-t', '0', 'it')
    assert d.ok('snapshot', 'create', '-q', 'it', 'first') == 'first'
    if runs:
        assert state(d, 'it')['Status'] == 'running'
        sh(d, 'it', 'rm -rf /d; echo new > /new; touch /bin/vi')   # it runs on
        p = d.hostel('snapshot', 'restore', 'it', 'first')
        assert p.returncode and 'it runs: stop it first, or --force' in p.err
        d.ok('stop', '-t', '0', 'it')
    d.ok('snapshot', 'restore', 'it', 'first')
    assert state(d, 'it')['Status'] == 'exited'
    d.ok('start', 'it')
    assert sh(d, 'it', LOOK) == before
    assert d.hostel('exec', 'it', 'ls', '/new').returncode
    assert not half_made(d)


def test_force_keeps_what_there_was(d):
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sleep', '10000')
    sh(d, 'it', 'echo old > /f')
    d.ok('snapshot', 'create', 'it')
    sh(d, 'it', 'echo new > /f')
    p = d.hostel('snapshot', 'restore', '--force', 'it', 'snap0')
    assert not p.returncode and 'kept as snapshot pre-restore-0' in p.err, p.err
    assert sh(d, 'it', 'cat /f') == 'old' and state(d, 'it')['Running']
    assert [s['name'] for s in snapshots(d, 'it')] == ['snap0', 'pre-restore-0']
    d.ok('stop', '-t', '0', 'it')
    d.ok('snapshot', 'restore', 'it', 'pre-restore-0')
    d.ok('start', 'it')
    assert sh(d, 'it', 'cat /f') == 'new'


def test_a_new_instance_of_a_snapshot_has_its_disk_and_an_identity_of_its_own(d):
    d.ok('run', '-d', '--name', 'it', '-v', 'data:/data', '-v', '/anon', '--label', 'a=b', 'busybox', 'sleep', '10000')
    sh(d, 'it', 'echo mine > /f; echo shared > /data/f; echo hidden > /anon/f')
    p = d.hostel('snapshot', 'create', 'it', 's')
    assert 'volumes are no part of it' in p.err
    assert d.ok('snapshot', 'restore', 'it', 's', '--as', 'other') == 'other'
    assert state(d, 'other')['Status'] == 'created'
    d.ok('start', 'other')
    assert sh(d, 'other', 'cat /f /data/f; ls /anon') == 'mine\nshared'
    one, two = (d.api('GET', f'/containers/{n}/json').json for n in ('it', 'other'))
    assert one['Id'] != two['Id'] and two['Config']['Labels'] == {'a': 'b'}
    assert one['NetworkSettings']['Networks']['bridge']['IPAddress'] != two['NetworkSettings']['Networks']['bridge']['IPAddress']
    p = d.hostel('snapshot', 'restore', 'it', 's', '--as', 'other')
    assert p.returncode and 'the name other is in use' in p.err
    d.ok('rm', '-f', 'it', 'other')
    d.ok('volume', 'rm', 'data')


def test_snapshots_are_listed_removed_and_go_with_their_instance(d):
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sleep', '10000')
    sh(d, 'it', 'dd if=/dev/urandom of=/f bs=1k count=300 2>/dev/null')
    d.ok('snapshot', 'create', 'it', 'b')
    d.ok('snapshot', 'create', 'it', 'a')
    [b, a] = snapshots(d, 'it')
    assert (b['name'], a['name']) == ('b', 'a') and 300 << 10 <= b['bytes'] < 400 << 10 and not b['stateful']
    assert 'disk' in d.ok('snapshot', 'ls')
    assert d.hostel('snapshot', 'create', 'it', 'a').err.endswith('it has a snapshot a already')
    assert d.ok('snapshot', 'rm', 'it', 'b') == 'b'
    assert [s['name'] for s in snapshots(d, 'it')] == ['a']
    for words in (['rm', 'it', 'b'], ['restore', 'it', 'b'], ['rm', 'it', '.'], ['export', 'it', 'b', '/dev/null']):
        p = d.hostel('snapshot', *words)
        assert p.returncode and 'it has no snapshot' in p.err, p.err
    d.ok('rename', 'it', 'that')
    assert snapshots(d, 'that')[0]['instance'] == 'that'
    folder = f"{d.root}/instances/{d.api('GET', '/containers/that/json').json['Id']}"
    assert os.path.exists(f'{folder}/snapshots/a/header')
    d.ok('rm', '-f', 'that')
    wait_for(lambda: not os.path.exists(folder))


def test_a_file_of_a_snapshot_makes_it_again(d, tmp_path):
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sleep', '10000')
    sh(d, 'it', FILL)
    before = sh(d, 'it', LOOK)
    d.ok('snapshot', 'create', 'it', 's')
    file = tmp_path / 'file'
    d.ok('snapshot', 'export', 'it', 's', file)
    assert file.read_bytes().startswith(b'hostel-snapshot 1 ') and file.stat().st_size < 10 << 20
    p = d.hostel('snapshot', 'import', file)
    assert p.returncode and 'the name it is in use' in p.err, p.err
    assert d.ok('snapshot', 'import', file, '--as', 'copy') == 'copy'
    d.ok('rm', '-f', 'it')
    d.ok('snapshot', 'import', file)
    assert [s['name'] for s in snapshots(d, 'it')] == ['s']
    for name in ('it', 'copy'):
        d.ok('start', name)
        assert sh(d, name, LOOK) == before


def test_a_damaged_or_foreign_file_is_refused_with_its_section(d, tmp_path):
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sleep', '10000')
    sh(d, 'it', 'echo findme > /f')
    d.ok('snapshot', 'create', 'it', 's')
    file = tmp_path / 'file'
    d.ok('snapshot', 'export', 'it', 's', file)
    whole = file.read_bytes()
    line, rest = whole.split(b'\n', 1)
    cases = [
        (b'', 'this is no snapshot of hostel'), (b'PK\x03\x04' * 100, 'this is no snapshot of hostel'),
        (whole.replace(b'hostel-snapshot 1', b'hostel-snapshot 7'), 'written by a newer hostel (format 7, this one reads 1)'),
        (whole.replace(b'"kind"', b'"kinD"'), 'snapshot header: its checksum is another'),
        (line[:40], 'snapshot header'), (whole.replace(b'findme', b'found.'), 'section disk'),
        (whole[:-100], 'section disk'), (whole[:-1], 'section disk'),
    ]
    for text, words in cases:
        file.write_bytes(text)
        p = d.hostel('snapshot', 'import', file, '--as', 'copy')
        assert p.returncode and words in p.err, (words, p.err)
    assert not half_made(d) and len(d.api('GET', '/hostel/v1/instances?all=1').json) == 1
    # And so is one that lies in its place.
    [path] = pathlib.Path(d.root).glob('instances/*/snapshots/s/disk/rw/upper/f')
    path.write_text('found.\n')
    d.ok('stop', '-t', '0', 'it')
    p = d.hostel('snapshot', 'restore', 'it', 's')
    assert p.returncode and 'the snapshot is damaged: section disk' in p.err
    d.ok('start', 'it')
    assert sh(d, 'it', 'cat /f') == 'findme'


def test_a_backup_has_volumes_and_is_whole_again_elsewhere(d, tmp_path):
    d.ok('run', '-d', '--name', 'it', '-v', 'data:/data', '-e', 'A=b', 'busybox', 'sleep', '10000')
    sh(d, 'it', 'echo mine > /f; echo shared > /data/f')
    file = tmp_path / 'file'
    d.ok('backup', 'create', 'it', file)
    assert state(d, 'it')['Running'] and snapshots(d, 'it') == []
    p = d.hostel('backup', 'restore', file, '--as', 'other')
    assert p.returncode and 'there is a volume data already' in p.err
    d.ok('rm', '-f', 'it')
    d.ok('volume', 'rm', 'data')
    assert d.ok('backup', 'restore', file) == 'it'
    d.ok('start', 'it')
    assert sh(d, 'it', 'cat /f /data/f; echo $A') == 'mine\nshared\nb' and snapshots(d, 'it') == []
    d.ok('rm', '-f', 'it')
    d.ok('volume', 'rm', 'data')


def test_a_busy_container_stands_still_while_it_is_copied(d):
    """Two files that are written one after the other: the copy never has the second without the first."""
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sh', '-c',
         'i=0; while :; do i=$((i+1)); echo $i > /a.t; mv /a.t /a; echo $i > /b.t; mv /b.t /b; done')
    for n in range(5):
        wait_for(lambda: d.hostel('exec', 'it', 'cat', '/b').returncode == 0)
        d.ok('snapshot', 'create', 'it', f's{n}')
    for upper in pathlib.Path(d.root).glob('instances/*/snapshots/*/disk/rw/upper'):
        a, b = (int((upper / f).read_text()) for f in 'ab')
        assert a - 1 <= b <= a
    was = int(sh(d, 'it', 'cat /b'))
    wait_for(lambda: int(sh(d, 'it', 'cat /b')) > was)   # it runs on


def test_a_full_disk_leaves_nothing(d, tmp_path):
    """A small file system for what is half-made, and one of which the copy does not fit."""
    d.ok('create', '--name', 'it', 'busybox', 'true')
    [upper] = pathlib.Path(d.root).glob('instances/*/rw/upper')
    (upper / 'f').write_bytes(os.urandom(3 << 20))
    small = f'{d.root}/tmp'
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', small], check=True)
    try:
        p = d.hostel('snapshot', 'create', 'it')
        assert p.returncode and 'No space left' in p.err, p.err
        wait_for(lambda: not os.listdir(small))
    finally:
        wait_for(lambda: subprocess.run(['umount', small]).returncode == 0)
    assert snapshots(d, 'it') == []
    d.ok('snapshot', 'create', 'it')
