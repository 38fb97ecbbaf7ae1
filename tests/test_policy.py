# SPDX-License-Identifier: Apache-2.0
"""Policies of allocation on a real hosteld: which of the waiting instances is admitted next, and how that is changed."""
import json, os, subprocess, time

import pytest

from conftest import need
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
                            'schedule': 'fair', 'quantum_ns': 50_000_000, 'age_ns': 10**10, 'boost_ns': 10**10,
                            'turn_ns': 0, 'spill': False}


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
    (['--allocate', 'rr:/easy'], 'expected a label'),
    (['--allocate', 'rr', '--spill'], "spill: this hosteld cannot move an instance's memory out yet"),
    (['--allocate', 'rr', '--turn', '1h'], 'turn: an allocation is taken back by spilling it, which this hosteld cannot do yet'),
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


@pytest.mark.parametrize('setting, value, words', [
    ('allocate', 'best', '"best" is no policy; there are fcfs, '),
    ('allocate', 'sjf/quick', '"sjf/quick" is no policy; there are fcfs, '),
    ('schedule', 'round', '"round" schedules nothing; there are fcfs, '),
    ('quantum', '1us', 'expected 1ms to 1h'),
    ('quantum', 'soon', '"soon" is not a duration; write 10s, 5m or 1h30m'),
    ('spill', True, "spill: this hosteld cannot move an instance's memory out yet"),
    ('turn', '1h', 'turn: an allocation is taken back by spilling it'),
    ('age', '9000h', 'expected 0 to 1 year'),
    ('boost', 'often', '"often" is not a duration; write 10s, 5m or 1h30m'),
    ('max_wait', '-3s', '"-3s" is not a duration; write 10s, 5m or 1h30m'),
    ('overcommit_cpu', 0.5, 'expected 1 or more, not 0.5'),
    ('log_level', 'loud', '"loud": expected error, warn, info or debug'),
])
def test_check_config_says_which_setting_of_which_file_is_wrong(tmp_path, setting, value, words):
    file = tmp_path / 'hosteld.json'
    check = lambda: subprocess.run([need('hosteld'), '--config', file, '--check-config'], capture_output=True, text=True)
    file.write_text(json.dumps({setting: value}))
    p = check()
    assert p.returncode == 2 and p.stdout == '' and len(p.stderr.splitlines()) == 1
    assert f'{file}: {setting}: {words}' in p.stderr
    file.write_text(json.dumps({'allocate': 'sjf/easy', 'schedule': 'rr', 'quantum': '100ms', 'max_wait': 0}))
    p = check()
    assert (p.returncode, p.stdout) == (0, 'configuration is good\n')


def test_what_was_set_live_outlives_a_lost_store(new_hosteld):
    d = new_hosteld()
    d.ok('policy', 'set', '--allocate', 'sjf/list', '--schedule', 'rr', '--quantum', '20ms', '--max-wait', '7m')
    d.ok('quota', 'set', '4242', '--memory', '64m', '--instances', '3')
    d.ok('drain')
    seen = lambda: [policy(d), d.api('GET', '/hostel/v1/quotas').json, d.api('GET', '/hostel/v1/drain').json]
    before = seen()
    assert (before[0]['allocate'], before[0]['schedule']) == ('sjf/list', 'rr') and before[2]['draining']
    d.kill()
    for path in d.root.glob('hostel.db*'):
        path.unlink()
    d.start()
    assert seen() == before


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


