# SPDX-License-Identifier: Apache-2.0
"""Who of those that run is frozen now: hosteld --schedule and --quantum, on real instances."""
import pathlib, time

import pytest

from conftest import waiter
from test_engine_vm import kernel_deb  # noqa: F401 (a fixture)
from test_recovery import crash

wait_for = waiter(60, 0.02)

BUSY = ['busybox', 'sh', '-c', 'while :; do :; done']
ONE_CPU = ('--cpus-total', '1', '--overcommit-cpu', '8', '--memory-total', '4g', '--reserve-memory', '64m',
           '--manage-memory', '512m')


@pytest.fixture
def sliced(new_hosteld, busybox_tar):
    """Function that starts a hosteld of one cpu under a policy."""
    def make(policy, quantum='50ms'):
        d = new_hosteld(*ONE_CPU, '--schedule', policy, '--quantum', quantum)
        d.ok('load', '-q', '-i', busybox_tar)
        return d
    return make


def busy(d, name, *options):
    """A busy container of one cpu; its id."""
    return d.ok('run', '-d', '--name', name, '--cpus', '1', *options, *BUSY)


def group(d, controller, id):
    for top in (f'/sys/fs/cgroup/{controller}', '/sys/fs/cgroup'):
        path = pathlib.Path(top, d.cgroup, id)
        if path.is_dir():
            return path
    raise AssertionError(f'no cgroup of {id}')


def frozen(d, id):
    """Is it stopped, by the kernel's word?"""
    with open(group(d, 'unified', id) / 'cgroup.events') as f:
        return 'frozen 1' in f.read()


def is_asked(d, id):
    """Was it asked to stop? On a host with no cpu to spare it may take a while until it has."""
    return (group(d, 'unified', id) / 'cgroup.freeze').read_text() == '1\n'


def cpu_ns(d, id):
    for controller, file in (('cpuacct', 'cpuacct.usage'), ('unified', 'cpu.stat')):
        path = pathlib.Path('/sys/fs/cgroup', controller, d.cgroup, id, file)
        if path.exists() and file == 'cpuacct.usage':
            return int(path.read_text())
    text = (group(d, 'unified', id) / 'cpu.stat').read_text()
    return int(text.split('usage_usec ')[1].split()[0]) * 1000


def moves(d, id, by=20_000_000, timeout=30):
    """It gets cpu time from now on."""
    begin = cpu_ns(d, id)
    return wait_for(lambda: cpu_ns(d, id) - begin > by, timeout, 'it does not run')


def stands(d, id, seconds=0.5):
    begin = cpu_ns(d, id)
    time.sleep(seconds)
    return cpu_ns(d, id) - begin < 5_000_000 and frozen(d, id)


def instance(d, name):
    return d.api('GET', f'/hostel/v1/instances/{name}').json


def schedule(d):
    return d.api('GET', '/hostel/v1/resources').json['schedule']


# ---- rr ----

def test_rr_lets_them_run_in_turns_and_never_two_at_once(sliced):
    d = sliced('rr', '30ms')
    ids = [busy(d, f'b{n}') for n in range(4)]
    assert schedule(d)['demand_milli'] == 4000 and schedule(d)['policy'] == 'rr'
    begin, awake_together, seen_awake = [cpu_ns(d, i) for i in ids], 0, set()
    end = time.monotonic() + 6
    while time.monotonic() < end:
        # One after the other: let run before and after all others were looked at means that it was throughout.
        before = [i for i in ids if not is_asked(d, i)]
        after = [i for i in ids if not is_asked(d, i)]
        both = set(before) & set(after)
        seen_awake |= both
        awake_together += len(both) > 1
        time.sleep(0.003)
    used = [cpu_ns(d, i) - b for i, b in zip(ids, begin)]
    assert seen_awake == set(ids)
    assert awake_together == 0
    mean = sum(used) / 4
    assert all(mean / 4 < u < mean * 3 for u in used), used
    # Docker knows nothing of it.
    for n in range(4):
        s = d.api('GET', f'/containers/b{n}/json').json['State']
        assert (s['Status'], s['Paused'], s['Running']) == ('running', False, True)
    wait_for(lambda: any(instance(d, f'b{n}')['sliced'] for n in range(4)))
    record = {r['name']: r for r in d.api('GET', '/hostel/v1/accounting').json['starts']}
    assert all(record[f'b{n}']['sliced_ns'] > 0 for n in range(4)), record
    assert all(r['T_ns'] + r['waiting_ns'] == r['turnaround_ns'] for r in record.values())


def test_nobody_is_frozen_while_all_fit_or_declare_nothing(sliced):
    d = sliced('rr', '10ms')
    ids = [d.ok('run', '-d', '--name', f'half{n}', '--cpus', '0.5', *BUSY) for n in range(2)]
    ids += [d.ok('run', '-d', '--name', f'free{n}', *BUSY) for n in range(2)]
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert not any(frozen(d, i) for i in ids)
        time.sleep(0.002)
    assert schedule(d) == {'policy': 'rr', 'quantum_ns': 10_000_000, 'demand_milli': 1000, 'cpu_milli': 1000, 'sliced': 0}


