# SPDX-License-Identifier: Apache-2.0
"""The event log: what hosteld writes of its scheduler, over its life, death and a full log; and its replay."""
import contextlib
import json
import os
import random
import time

import pytest

from conftest import Hosteld, need, run, waiter

wait_for = waiter(120)

LETTERS = 'BTPVGQOAKULHMEWRDSXNCcZIF' + 'paeldsm'


class Log:
    """A log as its readers see it: (time, letter, words); a line without a newline is the end."""

    def __init__(self, path):
        head, *lines = path.read_text().split('\n')
        magic, version, wall = head.split()
        assert (magic, version) == ('hostel-events', '1') and int(wall) > 0
        assert lines.pop() == ''
        self.records, at = [], 0
        for line in filter(None, lines):
            delta, letter, *words = line.split()
            assert int(delta) >= 0 and letter in LETTERS
            at += int(delta)
            self.records.append((at, letter, words))

    def of(self, letters):
        return [(l, w) for _, l, w in self.records if l in letters]

    def numbers(self, letter):
        return [int(w[0]) for _, w in self.of(letter)]


def log_of(d):
    return Log(d.root / 'events.log')


def small(new_hosteld, busybox_tar, *options):
    d = new_hosteld('--cpus-total', '2', '--overcommit-cpu', '1', *options)
    d.ok('load', '-q', '-i', busybox_tar)
    return d


def finish(d):
    """Its log, as it is when it is written to no more; then it goes on."""
    d.stop()
    g = log_of(d)
    d.start()
    return g


def states(d):
    return [i['state'] for i in d.api('GET', '/hostel/v1/instances?all=true').json]


def test_a_start_its_wait_and_its_end_are_in_the_log_in_order(new_hosteld, busybox_tar):
    d = small(new_hosteld, busybox_tar)
    d.ok('run', '-d', '--cpus', '2', '--name', 'first', 'busybox', 'sleep', '600')
    d.ok('run', '-d', '--cpus', '1', '--name', 'second', 'busybox', 'sh', '-c', 'exit 3')
    d.ok('rm', '-f', 'first')
    assert d.ok('wait', 'second') == '3'
    g = finish(d)
    assert [(l, w[0]) for l, w in g.of('ADSEW')] == [
        ('A', '1'), ('D', '1'), ('S', '1'), ('A', '2'), ('E', '1'), ('D', '2'), ('S', '2'), ('E', '2')]
    assert g.of('A')[0][1][3:5] == ['2000', '-']
    assert [w[1] for _, w in g.of('E')] == ['137', '3']
    assert g.of('P')[-1][1] == ['fcfs/easy']
    # A pass stands before what it decided, and what others hold before the pass that heeds it.
    before = {'D': 'RD'}
    for (_, a, _), (_, b, _) in zip(g.records, g.records[1:]):
        assert b not in before or a in before[b]


def test_after_a_death_the_log_goes_on_with_what_is_there(new_hosteld, busybox_tar):
    d = small(new_hosteld, busybox_tar)
    d.ok('run', '-d', '--cpus', '1', '--name', 'runs', 'busybox', 'sleep', '600')
    d.ok('run', '-d', '--cpus', '1', '--name', 'ends', 'busybox', 'sh', '-c', 'while [ ! -e /go ]; do sleep 0.1; done; exit 5')
    d.ok('run', '-d', '--cpus', '1', '--name', 'waits', 'busybox', 'true')
    wait_for(lambda: d.api('GET', '/hostel/v1/instances/ends').json['state'] == 'running')
    d.ok('exec', 'ends', 'true')
    d.kill()
    size = (d.root / 'events.log').stat().st_size
    with open(d.root / 'events.log', 'a') as f:
        f.write('17 A 99 torn')
    d.start()
    d.ok('exec', 'ends', 'touch', '/go')
    assert d.ok('wait', 'waits') == '0'
    g = finish(d)
    text = (d.root / 'events.log').read_text()
    assert 'torn' not in text and text[size - 1] == '\n'
    assert g.numbers('A') == [1, 2, 3, 3] and g.numbers('K') == [1, 2]
    assert [w[0] for _, w in g.of('E')] == ['2', '3']
    times = [t for t, _, _ in g.records]
    assert times == sorted(times)
    begins = [n for n, (_, l, _) in enumerate(g.records) if l == 'B']
    assert len(begins) == 2
    # The third arrived long before: its place by arrival is kept.
    assert int([w for _, l, w in g.records[begins[1]:] if l == 'A'][0][12]) > 0


