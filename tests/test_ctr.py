# SPDX-License-Identifier: Apache-2.0
"""Containers as ctr makes them, seen from inside and from the host; the shim is played by tests/tools/ctr_driver.c."""
import json, os, pathlib, re, shutil, signal, subprocess, time

import pytest

import ctrlib
from ctrlib import CGROUPS, Container, Failed, IS_V2, World

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')

DEFAULT_CAPS = 0xa80425fb


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp('ctr'))
    yield w
    w.close()


@pytest.fixture
def run(world):
    """run(*cmd, ...) -> Container; all are gone, and nothing is left of them, after the test."""
    made = []

    def make(*cmd, **options):
        made.append(Container(world, cmd, **options))
        return made[-1]
    yield make
    for c in made:
        c.close()
    end = time.monotonic() + 2
    while world.leaks() and time.monotonic() < end:
        time.sleep(0.02)
    assert world.leaks() == []


def output(c):
    e = c.exited()
    assert e['code'] == 0, (e, c.data)
    return c.out().strip()


def ask(run, *cmd, **options):
    return output(run('probe', *cmd, **options))


def alive(pid):
    """A zombie, whoever has to collect it, runs no more."""
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] not in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return False


def status(text):
    return dict(line.split(':\t') for line in text.splitlines() if ':\t' in line)


# ---- namespaces and files ----

def test_every_namespace_is_its_own(run):
    c = run('sh', '-c', 'for n in mnt pid uts ipc net; do readlink /proc/self/ns/$n; done; echo $$')
    *inside, pid = output(c).split()
    outside = [os.readlink(f'/proc/self/ns/{n}') for n in 'mnt pid uts ipc net'.split()]
    assert pid == '1' and not set(inside) & set(outside) and len(set(inside)) == 5


@pytest.mark.parametrize('mode,ns', [('PidMode', 'pid'), ('IpcMode', 'ipc'), ('UtsMode', 'uts'), ('NetworkMode', 'net')])
def test_mode_host_shares_the_hosts_namespace(run, mode, ns):
    c = run('readlink', f'/proc/self/ns/{ns}', spec={mode: 'host'})
    assert output(c) == os.readlink(f'/proc/self/ns/{ns}')


def test_a_namespace_of_another_container_is_joined(run):
    first = run('sleep', '60')
    pid = first.started()
    joined = {'ipc_ns': f'/proc/{pid}/ns/ipc', 'pid_ns': f'/proc/{pid}/ns/pid', 'net_ns': f'/proc/{pid}/ns/net'}
    c = run('sh', '-c', 'for n in ipc pid net; do readlink /proc/self/ns/$n; done', inside=joined,
            spec={'IpcMode': 'container:x', 'PidMode': 'container:x', 'NetworkMode': 'container:x'})
    assert output(c).split() == [os.readlink(f'/proc/{pid}/ns/{n}') for n in ('ipc', 'pid', 'net')]


def test_who_joins_an_ipc_namespace_shares_its_dev_shm(run):
    first = run('sh', '-c', 'echo here > /dev/shm/word; echo ready; sleep 60')
    pid = first.started()
    first.until('ready')
    c = run('sh', '-c', 'cat /dev/shm/word; touch /x && ls /bin/probe', inside={'ipc_ns': f'/proc/{pid}/ns/ipc'}, spec={'IpcMode': 'container:x'})
    assert output(c).split() == ['here', '/bin/probe']
    assert first.run_exec('x', ['ls', '/'])[1].split().count('x') == 0


def test_nothing_of_the_hosts_tree_is_left(run):
    c = run('cat', '/proc/self/mountinfo')
    lines = output(c).splitlines()
    # The paths of the overlay's folders are shown as its options; no mount point is outside.
    assert not [l for l in lines if l.split()[4].startswith(('/work', '/old', '/host'))]
    assert lines[0].split()[4] == '/'


def test_no_descriptor_of_ours_is_inherited(run):
    assert ask(run, 'fds') == '0 1 2'


def test_default_mounts_are_dockers(run):
    c = run('mount')
    found = {}
    for line in output(c).splitlines():
        m = re.match(r'(\S+) on (\S+) type (\S+) \((.*)\)', line)
        found.setdefault(m[2], (m[3], set(m[4].split(','))))
    for target, kind, options in [
            ('/', 'overlay', 'rw'), ('/proc', 'proc', 'rw,nosuid,nodev,noexec'), ('/dev', 'tmpfs', 'rw,nosuid,size=65536k,mode=755'),
            ('/dev/pts', 'devpts', 'rw,nosuid,noexec,gid=5,mode=620,ptmxmode=666'), ('/sys', 'sysfs', 'ro,nosuid,nodev,noexec'),
            ('/dev/mqueue', 'mqueue', 'rw,nosuid,nodev,noexec'), ('/dev/shm', 'tmpfs', 'rw,nosuid,nodev,noexec,size=65536k')]:
        assert found[target][0] == kind and set(options.split(',')) <= found[target][1], target
    assert 'ro' in found['/sys/fs/cgroup'][1]


@pytest.mark.parametrize('path', ['/proc/sys/kernel/hostname', '/proc/sysrq-trigger', '/proc/irq/default_smp_affinity', '/sys/kernel/mm/ksm/run'])
def test_what_docker_makes_read_only_cannot_be_written(run, path):
    if not os.path.exists(path):
        pytest.skip(f'{path} is not on this host')
    assert ask(run, 'try', 'write', path) == 'EROFS'


