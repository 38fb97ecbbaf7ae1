# SPDX-License-Identifier: Apache-2.0
"""Hosts that trust each other, and instances that move between them."""
import contextlib, json, os, signal, stat, threading

import pytest

from conftest import cgroup_processes, free_port, waiter

wait_for = waiter(60)


# ---- trust ----

def identity(d):
    return d.api('GET', '/hostel/v1/identity').json


def test_a_host_has_one_identity_for_its_owner_only_and_another_host_trusts_it_by_a_name(new_hosteld):
    a, b = new_hosteld(), new_hosteld()
    pem = a.ok('trust', 'show')
    assert pem.startswith('-----BEGIN CERTIFICATE-----')
    own = identity(a)
    assert own['certificate'].strip() == pem
    assert identity(b)['fingerprint'] != own['fingerprint']
    path = a.root / 'tls/identity.pem'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and 'PRIVATE KEY' in path.read_text()

    assert b.ok('trust', 'add', 'alpha', '-', input=f'from alpha:\n{pem}\n') == 'alpha'
    assert b.ok('trust', 'ls', '--format', '{{.name}} {{.fingerprint}}') == f'alpha {own["fingerprint"]}'
    assert b.ok('trust', 'add', 'alpha', path_of(b, pem)) == 'alpha'  # the same again
    b.kill()
    b.start()
    assert own['fingerprint'] in b.ok('trust', 'ls')
    assert identity(a) == own, 'made once'
    b.ok('trust', 'rm', 'alpha')
    assert json.loads(b.ok('trust', 'ls', '--format', 'json')) == []


def path_of(d, text):
    path = d.dir / 'given.pem'
    path.write_text(text)
    return path


@pytest.mark.parametrize('text, words', [
    ('nothing', 'that is no certificate'),
    ('{pem}{pem2}', '2 certificates, where one is expected'),
    ('x' * 20000, 'that is too long for a certificate'),
])
def test_what_is_not_one_certificate_is_refused(hosteld, text, words):
    pem = identity(hosteld)['certificate']
    p = hosteld.hostel('trust', 'add', 'x', '-', input=text.format(pem=pem, pem2=pem))
    assert p.returncode == 1 and words in p.err
    assert hosteld.api('GET', '/hostel/v1/trust').json == []


def test_a_name_stands_for_one_certificate_and_a_certificate_for_one_name(new_hosteld):
    a, b = new_hosteld(), new_hosteld()
    b.ok('trust', 'add', 'a', '-', input=identity(a)['certificate'])
    p = b.hostel('trust', 'add', 'a', '-', input=identity(b)['certificate'])
    assert p.returncode == 1 and 'a is trusted already, with another certificate' in p.err
    p = b.hostel('trust', 'add', 'c', '-', input=identity(a)['certificate'])
    assert p.returncode == 1 and 'this certificate is trusted already, as a' in p.err
    p = b.hostel('trust', 'rm', 'nobody')
    assert p.returncode == 1 and 'No such trusted host: nobody' in p.err


def test_who_is_trusted_outlives_a_lost_store(new_hosteld):
    a, b = new_hosteld(), new_hosteld()
    b.ok('trust', 'add', 'a', '-', input=identity(a)['certificate'])
    b.kill()
    for path in b.root.glob('hostel.db*'):
        os.unlink(path)
    b.start()
    assert b.ok('trust', 'ls', '--format', '{{.fingerprint}}') == identity(a)['fingerprint']


# ---- moving ----

@pytest.fixture
def two(new_hosteld, busybox_tar):
    """Function that starts two hosts that take each other's instances: by a socket, or over TLS."""
    def make(tls=False, image=True):
        a, b = new_hosteld(start=False), new_hosteld(start=False)
        for d in (a, b):
            d.door = f'tcp+tls://127.0.0.1:{free_port()}' if tls else f'unix://{d.run_dir}/migrate.sock'
            d.options += ['--migrate-listen', d.door]
            d.start()
        if tls:
            a.ok('trust', 'add', 'beta', '-', input=identity(b)['certificate'])
            b.ok('trust', 'add', 'alpha', '-', input=identity(a)['certificate'])
        if image:
            a.ok('load', '-q', '-i', busybox_tar)
        return a, b
    return make


def instances(d):
    return {i['name']: i for i in d.api('GET', '/hostel/v1/instances?all=true').json}