def test_what_ended_while_hosteld_was_dead_ended_when_it_did(new_hosteld, busybox_tar):
    d = small(new_hosteld, busybox_tar)
    d.ok('run', '-d', '--cpus', '1', '--name', 'short', 'busybox', 'sleep', '1')
    record = next((d.root / 'instances').glob('*/spec.json')).parent / 'exit.json'
    d.kill()
    wait_for(record.exists)
    time.sleep(2)  # it is told so much later
    d.start()
    assert d.ok('wait', 'short') == '0'
    g = finish(d)
    (ended, late), = [(t, int(w[2])) for t, l, w in g.records if l == 'E']
    (started, sl), = [(t, int(w[1])) for t, l, w in g.records if l == 'S']
    ran = (ended - late) - (started - sl)
    assert 0.9e9 < ran < 1e9 + 0.9 * late, (ran, late)
    assert g.numbers('K') == [1]


def test_a_restart_keeps_its_number_and_what_it_holds(new_hosteld, busybox_tar):
    d = small(new_hosteld, busybox_tar)
    d.ok('run', '-d', '--cpus', '1', '--restart', 'on-failure:2', '--name', 'again', 'busybox', 'false')
    wait_for(lambda: states(d) == ['exited'])
    d.ok('start', 'again')
    wait_for(lambda: states(d) == ['exited'])
    g = finish(d)
    one = [(l, w[0]) for l, w in g.of('ADSXE') if w[0] == '1']
    assert one == [('A', '1'), ('D', '1'), ('S', '1'), ('X', '1'), ('S', '1'), ('X', '1'), ('S', '1'), ('E', '1')]
    assert g.numbers('A') == [1, 2]


def test_a_long_log_begins_anew_with_what_there_is(new_hosteld, busybox_tar):
    d = small(new_hosteld, busybox_tar, '--event-log', '1500')
    d.ok('run', '-d', '--cpus', '1', '--name', 'runs', 'busybox', 'sleep', '600')
    d.ok('run', '-d', '--cpus', '2', '--name', 'waits', 'busybox', 'true')
    d.ok('queue', 'hold', 'waits')
    old = d.root / 'events.log.1'
    for _ in range(20):
        d.ok('run', '--rm', '--cpus', '1', 'busybox', 'true')
        if old.exists():
            break
    assert old.exists()
    first, then = Log(old), finish(d)
    assert (d.root / 'events.log').read_text().split('\n')[0] == old.read_text().split('\n')[0]
    assert then.records[0][0] >= first.records[-1][0] and then.records[0][1] == 'C'
    copy = then.records[:[l for _, l, _ in then.records].index('c')]
    assert {t for t, _, _ in copy} == {copy[0][0]}
    have = {l for _, l, _ in copy}
    assert have >= set('TPVAKH')
    held, = [w for _, l, w in copy if l == 'K' and w[0] == '1']
    assert int(held[12]) > 0
    assert os.stat(old).st_size < 6000


def test_a_log_that_is_none_of_ours_is_left_alone(new_hosteld, busybox_tar, tmp_path):
    d = small(new_hosteld, busybox_tar)
    d.stop()
    log, other = d.root / 'events.log', tmp_path / 'other'
    other.write_text('keep this')
    log.unlink()
    log.symlink_to(other)
    d.start()
    assert d.ok('run', '--rm', 'busybox', 'echo', 'fine') == 'fine'
    assert d.log.count('event log') == 1 and 'none is kept' in d.log
    assert other.read_text() == 'keep this'
    d.stop()
    log.unlink()
    log.write_text('something else\n')
    d.start()
    assert (d.root / 'events.log.1').read_text() == 'something else\n'
    assert 'B' in [l for _, l, _ in log_of(d).records]


