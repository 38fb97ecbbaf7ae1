# SPDX-License-Identifier: Apache-2.0
"""The event log: what hosteld writes of its scheduler, over its life, death and a full log."""
import contextlib
import os
import time

from conftest import run, waiter

wait_for = waiter(120)

LETTERS = 'BTPVGQOAKULHMEWRDSXNCc'


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