def runs(d, name='c1'):
    return instances(d).get(name, {}).get('state') == 'running'


def left_of(d):
    """What migrations leave behind: nothing."""
    return [p.name for p in (d.root / 'tmp').iterdir() if p.name.startswith('incoming')]


@pytest.mark.parametrize('tls', [False, True])
def test_a_container_moves_with_all_that_is_its_own(two, tls):
    a, b = two(tls)
    a.ok('run', '-d', '--name', 'c1', '-v', 'data:/data', '--label', 'colour=red', '-m', '32m', '--stop-signal', 'KILL', 'busybox', 'sh', '-c',
         'echo from-$(cat /here 2>/dev/null || echo first); cp /etc/passwd /data/p 2>/dev/null; rm -f /etc/group; '
         'echo second > /here; sleep 600')
    wait_for(lambda: 'from-first' in a.ok('logs', 'c1'))
    wait_for(lambda: a.hostel('exec', 'c1', 'cat', '/here').returncode == 0)
    id_ = instances(a)['c1']['id']
    assert a.ok('migrate', '--cold', '--check', 'c1', b.door) == f'c1 can move to {b.door}'
    for args in (['--check'], []):  # what runs is not stopped unless its user says so
        p = a.hostel('migrate', *args, 'c1', b.door)
        assert p.returncode == 1 and 'moving what runs is not there yet: --cold stops it' in p.out + p.err
    assert not instances(b) and runs(a)
    p = a.hostel('migrate', '--cold', 'c1', b.door)
    assert (p.returncode, p.out) == (0, 'c1'), p.err + a.log[-2000:] + b.log[-2000:]
    wait_for(lambda: runs(b))
    assert not instances(a)
    assert instances(b)['c1']['id'] == id_
    wait_for(lambda: 'from-second' in b.ok('logs', 'c1'), text='its disk came along')
    assert 'from-first' in b.ok('logs', 'c1'), 'its log came along'
    assert b.hostel('exec', 'c1', 'ls', '/etc/group').returncode != 0, 'what it deleted stays deleted'
    assert 'root' in b.ok('exec', 'c1', 'cat', '/data/p')
    assert b.ok('inspect', 'c1', '--format', '{{json .Config.Labels}}') == '{"colour":"red"}'
    assert a.api('GET', '/volumes').json['Volumes'] == [] and 'data' in json.dumps(b.api('GET', '/volumes').json)
    assert [i['RepoTags'] for i in b.api('GET', '/images/json').json] == [['busybox:latest']]
    assert not left_of(a) and not left_of(b)
    # and back, where its image is already
    b.ok('migrate', '--cold', 'c1', a.door)
    wait_for(lambda: runs(a))
    assert not instances(b) and instances(a)['c1']['id'] == id_


# ---- why it could not ----

def test_a_check_gives_all_reasons_of_both_sides_and_changes_nothing(two, busybox_tar, tmp_path):
    a, b = two()
    port = free_port()
    a.ok('create', '--name', 'c1', '-v', f'{tmp_path}:/bound', '-v', 'both:/both', '-p', f'{port}:80', 'busybox')
    a.ok('create', '--name', 'other', '-v', 'both:/both', 'busybox')
    b.ok('load', '-q', '-i', busybox_tar)
    b.ok('run', '-d', '--name', 'c1', '-p', f'{port}:80', 'busybox', 'sleep', '600')
    b.ok('volume', 'create', 'both')
    p = a.hostel('migrate', '--cold', '--check', 'c1', b.door)
    assert p.returncode == 1
    assert p.out.splitlines() == [
        f'it mounts {tmp_path} of this host at /bound', 'volume both is used by another instance too',
        'the name c1 is taken there', 'the volume name both is taken there', f'port {port}/tcp is held there by c1']
    p = a.hostel('migrate', '--cold', 'c1', b.door)
    assert p.returncode == 1 and 'it mounts' in p.err and 'is used by another' in p.err
    assert instances(a)['c1']['migration'] is None and runs(b)
    a.ok('rm', 'c1')
    p = a.hostel('migrate', '--cold', 'other', f'unix://{b.run_dir}/nowhere')
    assert p.returncode == 1 and 'does not answer' in p.err
    p = a.hostel('migrate', '--cold', 'other', 'b.example')
    assert p.returncode == 1 and 'expected tcp+tls://HOST:PORT' in p.err
    p = a.hostel('migrate', 'resolve', 'other', '--here')
    assert p.returncode == 1 and 'other is not in doubt' in p.err