def test_a_full_disk_costs_records_and_nothing_else(new_hosteld, busybox_tar, tmp_path):
    d = new_hosteld('--cpus-total', '2', '--overcommit-cpu', '1', start=False)
    log = d.root / 'events.log'
    log.touch()
    assert run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'hostel-test', tmp_path).returncode == 0
    (tmp_path / 'log').touch()
    try:
        assert run('mount', '--bind', tmp_path / 'log', log).returncode == 0
        d.start()
        d.ok('load', '-q', '-i', busybox_tar)
        d.ok('run', '-d', '--cpus', '1', '--name', 'one', 'busybox', 'sleep', '600')
        with open(tmp_path / 'fill', 'wb', buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(b'x' * 100)
        # What is left of the log's last page is soon full.
        wait_for(lambda: d.ok('run', '--rm', '--cpus', '1', '--memory', '64m', 'busybox', 'echo', 'fine') == 'fine'
                 and 'event log' in d.log)
        lost = Log(log).records
        assert d.ok('run', '--rm', 'busybox', 'echo', 'fine') == 'fine'
        assert d.log.count('event log') == 1
        (tmp_path / 'fill').unlink()
        wait_for(lambda: d.ok('run', '--rm', 'busybox', 'echo', 'fine') == 'fine'
                 and len(Log(log).records) > len(lost))
        g = Log(log)
        assert g.records[:len(lost)] == lost and g.records[len(lost)][1] == 'B'
        held, = [w for _, l, w in g.records[len(lost):] if l == 'K' and w[0] == '1']
        assert int(held[12]) > 0
        d.clear()
        d.stop()
    finally:
        run('umount', log)
        run('umount', tmp_path)


# ---- its replay ----

def check(path, *options):
    return run(need('hostel'), 'simulate', '--check-log', path, *options)


def queue(d, name, cpus, memory, command):
    body = {'Image': 'busybox', 'Cmd': command, 'Labels': {'hostel.queue': 'wait'},
            'HostConfig': {'NanoCpus': int(cpus * 1e9), 'Memory': memory << 20}}
    assert d.api('POST', f'/containers/create?name={name}', body).status == 201
    assert d.api('POST', f'/containers/{name}/start').status == 204


def waiting(d):
    return [i['name'] for i in d.api('GET', '/hostel/v1/instances?all=true').json if i['state'] == 'queued']


def change_by_hand(d, n):
    some = waiting(d) if n % 20 == 10 else []
    if len(some) > 3:
        d.hostel('queue', 'hold', some[0])
        d.hostel('queue', 'move', some[-1], '--first')
        d.hostel('queue', 'cancel', some[1])
    if n % 20 == 15:
        release_all(d)


def release_all(d):
    for name in waiting(d):
        d.hostel('queue', 'release', name)


@pytest.fixture(scope='module')
def history(root_only, busybox_tar, tmp_path_factory):
    """The folder with the log of a hosteld that ran 200 instances: four policies, holds, moves, a death."""
    d = Hosteld('--cpus-total', '4', '--overcommit-cpu', '1', '--memory-total', '2g', '--reserve-memory', '128m',
                '--manage-memory', '256m')
    policies = {50: ['saf/list'], 100: ['drf/easy', '--max-wait', '1s'], 150: ['wfp3/easy']}
    rnd = random.Random(7)
    to = tmp_path_factory.mktemp('history')
    try:
        d.start()
        d.ok('load', '-q', '-i', busybox_tar)
        for n in range(200):
            if n in policies:
                d.ok('policy', 'set', '--allocate', *policies[n])
            if n == 150:
                d.kill()
                d.start()
            queue(d, f'i{n}', rnd.choice([0.5, 1, 1, 2, 4]), rnd.choice([64, 128, 512, 1024]),
                  ['true'] if n % 3 else ['sleep', f'0.{n % 7}'])
            change_by_hand(d, n)
        release_all(d)
        wait_for(lambda: not waiting(d))
        d.stop()
        (to / 'events.log').write_bytes((d.root / 'events.log').read_bytes())
        d.start()
    finally:
        left = d.teardown()
    assert not left, f'left behind: {left}'
    return to


def test_the_log_of_200_instances_replayed_gives_the_same_decisions_in_the_same_order(history):
    g = Log(history / 'events.log')
    # It has what it is to have: waits, changes by hand, all policies, a second life.
    assert len(set(g.numbers('A'))) == 200 and len(g.of('D')) > 180
    assert {w[0] for _, w in g.of('P')} >= {'fcfs/easy', 'saf/list', 'drf/easy', 'wfp3/easy'}
    assert len(g.of('B')) == 2 and g.of('H') and g.of('M') and g.of('W')
    p = check(history / 'events.log', '--format', 'json')
    assert p.returncode == 0, p.out + p.err
    found = json.loads(p.out)
    assert found['difference'] is None
    assert found['decisions'] == len(g.of('D')) and found['passes'] == len(g.of('R')) and found['begins'] == 2
    assert g.numbers('D') != sorted(g.numbers('D'))


def decisions(lines):
    return [n for n, l in enumerate(lines) if l.split()[1:2] == ['D']]


def swap_two(lines):
    d = decisions(lines)
    n, m = d[len(d) // 2], d[len(d) // 2 + 1]
    a, b = lines[n].split(), lines[m].split()
    lines[n], lines[m] = f'{a[0]} D {b[2]}', f'{b[0]} D {a[2]}'
    return n + 1


def leave_one_out(lines):
    d = decisions(lines)
    n = d[len(d) // 2]
    del lines[n]
    return n + 1


def take_another_policy(lines):
    n = [n for n, l in enumerate(lines) if l.split()[1:] == ['P', 'saf/list']][0]
    lines[n] = lines[n].replace('saf/list', 'laf/strict')
    return None


@pytest.mark.parametrize('damage', [swap_two, leave_one_out, take_another_policy])
def test_a_log_whose_decisions_are_others_is_found_out(history, tmp_path, damage):
    lines = (history / 'events.log').read_text().split('\n')
    at = damage(lines)
    (tmp_path / 'log').write_text('\n'.join(lines))
    p = check(tmp_path / 'log')
    assert p.returncode == 1 and ' admits ' in p.out
    assert p.out.startswith(f'{tmp_path}/log: line {at or ""}')


# ---- time slicing, whose log is its own ----

BUSY = ['busybox', 'sh', '-c', 'while :; do :; done']


def turns_of(d, letter='s'):
    """Of a log that is being written to: its last line may be half there."""
    path = d.root / 'turns.log'
    lines = path.read_text().split('\n')[:-1] if path.exists() else []
    return sum(line.split()[1:2] == [letter] for line in lines)


@pytest.fixture
def turning(new_hosteld, busybox_tar):
    """Function that starts a hosteld of one cpu under fair, with a log of so many bytes."""
    def make(size):
        d = new_hosteld('--cpus-total', '1', '--overcommit-cpu', '8', '--event-log', size)
        d.ok('load', '-q', '-i', busybox_tar)
        for n in range(3):
            d.ok('run', '-d', '--cpus', '1', '--name', f'b{n}', '--expect', f'{n + 1}h', *BUSY)
        return d
    return make


def checked_turns(d):
    p = check(d.root / 'turns.log', '--format', 'json')
    assert p.returncode == 0, p.out + p.err
    found = json.loads(p.out)
    assert found['difference'] is None
    return found


def test_who_runs_when_is_in_a_log_of_its_own_and_replays(turning):
    d = turning('64m')
    assert not (d.root / 'turns.log').exists(), 'nothing is frozen under fair'
    d.ok('policy', 'set', '--schedule', 'rr', '--quantum', '5ms')
    wait_for(lambda: turns_of(d) > 300)
    d.ok('exec', 'b1', 'true')
    d.ok('pause', 'b0')
    d.ok('unpause', 'b0')
    for schedule in ('mlfq', 'priority', 'srtf', 'rr'):
        d.ok('policy', 'set', '--schedule', schedule)
    before = turns_of(d)
    wait_for(lambda: turns_of(d) > before + 20)
    d.ok('rm', '-f', 'b1')
    d.kill()
    d.start()
    wait_for(lambda: turns_of(d, 'B') == 2)
    before = turns_of(d)
    wait_for(lambda: turns_of(d) > before + 20)
    d.ok('policy', 'set', '--schedule', 'fair')
    d.stop()
    found = checked_turns(d)
    g, events = Log(d.root / 'turns.log'), log_of(d)
    p = check(d.root / 'events.log')
    d.start()
    assert found['turns'] == len(g.of('s')) > 300 and found['switches'] > 300 and found['begins'] == 2
    assert [w[0] for _, w in g.of('p')] == ['rr', 'mlfq', 'priority', 'srtf', 'rr', 'rr', 'fair']
    # Turns are no part of the history, but which policy was in force is.
    assert not events.of('sdm') and [w[0] for _, w in events.of('p')][-2:] == ['rr', 'fair']
    assert [w[1:] for _, w in events.of('F')] == [['1'], ['0']]
    assert p.returncode == 0, p.out


def test_turns_are_bounded_and_a_new_log_of_them_says_all_that_there_is(turning, tmp_path):
    d = turning('8k')
    d.ok('policy', 'set', '--schedule', 'rr', '--quantum', '2ms')
    old = d.root / 'turns.log.1'
    wait_for(old.exists)
    first = old.stat().st_ino
    wait_for(lambda: old.stat().st_ino != first)
    d.stop()
    sizes = [old.stat().st_size, (d.root / 'turns.log').stat().st_size]
    alone = tmp_path / 'turns.log'
    alone.write_bytes(old.read_bytes())
    d.start()
    assert max(sizes) < 4096, sizes
    g = Log(alone)
    assert [l for _, l, _ in g.records[:6]] == ['C', 'p', 'a', 'a', 'a', 'c']
    p = check(alone, '--format', 'json')
    assert p.returncode == 0 and json.loads(p.out)['switches'] > 10, p.out + p.err
    lines = alone.read_text().split('\n')
    n = [n for n, l in enumerate(lines) if l.split()[1:2] == ['s'] and len(l.split()) == 3][-1]
    delta, _, word = lines[n].split()
    lines[n] = f'{delta} s {"-" if word[0] != "-" else ""}{word.strip("-")}'
    alone.write_text('\n'.join(lines))
    p = check(alone)
    assert p.returncode == 1 and f'line {n + 1}: the log lets ' in p.out


def test_a_drain_and_whose_turn_it_is_under_rr_are_in_the_log(new_hosteld, busybox_tar, tmp_path):
    d = small(new_hosteld, busybox_tar, '--allocate', 'rr')
    d.ok('run', '-d', '--cpus', '2', '--name', 'first', 'busybox', 'sleep', '600')
    for n in range(3):
        queue(d, f'q{n}', 2, 64, ['true'])
    d.ok('drain')
    d.stop()
    d.start()
    d.ok('rm', '-f', 'first')
    d.ok('drain', '--off')
    wait_for(lambda: not waiting(d) and 'running' not in states(d))
    g = finish(d)
    assert [w for _, w in g.of('Z')] == [['1'], ['1'], ['0']]
    p = check(d.root / 'events.log', '--format', 'json')
    assert p.returncode == 0 and json.loads(p.out)['decisions'] == 4, p.out


def test_a_history_is_a_workload(history):
    p = run(need('hostel'), 'simulate', '--from-log', history / 'events.log', '--policy', 'fcfs,sjf/easy', '--info', 'act',
            '--format', 'json')
    assert p.returncode == 0, p.err
    fcfs, sjf = json.loads(p.out)
    assert fcfs['jobs'] > 180 and fcfs['jobs'] + fcfs['dropped'] >= 200
    assert sjf['wait_s']['mean'] <= fcfs['wait_s']['mean']


def waits_of(g):
    """What was recorded, told by the log alone: number → ns from arrival to admission, of those that ended."""
    arrived, admitted, ended = {}, {}, set()
    for t, l, w in g.records:
        if l == 'A':
            arrived.setdefault(w[0], t - int(w[12] if len(w) > 12 else 0))
        elif l == 'D':
            admitted.setdefault(w[0], t)
        elif l == 'H' and w[1:] != ['1'] and w[0] not in admitted:
            arrived[w[0]] = t
        elif l == 'E':
            ended.add(w[0])
    return [admitted[n] - arrived[n] for n in ended if n in admitted]


def test_what_if_sets_other_policies_beside_what_was_recorded(history):
    p = run(need('hostel'), 'simulate', '--what-if', 'sjf/easy,fcfs', '--root', history, '--format', 'json')
    assert p.returncode == 0, p.err
    rows = json.loads(p.out)
    assert [r['policy'] for r in rows] == ['recorded', 'wfp3/easy', 'sjf/easy', 'fcfs/strict']
    waits = waits_of(Log(history / 'events.log'))
    assert rows[0]['jobs'] == len(waits)
    assert rows[0]['t_wait_s'] == pytest.approx(sum(waits) / 1e9, abs=1e-6)
    for r in rows[1:]:
        assert r['saved_s'] == pytest.approx(rows[0]['t_wait_s'] - r['t_wait_s'], abs=1e-9)
    table = run(need('hostel'), 'simulate', '--what-if', 'sjf/easy', '--root', history)
    assert 'recorded' in table.out and 'SAVED' in table.out.split('\n')[0]


def test_what_if_asks_the_daemon_where_its_history_is(new_hosteld, busybox_tar):
    d = small(new_hosteld, busybox_tar)
    p = d.hostel('simulate', '--what-if', 'sjf')
    assert p.returncode and 'no history of this host: nothing in' in p.err and '\n' not in p.err
    d.ok('run', '--rm', '--cpus', '1', 'busybox', 'true')
    wait_for(lambda: d.hostel('simulate', '--what-if', 'sjf').returncode == 0)
    assert 'sjf/strict' in d.ok('simulate', '--what-if', 'sjf')


def test_without_a_history_it_says_so_in_one_line(tmp_path):
    def refused(*options):
        p = run(need('hostel'), 'simulate', *options)
        assert p.returncode and '\n' not in p.err
        return p.err
    assert 'no history of this host' in refused('--what-if', 'sjf', '--root', tmp_path)
    assert 'either' in refused('--what-if', 'sjf', '--check-log', 'x')
    (tmp_path / 'events.log').write_text('hostel-events 2 0\n')
    assert 'another version' in refused('--what-if', 'sjf', '--root', tmp_path)
    assert 'another version' in refused('--check-log', tmp_path / 'events.log')
