# SPDX-License-Identifier: Apache-2.0
"""Snapshots: what is kept of a disk and what comes back, in place and as a new instance; out to a file and in again;
what is refused; what a death of the daemon leaves."""
import json, os, pathlib, signal, subprocess

import pytest

from conftest import free_port, lent, waiter
from test_recovery import start_with, state

wait_for = waiter(120)


@pytest.fixture(scope='module')
def world(root_only, busybox_tar):
    with lent(busybox_tar, '--memory-total', '64g', '--cpus-total', '64') as d:
        yield d


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
    p = d.hostel('rm', '-f', 'that')
    assert (p.out, p.err) == ('that', 'that: its 1 snapshot went with it')
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


# ---- with all that runs ----

BOOT = 'cat /proc/sys/kernel/random/boot_id'
COUNT = 'echo start >> /starts; i=0; while :; do i=$((i+1)); echo $i > /count.t; mv /count.t /count; sleep 0.1; done'


@pytest.fixture(scope='module')
def vm(world):
    """A VM that counts, in memory and on disk."""
    world.ok('kernel', 'add', os.environ['HOSTEL_KERNEL_DEB'], timeout=300)
    return lambda name, *more: world.ok('run', '-d', '--name', name, '--vm', '-m', '192m', *more, 'busybox', 'sh', '-c', COUNT,
                                        timeout=240)


def count(d, name):
    return wait_for(lambda: int(d.hostel('exec', name, 'cat', '/count', timeout=60).out or 0))


def uptime(d, name):
    return float(sh(d, name, 'cut -d" " -f1 /proc/uptime'))


def test_a_container_goes_on_where_its_checkpoint_was(d):
    d.ok('run', '-d', '--name', 'it', '-p', '127.0.0.1::80', 'busybox', 'sh', '-c', COUNT)
    before = wait_for(lambda: count(d, 'it') > 3 and count(d, 'it'))
    address = d.api('GET', '/containers/it/json').json['NetworkSettings']['IPAddress']
    p = d.hostel('checkpoint', '--leave-running', 'it', timeout=120)
    assert p.out == 'checkpoint0', p.err
    wait_for(lambda: count(d, 'it') > before)   # it runs on
    sh(d, 'it', 'echo later > /later')
    assert d.ok('checkpoint', '-q', 'it', timeout=120) == 'checkpoint1'
    at = int(next(pathlib.Path(d.root).glob('instances/*/snapshots/checkpoint1/disk/rw/upper/count')).read_text())
    assert state(d, 'it')['Status'] == 'exited'
    d.ok('run', '-d', '--name', 'else', 'busybox', 'sleep', '1000')   # takes the next address, not its
    assert d.ok('restore', 'it', timeout=120) == 'it'
    assert at <= count(d, 'it') and sh(d, 'it', 'cat /later /starts') == 'later\nstart'
    assert d.api('GET', '/containers/it/json').json['NetworkSettings']['IPAddress'] == address
    d.ok('stop', '-t', '0', 'it')
    d.ok('restore', 'it@checkpoint0', timeout=120)
    assert count(d, 'it') >= before and d.hostel('exec', 'it', 'cat', '/later').returncode
    d.ok('restart', '-t', '0', 'it')   # a fresh start, of that disk
    wait_for(lambda: sh(d, 'it', 'cat /starts') == 'start\nstart')


def test_a_container_is_forked(d):
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sh', '-c', COUNT)
    before = wait_for(lambda: count(d, 'it') > 3 and count(d, 'it'))
    p = d.hostel('fork', 'it', '-n', '3', timeout=120)
    assert p.out.split() == ['it-1', 'it-2', 'it-3'], p.err
    names = ['it', *p.out.split()]
    assert all(count(d, n) >= before for n in names)
    assert len({d.api('GET', f'/containers/{n}/json').json['NetworkSettings']['IPAddress'] for n in names}) == 4
    sh(d, 'it-1', 'echo mine > /own')
    assert d.hostel('exec', 'it-2', 'cat', '/own').returncode and not half_made(d)