def test_what_docker_masks_is_hidden(run):
    c = run('sh', '-c', 'ls /sys/firmware /proc/acpi /proc/scsi 2>/dev/null | grep -v :; cat /proc/keys /proc/timer_list /proc/kcore 2>/dev/null | head -c 10')
    assert c.exited() and c.out().strip() == ''


def test_unmasked_paths_are_there_when_asked_for(run):
    c = run('cat', '/proc/timer_list', spec={'MaskedPathsSet': True, 'ReadonlyPathsSet': True, 'MaskedPaths': [], 'ReadonlyPaths': []})
    assert 'Timer List' in output(c)
    assert ask(run, 'try', 'write', '/proc/sys/kernel/hostname', spec={'ReadonlyPathsSet': True}) == 'ok'


def test_the_shm_size_is_the_users(run):
    c = run('df', '-m', '/dev/shm', spec={'ShmBytes': 8 << 20})
    assert output(c).splitlines()[1].split()[1] == '8'


def test_hostname_and_environment(run):
    c = run('sh', '-c', 'hostname; echo $HOSTNAME $HOME $PATH $COLOUR $TERM', spec={'Hostname': 'web', 'Env': ['COLOUR=red']})
    assert output(c).split() == ['web', 'web', '/root', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'red']
    c = run('hostname')
    assert output(c) == c.id[:12]


def test_etc_files_are_the_engines(run, tmp_path):
    for name in ('hosts', 'hostname', 'resolv'):
        (tmp_path / name).write_text(name)
    c = run('sh', '-c', 'cat /etc/hosts /etc/hostname /etc/resolv.conf; echo more >> /etc/hosts',
            inside={'hosts': str(tmp_path / 'hosts'), 'hostname_file': str(tmp_path / 'hostname'), 'resolv': str(tmp_path / 'resolv')})
    assert output(c) == 'hostshostnameresolv'
    assert (tmp_path / 'hosts').read_text() == 'hostsmore\n'


def test_a_readonly_root_refuses_writes_but_not_to_volumes(run, tmp_path):
    c = run('sh', '-c', 'touch /x 2>&1; touch /data/y && touch /tmp/z && echo written',
            spec={'ReadonlyRootfs': True, 'Tmpfs': {'/tmp': ''},
                  'Mounts': [{'Type': 'bind', 'Source': str(tmp_path), 'Target': '/data'}]},
            inside={'mount_sources': [str(tmp_path)]})
    assert 'Read-only file system' in output(c) and c.out().endswith('written\n')
    assert (tmp_path / 'y').exists()


def test_binds_are_read_only_and_made_where_the_image_has_nothing(run, tmp_path):
    (tmp_path / 'dir').mkdir()
    (tmp_path / 'file').write_text('content')
    mounts = [{'Type': 'bind', 'Source': 's', 'Target': '/a/b/c', 'ReadOnly': True}, {'Type': 'bind', 'Source': 's', 'Target': '/a/f/g'}]
    c = run('sh', '-c', 'cat /a/f/g; touch /a/b/c/x 2>&1', spec={'Mounts': mounts},
            inside={'mount_sources': [str(tmp_path / 'dir'), str(tmp_path / 'file')]})
    c.exited()
    assert c.out().startswith('content') and 'Read-only' in c.out()


def test_a_missing_bind_source_is_named_in_words_that_are_no_127(run):
    c = run('true', spec={'Mounts': [{'Type': 'bind', 'Source': '/no/such', 'Target': '/x'}]}, inside={'mount_sources': ['/no/such']})
    with pytest.raises(Failed) as e:
        c.started()
    assert 'bind source path does not exist: /no/such' in str(e.value) and 'no such file' not in str(e.value)


def test_links_in_the_image_do_not_lead_out(run, world, tmp_path):
    evil = tmp_path / 'evil'
    (evil / 'etc').mkdir(parents=True)
    (evil / 'out').symlink_to('../../../../../../../..' + str(tmp_path))
    (evil / 'etc/passwd').symlink_to('/../../../../../../../etc/shadow')
    (tmp_path / 'src').mkdir()

    def change(plan):
        plan['host']['rootfs']['lower'].insert(0, str(evil))
    c = run('true', plan=change, spec={'Mounts': [{'Type': 'bind', 'Source': 's', 'Target': '/out/victim'}]},
            inside={'mount_sources': [str(tmp_path / 'src')]})
    c.exited()
    assert not (tmp_path / 'victim').exists()


def test_proc_of_the_image_may_not_be_a_link(run, tmp_path):
    (tmp_path / 'l').mkdir()
    (tmp_path / 'l/proc').symlink_to('/tmp')

    def change(plan):
        plan['host']['rootfs']['lower'].insert(0, str(tmp_path / 'l'))
    with pytest.raises(Failed, match='must be a folder'):
        run('true', plan=change).started()


def test_a_hundred_layers(run, world):
    many = []
    for i in range(110):
        d = world.base / f'many-{i:03d}-{"x" * 60}'
        d.mkdir(exist_ok=True)
        (d / f'f{i}').write_text(str(i))
        many.append(str(d))

    def change(plan):
        plan['host']['rootfs']['lower'] = many + plan['host']['rootfs']['lower']
    c = run('sh', '-c', 'cat /f0 /f109', plan=change)
    assert output(c) == '0109'


