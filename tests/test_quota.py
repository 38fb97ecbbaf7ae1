# SPDX-License-Identifier: Apache-2.0
"""--storage-opt size= as a project quota: a hosteld inside a VM of ours, whose kernel has project quota, on an ext4 and
an xfs made for it.  What it writes is a line "ok NAME" per check."""
import pathlib, re, shutil, subprocess, tarfile

import pytest

from conftest import BUILD, CACHE, ROOT, run

MODULES = ['quota/quota_tree.ko', 'quota/quota_v2.ko', 'xfs/xfs.ko', 'overlayfs/overlay.ko']
MKFS = {'ext4': ['mke2fs', '-q', '-F', '-t', 'ext4', '-O', 'quota,project', '-E', 'quotatype=prjquota'],
        'xfs': ['mkfs.xfs', '-q', '-f']}

INSIDE = r'''
check() { name=$1; shift; if "$@"; then echo "ok $name"; else echo "FAILED $name"; fi; }
for m in /modules/*.ko; do insmod $m 2>/dev/null; insmod $m 2>/dev/null; done
for m in /modules/*.ko; do insmod $m 2>/dev/null; done
mkdir -p /sys/fs/cgroup /q /run/h
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
truncate -s 400M /disk.img
MKFS_HERE /disk.img || exit 1
mount -o loop,prjquota /disk.img /q || exit 1
start() { hosteld --root /q/h --run /run/h --libexec /usr/bin --log-level debug >>/log 2>&1 & pid=$!
	for i in $(seq 300); do h version >/dev/null 2>&1 && return; sleep 0.1; done; cat /log; exit 1; }
h() { HOSTEL_SOCKET=/run/h/hostel.sock hostel "$@"; }
start
h load -q -i /busybox.tar
run() { h run --network none "$@"; }
full() { out=$(run "$@" sh -c 'dd if=/dev/zero of=/big bs=1M count=60 2>&1; ls -l /big; df -k / | tail -1' 2>&1); echo "$out" | sed 's/^/# /'
	echo "$out" | grep -Eq 'Disk quota exceeded|No space left'; }
size() { run --rm --storage-opt size=32m busybox df -k / | awk 'END { exit !($(NF-4) == 32768) }'; }
check write_fails full --name aa --storage-opt size=32m busybox
check privileged_too full --rm --privileged --storage-opt size=32m busybox
check df_shows_the_limit size
leaves() { h run --rm --network none --storage-opt size=32m -v /usr/bin/quota_of:/quota_of busybox sh -c 'touch /f; /quota_of --leave /f' 2>&1; }
leaves | sed 's/^/# /'
stays() { leaves | grep -q 'set project 0: Operation not permitted'; }
check no_way_out stays
check no_disk_file test ! -e /q/h/instances/*/rw.img
check host_not_full test $(df -k /q | awk 'END { print $(NF-2) }') -gt 250000
check project_in_plan grep -q '"project"' $(ls -d /q/h/instances/*)/plan.json
# A second start has the same files and limit; a copy into the stopped one is held back too.
again() { h start -a aa >/tmp/out 2>&1; sed 's/^/# /' /tmp/out; grep -Eq 'Disk quota|No space' /tmp/out; }
check restarted again
dd if=/dev/zero of=/more bs=1M count=20 2>/dev/null
check copy_fails sh -c '! HOSTEL_SOCKET=/run/h/hostel.sock hostel cp /more aa:/more 2>/tmp/err && grep -Eq "quota|No space|Read-only" /tmp/err'
sed 's/^/# /' /tmp/err
# A lost store: the folder still has its number, and no other instance gets it.
kill -9 $pid; wait $pid 2>/dev/null; rm -f /q/h/hostel.db*; start
h load -q -i /busybox.tar
check found_again again
run -d --name bb --storage-opt size=48m busybox sleep 1000 >/dev/null
numbers() { for f in /q/h/instances/*/plan.json; do grep -o '"project": *[0-9]*' $f; done | sort | uniq -d; }
check no_number_twice test -z "$(numbers)"
number() { for f in /q/h/instances/*/plan.json; do grep -q "\"name\": *\"$1\"" $f && grep -o '"project": *[0-9]*' $f | grep -o '[0-9]*$'; done; }
n=$(number bb)
check limit_is_set sh -c "quota_of $n | grep -q 'limit 50331648'"
h rm -f bb
for i in $(seq 100); do [ "$(quota_of $n)" = 'used 0 limit 0' ] && break; sleep 0.1; done
check released test "$(quota_of $n)" = 'used 0 limit 0'
# What a snapshot puts back has the number that it had, a copy one of its own; both are held back.
run -d --name cc --storage-opt size=48m busybox sh -c 'dd if=/dev/zero of=/f bs=1M count=20; touch /done; sleep 1000' >/dev/null
for i in $(seq 100); do h exec cc ls /done >/dev/null 2>&1 && break; sleep 0.1; done
check snapshot h snapshot create -q cc first
h stop -t 0 cc >/dev/null; check restore h snapshot restore -q cc first; h start cc >/dev/null
check copy h snapshot restore -q cc first --as dd; h start dd >/dev/null
limited() { quota_of $(number $1) | sed 's/^/# /'; quota_of $(number $1) | grep -q 'limit 50331648' && [ $(quota_of $(number $1) | cut -d' ' -f2) -gt 20000000 ]; }
check restored_is_limited limited cc
check copy_is_limited limited dd
check their_numbers test "$(number cc)" != "$(number dd)"
h rm -f cc dd >/dev/null
# Without enforcement it is said, and nothing starts unlimited.
kill -9 $pid; wait $pid 2>/dev/null
umount /q && mount -o loop,noquota /disk.img /q && start
check refused sh -c '! HOSTEL_SOCKET=/run/h/hostel.sock hostel start -a aa 2>/tmp/err && grep -q "project quota" /tmp/err'
sed 's/^/# /' /tmp/err
kill $pid; echo end
'''