def test_rr_over_a_label_serves_its_values_in_turn(full):
    d = full
    d.ok('policy', 'set', '--allocate', 'rr:shop.example/team')
    d.ok('rm', '-f', 'holder')
    most = free(d)
    d.ok('run', '-d', '--name', 'holder', '-m', most, 'busybox', 'sleep', '1000')
    for name, team in (('x1', 'x'), ('x2', 'x'), ('y1', 'y'), ('none', None)):
        submit(d, name, '-m', most, *(['--label', f'shop.example/team={team}'] if team else []))
    served = []
    d.kill()
    d.start()
    assert policy(d)['allocate'] == 'rr:shop.example/team/strict'
    d.ok('rm', '-f', 'holder')
    for _ in range(3):
        one, = wait_for(lambda: running(d))
        served.append(one)
        d.ok('rm', '-f', one)
    assert served == ['x1', 'y1', 'none']
    wait_for(lambda: running(d) == {'x2'})
    assert d.hostel('simulate', '--check-log', d.root / 'events.log').out.endswith('all as recorded')
    d.ok('policy', 'set', '--allocate', 'rr:shift/easy')
    assert policy(d)['allocate'] == 'rr:shift/easy'


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


# ---- what is said about a run beforehand ----

def test_an_expected_time_is_learned_and_says_where_it_comes_from(full):
    d = full
    nap = ('sleep', '0.4')
    for name in ('nap1', 'nap2', 'nap3'):
        d.ok('run', '--name', name, 'busybox', *nap)
    submit(d, 'nap', '-m', '500m', command=nap)
    submit(d, 'given', '-m', '500m', '--expect', '90s', command=nap)
    submit(d, 'other', '-m', '500m', command=('sleep', '7'))
    estimates = {q['name']: q['estimate'] for q in d.api('GET', '/hostel/v1/queue').json}
    assert 4e8 < estimates['nap']['ns'] < 5e9 and estimates['nap']['source'] == 'average of 3 runs of this command'
    assert estimates['given'] == {'ns': 90 * 10**9, 'source': 'given'}
    assert estimates['other']['source'] == "mean of the user's last two runs"
    d.ok('policy', 'set', '--allocate', 'sjf')
    assert queue(d)[-1] == 'given'
    d.kill()
    d.start()  # from accounting
    again = {q['name']: q['estimate'] for q in d.api('GET', '/hostel/v1/queue').json}
    assert again == estimates


def test_what_was_stopped_teaches_nothing(full):
    d = full
    d.ok('run', '-d', '--name', 'limited', 'busybox', 'sleep', '1000')
    d.ok('stop', '-t', '0', 'limited')
    submit(d, 'next', '-m', '500m')
    assert d.api('GET', '/hostel/v1/queue').json[0]['estimate'] is None


@pytest.mark.parametrize('kind', [[], ['--vm', '-m', '192m']])
def test_a_time_limit_ends_it(new_hosteld, busybox_tar, kind, images):
    d = new_hosteld()
    d.ok('load', '-q', '-i', busybox_tar)
    if kind:
        d.ok('kernel', 'add', os.environ['HOSTEL_KERNEL_DEB'], timeout=300)
    d.ok('run', '-d', '--name', 'limited', *kind, '--time-limit', '1s', '--stop-timeout', '1', '--restart', 'always', 'busybox',
         'sleep', '1000', timeout=120)
    s = wait_for(lambda: (s := d.api('GET', '/containers/limited/json').json['State'])['Status'] == 'exited' and s, 60)
    assert s['Error'] == 'its time limit of 1 s was reached' and s['ExitCode'] in (137, 143)


def test_a_time_limit_does_not_run_while_it_is_paused_and_survives_the_daemon(full):
    d = full
    d.ok('run', '-d', '--name', 'limited', '--time-limit', '2s', '--stop-timeout', '0', 'busybox', 'sleep', '1000')
    d.ok('pause', 'limited')
    d.kill()
    d.start()
    wait_for(lambda: d.api('GET', '/containers/limited/json').json['State']['Paused'])
    time.sleep(2.5)
    assert d.api('GET', '/containers/limited/json').json['State']['Status'] == 'paused'
    d.ok('unpause', 'limited')
    s = wait_for(lambda: (s := d.api('GET', '/containers/limited/json').json['State'])['Status'] == 'exited' and s, 60)
    assert s['Error'] == 'its time limit of 2 s was reached'