def test_what_never_fits_there_is_refused_before_it_is_stopped(new_hosteld, busybox_tar):
    a, b = new_hosteld(), new_hosteld(start=False)
    b.options += ['--migrate-listen', f'unix://{b.run_dir}/m.sock', '--memory-total', '600m', '--manage-memory', '128m']
    b.start()
    a.ok('load', '-q', '-i', busybox_tar)
    a.ok('run', '-d', '--name', 'c1', '-m', '500m', 'busybox', 'sleep', '600')
    p = a.hostel('migrate', '--cold', 'c1', f'unix://{b.run_dir}/m.sock')
    assert p.returncode == 1 and 'c1 stays here: memory: needs 500 MiB' in p.err, p.err
    assert runs(a) and instances(a)['c1']['migration'] is None and not instances(b)
    wait_for(lambda: not left_of(b))


@pytest.mark.parametrize('side', ['a', 'b'])
def test_without_trust_it_is_not_even_stopped(two, side):
    a, b = two(tls=True)
    (a if side == 'a' else b).ok('trust', 'rm', 'beta' if side == 'a' else 'alpha')
    a.ok('run', '-d', '--name', 'c1', 'busybox', 'sleep', '600')
    started = instances(a)['c1']['started_ns']
    words = 'is not trusted here' if side == 'a' else "does not trust this host's certificate"
    for args in (['--check'], []):
        p = a.hostel('migrate', '--cold', *args, 'c1', b.door)
        assert p.returncode == 1 and words in p.err, p.err
    i = instances(a)['c1']
    assert (i['state'], i['started_ns'], i['migration']) == ('running', started, None)
    assert not instances(b)


def test_ctrl_c_in_the_middle_leaves_it_here_running(two):
    a, b = two()
    a.ok('run', '-d', '--name', 'c1', '--stop-signal', 'KILL', 'busybox', 'sh', '-c',
         'test -e /big || dd if=/dev/urandom of=/big bs=1M count=64 2>/dev/null; sleep 600')
    wait_for(lambda: '67108864' in a.hostel('exec', 'c1', 'stat', '-c', '%s', '/big').out)
    p = a.popen('migrate', '--cold', '--bandwidth', '1m', 'c1', b.door)
    wait_for(lambda: instances(b).get('c1') and instances(a)['c1']['state'] == 'exited')
    assert 'migrating' in a.ok('ps') and 'migrating' in b.ok('ps')
    for d, words in ((a, 'is being moved to'), (b, 'is being moved here')):
        q = d.hostel('start', 'c1')
        assert q.returncode and words in q.err, q.err
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=60)
    wait_for(lambda: runs(a) and not instances(b) and not left_of(b))
    wait_for(lambda: instances(a)['c1']['migration'] is None)


def test_one_that_is_removed_by_force_on_its_way_is_gone_on_both_sides(two):
    a, b = two()
    a.ok('run', '-d', '--name', 'c1', '--stop-signal', 'KILL', 'busybox', 'sh', '-c',
         'test -e /big || dd if=/dev/urandom of=/big bs=1M count=4 2>/dev/null; sleep 600')
    wait_for(lambda: '4194304' in a.hostel('exec', 'c1', 'stat', '-c', '%s', '/big').out)
    p = a.popen('migrate', '--cold', '--bandwidth', '1m', 'c1', b.door)
    wait_for(lambda: instances(b).get('c1') and instances(a)['c1']['state'] == 'exited')
    a.ok('rm', '-f', 'c1')
    _, err = p.communicate(timeout=90)
    assert p.returncode == 1 and 'removed meanwhile' in err, err
    wait_for(lambda: not instances(a) and not instances(b) and not left_of(b))


# ---- the fault matrix ----

class Watch(threading.Thread):
    """Looks all the time whether the instance's processes live on both hosts."""
    def __init__(self, *hosts):
        super().__init__(daemon=True)
        self.hosts, self.both, self.over = hosts, False, threading.Event()

    def run(self):
        while not self.over.wait(0.01):
            alive = [bool(cgroup_processes(d.cgroup)) for d in self.hosts]
            self.both |= all(alive)

    def end(self):
        self.over.set()
        self.join()
        assert not self.both, 'both ran it'


@contextlib.contextmanager
def environment(**env):
    os.environ.update(env)
    try:
        yield
    finally:
        for name in env:
            del os.environ[name]