# ---- devices ----

@pytest.mark.parametrize('path', ['/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom'])
def test_the_usual_devices_can_be_used(run, path):
    assert ask(run, 'try', 'open', path) == 'ok'


@pytest.mark.parametrize('node,want', [('c:1:3', 'ok'), ('c:1:11', 'EPERM'), ('b:7:0', 'EPERM'), ('c:10:237', 'EPERM')])
def test_the_device_cgroup_refuses_others(run, node, want):
    """Also in /tmp, made by mknod; 'rootfs' is mounted without nodev."""
    assert ask(run, 'try', 'mknod', node) == want


def test_a_device_of_the_user(run):
    devices = [{'Host': '/dev/kmsg', 'Inside': '/dev/log/kmsg', 'Permissions': 'r'}]
    assert ask(run, 'try', 'open', '/dev/log/kmsg', spec={'Devices': devices, 'CapAdd': ['SYSLOG']}) == 'ok'
    assert ask(run, 'try', 'write', '/dev/log/kmsg', spec={'Devices': devices}) == 'EPERM'


def test_a_device_cgroup_rule_of_the_user(run):
    assert ask(run, 'try', 'mknod', 'b:7:0', spec={'DeviceCgroupRules': ['b 7:* rmw']}) == 'ok'


V2 = CGROUPS if IS_V2 else CGROUPS / 'unified'


@pytest.mark.skipif(not (V2 / 'cgroup.procs').exists(), reason='no v2 hierarchy')
@pytest.mark.parametrize('node,want', [('c:1:3', 'ok'), ('c:1:11', 'EPERM'), ('b:7:0', 'EPERM'), ('c:1:5', 'EPERM'), ('c:5:0', 'ENXIO')])
def test_device_rules_of_cgroup_v2_are_a_program(tmp_path, node, want):
    rules = [{'allow': False, 'access': 'rwm'}, {'allow': True, 'type': 'c', 'access': 'm'}, {'allow': True, 'type': 'b', 'access': 'm'},
             {'allow': True, 'type': 'c', 'major': 1, 'minor': 3, 'access': 'rwm'}, {'allow': True, 'type': 'c', 'major': 1, 'minor': 5, 'access': 'rwm'},
             {'allow': True, 'type': 'c', 'major': 5, 'access': 'rwm'}, {'allow': False, 'type': 'c', 'major': 1, 'minor': 5, 'access': 'r'}]
    (tmp_path / 'rules.json').write_text(json.dumps({'devices': rules}))
    group = V2 / f'hostel-dev-{os.getpid()}'
    r = subprocess.run([ctrlib.DRIVER, 'devices', group, tmp_path / 'rules.json', ctrlib.PROBE, 'try', 'mknod', node],
                       capture_output=True, text=True, start_new_session=True)
    group.rmdir()
    assert (r.stderr, r.stdout) == ('', want + '\n')


# ---- identity ----

@pytest.mark.parametrize('user,groups,want', [
    ('', [], '0 0 0'), ('app', [], '1000 1000 1000 50'), ('app:staff', [], '1000 50 50'), ('1000', [], '1000 1000 1000 50'),
    ('4242', [], '4242 0 0'), ('4242:4343', [], '4242 4343 4343'), ('app', ['audio', '77'], '1000 1000 1000 50 63 77')])
def test_users_and_groups_are_the_images(run, user, groups, want):
    uid, gid, *own = ask(run, 'id', spec={'User': user, 'GroupAdd': groups}).split()
    assert [uid, gid, *sorted(own)] == [*want.split()[:2], *sorted(want.split()[2:])]


def test_an_unknown_user_is_refused_in_dockers_words(run):
    with pytest.raises(Failed, match='unable to find user nobody9: no matching entries in passwd file'):
        run('true', spec={'User': 'nobody9'}).started()


def test_home_is_the_users_unless_said(run):
    assert output(run('sh', '-c', 'echo $HOME', spec={'User': 'app'})) == '/home/app'
    assert output(run('sh', '-c', 'echo $HOME', spec={'User': 'app', 'Env': ['HOME=/x']})) == '/x'


@pytest.mark.parametrize('spec,want', [
    ({}, DEFAULT_CAPS), ({'CapDrop': ['ALL']}, 0), ({'CapDrop': ['ALL'], 'CapAdd': ['net_bind_service']}, 1 << 10),
    ({'CapAdd': ['SYS_PTRACE'], 'CapDrop': ['CAP_CHOWN']}, (DEFAULT_CAPS | 1 << 19) & ~1)])
def test_capabilities(run, spec, want):
    s = status(output(run('cat', '/proc/self/status', spec=spec)))
    assert [int(s[k], 16) for k in ('CapBnd', 'CapEff', 'CapPrm', 'CapInh', 'CapAmb')] == [want, want, want, 0, 0]


def test_another_user_has_no_capability_left(run):
    s = status(output(run('cat', '/proc/self/status', spec={'User': 'app'})))
    assert int(s['CapEff'], 16) == 0 and int(s['CapPrm'], 16) == 0 and int(s['CapBnd'], 16) == DEFAULT_CAPS