def test_after_waits_for_the_end_of_others(full):
    d = full
    d.ok('run', '-d', '--name', 'one', 'busybox', 'sleep', '1000')
    d.ok('run', '-d', '--name', 'two', 'busybox', 'sleep', '1000')
    submit(d, 'next', '--after', 'one', '--after', 'two')
    submit(d, 'last', '--after', 'next')
    reason = lambda name: next(q['reason'] for q in d.api('GET', '/hostel/v1/queue').json if q['name'] == name)
    assert reason('next') == 'after: waits for the end of one, two' and reason('last') == 'after: waits for the end of next'
    d.ok('rm', '-f', 'one')
    wait_for(lambda: reason('next') == 'after: waits for the end of two')
    d.kill()
    d.start()
    assert reason('next') == 'after: waits for the end of two'
    d.ok('stop', '-t', '0', 'two')
    wait_for(lambda: 'next' in running(d))
    assert queue(d) == ['last']
    d.ok('run', '--rm', '-m', '0', 'busybox', 'true')  # nobody is in the way


def test_after_ok_is_withdrawn_when_that_failed_and_all_that_follow_too(full):
    d = full
    d.ok('create', '--name', 'build', 'busybox', 'sh', '-c', 'exit 3')
    d.ok('create', '--name', 'lint', 'busybox', 'true')
    submit(d, 'test', '--after', 'build:ok', command=('true',))
    submit(d, 'publish', '--after', 'test:ok', command=('true',))
    submit(d, 'clean', '--after', 'build', command=('true',))
    submit(d, 'report', '--after', 'lint:ok', command=('true',))
    assert set(queue(d)) == {'test', 'publish', 'clean', 'report'}
    d.ok('start', 'lint')
    d.ok('start', 'build')
    wait_for(lambda: queue(d) == [])
    look = lambda name: d.api('GET', f'/containers/{name}/json').json['State']
    for name in ('clean', 'report'):
        wait_for(lambda: look(name)['Status'] == 'exited')
        assert look(name)['ExitCode'] == 0
    assert (look('test')['Status'], look('test')['Error']) == \
        ('created', 'withdrawn: build, after which it was to run, ended with 3')
    assert look('publish')['Error'].startswith('withdrawn: test, after which it was to run, ended with 128: withdrawn: build')


def test_a_run_in_the_foreground_waits_and_is_told(full):
    d = full
    d.ok('create', '--name', 'build', 'busybox', 'sh', '-c', 'exit 3')
    p = subprocess.Popen([d.cli, 'run', '--after', 'build:ok', 'busybox', 'true'], env=d.env, stderr=subprocess.PIPE, text=True)
    assert 'waits for the end of build' in p.stderr.readline()
    d.ok('start', 'build')
    assert 'withdrawn: build, after which it was to run, ended with 3' in p.communicate(timeout=60)[1]
    assert p.returncode == 125
    a = d.hostel('run', '--after', 'nobody', 'busybox', 'true')
    assert a.returncode == 125 and 'after: No such container: nobody' in a.err


def test_the_earliest_deadline_is_first(full):
    d = full
    d.ok('policy', 'set', '--allocate', 'edf')
    submit(d, 'late', '-m', '500m', '--deadline', '3h')
    submit(d, 'none', '-m', '500m')
    submit(d, 'early', '-m', '500m', '--deadline', '2h')
    submit(d, 'past', '-m', '500m', '--deadline', '2020-01-01T00:00:00Z')
    assert queue(d) == ['past', 'early', 'late', 'none']
    p = d.hostel('create', '--deadline', 'tomorrow', 'busybox', 'true')
    assert p.returncode and 'deadline "tomorrow": expected a time like 2026-12-24T18:00:00Z, or a duration like 2h' in p.err


def test_a_max_wait_of_its_own(full):
    d = full
    d.ok('policy', 'set', '--allocate', 'sjf/easy', '--max-wait', '1h')
    submit(d, 'patient', '-m', '500m', '--expect', '1m')
    submit(d, 'hasty', '-m', '500m', '--expect', '9h', '--max-wait', '200ms')
    wait_for(lambda: queue(d) == ['hasty', 'patient'])
