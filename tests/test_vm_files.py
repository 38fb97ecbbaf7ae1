# SPDX-License-Identifier: Apache-2.0
"""cp, diff and export of image VMs: as of containers, whether the VM runs or not."""
import base64, contextlib, hashlib, io, json, os, signal, subprocess, tarfile, time

import pytest

from conftest import UnixHTTP, processes_of, run, waiter

PATIENCE = int(os.environ.get('HOSTEL_PATIENCE', '120'))


@pytest.fixture
def d(kernel):
    """The module's hosteld, with an image and a kernel."""
    return kernel


wait_for = waiter(PATIENCE)


def monitors(d, name=''):
    """QEMUs of this daemon's."""
    ids = {i['id']: i['name'] for i in d.api('GET', '/hostel/v1/instances?all=true').json}
    shims = {pid for pid, line in processes_of(str(d.dir)).items() if 'hostel-shim' in line
             and any(i in line for i, n in ids.items() if not name or n == name)}
    return [pid for pid in processes_of('qemu-system') if parent(pid) in shims]


def parent(pid):
    with contextlib.suppress(OSError):
        return int(open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[1])
    return 0


def pair(d, *command, start=False, options=()):
    """A container and a VM that differ in nothing else."""
    for name, kind in ('box', ()), ('vm1', ('--vm', '-m', '192m')):
        d.ok('create', '--name', name, *kind, *options, 'busybox', *command)
        if start:
            d.ok('start', name)
            assert d.api('POST', f'/containers/{name}/wait', timeout=PATIENCE).status == 200


def get(d, name, path, method='GET'):
    return d.api(method, f'/containers/{name}/archive?path={path}', timeout=PATIENCE)


def put(d, name, path, data):
    return d.api('PUT', f'/containers/{name}/archive?path={path}', data, timeout=PATIENCE)


def stat_of(answer):
    return json.loads(base64.b64decode(answer.headers['X-Docker-Container-Path-Stat']))


def members(data):
    """What a tar says, but for what differs from one file system to another."""
    out = {}
    assert not data.startswith(b'{"message"'), data
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        for m in t:
            name = m.name
            if m.islnk():  # which of its names comes first is the file system's matter
                m = t.getmember(m.linkname)
            body = hashlib.sha256(t.extractfile(m).read()).hexdigest() if m.isreg() else ''
            out[name] = (m.type if not m.issparse() else b'0', oct(m.mode), m.uid, m.gid, m.mtime, m.linkname,
                           m.devmajor, m.devminor, body,
                           {k: v for k, v in m.pax_headers.items() if k.startswith('SCHILY.xattr')})
    return out