def test_privileged_has_what_the_host_has(run):
    own = status(pathlib.Path('/proc/self/status').read_text())['CapEff']
    c = run('sh', '-c', 'grep CapEff /proc/self/status; ls /dev/loop-control; probe try write /proc/sys/kernel/hostname', spec={'Privileged': True})
    assert output(c).split() == ['CapEff:', own, '/dev/loop-control', 'ok']


def test_no_new_privileges(run):
    s = status(output(run('cat', '/proc/self/status', spec={'SecurityOpt': ['no-new-privileges']})))
    assert s['NoNewPrivs'] == '1'


def test_rlimits_umask_and_oom_score(run):
    c = run('sh', '-c', 'ulimit -n; ulimit -Hn; umask; cat /proc/self/oom_score_adj',
            spec={'Ulimits': [{'Name': 'nofile', 'Soft': 123, 'Hard': 456}], 'OomScoreAdj': 77})
    assert output(c).split() == ['123', '456', '0022', '77']


def test_sysctls_of_its_own_namespaces(run):
    c = run('cat', '/proc/sys/net/ipv4/ip_forward', '/proc/sys/kernel/shm_rmid_forced',
            spec={'Sysctls': {'net.ipv4.ip_forward': '1', 'kernel.shm_rmid_forced': '1'}})
    assert output(c).split() == ['1', '1']


@pytest.mark.parametrize('key', ['kernel.panic', 'vm.overcommit_memory', 'fs.file-max', 'net.ipv4.ip_forward'])
def test_sysctls_of_the_host_are_refused(run, key):
    with pytest.raises(Failed, match='sysctl'):
        run('true', spec={'Sysctls': {key: '1'}, 'NetworkMode': 'host'}, start=False)


# ---- seccomp ----

@pytest.fixture(scope='module')
def bpf(tmp_path_factory):
    path = tmp_path_factory.mktemp('bpf') / 'default.bpf'
    caps = [l for l in 'CAP_CHOWN CAP_SYS_CHROOT CAP_MKNOD CAP_NET_RAW CAP_AUDIT_WRITE'.split()]
    subprocess.run([ctrlib.SECCOMP, 'default', path, *caps], check=True)
    return lambda plan: plan['guest'].update(seccomp_bpf=str(path))


@pytest.mark.parametrize('call,want', [
    (('unshare', '0x10000000'), 'EPERM'), (('mount',), 'EPERM'), (('socket', '2'), 'ok'), (('socket', '40'), 'EPERM'),
    (('socket', '38'), 'EPERM'), (('personality', '0'), 'ok'), (('personality', '0x40000'), 'EPERM'), (('syscall', '435'), 'ENOSYS'),
    (('syscall', '999'), 'ENOSYS'), (('syscall', '250'), 'EPERM'), (('raw',), 'ok')])
def test_the_default_filter(run, bpf, call, want):
    assert ask(run, 'try', *call, plan=bpf) == want


@pytest.mark.parametrize('spec', [{}, {'User': 'app'}, {'SecurityOpt': ['no-new-privileges']}, {'CapDrop': ['ALL'], 'User': '12'}])
def test_the_filter_is_there_for_whatever_identity(run, bpf, spec):
    s = status(output(run('cat', '/proc/self/status', plan=bpf, spec=spec)))
    assert s['Seccomp'] == '2' and s['Seccomp_filters'] == '1'
    assert ask(run, 'try', 'syscall', '250', plan=bpf, spec=spec) == 'EPERM'


def test_exec_has_the_same_filter(run, bpf):
    c = run('sleep', '60', plan=bpf)
    c.started()
    assert c.run_exec('x', ['probe', 'try', 'personality', '0x40000']) == (0, 'EPERM\n')


# ---- limits ----

def test_cgroup_limits_are_written(run):
    c = run('sleep', '60', spec={'MemoryBytes': 64 << 20, 'MemoryReservationBytes': 32 << 20, 'CpuMilli': 250, 'CpuShares': 512,
                                 'PidsLimit': 17, 'CpusetCpus': '0'})
    c.started()
    if IS_V2:
        want = {'memory.max': 64 << 20, 'memory.low': 32 << 20, 'pids.max': 17, 'cpuset.cpus': 0}
    else:
        want = {'memory/memory.limit_in_bytes': 64 << 20, 'memory/memory.memsw.limit_in_bytes': 128 << 20,
                'memory/memory.soft_limit_in_bytes': 32 << 20, 'cpu/cpu.cfs_quota_us': 25000, 'cpu/cpu.cfs_period_us': 100000,
                'cpu/cpu.shares': 512, 'pids/pids.max': 17, 'cpuset/cpuset.cpus': 0}
    for file, value in want.items():
        top, _, name = file.rpartition('/')
        assert (CGROUPS / top / c.cgroup[1:] / name).read_text().strip() == str(value), file


def test_the_instance_sees_its_own_limits(run):
    c = run('cat', '/sys/fs/cgroup/memory.max' if IS_V2 else '/sys/fs/cgroup/memory/memory.limit_in_bytes', spec={'MemoryBytes': 64 << 20})
    assert output(c) == str(64 << 20)


def test_the_pids_limit_counts_all(run):
    assert ask(run, 'forks', '40', spec={'PidsLimit': 10}) == '9 EAGAIN'