def again(d, **env):
    """The daemon anew, in this environment."""
    d.stop()
    with environment(**env):
        d.start()


def settled(a, b):
    """The host that has it, once the two have talked to their end; the other has nothing of it."""
    def one():
        at = [d for d in (a, b) if 'c1' in instances(d)]
        if len(at) != 1 or not runs(at[0]):
            return None
        state = (instances(at[0])['c1']['migration'] or {}).get('state')
        return at[0] if state in (None, 'taken') and not left_of(a) and not left_of(b) else None
    return wait_for(one, timeout=90, text=f'{instances(a)}\n{instances(b)}\n{a.log[-3000:]}\n{b.log[-3000:]}')


DAEMON, WORKER = 'HOSTEL_CRASH_AT', 'HOSTEL_MIGRATE_CRASH_AT'
FAULTS = [
    # who dies, where, and which host has it in the end
    ('a', DAEMON, 'handover-sending', 'a'),
    ('a', DAEMON, 'handover-given', 'b'),
    ('a', DAEMON, 'handover-gone', 'b'),
    ('b', DAEMON, 'handover-receiving', 'a'),
    ('b', DAEMON, 'handover-prepared', 'a'),
    ('b', DAEMON, 'handover-taken', 'b'),
    ('a', WORKER, 'hello', 'a'),
    ('a', WORKER, 'said-offer', 'a'),
    ('a', WORKER, 'half-blobs', 'a'),
    ('a', WORKER, 'half-rw', 'a'),
    ('a', WORKER, 'said-complete', 'a'),
    ('a', WORKER, 'heard-prepared', 'a'),
    ('a', WORKER, 'say-commit', 'b'),
    ('a', WORKER, 'said-commit', 'b'),
    ('a', WORKER, 'heard-taken', 'b'),
    ('b', WORKER, 'hello', 'a'),
    ('b', WORKER, 'say-accept', 'a'),
    ('b', WORKER, 'half-blobs', 'a'),
    ('b', WORKER, 'got-rw', 'a'),
    ('b', WORKER, 'say-prepared', 'a'),
    ('b', WORKER, 'heard-commit', 'b'),
    ('b', WORKER, 'say-taken', 'b'),
]


# The others take a minute: make check-slow.
QUICK = {'handover-given', 'handover-prepared', 'handover-taken', 'half-rw', 'say-commit', 'said-commit', 'say-prepared',
         'say-taken'}


@pytest.mark.parametrize('who, what, where, has', [
    pytest.param(*f, id=f'{f[0]}-{f[2]}', marks=() if f[2] in QUICK else pytest.mark.slow) for f in FAULTS])
def test_whoever_dies_at_whatever_step_one_host_runs_it_in_the_end(two, who, what, where, has):
    a, b = two()
    a.ok('run', '-d', '--name', 'c1', '--stop-signal', 'KILL', 'busybox', 'sleep', '600')
    again(a if who == 'a' else b, **{what: where})
    watch = Watch(a, b)
    watch.start()
    p = a.hostel('migrate', '--cold', '-q', 'c1', b.door)
    for d in (a, b):
        if what == DAEMON and d is (a if who == 'a' else b):
            assert d.process.wait(60) == 137
            d.start()
    at = settled(a, b)
    watch.end()
    assert at is (a if has == 'a' else b), p.err + a.log[-3000:] + b.log[-3000:]
    if what == WORKER and has == 'a':
        assert p.returncode == 1 and 'c1 stays here' in p.err, p.err
    # and it moves another time, from wherever it is
    there = b if at is a else a
    at.ok('migrate', '--cold', 'c1', there.door)
    wait_for(lambda: runs(there))


# ---- in doubt ----

@pytest.fixture
def doubt(two):
    """Both hosts, between the last word and its answer, and the link is cut; its other end is link()."""
    a, b = two()
    a.ok('run', '-d', '--name', 'c1', '--stop-signal', 'KILL', 'busybox', 'sleep', '600')
    again(a, HOSTEL_CRASH_AT='handover-given')
    a.hostel('migrate', '--cold', '-q', 'c1', b.door)
    a.process.wait(60)
    door = b.run_dir / 'migrate.sock'
    os.rename(door, f'{door}.away')
    a.start()
    a.link = lambda: os.rename(f'{door}.away', door)
    return a, b


