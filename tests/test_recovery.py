# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon, of supervisors and of what they run: afterwards every state, log and exit code is right."""
import os, signal, time

import pytest

from conftest import links, run, waiter


wait_for = waiter(10, 0.02)


def state(d, name):
    a = d.api('GET', f'/containers/{name}/json')
    return a.json['State'] if a.status == 200 else None


def crash(d):
    d.kill()
    d.start()


def is_gone(pid):
    """Ended; whoever adopted it may not have reaped it yet."""
    try:
        return open(f'/proc/{pid}/stat').read().rsplit(')')[1].split()[0] == 'Z'
    except OSError:
        return True


def shim_of(d, name):
    id = d.api('GET', f'/containers/{name}/json').json['Id']
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            line = open(f'/proc/{pid}/cmdline').read().split('\0')
        except OSError:
            continue
        if line[0].endswith('hostel-shim') and id in line and '--undo' not in line:
            return int(pid)
    return None


def start_with(d, **env):
    """Start the daemon with further environment."""
    old = dict(os.environ)
    os.environ.update(env)
    try:
        d.start()
    finally:
        os.environ.clear()
        os.environ.update(old)


def test_a_running_container_is_not_disturbed(hosteld):
    hosteld.ok('run', '-d', '--name', 'live', 'busybox', 'sh', '-c', 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done')
    before = state(hosteld, 'live')
    crash(hosteld)
    after = state(hosteld, 'live')
    assert after['Pid'] == before['Pid'] and after['StartedAt'] == before['StartedAt'] and after['Running']
    time.sleep(0.5)
    lines = list(map(int, hosteld.ok('logs', 'live').split()))
    assert lines == list(range(len(lines))) and len(lines) > 3
    assert hosteld.ok('exec', 'live', 'echo', 'in') == 'in'
    hosteld.ok('stop', '-t', '0', 'live')
    assert state(hosteld, 'live')['ExitCode'] == 137


def test_an_exit_while_the_daemon_was_dead_is_known_afterwards(hosteld):
    hosteld.ok('run', '-d', '--name', 'quiet', 'busybox', 'sh', '-c', 'sleep 0.7; echo last; exit 5')
    hosteld.kill()
    time.sleep(1.5)
    hosteld.start()
    s = wait_for(lambda: (s := state(hosteld, 'quiet')) and s['Status'] == 'exited' and s)
    assert s['ExitCode'] == 5 and s['Error'] == ''
    assert hosteld.ok('logs', 'quiet') == 'last'


def test_an_exit_is_followed_by_the_policy_after_a_crash(hosteld):
    hosteld.ok('run', '-d', '--name', 'again', '--restart', 'on-failure:1', 'busybox', 'sh', '-c', 'sleep 0.5; exit 6')
    hosteld.kill()
    time.sleep(1.2)
    hosteld.start()
    s = wait_for(lambda: (s := state(hosteld, 'again')) and s['Status'] == 'exited' and s)
    assert s['ExitCode'] == 6
    assert hosteld.api('GET', '/containers/again/json').json['RestartCount'] == 1


def test_a_killed_supervisor_takes_its_container_along(hosteld):
    hosteld.ok('run', '-d', '--name', 'orphan', '-p', '80', 'busybox', 'sleep', '1000')
    pid = state(hosteld, 'orphan')['Pid']
    os.kill(shim_of(hosteld, 'orphan'), signal.SIGKILL)
    s = wait_for(lambda: (s := state(hosteld, 'orphan')) and s['Status'] == 'exited' and s)
    assert (s['ExitCode'], s['Error']) == (137, 'supervisor died')
    assert is_gone(pid)
    hosteld.ok('start', 'orphan')
    assert state(hosteld, 'orphan')['Running']


def test_a_supervisor_killed_while_the_daemon_was_dead(hosteld):
    hosteld.ok('run', '-d', '--name', 'both', 'busybox', 'sleep', '1000')
    shim = shim_of(hosteld, 'both')
    pid = state(hosteld, 'both')['Pid']
    hosteld.kill()
    os.kill(shim, signal.SIGKILL)
    hosteld.start()
    s = wait_for(lambda: (s := state(hosteld, 'both')) and s['Status'] == 'exited' and s)
    assert (s['ExitCode'], s['Error']) == (137, 'supervisor died')
    assert is_gone(pid)


def test_a_killed_init_is_an_exit_without_a_note(hosteld):
    hosteld.ok('run', '-d', '--name', 'init', 'busybox', 'sleep', '1000')
    os.kill(state(hosteld, 'init')['Pid'], signal.SIGKILL)
    s = wait_for(lambda: (s := state(hosteld, 'init')) and s['Status'] == 'exited' and s)
    assert (s['ExitCode'], s['Error'], s['OOMKilled']) == (137, '', False)


def test_a_pause_survives(hosteld):
    hosteld.ok('run', '-d', '--name', 'ice', 'busybox', 'sleep', '1000')
    hosteld.ok('pause', 'ice')
    crash(hosteld)
    assert state(hosteld, 'ice')['Paused']
    hosteld.ok('unpause', 'ice')
    assert hosteld.ok('exec', 'ice', 'echo', 'thawed') == 'thawed'


def test_an_attached_client_goes_on(hosteld):
    p = hosteld.popen('run', '-i', '--name', 'cat', 'busybox', 'cat', stdin=-1)
    wait_for(lambda: state(hosteld, 'cat') and state(hosteld, 'cat')['Running'])
    p.stdin.write('one\n')
    p.stdin.flush()
    assert p.stdout.readline() == 'one\n'
    crash(hosteld)
    p.stdin.write('two\n')
    p.stdin.flush()
    assert p.stdout.readline() == 'two\n'
    p.stdin.close()
    assert p.stdout.read() == ''
    p.wait(20)
    s = wait_for(lambda: (s := state(hosteld, 'cat')) and s['Status'] == 'exited' and s)
    assert s['ExitCode'] == 0


def test_another_boot_ends_all_and_restarts_by_policy(new_hosteld, busybox_tar):
    d = new_hosteld()
    d.ok('load', '-q', '-i', busybox_tar)
    d.ok('run', '-d', '--name', 'plain', 'busybox', 'sleep', '1000')
    d.ok('run', '-d', '--name', 'always', '--restart', 'always', 'busybox', 'sleep', '1000')
    d.ok('run', '-d', '--name', 'stopped', '--restart', 'unless-stopped', 'busybox', 'sleep', '1000')
    d.ok('stop', '-t', '0', 'stopped')
    shims = [shim_of(d, n) for n in ('plain', 'always')]
    d.kill()
    # A boot ends every process and empties /run.
    for pid in shims:
        os.kill(pid, signal.SIGKILL)
    for name in os.listdir(d.root / 'instances'):
        plan = d.root / 'instances' / name
        kind = 'container'
        os.spawnl(os.P_WAIT, str(d.libexec / 'hostel-shim'), 'hostel-shim', '--undo', '--kind', kind, '--state-dir', str(plan))
    start_with(d, HOSTEL_BOOT_ID='another')
    assert (state(d, 'plain')['Status'], state(d, 'plain')['ExitCode']) == ('exited', 137)
    wait_for(lambda: state(d, 'always')['Running'])
    assert state(d, 'stopped')['Status'] == 'exited'


def test_a_full_disk_is_told_and_survived(new_hosteld, busybox_tar):
    d = new_hosteld(start=False)
    assert run('mount', '-t', 'tmpfs', '-o', 'size=24m', 'hostel-test', d.root).returncode == 0
    try:
        d.start()
        d.ok('load', '-q', '-i', busybox_tar)
        d.ok('run', '-d', '--name', 'before', 'busybox', 'sh', '-c', 'sleep 1; exit 3')
        with open(d.root / 'filler', 'wb', buffering=0) as f:
            try:
                while f.write(b'x' * 4096):
                    pass
            except OSError:
                pass
        a = d.api('POST', '/containers/create?name=full', {'Image': 'busybox', 'Cmd': ['true']})
        assert a.status == 500 and any(w in a.json['message'].lower() for w in ('no space', 'full')), a.body
        assert d.api('GET', '/containers/full/json').status == 404
        wait_for(lambda: state(d, 'before')['Status'] == 'exited')
        os.unlink(d.root / 'filler')
        assert d.ok('run', '--rm', '--name', 'full', 'busybox', 'echo', 'again') == 'again'
        time.sleep(1.2)
        crash(d)
        assert (state(d, 'before')['Status'], state(d, 'before')['ExitCode']) == ('exited', 3)
        d.ok('rm', 'before')
        d.ok('rmi', 'busybox')
    finally:
        d.teardown()
        run('umount', '-l', d.root)


# ---- the way back ----

def test_teardown_takes_what_a_killed_daemon_made_and_nothing_else(new_hosteld, busybox_tar):
    d = new_hosteld()
    d.ok('load', '-q', '-i', busybox_tar)
    d.ok('run', '-d', '--name', 'live', 'busybox', 'sleep', '1000')
    teardown = lambda *more: run(*d.argv, *more, '--teardown')
    assert 'runs; stop what runs before a teardown' in teardown().err
    d.ok('rm', '-f', 'live')
    assert 'wants no hosteld to run' in teardown().err
    assert d.bridge in links()
    d.kill()
    other = d.bridge + 'x'
    run('ip', 'link', 'add', other, 'type', 'bridge')
    try:
        assert teardown('--bridge', other).returncode == 0
        assert other in links() and d.bridge not in links()   # by the store's word, not by the setting
    finally:
        run('ip', 'link', 'del', other)
    assert not d.leftovers()