# ---- what must work on a frozen one ----

@pytest.fixture
def waiting(sliced):
    """fcfs: `first` runs, `second` is frozen for as long as that lasts."""
    d = sliced('fair')
    d.first = busy(d, 'first')
    d.second = d.ok('run', '-d', '--name', 'second', '--cpus', '1', 'busybox', 'sh', '-c',
                    'trap "exit 7" TERM; trap "echo got it" USR1; echo up; while :; do :; done')
    wait_for(lambda: d.ok('logs', 'second') == 'up')
    d.ok('policy', 'set', '--schedule', 'fcfs')
    wait_for(lambda: frozen(d, d.second))
    return d


def test_fcfs_runs_the_next_when_the_first_has_ended(waiting):
    d = waiting
    assert stands(d, d.second) and not frozen(d, d.first)
    d.ok('kill', 'first')
    moves(d, d.second)


def test_back_to_fair_lets_all_run(waiting):
    d = waiting
    d.ok('policy', 'set', '--schedule', 'fair')
    assert moves(d, d.second) and moves(d, d.first)
    assert not frozen(d, d.second) and schedule(d)['sliced'] == 0
    for bad in (('--quantum', '1us'), ('--allocate', 'nonsense', '--schedule', 'rr')):
        assert d.hostel('policy', 'set', *bad).returncode
    assert schedule(d)['policy'] == 'fair'


def test_stop_kill_and_rm_of_a_frozen_one(waiting):
    d = waiting
    d.ok('kill', '-s', 'USR1', 'second')
    wait_for(lambda: 'got it' in d.ok('logs', 'second'))
    wait_for(lambda: frozen(d, d.second))
    d.ok('stop', '-t', '60', 'second', timeout=50)
    assert instance(d, 'second')['exit_code'] == 7
    d.ok('start', 'second')
    wait_for(lambda: frozen(d, d.second))
    d.ok('kill', 'second')
    wait_for(lambda: instance(d, 'second')['state'] == 'exited')
    d.ok('start', 'second')
    wait_for(lambda: frozen(d, d.second))
    d.ok('rm', '-f', 'second')
    assert not frozen(d, d.first) and moves(d, d.first)


def test_exec_and_cp_of_a_frozen_one(waiting, tmp_path):
    d = waiting
    assert d.ok('exec', 'second', 'echo', 'inside', timeout=60) == 'inside'
    wait_for(lambda: frozen(d, d.second), text='it is not frozen again after its exec')
    shell = d.popen('exec', 'second', 'sh', '-c', 'echo in; sleep 1000')
    try:
        assert shell.stdout.readline() == 'in\n'
        assert not frozen(d, d.second) and moves(d, d.second)
    finally:
        shell.kill()
        shell.wait()
    d.ok('exec', 'second', 'killall', 'sleep')
    wait_for(lambda: frozen(d, d.second))
    (tmp_path / 'there').write_text('and back')
    d.ok('cp', tmp_path / 'there', 'second:/tmp/x')
    d.ok('cp', 'second:/tmp/x', tmp_path / 'back')
    assert (tmp_path / 'back').read_text() == 'and back'
    assert frozen(d, d.second)


def test_a_users_pause_and_time_slicing_are_two_reasons(waiting):
    d = waiting
    paused = lambda: d.api('GET', '/containers/second/json').json['State']['Paused']
    d.ok('pause', 'second')
    assert paused() and frozen(d, d.second)
    d.ok('kill', 'first')
    wait_for(lambda: instance(d, 'first')['state'] == 'exited')
    assert stands(d, d.second), 'its turn has come, but its user paused it'
    d.ok('start', 'first')
    moves(d, d.first)
    d.ok('unpause', 'second')
    assert not paused()
    assert stands(d, d.second), 'unpaused, but it is not its turn'
    d.ok('pause', 'first')
    moves(d, d.second)
    assert frozen(d, d.first)
    d.ok('unpause', 'first')
    assert stands(d, d.first)


# ---- priority ----

def test_an_important_one_is_let_run_at_once_and_the_lesser_goes_on_afterwards(sliced):
    d = sliced('priority')
    low = busy(d, 'low')
    moves(d, low)
    high = busy(d, 'high', '--priority', '5')
    wait_for(lambda: frozen(d, low))
    assert moves(d, high) and stands(d, low)
    equal = busy(d, 'equal', '--priority', '5')
    wait_for(lambda: frozen(d, equal))
    assert not frozen(d, high)
    d.ok('rm', '-f', 'high', 'equal')
    moves(d, low)


