# SPDX-License-Identifier: Apache-2.0
"""What a user does with the queue: hold, release, cancel, move."""
import csv, json, os, re, shutil, threading

import pytest

from apispec import described
from conftest import run, waiter


wait_for = waiter(60)
SMALL = ('--memory-total', '512m', '--reserve-memory', '128m', '--manage-memory', '128m')


@pytest.fixture
def full(new_hosteld, busybox_tar):
    """A hosteld with 256 MiB of room, of which `holder` has 200."""
    d = new_hosteld(*SMALL, '--hold-timeout', '2s')
    d.ok('load', '-q', '-i', busybox_tar)
    d.ok('run', '-d', '--name', 'holder', '-m', '200m', 'busybox', 'sleep', '600')
    return d


def waits(d, *names, memory='150m'):
    """Durable starts that wait, in this order; no two of them fit at once."""
    for name in names:
        p = d.hostel('run', '-d', '--name', name, '-m', memory, 'busybox', 'sleep', '600')
        assert p.returncode == 0 and p.err.startswith('queued: '), p.err


def queue(d):
    return [i['name'] for i in d.api('GET', '/hostel/v1/queue').json]


def reason(d, name):
    return next(i['reason'] for i in d.api('GET', '/hostel/v1/queue').json if i['name'] == name)


def state(d, name):
    return d.api('GET', f'/hostel/v1/instances/{name}').json['state']


def ends(d, name):
    d.ok('stop', '-t', '0', name)


def runs(d, name):
    wait_for(lambda: state(d, name) == 'running', text=f'{name} does not run')


def refused(d, *args, says, code=1):
    p = d.hostel(*args)
    assert (p.returncode, p.out, p.err) == (code, '', f'hostel: {says}')


# ---- hold, release ----

def test_a_held_one_is_passed_over_and_blocks_nobody_until_it_is_released(full):
    waits(full, 'aa', 'bb')
    assert full.ok('queue', 'hold', 'aa') == 'aa'
    wait_for(lambda: reason(full, 'aa') == 'held by root; hostel queue release aa lets it start in its turn')
    assert 'held by root; hostel queue release aa' in full.ok('queue')
    assert full.ok('queue', 'hold', 'aa') == 'aa'  # again
    ends(full, 'holder')
    runs(full, 'bb')
    ends(full, 'bb')
    assert state(full, 'aa') == 'queued'
    full.ok('queue', 'release', 'aa')
    runs(full, 'aa')
    refused(full, 'queue', 'release', 'aa', says='aa is running; it does not wait in the queue')
    refused(full, 'queue', 'hold', 'bb', says='bb is exited; it does not wait in the queue')
    refused(full, 'queue', 'cancel', 'bb', says='bb is exited; it does not wait in the queue')
    refused(full, 'queue', 'hold', 'nobody', says='No such container: nobody')
    # The hold was of that start.
    ends(full, 'aa')
    full.ok('start', 'aa')


def test_several_are_held_one_bad_name_among_them(full):
    waits(full, 'aa', 'bb')
    p = full.hostel('queue', 'hold', 'aa', 'nobody', 'bb')
    assert (p.returncode, p.out, p.err) == (1, 'aa\nbb', 'hostel: No such container: nobody')
    refused(full, 'queue', 'release', 'holder', says='holder is running; it does not wait in the queue')
    full.ok('queue', 'release', 'aa')
    refused(full, 'queue', 'release', 'aa', says='aa is not held')


# ---- cancel ----

def test_cancel_withdraws_and_the_client_that_waits_is_told(full):
    p = full.popen('run', '--name', 'late', '-m', '150m', 'busybox', 'true')
    wait_for(lambda: queue(full) == ['late'])
    assert full.ok('queue', 'cancel', 'late') == 'late'
    out, err = p.communicate(timeout=60)
    assert p.returncode == 125 and 'withdrawn: cancelled in the queue by root' in err, err
    assert state(full, 'late') == 'created' and queue(full) == []
    # One that nobody waits for, one with --rm, and Docker's start.
    waits(full, 'durable')
    full.ok('queue', 'cancel', 'durable')
    assert state(full, 'durable') == 'created'
    full.ok('run', '-d', '--rm', '--name', 'gone', '-m', '150m', 'busybox', 'true')
    full.ok('queue', 'cancel', 'gone')
    wait_for(lambda: full.api('GET', '/containers/gone/json').status == 404)
    full.ok('create', '--name', 'docker', '-m', '150m', 'busybox', 'true')
    answers = []
    t = threading.Thread(target=lambda: answers.append(full.api('POST', '/containers/docker/start')), daemon=True)
    t.start()
    wait_for(lambda: queue(full) == ['docker'])
    full.ok('queue', 'cancel', 'docker')
    t.join(60)
    assert answers[0].status == 500 and 'cancelled in the queue by root' in answers[0].json['message']