def test_the_main_process_killed_for_memory_is_told_with_limit_and_flag(run):
    c = run('probe', 'hog', '64', spec={'MemoryBytes': 16 << 20})
    e = c.exited()
    assert e['code'] == 137 and e['oom'] is True
    assert 'probe' in e['text'] and '16 MiB' in e['text'] and '--memory' in e['text']
    assert [x for x in c.seen if x['event'] == 'oom']


def test_another_process_killed_for_memory_is_an_event_only(run):
    c = run('sh', '-c', 'probe hog 64; echo code $?; exit 3', spec={'MemoryBytes': 16 << 20})
    e = c.exited()
    assert (e['code'], e['oom']) == (3, False) and c.out() == 'code 137\n'
    assert [x for x in c.seen if x['event'] == 'oom']


def test_a_kill_by_hand_is_no_oom(run):
    c = run('sh', '-c', 'probe hog 64; sleep 60', spec={'MemoryBytes': 16 << 20})
    c.wait('oom')
    time.sleep(1.2)
    c.do(do='signal', n=9)
    e = c.exited()
    assert (e['code'], e['oom']) == (137, False)


def disk(plan):
    rootfs = plan['host']['rootfs']
    rootfs['disk'] = rootfs['upper'].replace('rw/upper', 'rw.img')
    rootfs['disk_bytes'] = 64 << 20


def test_the_disk_limit_is_enospc_inside_and_survives_a_restart(run):
    c = run('sh', '-c', 'probe fill /big 200; echo kept > /small', plan=disk)
    done, err = output(c).splitlines()[0].split()
    assert err == 'ENOSPC' and 30 < int(done) < 64
    assert os.stat(c.state / 'rw.img').st_blocks * 512 <= 65 << 20
    c = run('cat', '/small', plan=disk, state=c.state)
    assert output(c) == 'kept' or c.exited()


def test_a_loop_device_goes_with_its_container(run):
    def loops():
        return {l for l in pathlib.Path('/sys/block').glob('loop*/loop/backing_file') if 'ctr' in l.read_text()}
    before = loops()
    c = run('sleep', '60', plan=disk)
    c.started()
    assert loops() - before
    c.close()
    end = time.monotonic() + 3
    while loops() - before and time.monotonic() < end:
        time.sleep(0.05)
    assert not loops() - before


def test_reads_from_a_device_are_throttled(run, tmp_path):
    dev = os.stat(tmp_path).st_dev
    device = next((f'/dev/{os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(dev)}:{os.minor(dev)}"))}' for _ in [0]
                   if os.path.exists(f'/sys/dev/block/{os.major(dev)}:{os.minor(dev)}')), None)
    if not device:
        pytest.skip('the test folder is on no block device')
    (tmp_path / 'data').write_bytes(os.urandom(4 << 20))
    os.sync()

    def seconds(throttles):
        c = run('probe', 'read', '/data/data', str(4 << 20),
                spec={'Throttles': throttles, 'Mounts': [{'Type': 'bind', 'Source': 's', 'Target': '/data'}]},
                inside={'mount_sources': [str(tmp_path)]})
        begin = time.monotonic()
        assert output(c) == str(4 << 20)
        return time.monotonic() - begin
    assert seconds([{'What': 'read-bps', 'Device': device, 'Rate': 2 << 20}]) > 1.2


def test_cpu_quota_is_felt(run):
    c = run('sh', '-c', 'i=0; while [ $i -lt 100000000 ]; do i=$((i+1)); done', spec={'CpuMilli': 100})
    pid = c.started()
    begin = time.monotonic()
    time.sleep(1.0)
    used = sum(map(int, pathlib.Path(f'/proc/{pid}/stat').read_text().split()[13:15])) / os.sysconf('SC_CLK_TCK')
    assert used < 0.3 * (time.monotonic() - begin)


# ---- start errors ----

@pytest.mark.parametrize('cmd,text', [
    (['nosuch'], 'exec: "nosuch": executable file not found in $PATH'),
    (['/x'], 'exec: "/x": stat /x: no such file or directory'),
    (['/etc'], 'exec: "/etc": is a directory'),
    (['/bin/noexec'], 'exec: "/bin/noexec": permission denied'),
    (['/bin/nointerp'], 'exec /bin/nointerp: no such file or directory'),
    (['/bin/garbage'], 'exec /bin/garbage: exec format error'),
    (['./bin/noexec'], 'exec: "./bin/noexec": permission denied')])
def test_what_cannot_be_executed_is_told_in_runcs_words(run, cmd, text):
    c = run(*cmd)
    with pytest.raises(Failed) as e:
        c.started()
    assert str(e.value) == text
    assert not ctrlib.cgroup_dirs(c.cgroup)


@pytest.mark.parametrize('options', [
    {'spec': {'CpusetCpus': '99'}}, {'spec': {'WorkDir': '/etc/passwd'}}, {'spec': {'Sysctls': {'net.no.such': '1'}}},
    {'plan': lambda p: p['host']['rootfs'].update(lower=['/no/such/layer'])}, {'plan': lambda p: p['guest'].update(seccomp_bpf='/no/such')},
    {'plan': lambda p: p.update(version=99)}, {'plan': lambda p: p['guest'].pop('oci')}])