def tar_of(*entries):
    """[(TarInfo members, content)] as an archive."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode='w', format=tarfile.PAX_FORMAT, errors='surrogateescape') as t:
        for e, content in entries:
            info = tarfile.TarInfo(e.pop('name'))
            info.mtime = 1600000000
            for k, v in e.items():
                setattr(info, k, v)
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))
    return data.getvalue()


def odd_tree():
    return tar_of(
        ({'name': 't', 'type': tarfile.DIRTYPE, 'mode': 0o1751, 'uid': 5, 'gid': 6}, b''),
        ({'name': 't/plain', 'mode': 0o4755, 'uid': 1000, 'gid': 1001}, b'x' * 100000),
        ({'name': 't/hard', 'type': tarfile.LNKTYPE, 'linkname': 't/plain'}, b''),
        ({'name': 't/soft', 'type': tarfile.SYMTYPE, 'linkname': 'plain'}, b''),
        ({'name': 't/out', 'type': tarfile.SYMTYPE, 'linkname': '/../../../../run'}, b''),
        ({'name': 't/nowhere', 'type': tarfile.SYMTYPE, 'linkname': 'a/b/c'}, b''),
        ({'name': 't/null', 'type': tarfile.CHRTYPE, 'devmajor': 1, 'devminor': 3, 'mode': 0o666}, b''),
        ({'name': 't/pipe', 'type': tarfile.FIFOTYPE}, b''),
        ({'name': 't/with attribute', 'pax_headers': {'SCHILY.xattr.user.colour': 'red'}}, b'y'),
        ({'name': 't/new\nline'}, b'1'),
        ({'name': 't/-dash'}, b'2'),
        ({'name': 't/\u00e4\u4e2d'}, b'3'),
        ({'name': 't/' + 'long' * 50}, b'4'),
        *(({'name': 't' + '/deep' * n, 'type': tarfile.DIRTYPE, 'mode': 0o755}, b'') for n in range(1, 41)),
        ({'name': 't' + '/deep' * 40 + '/end'}, b'5'))


def fsck(d, name):
    id = d.api('GET', f'/containers/{name}/json').json['Id']
    p = run('/sbin/e2fsck', '-fn', d.root / 'instances' / id / 'rw.img')
    assert p.returncode == 0, p.out
    return p.out


def at_rest(d, name='vm1'):
    wait_for(lambda: not monitors(d, name), text='the VM of its files ends')


# ---- the same as a container ----

def test_what_never_ran_is_read_as_a_container(d):
    pair(d, 'true')
    for path in '/etc/passwd', '/bin/busybox', '/bin/sh', '/bin/../bin/sh', '/etc', '/etc/', '/', '/etc/.':
        box, vm = get(d, 'box', path), get(d, 'vm1', path)
        assert (box.status, vm.status) == (200, 200), (path, box.body, vm.body)
        a, b = stat_of(box), stat_of(vm)
        if a['mode'] >> 31:
            a['size'] = b['size'] = 0
        if path == '/':  # its time is that of the instance's making
            a['mtime'] = b['mtime']
        box, vm = members(box.body), members(vm.body)
        assert a == b and box.keys() == vm.keys()
        assert not [n for n in vm if box[n] != vm[n] and n not in ('', '/')]
        head = get(d, 'vm1', path, 'HEAD')
        assert (head.status, stat_of(head), head.body) == (200, {**stat_of(get(d, 'vm1', path))}, b'')
    assert get(d, 'box', '/bin/busybox').body == get(d, 'vm1', '/bin/busybox').body
    for method, path in ('GET', '/none'), ('HEAD', '/none'), ('GET', '/etc/passwd/'), ('GET', '/none/x'), ('GET', ''):
        a, b = get(d, 'box', path, method), get(d, 'vm1', path, method)
        assert (a.status, a.body.replace(b'box', b'vm1')) == (b.status, b.body) and a.status in (400, 404)
    for path in '/none', '/etc/passwd':
        a, b = put(d, 'box', path, odd_tree()), put(d, 'vm1', path, odd_tree())
        assert (a.status, a.body.replace(b'box', b'vm1')) == (b.status, b.body) and a.status in (400, 404)
    a, b = put(d, 'box', '/', b'no archive' * 1000), put(d, 'vm1', '/', b'no archive' * 1000)
    assert (a.status, a.body) == (b.status, b.body) and a.status >= 400
    over = tar_of(({'name': 'etc'}, b'no folder'))
    a, b = (put(d, n, '/&noOverwriteDirNonDir=1', over) for n in ('box', 'vm1'))
    assert (a.status, a.body) == (b.status, b.body) and a.status == 400 and 'cannot overwrite directory' in a.json['message']
    a, b = d.api('GET', '/containers/box/changes'), d.api('GET', '/containers/vm1/changes', timeout=PATIENCE)
    assert (a.status, a.json) == (b.status, b.json) == (200, [])
    assert len(monitors(d, 'vm1')) == 1  # one VM for all of them
    at_rest(d)
    fsck(d, 'vm1')


def test_a_tree_goes_in_and_out_stopped_and_running(d):
    pair(d, 'sh', '-c', 'ls -l /tmp/t | wc -l; stat -c %i /tmp/t/plain /tmp/t/hard | uniq | wc -l; trap exit TERM; while :; do sleep 0.1; done')
    for name in 'box', 'vm1':
        r = put(d, name, '/tmp', odd_tree())
        assert (r.status, r.body) == (200, b'')
    box, vm = members(get(d, 'box', '/tmp/t').body), members(get(d, 'vm1', '/tmp/t').body)
    assert len(box) == 14 + 40 and box == vm
    for name in 'box', 'vm1':
        d.ok('start', name, timeout=PATIENCE)
        wait_for(lambda: len(d.ok('logs', name).split()) == 2, text=f'logs of {name}')
        assert d.ok('logs', name).split() == ['14', '1']
    assert members(get(d, 'vm1', '/tmp/t').body) == vm
    assert stat_of(get(d, 'vm1', '/tmp/t/out')) == stat_of(get(d, 'box', '/tmp/t/out'))
    assert put(d, 'vm1', '/etc', tar_of(({'name': 'late'}, b'later'))).status == 200
    assert d.ok('exec', 'vm1', 'cat', '/etc/late') == 'later'
    for path in '/etc/none', '/etc/passwd/':
        a, b = get(d, 'box', path), get(d, 'vm1', path)
        assert (a.status, a.body.replace(b'box', b'vm1')) == (b.status, b.body)
    assert put(d, 'box', '/etc', tar_of(({'name': 'late'}, b'later'))).status == 200
    changes = d.api('GET', '/containers/vm1/changes', timeout=PATIENCE).json
    assert changes == d.api('GET', '/containers/box/changes').json
    for name in 'box', 'vm1':
        d.ok('stop', '-t', '20', name, timeout=PATIENCE)
    assert members(get(d, 'vm1', '/tmp/t').body) == vm
    assert members(get(d, 'vm1', '/etc/late').body)['late'][8] == hashlib.sha256(b'later').hexdigest()
    assert d.api('GET', '/containers/vm1/changes').json == changes
    at_rest(d)
    fsck(d, 'vm1')


def test_diff_and_export_are_a_containers(d):
    pair(d, 'sh', '-c', 'echo hi >/f; rm /etc/group; mkdir -p /n/m; echo a >>/etc/passwd; rm -r /root; mkdir /root; ln -s /x /n/l',
         start=True)
    a, b = (d.api('GET', f'/containers/{n}/changes', timeout=PATIENCE).json for n in ('box', 'vm1'))
    assert a == b and {'Path': '/etc/group', 'Kind': 2} in a and {'Path': '/n/l', 'Kind': 1} in a
    box, vm = (members(d.api('GET', f'/containers/{n}/export', timeout=PATIENCE).body) for n in ('box', 'vm1'))
    assert box.keys() == vm.keys() and 'etc/group' not in vm and 'n/l' in vm
    # What the start and the command made has the time of its making.
    assert {n for n in vm if box[n][:4] + box[n][5:] != vm[n][:4] + vm[n][5:]} == set()


def test_an_attribute_and_a_hole_stay_what_they_are(d, tmp_path):
    d.ok('create', '--name', 'vm1', '--vm', '-m', '192m', 'busybox', 'true')
    with open(tmp_path / 'sparse', 'wb') as f:
        f.truncate(300 << 20)
        f.seek(200 << 20)
        f.write(b'middle')
    archive = subprocess.run(['tar', '-C', tmp_path, '--sparse', '-cf', '-', 'sparse'], capture_output=True).stdout
    assert len(archive) < 1 << 20
    assert put(d, 'vm1', '/', archive).status == 200
    r = get(d, 'vm1', '/sparse')
    assert stat_of(r)['size'] == 300 << 20 and len(r.body) < 1 << 20
    (tmp_path / 'out').mkdir()
    subprocess.run(['tar', '-C', tmp_path / 'out', '-xf', '-'], input=r.body, check=True)
    assert run('cmp', tmp_path / 'sparse', tmp_path / 'out/sparse').returncode == 0


# ---- docker's own command ----

@pytest.mark.parametrize('running', [False, True], ids=['stopped', 'running'])
def test_docker_cp_carries_a_big_file_and_a_tree_both_ways(d, docker, tmp_path, running):
    d.ok('create', '--name', 'vm1', '--vm', '-m', '256m', 'busybox', 'sleep', '1000')
    if running:
        d.ok('start', 'vm1', timeout=PATIENCE)
    big = tmp_path / 'big'
    with open(big, 'wb') as f:
        for _ in range(20 if running else 100):
            f.write(os.urandom(1 << 20))
    tree = tmp_path / 'tree'
    (tree / 'a/b').mkdir(parents=True)
    (tree / 'a/b/odd \u00e4 name').write_text('odd')
    (tree / 'a/link').symlink_to('b/odd \u00e4 name')
    for what, where in (big, 'vm1:/big'), (tree, 'vm1:/'):
        p = d.docker('cp', what, where, timeout=PATIENCE)
        assert p.returncode == 0, p.err
    for what, where in ('vm1:/big', tmp_path / 'back'), ('vm1:/tree', tmp_path / 'back-tree'):
        p = d.docker('cp', what, where, timeout=PATIENCE)
        assert p.returncode == 0, p.err
    assert run('cmp', big, tmp_path / 'back').returncode == 0
    assert run('diff', '-r', '--no-dereference', tree, tmp_path / 'back-tree').returncode == 0
    p = d.docker('cp', 'vm1:/none', tmp_path / 'none', timeout=PATIENCE)
    assert p.returncode == 1 and 'Could not find the file /none in container vm1' in p.err
    p = d.docker('diff', 'vm1', timeout=PATIENCE)
    assert {'A /big', 'A /tree/a/link'} <= set(p.out.splitlines())


# ---- what is refused, by name ----

def test_what_cannot_be_is_refused_by_name(d, tmp_path):
    d.ok('create', '--name', 'vm1', '--vm', '-m', '192m', '--read-only', 'busybox', 'sleep', '1000')
    r = put(d, 'vm1', '/tmp', odd_tree())
    assert (r.status, r.json['message']) == (400, 'container rootfs is marked read-only')
    assert get(d, 'vm1', '/etc/passwd').status == 200
    d.ok('start', 'vm1', timeout=PATIENCE)
    d.ok('pause', 'vm1')
    for r in get(d, 'vm1', '/etc'), put(d, 'vm1', '/etc', odd_tree()), d.api('GET', '/containers/vm1/export'):
        assert r.status == 409 and 'is paused' in r.json['message']
    d.ok('unpause', 'vm1')
    assert get(d, 'vm1', '/etc/passwd').status == 200
    disk = tmp_path / 'disk.img'
    disk.write_bytes(b'\0' * (1 << 20))
    d.ok('vm', 'create', 'machine', '--memory', '256', '--disk', disk)
    r = get(d, 'machine', '/etc')
    assert r.status == 501 and r.json['message'].startswith('machine ')
    d.ok('vm', 'create', 'bare', '--memory', '256')
    r = d.api('GET', '/containers/bare/changes')
    assert r.status == 501 and r.json['message'].startswith('bare ')


def test_no_link_leads_out_of_the_root(d):
    d.ok('create', '--name', 'vm1', '--vm', '-m', '192m', 'busybox', 'true')
    links = tar_of(({'name': 'up', 'type': tarfile.SYMTYPE, 'linkname': '/../../../../run'}, b''),
                   ({'name': 'proc1', 'type': tarfile.SYMTYPE, 'linkname': '/proc/1/root/run'}, b''))
    assert put(d, 'vm1', '/', links).status == 200
    assert get(d, 'vm1', '/up/disk').status == 404  # hostel-guest's own /run/disk
    assert get(d, 'vm1', '/proc1/disk').status == 404
    climbing = tar_of(({'name': 'up/../../escaped'}, b'x'))
    r = put(d, 'vm1', '/etc', climbing)
    assert r.status >= 400
    through = tar_of(({'name': 'up/inside'}, b'x'))
    assert put(d, 'vm1', '/', through).status >= 400  # the guest's /run is not there
    assert 'escaped' not in str(d.api('GET', '/containers/vm1/changes').json)


# ---- one at a time, and the end ----

class Slow:
    """A client of GET archive that reads the header only."""

    def __init__(self, d, path):
        self.c = UnixHTTP(str(d.socket), PATIENCE)
        self.c.request('GET', path)
        self.r = self.c.getresponse()
        assert self.r.status == 200, self.r.read()

    def close(self):
        self.r.close()
        self.c.close()


def with_big_file(d, mib=8):
    d.ok('create', '--name', 'vm1', '--vm', '-m', '192m', 'busybox', 'true')
    data = tar_of(({'name': 'big'}, os.urandom(1 << 20) * mib))
    assert put(d, 'vm1', '/', data).status == 200


def test_a_job_holds_the_instance_and_no_slow_client_holds_the_daemon(d):
    with_big_file(d)
    slow = Slow(d, '/containers/vm1/archive?path=/big')
    for _ in range(3):
        t = time.monotonic()
        assert d.api('GET', '/_ping').status == 200 and time.monotonic() - t < 5
    held = [h for h in d.api('GET', '/hostel/v1/resources').json['holders'] if h['kind'] == 'files']
    assert [h['name'] for h in held] == ['files of vm1'] and held[0]['manage_bytes'] > 64 << 20
    assert held[0]['memory_bytes'] == 0
    assert get(d, 'vm1', '/etc/passwd').status == 200  # beside it
    r = d.api('POST', '/containers/vm1/start', timeout=PATIENCE)
    assert r.status == 500 and 'vm1 is busy: its files are being copied' in r.json['message']
    start = d.popen('start', 'vm1')
    wait_for(lambda: d.api('GET', '/hostel/v1/instances').json, text='the start waits')
    slow.close()
    assert start.wait(PATIENCE) == 0
    assert d.api('POST', '/containers/vm1/wait', timeout=PATIENCE).json['StatusCode'] == 0
    assert not [h for h in d.api('GET', '/hostel/v1/resources').json['holders'] if h['kind'] == 'files']
    slow = Slow(d, '/containers/vm1/archive?path=/big')
    assert d.api('DELETE', '/containers/vm1?force=1', timeout=PATIENCE).status == 204
    slow.close()
    assert d.api('GET', '/containers/vm1/json').status == 404
    wait_for(lambda: 'rw.img' not in str(processes_of(str(d.dir))), text='nothing runs')


def begin_put(d, size):
    """A put of which only a part has come."""
    data = tar_of(({'name': 'first'}, b'1'), ({'name': 'second'}, b'2' * size))
    c = UnixHTTP(str(d.socket), PATIENCE)
    c.connect()
    c.sock.sendall(f'PUT /containers/vm1/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nContent-Length: {len(data)}\r\n\r\n'.encode())
    c.sock.sendall(data[:len(data) // 2])
    return c


def test_a_put_whose_client_goes_leaves_a_clean_disk(d):
    d.ok('create', '--name', 'vm1', '--vm', '-m', '192m', 'busybox', 'cat', '/tmp/first')
    c = begin_put(d, 4 << 20)
    wait_for(lambda: monitors(d, 'vm1'), text='its VM boots')
    wait_for(lambda: get(d, 'vm1', '/tmp/first').status == 200, text='the first file is there')
    c.close()
    at_rest(d)
    fsck(d, 'vm1')
    assert d.hostel('start', '-a', 'vm1', timeout=PATIENCE).out == '1'


def test_when_the_daemon_dies_its_vm_ends_in_order(d):
    d.ok('create', '--name', 'vm1', '--vm', '-m', '192m', 'busybox', 'cat', '/tmp/first')
    c = begin_put(d, 4 << 20)
    wait_for(lambda: get(d, 'vm1', '/tmp/first').status == 200, text='the first file is there')
    pids = monitors(d, 'vm1')
    d.kill()
    c.close()
    d.start()
    wait_for(lambda: not any(os.path.exists(f'/proc/{p}') for p in pids), text='QEMU ends')
    assert d.hostel('start', '-a', 'vm1', timeout=PATIENCE).out == '1'
    at_rest(d)
    fsck(d, 'vm1')
    assert not [p for p in processes_of(str(d.dir)) if p != d.process.pid]


def test_a_killed_supervisor_fails_the_job_and_leaves_nothing(d):
    with_big_file(d)
    slow = Slow(d, '/containers/vm1/archive?path=/big')
    for pid in {parent(p) for p in monitors(d, 'vm1')}:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(Exception):
        while slow.r.read(1 << 20):
            pass
        raise EOFError
    slow.close()
    at_rest(d)
    assert get(d, 'vm1', '/etc/passwd').status == 200  # by another one
    at_rest(d)
    fsck(d, 'vm1')