# ---- move ----

def test_moves_change_the_order_and_the_order_is_what_starts(full):
    waits(full, 'aa', 'bb', 'cc', 'dd')
    assert queue(full) == ['aa', 'bb', 'cc', 'dd']
    assert full.ok('queue', 'move', 'dd', '--first') == 'dd'
    assert queue(full) == ['dd', 'aa', 'bb', 'cc']
    full.ok('queue', 'move', 'dd', '--last')
    full.ok('queue', 'move', 'bb', '--before', 'aa')
    assert queue(full) == ['bb', 'aa', 'cc', 'dd']
    full.ok('queue', 'move', 'bb', '--after', 'cc')
    assert queue(full) == ['aa', 'cc', 'bb', 'dd']
    waits(full, 'ee')
    assert queue(full)[-1] == 'ee'
    ends(full, 'holder')
    for name in ('aa', 'cc', 'bb', 'dd', 'ee'):
        runs(full, name)
        ends(full, name)


def test_a_move_holds_against_the_order_of_the_policy(full):
    full.ok('policy', 'set', '--allocate', 'priority/easy')
    for name, priority in (('low', 1), ('mid', 2), ('high', 3)):
        full.ok('run', '-d', '--name', name, '-m', '150m', '--label', f'hostel.priority={priority}', 'busybox', 'sleep', '600')
    assert queue(full) == ['high', 'mid', 'low']
    full.ok('queue', 'move', 'low', '--before', 'mid')
    assert queue(full) == ['high', 'low', 'mid']
    full.ok('run', '-d', '--name', 'top', '-m', '150m', '--label', 'hostel.priority=9', 'busybox', 'sleep', '600')
    assert queue(full) == ['high', 'low', 'top', 'mid']


def test_bad_moves_are_one_clear_line(full):
    waits(full, 'aa', 'bb')
    full.ok('run', '-d', '--name', 'free', 'busybox', 'sleep', '600')
    one = 'one of --first, --last, --before OTHER and --after OTHER'
    refused(full, 'queue', 'move', 'aa', says=f'name {one}')
    refused(full, 'queue', 'move', 'aa', '--first', '--before', 'bb', says=f'only {one}')
    refused(full, 'queue', 'move', 'aa', '--before', 'aa', says='aa cannot stand before or after itself')
    refused(full, 'queue', 'move', 'aa', '--after', 'holder', says='holder is running; it does not wait in the queue')
    refused(full, 'queue', 'move', 'aa', '--after', 'nobody', says='No such container: nobody')
    refused(full, 'queue', 'move', 'free', '--first', says='free is running; it does not wait in the queue')
    for body, says in (({'where': 'up'}, 'where is first, last, before or after, not "up"'), (None, 'where is first'),
                       ({'where': 'after'}, '"other" says after which instance')):
        a = full.api('POST', '/hostel/v1/queue/aa/move', body)
        assert a.status == 400 and a.json['message'].startswith(says), a.body
    assert queue(full) == ['aa', 'bb']


# ---- the daemon's death ----

def test_holds_places_and_the_order_of_arrival_outlive_the_daemon(full):
    full.ok('create', '--name', 'xx', '-m', '150m', 'busybox', 'sleep', '600')  # created first, queued last
    waits(full, 'aa', 'bb', 'cc')
    full.ok('start', '-d', 'xx')
    full.ok('queue', 'move', 'cc', '--first')
    full.ok('queue', 'hold', 'aa')
    before = full.api('GET', '/hostel/v1/queue').json
    assert [i['name'] for i in before][:1] == ['cc']
    full.kill()
    full.start()
    after = full.api('GET', '/hostel/v1/queue').json
    assert [(i['name'], i['place'], i['held']) for i in after] == [(i['name'], i['place'], i['held']) for i in before]
    wait_for(lambda: reason(full, 'aa').startswith('held by root'))
    ends(full, 'holder')
    for name in ('cc', 'bb', 'xx'):
        runs(full, name)
        ends(full, name)
    assert state(full, 'aa') == 'queued'