def test_other_errors_have_other_words_and_leave_nothing(run, options):
    c = run('true', **options)
    with pytest.raises(Failed) as e:
        c.started()
    for word in ('executable file not found', 'no such file or directory', 'permission denied', 'is a directory'):
        assert word not in str(e.value)
    assert not ctrlib.cgroup_dirs(c.cgroup)


def test_the_working_directory_is_made(run):
    c = run('sh', '-c', 'pwd; stat -c %u:%a .', spec={'WorkDir': '/srv/new/place', 'User': 'app'})
    assert output(c).split() == ['/srv/new/place', '0:755']


# ---- signals, exec, tty ----

def test_signals_and_exit_codes(run):
    c = run('probe', 'trap')
    c.started()
    c.until('ready')
    for n, name in ((1, 'HUP'), (10, 'USR1'), (28, 'WINCH')):
        c.do(do='signal', n=n)
        c.until(name)
    c.do(do='signal', n=15)
    assert c.exited()['code'] == 15
    assert run('probe', 'exit', '7').exited()['code'] == 7


def test_the_end_of_init_is_the_end_of_all(run):
    c = run('sh', '-c', 'sleep 1000 & sleep 1000 & exec sleep 1000')
    pid = c.started()
    c.run_exec('x', ['true'])
    c.exec('y', ['sleep', '1000'])
    c.wait('exec-started', id='y')
    procs = {int(p) for d in ctrlib.cgroup_dirs(c.cgroup) for p in (d / 'cgroup.procs').read_text().split()}
    assert pid in procs and len(procs) == 4
    os.kill(pid, signal.SIGKILL)
    assert c.exited()['code'] == 137
    assert [x['code'] for x in c.seen if x['event'] == 'exec-exited' and x['id'] == 'y'] == [137]
    assert not ctrlib.cgroup_dirs(c.cgroup)
    for p in procs:
        assert not os.path.exists(f'/proc/{p}')


def test_with_the_hosts_pid_namespace_the_others_are_ended_too(run):
    c = run('sh', '-c', 'sleep 1000 & echo $!; sleep 0.2', spec={'PidMode': 'host'})
    assert c.exited()['code'] == 0
    assert not alive(c.out().strip())


def test_exec_joins_all_namespaces_and_the_cgroup(run):
    c = run('sleep', '60', spec={'PidsLimit': 5, 'User': 'app'})
    pid = c.started()
    code, text = c.run_exec('x', ['sh', '-c', 'for n in mnt pid uts ipc net; do readlink /proc/self/ns/$n; done; probe id; pwd; grep CapBnd /proc/self/status'])
    *ns, ids, cwd, caps = text.splitlines()
    assert code == 0 and ns == [os.readlink(f'/proc/{pid}/ns/{n}') for n in 'mnt pid uts ipc net'.split()]
    assert (ids, cwd, int(caps.split()[1], 16)) == ('1000 1000 50 1000', '/', DEFAULT_CAPS)
    assert c.run_exec('y', ['probe', 'id'], user='root')[1] == '0 0 0\n'
    assert c.run_exec('z', ['probe', 'forks', '30'])[1] == '3 EAGAIN\n'


@pytest.mark.parametrize('cmd,text', [
    (['nosuch'], 'exec: "nosuch": executable file not found in $PATH'), (['/etc'], 'exec: "/etc": is a directory')])
def test_exec_errors_leave_the_container_running(run, cmd, text):
    c = run('sleep', '60')
    c.started()
    with pytest.raises(Failed) as e:
        c.run_exec('x', cmd)
    assert str(e.value) == text
    assert c.run_exec('y', ['echo', 'alive']) == (0, 'alive\n')


def test_exec_environment_and_place(run):
    c = run('sleep', '60', spec={'Env': ['A=1', 'B=2'], 'WorkDir': '/tmp'})
    c.started()
    assert c.run_exec('x', ['sh', '-c', 'echo $A $B $HOME; pwd'], env=['B=3'])[1].split() == ['1', '3', '/root', '/tmp']
    assert c.run_exec('y', ['pwd'], workdir='/etc')[1] == '/etc\n'


def test_exec_input_and_signals(run):
    c = run('sleep', '60')
    c.started()
    c.exec('x', ['cat'], stdin=True)
    c.wait('exec-started', id='x')
    c.do(do='write', id='x', text='hello\n')
    c.until('hello', id='x')
    c.do(do='close', id='x')
    assert c.wait('exec-exited', id='x')['code'] == 0
    c.exec('y', ['probe', 'trap'])
    c.wait('exec-started', id='y')
    c.until('ready', id='y')
    c.do(do='signal', id='y', n=15)
    assert c.wait('exec-exited', id='y')['code'] == 15


def test_stdin_reaches_the_payload(run):
    c = run('cat', stdin=True)
    c.started()
    c.do(do='write', text='through\n')
    c.until('through')
    c.do(do='close')
    assert c.exited()['code'] == 0


def test_without_stdin_there_is_dev_null(run):
    assert output(run('readlink', '/proc/self/fd/0')) == '/dev/null'


def test_stderr_is_apart_and_can_be_reopened_by_the_user(run):
    c = run('sh', '-c', 'echo out > /dev/stdout; echo err > /dev/stderr', spec={'User': 'app'})
    assert c.exited()['code'] == 0
    assert (c.out(), c.out(fd=2)) == ('out\n', 'err\n')