def test_age_lets_the_lesser_run_too_and_is_changed_live(sliced):
    d = sliced('priority')
    d.ok('policy', 'set', '--age', '0')
    high = busy(d, 'high', '--priority', '1')
    low = busy(d, 'low')
    wait_for(lambda: frozen(d, low))
    assert moves(d, high) and stands(d, low)
    shown = d.ok('policy', 'set', '--age', '50ms', '--boost', '3s')
    assert 'age: 0.050 s' in shown and 'boost: 3.000 s' in shown
    assert moves(d, low) and moves(d, high)
    d.kill()
    d.start()
    now = d.api('GET', '/hostel/v1/policy').json
    assert (now['age_ns'], now['boost_ns']) == (50_000_000, 3_000_000_000)
    refused = d.hostel('policy', 'set', '--age', '9000h')
    assert refused.returncode and 'age: expected 0 to 1 year' in refused.err


# ---- srtf ----

def test_srtf_knows_what_runs_before_took(sliced):
    d = sliced('srtf')
    once = ('busybox', 'sh', '-c', 'while [ ! -e /go ]; do :; done')
    d.ok('run', '-d', '--name', 'before', '--cpus', '1', *once)
    d.ok('exec', '-d', 'before', 'touch', '/go')
    assert d.ok('wait', 'before') == '0'
    long = busy(d, 'long', '--expect', '100h')
    moves(d, long)
    learned = d.ok('run', '-d', '--name', 'learned', '--cpus', '1', *once)
    wait_for(lambda: frozen(d, long), text='the shorter one does not come first')
    assert moves(d, learned)
    d.ok('policy', 'set', '--estimate', 'given')
    unknown = d.ok('run', '-d', '--name', 'unknown', '--cpus', '1', *once)
    d.ok('rm', '-f', 'learned')
    wait_for(lambda: frozen(d, unknown), text='what nobody knows of is not the last')
    assert moves(d, long) and stands(d, unknown)


# ---- the daemon's life ----

def test_nothing_stays_frozen_without_a_daemon_but_what_its_user_paused(waiting):
    d = waiting
    third = busy(d, 'third')
    d.ok('pause', 'third')
    d.options[d.options.index('fair')] = 'fcfs'
    d.kill()
    moves(d, d.second)
    assert stands(d, third)
    d.start()
    wait_for(lambda: frozen(d, d.second) != frozen(d, d.first), text='they are not in line again')
    assert stands(d, third)
    assert d.api('GET', '/containers/third/json').json['State']['Paused']
    d.stop()
    wait_for(lambda: not frozen(d, d.second) and not frozen(d, d.first))
    assert frozen(d, third)
    d.options[d.options.index('fcfs')] = 'rr'
    d.start()
    assert moves(d, d.first) and moves(d, d.second)
    d.ok('unpause', 'third')
    moves(d, third)


def test_one_that_was_unpaused_out_of_its_turn_does_not_stay_frozen_after_a_crash(waiting):
    d = waiting
    d.ok('pause', 'second')
    d.ok('unpause', 'second')
    assert stands(d, d.second)
    d.kill()
    moves(d, d.second)
    d.start()
    assert not d.api('GET', '/containers/second/json').json['State']['Paused']


def test_a_policy_that_is_none_is_refused(new_hosteld):
    d = new_hosteld('--schedule', 'lottery', start=False)
    with pytest.raises(RuntimeError, match='fcfs, rr, priority, srtf, mlfq, fair'):
        d.start()


# ---- fair ----

def test_fair_hands_weights_to_the_kernel(sliced):
    d = sliced('fair')
    shares = {}
    for name, options in (('usual', []), ('more', ['--priority', '3']), ('said', ['--priority', '3', '--cpu-shares', '300'])):
        id = busy(d, name, *options)
        path = pathlib.Path('/sys/fs/cgroup/cpu', d.cgroup, id, 'cpu.shares')
        if not path.exists():
            pytest.skip('no cgroup v1')
        shares[name] = int(path.read_text())
        assert moves(d, id)
    assert shares == {'usual': 1024, 'more': 2000, 'said': 300}


# ---- VMs ----

def test_vms_take_turns_with_containers_and_can_be_reached(sliced, kernel_deb):  # noqa: F811
    d = sliced('rr', '100ms')
    d.ok('kernel', 'add', '--name', 'cloud', kernel_deb)
    vm = d.ok('run', '-d', '--vm', '--name', 'vm', '-m', '256m', *BUSY, timeout=120)
    container = busy(d, 'beside')
    for id in (vm, container):
        wait_for(lambda: frozen(d, id), text='never frozen')
        wait_for(lambda: not frozen(d, id), text='always frozen')
        moves(d, id)
    assert d.ok('exec', 'vm', 'echo', 'inside', timeout=120) == 'inside'
    d.ok('pause', 'vm')
    wait_for(lambda: not frozen(d, container))
    d.ok('unpause', 'vm')
    moves(d, vm)
    assert d.ok('exec', 'vm', 'echo', 'again', timeout=120) == 'again'
    d.kill()
    wait_for(lambda: not frozen(d, vm) and not frozen(d, container))
    d.start()
    wait_for(lambda: frozen(d, vm))
    d.ok('stop', '-t', '5', 'vm', timeout=120)
    assert instance(d, 'vm')['state'] == 'exited'