def test_waiting_names_complete(full):
    waits(full, 'apple', 'avocado')
    assert full.ok('__complete', '--', 'queue', 'hold', 'a').split() == ['apple', 'avocado']
    assert full.ok('__complete', '--', 'queue', 'move', 'apple', '--before', '').split() == ['apple', 'avocado']
    assert full.ok('__complete', '--', 'queue', 'm').split() == ['move']


def test_a_vm_is_held_moved_and_released_as_a_container(kernel):
    """One of both kinds waits for the memory that the other has asked for, too."""
    d = kernel
    total = d.api('GET', '/hostel/v1/resources').json['R_free']['memory_bytes'] >> 20
    d.ok('run', '-d', '--name', 'holder', '-m', f'{total - 100}m', 'busybox', 'sleep', '600')
    for name, kind in (('ctr', []), ('vm', ['--vm'])):
        d.ok('run', '-d', '--name', name, *kind, '-m', '200m', 'busybox', 'sleep', '600')
    assert queue(d) == ['ctr', 'vm']
    d.ok('queue', 'move', 'vm', '--first')
    d.ok('queue', 'hold', 'ctr', 'vm')
    assert queue(d) == ['vm', 'ctr']
    ends(d, 'holder')
    assert d.ok('queue', 'release', 'vm') == 'vm'
    runs(d, 'vm')
    assert state(d, 'ctr') == 'queued'
    d.ok('queue', 'cancel', 'ctr')
    assert state(d, 'ctr') == 'created'


# ---- drain ----

def test_a_drained_host_starts_nothing_new_and_says_so_until_it_is_taken_back(full):
    out = full.ok('drain')
    assert out == 'draining: 1 run (holder), 0 wait'
    full.ok('create', '--name', 'small', '-m', '16m', 'busybox', 'sleep', '600')
    p = full.hostel('start', '-d', 'small')
    text = rf'drain: nothing new starts on this host since \d{{4}}-\d\d-\d\d \d\d:\d\d \(root\); hostel drain --off ends it'
    assert p.returncode == 0 and re.fullmatch(f'queued: {text}', p.err), p.err
    p = full.hostel('queue')
    assert re.search(text, p.out) and re.fullmatch(text, p.err)
    assert json.loads(full.ok('info', '--format', 'json'))['drain']['draining'] is True
    assert state(full, 'holder') == 'running'
    # Docker's client is not lied to.
    full.ok('create', '--name', 'docker', 'busybox', 'true')  # declares nothing
    a = full.api('POST', '/containers/docker/start')
    assert a.status == 500 and re.fullmatch(f'not started: {text}, or label hostel.queue=wait', a.json['message']), a.body
    full.kill()
    full.start()
    assert full.ok('drain') == 'draining: 1 run (holder), 1 wait'  # once more changes nothing
    ends(full, 'holder')
    assert state(full, 'small') == 'queued'
    assert full.ok('drain', '--off').startswith('not draining: ')
    runs(full, 'small')
    assert full.hostel('queue').err == ''


def test_drain_wait_returns_when_nothing_runs_and_policies_wait_with_the_rest(full):
    full.ok('run', '-d', '--name', 'again', '--restart', 'always', '-m', '16m', 'busybox', 'sh', '-c', 'sleep 1; exit 3')
    full.ok('run', '-d', '--name', 'asked', '-m', '16m', 'busybox', 'sleep', '600')
    p = full.popen('drain', '--wait')
    wait_for(lambda: full.api('GET', '/hostel/v1/drain').json['draining'])
    full.ok('restart', '-t', '0', 'asked')  # what a user asks of what runs goes on
    runs(full, 'asked')
    wait_for(lambda: state(full, 'again') == 'requeued' and 'again' in queue(full), text='again does not wait')
    assert p.poll() is None
    lines = []  # it looks every now and then
    while 'draining: 2 run (holder, asked), 1 wait' not in lines:
        lines.append(p.stderr.readline().strip())
        assert lines[-1], lines
    ends(full, 'asked')
    ends(full, 'holder')
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0 and out.strip() == 'draining: 0 run, 1 wait', (out, err)
    # The host is started anew: what was to run stays in the queue, and starts when the drain is over.
    full.kill()
    os.environ['HOSTEL_BOOT_ID'] = 'another-boot'
    try:
        full.start()
    finally:
        del os.environ['HOSTEL_BOOT_ID']
    assert queue(full) == ['again'] and reason(full, 'again').startswith('drain: ')
    full.ok('drain', '--off')
    runs(full, 'again')