def test_a_vm_goes_on_where_its_checkpoint_was(d, vm):
    vm('it', '-p', '127.0.0.1::80')
    before = count(d, 'it')
    up, boot = uptime(d, 'it'), sh(d, 'it', BOOT)
    address = d.api('GET', '/containers/it/json').json['NetworkSettings']['IPAddress']
    p = d.hostel('checkpoint', 'it', timeout=120)
    assert p.out == 'checkpoint0', p.err
    assert state(d, 'it')['Status'] == 'exited' and snapshots(d, 'it')[0]['stateful']
    d.ok('run', '-d', '--name', 'else', 'busybox', 'sleep', '1000')   # takes the next address, not its
    assert d.ok('restore', 'it', timeout=240) == 'it'
    assert state(d, 'it')['Running']
    after = count(d, 'it')
    assert before <= after and uptime(d, 'it') > up and sh(d, 'it', BOOT) == boot
    assert d.api('GET', '/containers/it/json').json['NetworkSettings']['IPAddress'] == address
    wait_for(lambda: count(d, 'it') > after)
    d.ok('stop', '-t', '1', 'it', timeout=60)
    d.ok('start', 'it', timeout=240)   # a fresh start, of that disk
    assert sh(d, 'it', BOOT) != boot


def test_a_vm_is_forked(d, vm):
    vm('it', '-p', f'127.0.0.1:{(port := free_port())}:80')
    before, up = count(d, 'it'), uptime(d, 'it')
    p = d.hostel('fork', 'it', '-n', '2', timeout=240)
    assert p.out.split() == ['it-1', 'it-2'], p.err
    assert f'it-1: port {port}/tcp of the host is the original' in p.err
    assert len({d.ok('port', n, '80') for n in ('it', 'it-1', 'it-2')}) == 3
    for name in ('it', 'it-1', 'it-2'):
        assert state(d, name)['Running'] and count(d, name) >= before
        assert uptime(d, name) > up   # none of them booted
    assert len({d.api('GET', f'/containers/{n}/json').json['NetworkSettings']['IPAddress'] for n in ('it', 'it-1', 'it-2')}) == 3
    sh(d, 'it-1', 'echo mine > /own')
    assert d.hostel('exec', 'it-2', 'cat', '/own').returncode and not half_made(d)


def test_a_vm_that_runs_has_a_disk_to_be_kept(d, vm):
    vm('it')
    before = count(d, 'it')
    d.ok('snapshot', 'create', 'it', 's', timeout=120)
    assert count(d, 'it') >= before
    d.ok('snapshot', 'restore', 'it', 's', '--as', 'other', timeout=120)
    d.ok('rm', '-f', 'it', timeout=60)
    d.ok('start', 'other', timeout=240)
    assert count(d, 'other') >= 1


# ---- deaths and cancels ----

@pytest.mark.parametrize('phase, is_there', [('snapshot-still', False), ('snapshot-copied', False), ('snapshot-sealed', False),
                                             ('snapshot-made', True)])
def test_a_daemon_that_dies_while_a_snapshot_is_made(d, phase, is_there):
    """What stood still runs on, while no daemon is there, and afterwards there is all of the snapshot or nothing."""
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sh', '-c', COUNT)
    count(d, 'it')
    [file] = pathlib.Path(d.root).glob('instances/*/rw/upper/count')
    d.stop()
    start_with(d, HOSTEL_CRASH_AT=phase)
    assert d.hostel('snapshot', 'create', 'it', 'first').returncode
    assert d.process.wait(60) == 137
    was = int(file.read_text())
    wait_for(lambda: int(file.read_text()) > was)
    d.start()
    assert [s['name'] for s in snapshots(d, 'it')] == ['first'] * is_there
    wait_for(lambda: not half_made(d))
    s = state(d, 'it')
    assert s['Status'] == 'running' and not s['Paused']
    assert d.ok('snapshot', 'create', '-q', 'it', 'second') == 'second'


@pytest.mark.parametrize('phase, is_new', [('restore-staged', False), ('restore-due', True), ('restore-half', True)])
def test_a_daemon_that_dies_while_a_snapshot_is_restored(d, phase, is_new):
    """The disk is the old one or the new one."""
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sleep', '10000')
    sh(d, 'it', 'echo new > /f')
    d.ok('snapshot', 'create', 'it', 'first')
    sh(d, 'it', 'echo old > /f; echo more > /g')
    d.ok('stop', '-t', '0', 'it')
    d.stop()
    start_with(d, HOSTEL_CRASH_AT=phase)
    assert d.hostel('snapshot', 'restore', 'it', 'first').returncode
    assert d.process.wait(60) == 137
    d.start()
    wait_for(lambda: not half_made(d))
    d.ok('start', 'it')
    assert sh(d, 'it', 'cat /f; ls /g 2>/dev/null; true').split() == (['new'] if is_new else ['old', '/g'])
    assert [s['name'] for s in snapshots(d, 'it')] == ['first']
    assert not list(pathlib.Path(d.root).glob('instances/*/staged'))


