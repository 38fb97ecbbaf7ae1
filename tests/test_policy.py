# SPDX-License-Identifier: Apache-2.0
"""Policies of allocation on a real hosteld: which of the waiting instances is admitted next, and how that is changed."""
import pytest

from test_recovery import wait_for


@pytest.fixture
def full(new_hosteld, busybox_tar):
    """A hosteld of 1 GiB whose memory is held by `holder`."""
    d = new_hosteld('--memory-total', '1g', '--reserve-memory', '0', '--manage-memory', '128m', '--cpus-total', '8')
    d.ok('load', '-q', '-i', busybox_tar)
    d.ok('run', '-d', '--name', 'holder', '-m', free(d), '--label', 'hostel.expect=1h', 'busybox', 'sleep', '1000')
    return d


def free(d):
    return d.api('GET', '/hostel/v1/resources').json['R_free']['memory_bytes']


def submit(d, name, *options, image='busybox', command=('sleep', '1000')):
    """A start that waits in the queue, whatever becomes of the client."""
    d.ok('create', '--name', name, '--label', 'hostel.queue=wait', *options, image, *command)
    assert d.api('POST', f'/containers/{name}/start').status == 204


def queue(d):
    return [q['name'] for q in d.api('GET', '/hostel/v1/queue').json]


def running(d):
    return {i['name'] for i in d.api('GET', '/hostel/v1/instances').json if i['state'] == 'running'}


def policy(d):
    return d.api('GET', '/hostel/v1/policy').json


def test_nobody_is_surprised_by_the_defaults(full):
    assert policy(full) == {'allocate': 'fcfs/easy', 'max_wait_ns': 600 * 10**9, 'aging_ns': 0, 'estimate': 'learned',
                            'schedule': 'fair', 'quantum_ns': 50_000_000}


def test_the_order_is_changed_live_and_kept(full):
    d = full
    for name, expect, priority in (('long', '3h', 5), ('short', '1m', 1), ('middle', '2h', 9)):
        submit(d, name, '-m', '500m', '--expect', expect, '--priority', priority)
    assert queue(d) == ['long', 'short', 'middle']
    assert 'allocate: sjf/strict' in d.ok('policy', 'set', '--allocate', 'sjf')
    assert queue(d) == ['short', 'middle', 'long']
    d.ok('policy', 'set', '--allocate', 'priority/list', '--max-wait', '1h')
    assert queue(d) == ['middle', 'long', 'short']
    d.kill()
    d.start()
    assert policy(d) | {'allocate': 'priority/list', 'max_wait_ns': 3600 * 10**9} == policy(d)
    assert queue(d) == ['middle', 'long', 'short']
    d.ok('rm', '-f', 'holder')
    wait_for(lambda: running(d) == {'middle'})


def test_a_setting_counts_more_than_what_was_set_live(new_hosteld):
    d = new_hosteld('--allocate', 'wfp3/easy', '--max-wait', '0')
    assert policy(d)['allocate'] == 'wfp3/easy' and policy(d)['max_wait_ns'] == 0
    d.ok('policy', 'set', '--allocate', 'sjf', '--max-wait', '5m')
    assert policy(d)['allocate'] == 'sjf/strict'
    d.stop()
    d.start()
    assert policy(d)['allocate'] == 'wfp3/easy' and policy(d)['max_wait_ns'] == 0


@pytest.mark.parametrize('options, words', [
    (['--allocate', 'sjf/quick'], 'allocate: "sjf/quick" is no policy; there are fcfs, '),
    (['--estimate', 'guessed'], '--estimate: one of: learned given last-two'),
    (['--max-wait', 'soon'], 'soon'),
    ([], 'what is to be changed'),
])
def test_what_is_no_policy_is_one_line_and_changes_nothing(full, options, words):
    before = policy(full)
    p = full.hostel('policy', 'set', *options)
    assert p.returncode in (1, 125) and words in p.err and '\n' not in p.err
    assert policy(full) == before


def test_members_that_no_policy_has_are_refused(full):
    a = full.api('POST', '/hostel/v1/policy', {'allocate': 'sjf', 'alocate': 'fcfs'})
    assert a.status == 400 and 'alocate' in a.json['message'] and policy(full)['allocate'] == 'fcfs/easy'


def test_a_daemon_with_a_wrong_policy_does_not_start(new_hosteld):
    d = new_hosteld('--allocate', 'best', start=False)
    with pytest.raises(Exception):
        d.start()
    assert '"best" is no policy; there are fcfs, ' in d.log_path.read_text()


def test_a_short_one_is_filled_in_when_that_does_not_delay_the_first(full):
    """holder gives its memory back in an hour: until then there are 300 MiB for who is done before, or for less than is
    left over then."""
    d = full
    d.ok('rm', '-f', 'holder')
    most = free(d)
    d.ok('run', '-d', '--name', 'holder', '-m', most - (300 << 20), '--expect', '1h', 'busybox', 'sleep', '1000')
    submit(d, 'first', '-m', most, '--expect', '1h')
    submit(d, 'endless', '-m', '200m')
    submit(d, 'long', '-m', '200m', '--expect', '2h')
    submit(d, 'short', '-m', '200m', '--expect', '10m')
    wait_for(lambda: 'short' in running(d))
    assert running(d) == {'holder', 'short'} and queue(d) == ['first', 'endless', 'long']
    d.ok('policy', 'set', '--allocate', 'fcfs/list')
    d.ok('rm', '-f', 'short')
    wait_for(lambda: 'endless' in running(d))


def test_nothing_passes_who_waited_long_enough(full):
    d = full
    d.ok('policy', 'set', '--allocate', 'fcfs/list', '--max-wait', '500ms')
    d.ok('rm', '-f', 'holder')
    most = free(d)
    d.ok('run', '-d', '--name', 'holder', '-m', most - (300 << 20), 'busybox', 'sleep', '1000')
    submit(d, 'big', '-m', most)
    wait_for(lambda: next(q for q in d.api('GET', '/hostel/v1/queue').json)['waiting_ns'] > 6e8)
    submit(d, 'small', '-m', '100m')
    reason = d.api('GET', '/hostel/v1/queue').json[1]['reason']
    assert reason.startswith('behind big, which has waited its max-wait and needs memory; hostel queue hold|cancel big')
    d.ok('policy', 'set', '--max-wait', '1h')
    d.ok('rm', '-f', 'big')
    wait_for(lambda: 'small' in running(d))