def test_a_drain_that_somebody_ends_ends_its_wait(full):
    p = full.popen('drain', '--wait')
    wait_for(lambda: full.api('GET', '/hostel/v1/drain').json['draining'])
    full.ok('drain', '--off', '-q')
    out, err = p.communicate(timeout=60)
    assert p.returncode == 1 and err.splitlines()[-1] == 'hostel: somebody has ended the drain'
    refused(full, 'drain', '--off', '--wait', says='--off and --wait together mean nothing')
    a = full.api('POST', '/hostel/v1/drain', {'on': 'yes'})
    assert a.status == 400 and a.json['message'] == '"on" is true or false'


# ---- quotas ----

def as_user(d, uid, *args):
    """The command as another user who may use the socket."""
    os.chmod(d.socket, 0o666)
    for path in (d.dir, d.run_dir):
        os.chmod(path, 0o755)
    cli = d.dir / 'hostel'  # the build's folder may be root's alone
    if not cli.exists():
        shutil.copy(d.cli, cli)
    return run(cli, *args, env={**d.env, 'HOME': '/'}, user=uid, group=uid, extra_groups=[])


def test_a_user_over_his_quota_waits_and_nobody_else(full):
    ends(full, 'holder')
    assert full.ok('quota', 'set', '4242', '--memory', '100m', '--instances', '3') == '4242'
    for name in ('u1', 'u2'):
        as_user(full, 4242, 'run', '-d', '--name', name, '-m', '60m', 'busybox', 'sleep', '600')
    runs(full, 'u1')
    wait_for(lambda: reason(full, 'u2') == 'quota: memory: needs 60 MiB, 40 MiB left of 100 MiB; held by u1 (no end known)')
    full.ok('run', '-d', '--name', 'root1', '-m', '60m', 'busybox', 'sleep', '600')
    runs(full, 'root1')
    assert 'quota: memory: needs 60 MiB' in full.ok('queue')
    assert re.search(r'^4242 +60 MiB / 100 MiB +0 +0 B +0 +1 / 3$', full.ok('quota', 'ls'), re.M), full.ok('quota', 'ls')
    # What never fits is refused at once.
    p = as_user(full, 4242, 'run', '--name', 'big', '-m', '120m', 'busybox', 'true')
    assert p.returncode == 125 and 'not started: quota: memory: needs 120 MiB, its user may hold 100 MiB' in p.err, p.err
    # It outlives the daemon, and so do those that wait for it.
    full.kill()
    full.start()
    wait_for(lambda: (reason(full, 'u2') or '').startswith('quota: memory: needs 60 MiB, 40 MiB left'))
    full.ok('quota', 'set', '4242', '--memory', '0')
    runs(full, 'u2')
    # Best effort counts as an instance.
    full.ok('quota', 'set', '4242', '--instances', '2')
    p = as_user(full, 4242, 'run', '-d', '--name', 'free', 'busybox', 'sleep', '600')
    assert p.err == 'queued: quota: instances: 2 at once; held by u1, u2 (no end known)', p.err
    assert full.ok('quota', 'rm', '4242') == '4242'
    runs(full, 'free')
    assert full.ok('quota', 'ls').splitlines()[1:] == []