class Held:
    """A snapshot of a container with much to be copied, held up by its worker."""

    def __init__(self, d):
        self.d = d
        for n in range(30):
            self.p = d.popen('snapshot', 'create', 'it', f'held{n}')
            while self.p.poll() is None:
                if self.stop_worker():
                    return
        raise AssertionError('no worker could be caught at its work')

    def stop_worker(self):
        for pid in pathlib.Path(f'/proc/{self.d.process.pid}/task/{self.d.process.pid}/children').read_text().split():
            try:
                if b'hostel-image' in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes() and \
                        any(name.endswith('/f') and '/rw/upper/' in name for name in
                            (os.readlink(f'/proc/{pid}/fd/{n}') for n in os.listdir(f'/proc/{pid}/fd'))):
                    os.kill(int(pid), signal.SIGSTOP)
                    self.pid = int(pid)
                    return True
            except OSError:
                pass
        return False

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture
def held(d):
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sh', '-c', COUNT)
    sh(d, 'it', 'dd if=/dev/zero of=/f bs=1M count=200 2>/dev/null')
    return Held(d)


def end_of(p):
    return p.communicate(timeout=60)[1].splitlines()[-1:], p.returncode


def test_one_operation_at_a_time_and_it_is_shown(d, held):
    assert d.api('GET', '/hostel/v1/instances/it').json['operation'] == 'a snapshot'
    assert 'running (a snapshot)' in d.ok('ps')
    for words in (['snapshot', 'create', 'it'], ['snapshot', 'restore', '--force', 'it', 'x'], ['pause', 'it']):
        p = d.hostel(*words)
        assert p.returncode and ('a snapshot is under way' in p.err or 'no snapshot x' in p.err), p.err
    assert d.api('POST', '/hostel/v1/instances/it/snapshots', {}).status == 409
    held.go_on()
    assert held.p.wait(120) == 0
    assert d.api('GET', '/hostel/v1/instances/it').json['operation'] is None


@pytest.mark.parametrize('how', ['interrupt', 'delete', 'stop', 'kill', 'restart'])
def test_an_operation_gives_way(d, held, how):
    """To Ctrl-C, and to whoever wants something else of the instance; nothing half-made stays, and it lives on."""
    if how == 'interrupt':
        held.p.send_signal(signal.SIGINT)
    elif how == 'delete':
        assert d.api('DELETE', '/hostel/v1/instances/it/operation').status == 204
    else:
        d.ok(how, *(['-t', '0'] if how != 'kill' else []), 'it', timeout=60)
    text, code = end_of(held.p)
    assert code and (how == 'interrupt' or 'a snapshot was cancelled' in text[0])
    wait_for(lambda: d.api('GET', '/hostel/v1/instances/it').json['operation'] is None and not half_made(d))
    assert not [s for s in snapshots(d, 'it') if s['name'] == held.p.args[-1]]
    if how in ('stop', 'kill'):
        wait_for(lambda: state(d, 'it')['Status'] == 'exited')
        d.ok('start', 'it')
    was = count(d, 'it')
    wait_for(lambda: count(d, 'it') > was)
    assert d.api('DELETE', '/hostel/v1/instances/it/operation').status == 409


def test_what_is_copied_can_be_removed(d, held):
    d.ok('rm', '-f', 'it', timeout=60)
    assert end_of(held.p)[1]
    wait_for(lambda: not half_made(d))
    assert d.hostel('inspect', 'it').returncode


def test_a_start_waits_until_its_disk_is_copied(d):
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sleep', '10000')
    sh(d, 'it', 'dd if=/dev/zero of=/f bs=1M count=200 2>/dev/null')
    d.ok('stop', '-t', '0', 'it')
    held = Held(d)
    p = d.popen('start', 'it')
    wait_for(lambda: d.api('GET', '/hostel/v1/instances/it').json['state'] == 'starting')
    assert p.poll() is None
    held.go_on()
    assert held.p.wait(120) == 0 and p.wait(120) == 0 and state(d, 'it')['Running']
