# SPDX-License-Identifier: Apache-2.0
"""VMs through the engine: recovery, death of the monitor, numbers, queue beside containers."""
import os, signal, socket, time

import pytest

from conftest import CACHE, ROOT, run
from test_engine import check_health, talker, update_rates_and_measure
from test_recovery import crash, is_gone, shim_of, state, wait_for


@pytest.fixture(scope='session')
def kernel_deb():
    deb = os.environ.get('HOSTEL_KERNEL_DEB', '/work/tmp/cache/kernel.deb')
    if os.path.exists(deb):
        return deb
    p = run(ROOT / 'tools/fetch.sh', 'kernel', CACHE, timeout=600)
    if p.returncode:
        pytest.skip(f'there is no kernel: {p.err[-200:]}')
    return p.out.splitlines()[-1]


@pytest.fixture
def vms(hosteld, kernel_deb):
    if not hosteld.api('GET', '/hostel/v1/kernels').json:
        hosteld.ok('kernel', 'add', '--name', 'cloud', kernel_deb)
    return hosteld


def children_of(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as f:
        return list(map(int, f.read().split()))


def monitor_of(d, name):
    shim = shim_of(d, name)
    return next((c for c in children_of(shim) if 'qemu' in open(f'/proc/{c}/cmdline').read()), None)


def test_a_vm_without_a_kernel_is_refused_at_once(new_hosteld, busybox_tar):
    d = new_hosteld()
    d.ok('load', '-q', '-i', busybox_tar)
    p = d.hostel('run', '--rm', '--vm', 'busybox', 'true')
    assert p.returncode == 125 and 'hostel kernel add' in p.err


def test_a_vm_lives_through_the_daemons_death(vms):
    vms.ok('run', '-d', '--vm', '--name', 'vm', '-m', '256m', 'busybox', 'sh', '-c', 'echo up; sleep 1000')
    before = vms.ok('exec', 'vm', 'cat', '/proc/sys/kernel/random/boot_id')
    crash(vms)
    assert vms.ok('exec', 'vm', 'cat', '/proc/sys/kernel/random/boot_id') == before
    assert vms.ok('logs', 'vm') == 'up'
    vms.ok('stop', '-t', '5', 'vm', timeout=60)
    assert state(vms, 'vm')['Status'] == 'exited'


def test_a_killed_monitor_is_told_as_such(vms):
    vms.ok('run', '-d', '--vm', '--name', 'vm', '-m', '256m', 'busybox', 'sleep', '1000')
    pid = monitor_of(vms, 'vm')
    os.kill(pid, signal.SIGKILL)
    s = wait_for(lambda: (s := state(vms, 'vm')) and s['Status'] == 'exited' and s)
    assert (s['ExitCode'], s['Error']) == (137, 'monitor died')
    assert is_gone(pid)


def test_limits_inside_a_vm_are_those_of_a_container(vms):
    for vm in ([], ['--vm']):
        p = vms.hostel('run', '--rm', *vm, '-m', '256m', '--pids-limit', '10', 'busybox', 'sh', '-c',
                       'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done; wait', timeout=120)
        assert "can't fork: Resource temporarily unavailable" in p.err, vm
        assert vms.hostel('run', '--name', 'oom', *vm, '-m', '256m', 'busybox', 'sh', '-c',
                          'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done', timeout=120).returncode == 137
        s = state(vms, 'oom')
        assert s['OOMKilled'] and 'killed sh (main process)' in s['Error'] and '256 MiB' in s['Error'] \
            and 'raise it with --memory' in s['Error'], s
        vms.ok('rm', 'oom')


def test_init_collects_orphans_in_both_kinds(vms):
    for vm in ([], ['--vm']):
        out = vms.ok('run', '--rm', *vm, '-m', '256m', '--init', 'busybox', 'sh', '-c',
                     'sh -c "sleep 0.1 & exit 0"; sleep 1; tr "\\0" " " < /proc/1/cmdline; echo; cat /proc/[0-9]*/stat | cut -d " " -f 3',
                     timeout=120)
        assert out.startswith('/sbin/docker-init -- sh -c') and 'Z' not in out.splitlines()[1:], out


def test_a_vm_declares_and_its_overhead_is_measured(vms):
    vms.ok('run', '-d', '--vm', '--name', 'vm', '-m', '256m', 'busybox', 'sleep', '1000')
    holder = lambda: [h for h in vms.api('GET', '/hostel/v1/resources').json['holders'] if h['name'] == 'vm'][0]
    assert holder()['memory_bytes'] == 256 << 20 and holder()['cpu_milli'] == 1000
    estimate = holder()['manage_bytes']
    wait_for(lambda: holder()['manage_bytes'] != estimate, 20)
    assert 5 << 20 < holder()['manage_bytes'] < 200 << 20


def test_exit_codes_and_127_of_a_vm(vms):
    assert vms.hostel('run', '--rm', '--vm', 'busybox', 'sh', '-c', 'exit 42').returncode == 42
    assert vms.hostel('run', '--rm', '--vm', 'busybox', 'nosuch').returncode == 127


def test_what_a_running_vm_can_change_and_what_it_cannot(vms):
    with_rates = ['--net-rate', '8mbit,24mbit']
    vms.ok('run', '--rm', 'busybox', 'true')
    with socket.create_server((vms.api('GET', '/hostel/v1/info').json['gateway'], 0)) as server:
        server.settimeout(120)
        vms.ok('run', '-d', '--vm', '--name', 'vm', '-m', '256m', *with_rates, 'busybox', *talker(server))
        update_rates_and_measure(vms, 'vm', server)
    id = vms.api('GET', '/containers/vm/json').json['Id']
    group = lambda what: cgroup_file(vms, id, what)
    memory = group('memory.limit_in_bytes')
    vms.ok('update', '--cpus', '0.5', 'vm')
    assert (group('cpu.cfs_quota_us'), group('cpu.cfs_period_us')) == ('50000', '100000')
    assert group('memory.limit_in_bytes') == memory
    for option, words in (('-m=512m', 'the memory of a running VM cannot be changed'),
                          ('--cpus=2', 'the vcpus of a running VM cannot be changed; it has 1'),
                          ('--pids-limit=50', 'the --pids-limit of a running VM cannot be changed')):
        p = vms.hostel('update', option, 'vm')
        assert p.returncode and words in p.err, p.err
    vms.ok('stop', '-t', '1', 'vm', timeout=60)
    vms.ok('update', '-m', '384m', '--cpus', '2', 'vm')
    host = vms.api('GET', '/containers/vm/json').json['HostConfig']
    assert (host['Memory'], host['NanoCpus']) == (384 << 20, 2000000000)


def cgroup_file(d, id, name):
    """Of the instance's cgroup, by its v1 name; skips on a v2 host."""
    controller = name.split('.')[0]
    path = f'/sys/fs/cgroup/{controller}/{d.cgroup}/{id}/{name}'
    if not os.path.exists(path):
        pytest.skip('cgroup v2')
    return open(path).read().strip()


@pytest.mark.parametrize('kind', [[], ['--vm']], ids=['container', 'vm'])
def test_a_disk_limit_holds_and_is_seen_inside(vms, kind):
    """By a disk of its own: the way of a host without project quota (tests/test_quota.py has the other)."""
    p = vms.hostel('run', '--rm', *kind, '--storage-opt', 'size=32m', 'busybox', 'sh', '-c',
                   'df -k / | tail -1; dd if=/dev/zero of=/big bs=1M count=60 2>&1; ls -l /big', timeout=120)
    size = int(p.out.splitlines()[0].split()[-5])
    written = int(p.out.splitlines()[-1].split()[4])
    assert 24 << 10 < size <= 32 << 10, p.out
    assert 'No space left' in p.out or 'quota exceeded' in p.out
    assert 20 << 20 < written < 32 << 20


def test_each_vm_has_a_disk_of_its_own_that_outlives_its_runs(vms):
    vms.ok('run', '--vm', '--name', 'one', '-m', '256m', 'busybox', 'sh', '-c', 'cat /mine || echo a >/mine')
    assert (vms.root / 'images/empty.ext4').exists()
    assert vms.hostel('run', '--rm', '--vm', '-m', '256m', 'busybox', 'cat', '/mine').returncode == 1
    vms.ok('start', '-a', 'one')
    assert vms.ok('logs', 'one').splitlines()[-1] == 'a'


def test_the_next_vm_is_estimated_by_what_those_that_run_cost(vms):
    holder = lambda name: [h for h in vms.api('GET', '/hostel/v1/resources').json['holders'] if h['name'] == name][0]
    cost = lambda name: vms.api('GET', f'/containers/{name}/json').json['Hostel']['ManageBytes']
    vms.ok('run', '-d', '--vm', '--name', 'one', '-m', '256m', 'busybox', 'sleep', '1000')
    # It was measured: page by page, no round figure.
    measured = wait_for(lambda: (b := holder('one')['manage_bytes']) % (1 << 19) and b, 30)
    assert 30 << 20 < measured < 90 << 20
    # A queued one shows its estimate.
    vms.ok('create', '--vm', '--name', 'two', '-m', '256m', '--label', 'hostel.queue=wait', 'busybox', 'true')
    vms.ok('start', 'two')
    assert abs(cost('two') - measured * 1.06) < 8 << 20


def test_a_guest_may_use_all_of_its_memory(vms):
    """The cgroup has room for what QEMU needs beside it."""
    vms.ok('run', '-d', '--vm', '--name', 'vm', '-m', '256m', '--privileged', 'busybox', 'sleep', '1000')
    vms.ok('exec', 'vm', 'sh', '-c', 'mkdir /t && mount -t tmpfs -o size=170m none /t && '
           'dd if=/dev/zero of=/t/x bs=1M count=165 2>/dev/null && md5sum /t/x && '
           'dd if=/dev/zero of=/big bs=1M count=100 2>/dev/null && cat /big >/dev/null', timeout=120)
    id = vms.api('GET', '/containers/vm/json').json['Id']
    limit, stat = int(cgroup_file(vms, id, 'memory.limit_in_bytes')), cgroup_file(vms, id, 'memory.stat')
    rss = int([l for l in stat.splitlines() if l.startswith('rss ')][0].split()[1])
    assert rss < limit - (8 << 20)
    assert state(vms, 'vm')['Status'] == 'running'


def test_a_health_check_runs_inside_a_vm(vms):
    check_health(vms, '--vm', '-m', '256m')


def ended(d, name):
    return wait_for(lambda: (s := state(d, name)) and s['Status'] == 'exited' and s)


def test_a_payload_killed_inside_its_vm_is_137_without_a_note(vms):
    vms.ok('run', '-d', '--vm', '-m', '256m', '--init', '--name', 'inner', 'busybox', 'sleep', '4321')
    # What the init started: the kernel lets nobody inside a namespace kill its first process.
    vms.hostel('exec', 'inner', 'sh', '-c', 'kill -9 $(grep -l "^sleep" /proc/[0-9]*/cmdline | cut -d / -f 3)')
    s = ended(vms, 'inner')
    assert (s['ExitCode'], s['Error'], s['OOMKilled']) == (137, '', False)


def test_a_guest_kernel_that_panics_ends_its_vm_and_says_so(vms):
    vms.ok('run', '-d', '--vm', '-m', '256m', '--privileged', '--name', 'panics', 'busybox', 'sh', '-c',
           'echo before; [ -e /again ] && exit 7; : > /again; sync; echo c > /proc/sysrq-trigger; sleep 1000')
    s = ended(vms, 'panics')
    assert (s['ExitCode'], s['OOMKilled'], s['Error']) == (137, False, "the guest's kernel stopped")
    assert vms.ok('logs', 'panics') == 'before'
    vms.ok('start', 'panics')  # its disk is there
    assert ended(vms, 'panics')['ExitCode'] == 7