def test_a_bad_quota_is_one_clear_line(full):
    refused(full, 'quota', 'set', 'root', says='name a limit: --memory, --cpus, --disk, --gpus or --instances')
    refused(full, 'quota', 'set', 'no-such-user', '--cpus', '1', says='no such user: no-such-user')
    refused(full, 'quota', 'set', 'root', '--memory', '64', says='--memory: 64 is less than 1 MiB; say 512m or 64g')
    refused(full, 'quota', 'rm', 'root', says='root has no quota')
    assert 'hostel: --instances' in full.hostel('quota', 'set', 'root', '--instances', 'many').err
    assert full.hostel('quota', 'set', 'root', '--instances', '-2').returncode == 1
    for body in ({}, {'memory': 1}, {'instances': 'x'}):
        assert full.api('POST', '/hostel/v1/quotas/root', body).status == 400
    p = as_user(full, 4242, 'quota', 'set', '4242', '--cpus', '1')
    assert (p.returncode, p.err) == (1, 'hostel: only root may change quotas')
    full.ok('quota', 'set', 'root', '--cpus', '1.5')
    assert [(q['user'], q['cpu_milli'], q['instances']) for q in json.loads(full.ok('quota', 'ls', '--format', 'json'))] \
        == [('root', 1500, 0)]
    full.ok('quota', 'set', 'root', '--instances', '7')
    assert full.ok('quota', 'ls', '--format', '{{.user}} {{.cpu_milli}} {{.instances}}') == 'root 1500 7'
    assert full.ok('__complete', '--', 'quota', 'rm', '').split() == ['root']


# ---- expected starts ----

HOUR = 3600 * 10**9


def test_an_expected_start_is_known_where_the_ends_before_it_are(new_hosteld, busybox_tar):
    d = new_hosteld(*SMALL)
    d.ok('load', '-q', '-i', busybox_tar)
    d.ok('run', '-d', '--name', 'holder', '-m', '200m', '--expect', '2h', 'busybox', 'sleep', '600')
    for name, expect in (('first', ['--expect', '1h']), ('second', []), ('third', [])):
        d.ok('run', '-d', '--name', name, '-m', '150m', *expect, 'busybox', 'sleep', '600')

    def starts():
        return {q['name']: q['expected_start_ns'] for q in described(d, d.api('GET', '/hostel/v1/queue').json, {'type': 'array', 'items': 'Waiting'})}

    def right(seen):
        """The holder ends 2 h after its admission, the first one 1 h later; when the second ends nobody can know."""
        admitted = next(s['admission_ns'] for s in d.api('GET', '/hostel/v1/accounting').json['starts'] if s['name'] == 'holder')
        near = lambda ns, other: abs(ns - other) < 60 * 10**9
        return (list(seen) == ['first', 'second', 'third'] and near(seen['first'], admitted + 2 * HOUR)
                and near(seen['second'], seen['first'] + HOUR) and seen['third'] is None)
    assert right(starts()), starts()
    row = next(csv.DictReader(d.ok('queue', '--format', 'csv').splitlines()))
    assert (row['estimate_ns'], row['estimate_source']) == (str(HOUR), 'given') and int(row['expected_start_ns']) > 0
    d.kill()
    d.start()
    assert right(starts()), starts()
    # What blocks nobody is in nobody's way; what nobody knows the end of is, and so is a drained host.
    d.ok('queue', 'hold', 'second')
    seen = starts()
    assert seen['second'] is None and seen['third'] > seen['first']
    d.ok('drain')
    assert set(starts().values()) == {None}
    d.ok('drain', '--off')
    d.ok('run', '-d', '--name', 'endless', '-m', '50m', 'busybox', 'sleep', '600')
    d.ok('queue', 'move', 'first', '--last')
    d.ok('rm', '-f', 'holder')
    runs(d, 'third')
    assert set(starts().values()) == {None}, starts()


# ---- output ----

def test_the_queue_is_shown_as_csv_and_again_each_second(full):
    waits(full, 'aa', 'bb')
    rows = list(csv.DictReader(full.ok('queue', '--format', 'csv').splitlines()))
    assert [(r['position'], r['name'], r['memory_bytes'], r['held']) for r in rows] == \
        [('1', 'aa', str(150 << 20), 'false'), ('2', 'bb', str(150 << 20), 'false')]
    assert rows[0]['reason'] == reason(full, 'aa')
    assert {(r['expected_start_ns'], r['estimate_ns'], r['estimate_source']) for r in rows} == {('', '', '')}
    p = full.popen('queue', '--watch')
    try:
        assert [p.stdout.readline().split()[0] for _ in range(3)] == ['NAME', 'aa', 'bb']
        full.ok('queue', 'move', 'bb', '--first')
        for _ in range(20):
            names = [p.stdout.readline().split()[0] for _ in range(3)]
            if names == ['NAME', 'bb', 'aa']:
                break
        assert names == ['NAME', 'bb', 'aa']
    finally:
        p.kill()
        p.communicate()
