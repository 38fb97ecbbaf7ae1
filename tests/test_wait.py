# SPDX-License-Identifier: Apache-2.0
"""hostel wait --until."""
import pytest

from conftest import waiter


wait_for = waiter(60)
CHECK = ('--health-cmd', 'test -f /ok', '--health-interval', '200ms', '--health-start-period', '0s')


def ended(p):
    out, err = p.communicate(timeout=90)
    return p.returncode, out.strip(), err.strip()


def waits(d, *args):
    """A wait that does not end by itself yet."""
    p = d.popen('wait', '--until', *args)
    with pytest.raises(Exception):
        p.wait(0.3)
    return p


def test_until_running_waits_for_a_start_and_returns_at_once_then(hosteld):
    d = hosteld
    d.ok('create', '--name', 'one', 'busybox', 'sleep', '600')
    p = waits(d, 'running', 'one')
    d.ok('start', 'one')
    assert ended(p) == (0, 'one', '')
    assert d.ok('wait', '--until', 'running', 'one', 'one') == 'one\none'
    p = waits(d, 'exited', 'one')
    d.ok('stop', '-t', '0', 'one')
    assert ended(p) == (0, '137', '')
    assert d.ok('wait', '--until', 'exited', 'one') == '137'
    p = d.hostel('wait', '--until', 'running', 'one')
    assert (p.returncode, p.out, p.err) == (1, '', 'hostel: one has ended with 137')


def test_until_running_fails_with_how_it_ended_when_it_never_will(hosteld):
    d = hosteld
    d.ok('create', '--name', 'bad', 'busybox', '/no/such')
    p = waits(d, 'running', 'bad')
    d.hostel('start', 'bad')
    code, out, err = ended(p)
    assert (code, out) == (1, '') and err.startswith('hostel: bad: ') and '/no/such' in err, err
    p = d.hostel('wait', '--until', 'running', 'bad', 'nobody')
    assert p.returncode == 1 and p.err.splitlines()[-1] == 'hostel: No such container: nobody'
    # Withdrawn while it waits.
    d.ok('drain')
    try:
        d.ok('run', '-d', '--name', 'queued', 'busybox', 'true')
        p = waits(d, 'running', 'queued')
        d.ok('queue', 'cancel', 'queued')
        assert ended(p) == (1, '', 'hostel: queued: withdrawn: cancelled in the queue by root')
        d.ok('create', '--name', 'gone', 'busybox', 'true')
        p = waits(d, 'running', 'gone')
        d.ok('rm', 'gone')
        assert ended(p) == (1, '', 'hostel: gone was removed')
    finally:
        d.ok('drain', '--off')


def test_until_running_goes_on_over_a_restart_policy(hosteld):
    d = hosteld
    d.ok('run', '-d', '--name', 'again', '--restart', 'always', *CHECK[:2], '--health-interval', '1h', 'busybox',
         'sh', '-c', 'sleep 0.2; exit 4')
    p = waits(d, 'healthy', 'again')
    wait_for(lambda: d.api('GET', '/containers/again/json').json['RestartCount'] >= 2)
    assert p.poll() is None
    d.ok('stop', '-t', '0', 'again')
    code, out, err = ended(p)
    assert (code, out) == (1, '') and err.startswith('hostel: again'), err


def test_until_removed_prints_the_last_exit_code(hosteld):
    d = hosteld
    d.ok('create', '--name', 'brief', '--rm', 'busybox', 'sh', '-c', 'exit 7')
    p = waits(d, 'removed', 'brief')
    d.ok('start', 'brief')
    assert ended(p) == (0, '7', '')


def test_bad_waits_are_one_clear_line(hosteld):
    d = hosteld
    d.ok('create', '--name', 'one', 'busybox', 'true')
    for args, code, says in ((('--until', 'happy', 'one'), 125, '--until: one of: running exited removed healthy'),
                             (('--until', 'running', '--condition', 'removed', 'one'), 1, 'only one of --until and --condition'),
                             (('--until', 'healthy', 'one'), 1, 'one has no health check')):
        p = d.hostel('wait', *args)
        assert (p.returncode, p.out, p.err) == (code, '', f'hostel: {says}')
    a = d.api('POST', '/hostel/v1/instances/one/wait')
    assert a.status == 400 and a.json['message'] == 'until is running, exited, removed or healthy, not ""'


def healthy(d, *kind):
    d.ok('run', '-d', '--name', 'web', *kind, *CHECK, 'busybox', 'sh', '-c', 'sleep 1; touch /ok; sleep 600')
    d.ok('wait', '--until', 'running', 'web')
    assert ended(d.popen('wait', '--until', 'healthy', 'web')) == (0, 'web', '')
    assert d.api('GET', '/containers/web/json').json['State']['Health']['Status'] == 'healthy'


def test_until_healthy_waits_for_the_check(hosteld):
    healthy(hosteld)


def test_until_healthy_waits_for_the_check_in_a_vm(kernel):
    healthy(kernel, '--vm')