def test_a_terminal_is_the_containers_own(run):
    c = run('sh', '-c', 'probe tty; stat -c %u,%t,%T /dev/console; read x; probe tty', spec={'Tty': True, 'User': 'app'})
    c.started()
    c.until('1000,88,0')
    assert c.out().startswith('0 0 /dev/pts/0')
    c.do(do='resize', rows=40, cols=100)
    c.do(do='write', text='\n')
    c.until('40 100')
    assert c.exited()['code'] == 0


def test_exec_with_a_terminal(run):
    c = run('sleep', '60')
    c.started()
    c.exec('x', ['sh', '-c', 'read x; probe tty; echo $TERM; tty'], tty=True)
    c.wait('exec-started', id='x')
    c.do(do='resize', id='x', rows=24, cols=80)
    c.do(do='write', id='x', text='\n')
    c.until('24 80 /dev/pts/0', id='x')
    c.until('xterm', id='x')
    c.wait('exec-exited', id='x')


def test_freezing_stops_all_and_thawing_lets_go_on(run):
    c = run('sh', '-c', 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done')
    c.started()
    c.until('3\n')
    c.do(do='freeze', on=True)
    time.sleep(0.1)
    while not c.events.empty():
        c.wait('data')
    before = c.out()
    time.sleep(0.2)
    assert c.events.empty()
    c.do(do='freeze', on=False)
    c.wait('data')
    assert c.out() != before


def test_a_frozen_container_can_be_killed(run):
    c = run('sleep', '60')
    c.started()
    c.do(do='freeze', on=True)
    c.do(do='signal', n=9)
    assert c.exited()['code'] == 137


# ---- network ----

@pytest.fixture
def bridge():
    name = f'hct{os.getpid()}'
    if not shutil.which('ip'):
        pytest.skip('no ip')
    subprocess.run(['ip', 'link', 'add', name, 'type', 'bridge'], check=True)
    subprocess.run(['ip', 'addr', 'add', '10.199.77.1/24', 'dev', name], check=True)
    subprocess.run(['ip', 'link', 'set', name, 'up'], check=True)
    yield name
    subprocess.run(['ip', 'link', 'del', name], check=True)


def net(bridge, host_ifname, last, **more):
    def change(plan):
        plan['host']['net'] = {'mode': 'bridge', 'bridge': bridge, 'ifname': 'eth0', 'host_ifname': host_ifname,
                               'mac': f'02:42:0a:c7:4d:{last:02x}', 'address': f'10.199.77.{last}/24', 'gateway': '10.199.77.1',
                               'mtu': 1500, **more}
    return change


def links():
    """Ours: named after the pid."""
    return {p.name for p in pathlib.Path('/sys/class/net').iterdir() if str(os.getpid()) in p.name}


@pytest.mark.parametrize('more', [{}, {'egress_bps': 10 ** 8, 'ingress_bps': 10 ** 8}])
def test_a_link_to_the_bridge(run, bridge, more):
    before = links()
    c = run('sh', '-c', 'cat /proc/net/route /sys/class/net/eth0/address /sys/class/net/lo/operstate; sleep 60',
            plan=net(bridge, f'hx{os.getpid()}', 5, **more), spec={'NetworkMode': 'bridge'})
    c.started()
    c.until('unknown')
    assert '02:42:0a:c7:4d:05' in c.out() and 'eth0\t00000000\t014DC70A' in c.out()
    assert f'hx{os.getpid()}' in links()
    r = subprocess.run(['ping', '-c', '1', '-W', '3', '10.199.77.5'], capture_output=True) if shutil.which('ping') else None
    assert not r or r.returncode == 0
    c.close()
    end = time.monotonic() + 3
    while links() != before and time.monotonic() < end:
        time.sleep(0.05)
    assert links() == before


def test_a_missing_bridge_fails_the_start_and_leaves_nothing(run):
    before = links()
    c = run('true', plan=net('nosuchbr', f'hx{os.getpid()}', 5), spec={'NetworkMode': 'bridge'})
    with pytest.raises(Failed, match='nosuchbr'):
        c.started()
    assert links() == before and not ctrlib.cgroup_dirs(c.cgroup)


def test_undo_takes_the_link_too(run, bridge):
    before = links()
    c = run('sleep', '60', plan=net(bridge, f'hx{os.getpid()}', 6, egress_bps=10 ** 8), spec={'NetworkMode': 'bridge'})
    c.started()
    c.driver.kill()
    c.driver.wait()
    subprocess.run([ctrlib.DRIVER, 'undo', str(c.state)], check=True)
    assert links() == before


# ---- --init ----

def with_init(run, *cmd, **options):
    return run(*cmd, spec={'Init': True, **options.pop('spec', {})}, inside={'init': str(ctrlib.INIT)}, **options)


def test_init_is_the_first_process_and_hands_on_signals_and_codes(run):
    c = with_init(run, 'probe', 'trap')
    pid = c.started()
    c.until('ready')
    assert pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0')[0] == b'/sbin/docker-init'
    c.do(do='signal', n=10)
    c.until('USR1')
    c.do(do='signal', n=15)
    assert c.exited()['code'] == 15
    assert with_init(run, 'probe', 'exit', '9').exited()['code'] == 9
    assert with_init(run, 'sh', '-c', 'kill -9 $$').exited()['code'] == 137
    assert with_init(run, 'nosuch').exited()['code'] == 127


def test_init_collects_orphans(run):
    c = with_init(run, 'sh', '-c', 'sh -c "sh -c true & true" ; sleep 0.3; grep -l "Z (zombie)" /proc/[0-9]*/status; echo done')
    assert output(c) == 'done'


# ---- undo ----

def test_undo_by_the_plan_alone_is_idempotent(run):
    c = run('sh', '-c', 'sleep 1000 & sleep 1000')
    pid = c.started()
    other = run('sleep', '60')
    other_pid = other.started()
    c.driver.kill()
    c.driver.wait()
    assert alive(pid)
    for _ in range(2):
        subprocess.run([ctrlib.DRIVER, 'undo', str(c.state)], check=True)
        assert not ctrlib.cgroup_dirs(c.cgroup) and not alive(pid)
    assert alive(other_pid)


def test_twenty_at_once_and_nothing_leaks(run):
    made = [run('sh', '-c', f'exit {i}') for i in range(20)]
    assert [c.exited()['code'] for c in made] == list(range(20))


# ---- the plan ----

def oci_schema():
    shared = pathlib.Path(os.environ.get('HOSTEL_SHARED', pathlib.Path(__file__).resolve().parent.parent.parent / 'shared'))
    folder = shared / 'specs/oci-runtime-schema'
    if not folder.is_dir():
        pytest.skip(f'no {folder}')
    return folder


FULL = {
    'Entrypoint': ['/bin/sh', '-c'], 'Cmd': ['true'], 'Env': ['A=1'], 'WorkDir': '/tmp', 'User': 'app', 'Tty': True, 'Hostname': 'h',
    'Domainname': 'd', 'MemoryBytes': 64 << 20, 'MemoryReservationBytes': 32 << 20, 'MemorySwapBytes': -1, 'MemorySwappiness': 10,
    'CpuMilli': 1500, 'CpuShares': 100, 'CpusetCpus': '0', 'CpusetMems': '0', 'PidsLimit': 5, 'BlkioWeight': 100, 'OomKillDisable': True,
    'OomScoreAdj': 5, 'CapAdd': ['NET_ADMIN'], 'CapDrop': ['CHOWN'], 'SecurityOpt': ['no-new-privileges'], 'ReadonlyRootfs': True,
    'Sysctls': {'net.core.somaxconn': '5'}, 'Devices': [{'Host': '/dev/kmsg', 'Inside': '/dev/k', 'Permissions': 'r'}],
    'DeviceCgroupRules': ['c 1:* rm'], 'Tmpfs': {'/t': 'size=1m'}, 'ShmBytes': 1 << 20, 'Ulimits': [{'Name': 'core', 'Soft': 0, 'Hard': -1}],
    'Mounts': [{'Type': 'bind', 'Source': '/etc', 'Target': '/m/etc', 'ReadOnly': True, 'Propagation': 'rslave'},
               {'Type': 'tmpfs', 'Target': '/m', 'TmpfsBytes': 4096, 'TmpfsMode': 0o700}],
}


@pytest.mark.parametrize('spec', [{}, FULL, {'Privileged': True}, {'Kind': 'vm'}, {**FULL, 'Kind': 'vm', 'Devices': []}])
def test_the_plan_is_a_valid_oci_configuration(run, spec):
    jsonschema = pytest.importorskip('jsonschema')
    folder = oci_schema()
    schema = json.loads((folder / 'config-schema.json').read_text())
    store = {}
    for f in folder.glob('*.json'):
        doc = json.loads(f.read_text())
        for key in (f.name, doc.get('id'), doc.get('$id'), folder.as_uri() + '/' + f.name):
            if key:
                store[key] = doc
    resolver = jsonschema.RefResolver(folder.as_uri() + '/config-schema.json', schema, store=store)
    c = run('true', spec=spec, start=False, inside={'mount_sources': ['/etc', ''], 'hosts': '/etc/hosts', 'init': '/bin/true'})
    jsonschema.Draft4Validator(schema, resolver=resolver).validate(c.plan['guest']['oci'])


def test_a_vm_gets_no_mounts_of_the_host(run):
    c = run('true', spec={**FULL, 'Kind': 'vm', 'Devices': []}, start=False, inside={'mount_sources': ['/etc', ''], 'hosts': '/etc/hosts'})
    oci = c.plan['guest']['oci']
    assert not [m for m in oci['mounts'] if m['type'] in ('bind', 'cgroup')]
    assert set(oci['linux'].get('resources', {})) <= {'pids'} and oci['linux']['namespaces'] == []


@pytest.mark.parametrize('spec,text', [
    ({'CapAdd': ['FLY']}, 'unknown capability: "FLY"'), ({'DeviceCgroupRules': ['c 1:3']}, 'invalid device cgroup rule format'),
    ({'Devices': [{'Host': '/dev/nosuch'}]}, '/dev/nosuch'), ({'Throttles': [{'What': 'read-bps', 'Device': '/dev/null', 'Rate': 1}]}, 'not a block device'),
    ({'Cmd': []}, 'no command specified')])
def test_wrong_options_are_refused_by_name(run, spec, text):
    with pytest.raises(Failed, match=re.escape(text)):
        run('true', spec=spec, start=False)