def test_while_the_link_is_cut_it_runs_nowhere_and_both_sides_say_so(doubt):
    a, b = doubt
    for d in (a, b):
        assert 'in doubt' in d.ok('ps')
        assert instances(d)['c1']['state'] == 'exited'
        for args in (['start', 'c1'], ['rm', 'c1'], ['rename', 'c1', 'c2']):
            p = d.hostel(*args)
            assert p.returncode and 'c1 is in doubt between this host and' in p.err, p.err
    a.kill()
    a.start()
    assert 'in doubt' in a.ok('ps'), 'it is so after a death, too'
    b.kill()
    b.start()  # with a new socket: they talk again
    assert settled(a, b) is b


@pytest.mark.parametrize('hands, runs_on, ends_on', [
    (['a here'], 'a', 'a'),
    (['b here'], 'b', 'b'),
    (['a there'], '', 'b'),
    (['b there', 'a here'], 'a', 'a'),
    (['a there', 'b here'], 'b', 'b'),
])
def test_hands_decide_and_hold_when_the_link_is_back(doubt, hands, runs_on, ends_on):
    a, b = doubt
    hosts = {'a': a, 'b': b}
    for hand in hands:
        host, where = hand.split()
        hosts[host].ok('migrate', 'resolve', 'c1', f'--{where}')
    for name in runs_on:
        wait_for(lambda: runs(hosts[name]))
    for name in set('ab') - set(runs_on):
        assert not runs(hosts[name])
    a.link()
    assert settled(a, b) is hosts[ends_on]


def test_two_hands_make_two_run_until_the_two_hosts_talk_then_the_source_has_it(doubt):
    a, b = doubt
    for d in (a, b):
        d.ok('migrate', 'resolve', 'c1', '--here')
        wait_for(lambda: runs(d))
    a.link()
    wait_for(lambda: instances(b)['c1']['state'] == 'exited' and instances(a)['c1']['migration'] is None)
    assert runs(a) and 'elsewhere' in b.ok('ps'), 'what is there is kept, and stands still'
    assert b.hostel('start', 'c1').returncode
    b.ok('rm', '-f', 'c1')


# ---- VMs ----

@pytest.mark.slow
def test_a_vm_moves_with_its_disk(two):
    a, b = two()
    for d in (a, b):
        d.ok('kernel', 'add', os.environ['HOSTEL_KERNEL_DEB'], timeout=300)
    a.ok('run', '-d', '--vm', '--name', 'v1', '-m', '256m', '--stop-timeout', '20', 'busybox', 'sh', '-c',
         'trap "sync; exit 0" TERM; echo "disk: $(cat /kept 2>/dev/null || echo new)"; echo kept > /kept; sync; echo written; '
         'while :; do sleep 1; done')
    wait_for(lambda: 'written' in a.ok('logs', 'v1'), timeout=300)
    a.ok('migrate', '--cold', '-q', 'v1', b.door, timeout=300)
    wait_for(lambda: 'disk: kept' in b.ok('logs', 'v1'), timeout=300)
    assert instances(b)['v1']['state'] == 'running' and not instances(a)


@pytest.mark.slow
def test_a_machine_moves_with_the_disk_that_was_made_for_it(two):
    a, b = two(image=False)
    a.ok('vm', 'create', 'm1', '--memory', '256m', '--disk', 'new:64m')
    a.ok('start', 'm1')
    a.ok('migrate', '--cold', '-q', 'm1', b.door, timeout=300)
    wait_for(lambda: runs(b, 'm1'), timeout=300)
    assert list((b.root / 'instances').glob('*/disk0.qcow2')) and not instances(a)


def test_blobs_that_came_whole_are_not_sent_again(two):
    a, b = two()
    a.ok('create', '--name', 'c1', 'busybox')
    again(b, HOSTEL_MIGRATE_CRASH_AT='got-blobs')
    p = a.hostel('migrate', '--cold', 'c1', b.door)
    assert p.returncode == 1 and 'sending its image' in p.err and 'c1 stays here' in p.err
    wait_for(lambda: not left_of(b) and not instances(b) and instances(a)['c1']['migration'] is None)
    assert b.api('GET', '/images/json').json == []
    p = a.hostel('migrate', '--cold', 'c1', b.door)
    assert p.returncode == 0 and 'sending its image' not in p.err, p.err
    assert instances(b)['c1']['state'] == 'created' and not instances(a)
