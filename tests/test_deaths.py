# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each program that an instance consists of, for both kinds, with and without a restart policy: what is told
(137 and a reason), what is left behind (nothing), and whom it disturbs (nobody).  tests/test_faults.py kills the daemon."""
import glob, os, signal

import pytest

from conftest import Hosteld, cgroups_of, mounts_of, processes_of, waiter
from test_engine_vm import monitor_of
from test_recovery import is_gone, shim_of, state

wait_for = waiter(120)   # two cores, shared; a VM's second boot is among it
VM = ['--vm', '-m', '192m']
NEAR = ('near', 'near-vm')


@pytest.fixture(scope='module')
def world(root_only, busybox_tar):
    """A hosteld with an instance of each kind that nothing here may disturb."""
    d = Hosteld('--memory-total', '64g', '--cpus-total', '64')
    try:
        d.start()
        d.ok('load', '-q', '-i', busybox_tar)
        d.ok('kernel', 'add', os.environ['HOSTEL_KERNEL_DEB'], timeout=300)
        for name, kind in zip(NEAR, ([], VM)):
            d.ok('run', '-d', '--name', name, *kind, 'busybox', 'sleep', '10000', timeout=120)
        d.near = near(d)
        yield d
    finally:
        left = d.teardown()
    assert not left, f'left behind: {left}'


def near(d):
    """What their users see of them: the same program since the same moment, in the same kernel, with its interface."""
    return [(state(d, n)['StartedAt'], state(d, n)['Pid'], d.ok('exec', n, 'cat', '/proc/1/stat').split()[21],
             d.ok('exec', n, 'cat', '/proc/sys/kernel/random/boot_id'), d.ok('exec', n, 'cat', '/sys/class/net/eth0/address'))
            for n in NEAR]


def parts_of(d, id):
    """All that the host has of an instance that runs, and of one that was removed."""
    parts = [f'process {p}: {l}' for p, l in processes_of(id).items()]
    parts += [f'mount {m}' for m in mounts_of(id)]
    parts += [f'cgroup {g}' for c in cgroups_of(d.cgroup) for g in glob.glob(f'{c}/*{id}*')]
    return parts + [f'folder {p}' for p in glob.glob(f'{d.root}/instances/{id}*') + glob.glob(f'{d.run_dir}/instances/{id}*')]


def ports_of_bridge(d):
    return set(os.listdir(f'/sys/class/net/{d.bridge}/brif'))


def payload_of(d, name):
    """Of a container: its first process, by the host's pid."""
    return state(d, name)['Pid']


# Whom: (how its pid is found, the reason that is told).
SHIM = (shim_of, 'supervisor died')
INIT = (payload_of, '')
MONITOR = (monitor_of, 'monitor died')
CASES = [
    ('container', SHIM, 'no', False), ('container', SHIM, 'always', False),
    ('container', INIT, 'no', False), ('container', INIT, 'always', False),
    ('container', INIT, 'no', True), ('container', SHIM, 'always', True),
    ('vm', SHIM, 'no', False), ('vm', MONITOR, 'no', True), ('vm', MONITOR, 'always', False),
    pytest.param('vm', SHIM, 'always', False, marks=pytest.mark.slow),
    pytest.param('vm', SHIM, 'no', True, marks=pytest.mark.slow),
    pytest.param('vm', MONITOR, 'no', False, marks=pytest.mark.slow),
    pytest.param('vm', MONITOR, 'always', True, marks=pytest.mark.slow),
]


def name_of(value):
    return {id(SHIM): 'shim', id(INIT): 'init', id(MONITOR): 'monitor'}.get(id(value)) or str(value)


@pytest.mark.parametrize('kind, victim, policy, daemon_is_dead', CASES, ids=name_of)
def test_a_death_is_told_undone_and_disturbs_nobody(world, kind, victim, policy, daemon_is_dead):
    d, (find, reason) = world, victim
    ports = ports_of_bridge(d)
    d.ok('run', '-d', '--name', 'it', *(VM if kind == 'vm' else []), '--restart', policy, 'busybox', 'sh', '-c',
         'echo life; sleep 10000', timeout=120)
    wait_for(lambda: d.ok('logs', 'it') == 'life')
    first, id = state(d, 'it'), d.api('GET', '/containers/it/json').json['Id']
    pids = [shim_of(d, 'it'), monitor_of(d, 'it') if kind == 'vm' else first['Pid']]
    assert all(pids) and ports_of_bridge(d) - ports and parts_of(d, id)
    pid = find(d, 'it')
    if daemon_is_dead:
        d.kill()
    os.kill(pid, signal.SIGKILL)
    if daemon_is_dead:
        d.start()
    if policy == 'no':
        s = wait_for(lambda: (s := state(d, 'it'))['Status'] == 'exited' and s)
        assert (s['ExitCode'], s['Error'], s['OOMKilled'], s['Pid']) == (137, reason, False, 0)
        wait_for(lambda: ports_of_bridge(d) == ports)
        d.ok('start', 'it', timeout=120)   # whatever it died of, it can live again
    s = wait_for(lambda: (s := state(d, 'it'))['Running'] and s['StartedAt'] != first['StartedAt'] and s)
    wait_for(lambda: d.ok('logs', 'it') == 'life\nlife')
    assert d.api('GET', '/containers/it/json').json['RestartCount'] == (policy == 'always')
    assert all(map(is_gone, pids))
    assert d.ok('exec', 'it', 'echo', 'fine') == 'fine'
    d.ok('rm', '-f', 'it', timeout=120)
    wait_for(lambda: not parts_of(d, id), 20, f'left behind: {parts_of(d, id)}')
    assert ports_of_bridge(d) == ports and near(d) == d.near


@pytest.mark.parametrize('kind', ['container', 'vm'])
def test_a_killed_one_is_told_to_who_waits(world, kind):
    """And to who is attached: the client's own exit code."""
    p = world.popen('run', '--name', 'it', *(VM if kind == 'vm' else []), 'busybox', 'sh', '-c', 'echo life; sleep 10000')
    assert p.stdout.readline() == 'life\n'
    waiting = world.popen('wait', 'it')
    os.kill((monitor_of if kind == 'vm' else payload_of)(world, 'it'), signal.SIGKILL)
    p.communicate(timeout=120)
    assert p.returncode == 137 and waiting.communicate(timeout=120)[0] == '137\n'
    world.ok('rm', 'it')
    assert near(world) == world.near