def closure(path):
    """A program and the libraries that it wants."""
    found = {str(path): pathlib.Path(path)}
    for line in run('ldd', path).out.splitlines():
        m = re.search(r'(/\S+) \(0x', line)
        if m:
            found[m[1]] = pathlib.Path(m[1])
    return found


@pytest.fixture(scope='module')
def rig(tmp_path_factory, root_only, busybox_tar):
    """A tar of a root file system with hosteld, its libraries and the modules of the guest's kernel."""
    tools = [shutil.which(name) for name in [argv[0] for argv in MKFS.values()] + ['tar']]
    folder = tmp_path_factory.mktemp('rig')
    deb = run(ROOT / 'tools/fetch.sh', 'kernel', CACHE, timeout=300)
    if deb.returncode:
        pytest.skip(f'no kernel: {deb.err}')
    run('dpkg-deb', '-x', deb.out.splitlines()[-1], folder / 'kernel')
    with tarfile.open(folder / 'root.tar', 'w') as t:
        files = {}
        for name in ('hosteld', 'hostel', 'hostel-shim', 'hostel-image', 'hostel-init'):
            files |= {p: src for p, src in closure(BUILD / name).items() if src.parent != BUILD}
            t.add(BUILD / name, f'usr/bin/{name}')
        quota_of = next(BUILD.glob('tests/tools/quota_of'))
        t.add(quota_of, 'usr/bin/quota_of')
        for tool in filter(None, tools):
            files |= closure(tool)
        t.add('/bin/busybox', 'bin/busybox')
        for p, src in files.items():
            t.add(src.resolve(), p.lstrip('/'), recursive=False)
        t.add('/bin/tar', 'bin/tar')
        for m in MODULES + ['drivers/block/loop.ko']:
            found = list((folder / 'kernel').rglob('lib/modules/*/kernel/' + (m if '/block/' in m else 'fs/' + m)))
            t.add(found[0], f'modules/{found[0].name}')
        for m in ('crc32c_generic', 'libcrc32c'):
            for found in (folder / 'kernel').rglob(m + '.ko'):
                t.add(found, f'modules/{found.name}')
        t.add(busybox_tar, 'busybox.tar')
        for applet in set(run('/bin/busybox', '--list').out.split()) - {'busybox', 'tar'}:
            link = tarfile.TarInfo(f'bin/{applet}')
            link.type, link.linkname = tarfile.SYMTYPE, '/bin/busybox'
            t.addfile(link)
        for name in ('tmp', 'run', 'proc', 'sys', 'dev', 'etc'):
            d = tarfile.TarInfo(name)
            d.type, d.mode = tarfile.DIRTYPE, 0o755
            t.addfile(d)
    return folder / 'root.tar'


@pytest.mark.slow
@pytest.mark.parametrize('kind', sorted(MKFS))
def test_a_disk_limit_is_a_project_quota_where_there_is_one(kernel, rig, kind):
    if not shutil.which(MKFS[kind][0]):
        pytest.skip(f'{MKFS[kind][0]} is not installed')
    if not kernel.ok('images', '-q', 'rig'):
        kernel.ok('import', rig, 'rig', timeout=300)
    # By its path: busybox's shell takes its own applets first.
    script = INSIDE.replace('MKFS_HERE', ' '.join([shutil.which(MKFS[kind][0]), *MKFS[kind][1:]]))
    p = kernel.hostel('run', '--rm', '--vm', '--privileged', '-m', '768m', '--cpus', '2', 'rig', 'sh', '-c', script, timeout=900)
    checks = re.findall(r'^(ok|FAILED) (\w+)$', p.stdout, re.M)
    assert len(checks) == 20 and all(r == 'ok' for r, _ in checks) and 'end' in p.out.splitlines(), p.stdout[-6000:] + p.err[-1000:]
