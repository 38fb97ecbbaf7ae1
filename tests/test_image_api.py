# SPDX-License-Identifier: Apache-2.0
"""Images through the daemon: archives that are cut off, what an image's removal frees, sizes as docker shows them."""
import contextlib, json, os, signal, socket, subprocess, time

import pytest

from conftest import waiter
from test_image import INDEX, MANIFEST, Image, Liar, digest, noise, plain, tar_of


wait_for = waiter(60, 0.02)


# ---- a worker that dies midway ----

SLOW_WORKER = '''#!/bin/sh
# hostel-image, but what writes an archive stops half-way and waits for its end
job=$(cat)
case "$job" in
*'"job":"save"'*|*'"op":"export"'*|*'"op":"get"'*)
    printf %s "$job" | {real} 3>{dir}/whole >{dir}/said
    grep -v '"done"' {dir}/said
    head -c 50000 {dir}/whole >&3
    echo $$ >{dir}/pid.new; mv {dir}/pid.new {dir}/pid
    exec sleep 600 ;;
esac
printf %s "$job" | if [ -e /proc/self/fd/3 ]; then exec {real}; else exec {real} 3>&-; fi
'''


@pytest.fixture
def half(own_libexec):
    """A hosteld whose archives stop half-way; half.worker() is the pid of the worker that does."""
    d = own_libexec(**{'hostel-image': SLOW_WORKER})
    d.ok('create', '--name', 'box', 'busybox')

    def pid():
        path = d.dir / 'pid'
        if not path.exists():
            return 0
        found = int(path.read_text())
        path.unlink()
        return found
    d.worker = lambda: wait_for(pid)
    return d


@pytest.mark.parametrize('path', ['/images/busybox/get', '/containers/box/export', '/containers/box/archive?path=/bin'])
def test_a_reply_whose_worker_was_killed_has_no_last_chunk(half, path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(half.socket))
        s.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        pid = half.worker()
        got = s.recv(65536)
        assert got.startswith(b'HTTP/1.1 200 ')
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ConnectionResetError):
            while more := s.recv(65536):
                got += more
    assert len(got) > 40000 and not got.endswith(b'0\r\n\r\n')
    assert 'cut off' in half.log


@pytest.mark.parametrize('client', ['hostel', 'docker'])
@pytest.mark.parametrize('argv', [('save', '-o', 'OUT', 'busybox'), ('export', '-o', 'OUT', 'box'), ('cp', 'box:/bin', 'OUT')])
def test_a_client_fails_and_leaves_no_half_made_file(half, docker, tmp_path, client, argv):
    folder = tmp_path / 'out'
    folder.mkdir()
    exe = half.cli if client == 'hostel' else docker
    p = subprocess.Popen([exe, *[str(folder / 'x') if a == 'OUT' else a for a in argv]], env=half.env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.kill(half.worker(), signal.SIGKILL)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 1, (out, err)
    if client == 'hostel':
        assert err == 'hostel: cut off: hosteld closed the connection\n' and out == ''
        assert os.listdir(folder) == []
    else:
        assert 'unexpected EOF' in err


def test_a_client_that_goes_ends_the_worker(half):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(half.socket))
        s.sendall(b'GET /images/busybox/get HTTP/1.1\r\nHost: x\r\n\r\n')
        pid = half.worker()
    wait_for(lambda: not os.path.exists(f'/proc/{pid}'))


# ---- what images leave ----

def stored(d, folder):
    path = d.root / folder
    return set(os.listdir(path)) if path.exists() else set()


@pytest.fixture
def served(new_hosteld):
    """A hosteld, and a registry that serves what it is given."""
    d = new_hosteld()
    server = Liar({})
    d.liar = server
    yield d
    server.shutdown()
    server.server_close()


def test_an_image_under_another_manifest_leaves_nothing_of_the_first(served):
    tars = [tar_of(('a', noise(30000))), tar_of(('b', 'x' * 5000))]
    first, second = Image(tars), Image(tars, plain, suffix='')
    assert first.id == second.id and first.manifest != second.manifest
    served.liar.add('1', first)
    served.liar.add('2', second)
    served.ok('pull', '-q', f'{served.liar.name}/x:1')
    served.ok('pull', '-q', f'{served.liar.name}/x:2')
    wait_for(lambda: stored(served, 'blobs/sha256') ==
             {digest(b)[7:] for b in [*second.blobs.values(), second.manifest]})
    assert stored(served, 'layers/sha256') == {i[7:] for i in second.diff_ids}
    served.ok('save', '-o', served.dir / 'saved.tar', f'{served.liar.name}/x:1')
    served.ok('rmi', f'{served.liar.name}/x:1', f'{served.liar.name}/x:2')
    assert stored(served, 'blobs/sha256') == set() and stored(served, 'layers/sha256') == set()


def failed_pull(d):
    """A pull that got all but the last layer; names of the blobs that it left."""
    image = Image([tar_of(('a', noise(60000))), tar_of(('b', noise(30000, 2)))])
    d.liar.add('1', image)
    d.liar.lies[image.layer_digests[1]] = 'cut'  # tried three times: the other one has come by then
    p = d.hostel('pull', f'{d.liar.name}/x:1')
    assert p.returncode == 1 and 'download ended after' in p.err
    left = stored(d, 'blobs/sha256')
    assert image.layer_digests[0][7:] in left
    return image, left


def test_what_a_failed_pull_left_goes_with_a_prune(served):
    image, left = failed_pull(served)
    served.liar.lies.clear()
    served.liar.requests.clear()
    served.ok('pull', '-q', f'{served.liar.name}/x:1')  # the next one fetches the rest only
    assert served.liar.blobs_asked() == [image.layer_digests[1]]
    assert served.docker('image', 'prune', '-f').out == 'Total reclaimed space: 0B'
    served.ok('rmi', f'{served.liar.name}/x:1')
    image, left = failed_pull(served)
    p = served.docker('image', 'prune', '-f', '--filter', 'label=x')
    assert stored(served, 'blobs/sha256') == left and p.returncode == 0
    p = served.docker('image', 'prune', '-f')
    assert p.returncode == 0 and f'deleted: {image.layer_digests[0]}' in p.out and p.out.endswith('kB'), p.out
    assert stored(served, 'blobs/sha256') == set() and stored(served, 'layers/sha256') == set()


def test_what_a_failed_pull_left_goes_at_a_start_after_a_day(served, busybox_tar):
    served.ok('load', '-q', '-i', busybox_tar)
    kept = stored(served, 'blobs/sha256'), stored(served, 'layers/sha256')
    image, left = failed_pull(served)
    (served.root / 'layers/sha256' / ('0' * 64) / 'fs').mkdir(parents=True)  # one that was unpacked for it
    old = time.time() - 25 * 3600
    for name in kept[0] | {image.layer_digests[0][7:]}:
        os.utime(served.root / 'blobs/sha256' / name, (old, old))
    for name in kept[1] | {'0' * 64}:
        os.utime(served.root / 'layers/sha256' / name, (old, old))
    kept_new = stored(served, 'layers/sha256') - kept[1] - {'0' * 64}
    served.kill()
    served.start()
    assert stored(served, 'layers/sha256') == kept[1] | kept_new
    assert stored(served, 'blobs/sha256') == left - {image.layer_digests[0][7:]}  # the config is not that old
    assert kept[0] < left
    assert served.ok('run', '--rm', 'busybox', 'echo', 'fine') == 'fine'


def test_an_index_leaves_no_blob(served):
    image = Image([tar_of(('a', 'x'))])
    served.liar.add(digest(image.manifest), image)
    index = {'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [
        {'mediaType': MANIFEST, 'digest': digest(image.manifest), 'size': len(image.manifest),
         'platform': {'os': 'linux', 'architecture': 'amd64'}}]}
    served.liar.images['1'] = json.dumps(index).encode()
    served.ok('pull', '-q', f'{served.liar.name}/x:1')
    assert stored(served, 'blobs/sha256') == {digest(b)[7:] for b in [*image.blobs.values(), image.manifest]}


# ---- removal, by moby's rules (daemon/images/image_delete.go) ----

def test_the_name_of_an_image_in_use_goes_by_force_and_the_image_stays(new_hosteld, busybox_tar, docker):
    d = new_hosteld()
    d.ok('load', '-q', '-i', busybox_tar)
    d.ok('run', '-d', '--name', 'box', 'busybox', 'sleep', '1000')
    id = d.api('GET', '/images/busybox/json').json['Id']
    box = d.api('GET', '/containers/box/json').json['Id'][:12]
    refused = lambda *argv: (p := d.docker('rmi', *argv)).returncode == 1 and p.err.split('daemon: ')[1]
    assert refused('busybox').startswith('conflict: unable to remove repository reference "busybox" (must force) - container '
                                         f'{box} is using its referenced image {id[7:19]}')
    running = f'conflict: unable to delete {id[7:19]} (cannot be forced) - image is being used by running container {box}'
    d.ok('tag', 'busybox', 'other')
    for argv in (id[7:19],), ('-f', id[7:19]):
        assert refused(*argv).startswith(running)
    assert d.docker('rmi', 'other').out == 'Untagged: other:latest'  # it has another name
    assert refused('-f', id[7:]).startswith(running)
    assert d.docker('rmi', '-f', 'busybox').out == 'Untagged: busybox:latest'
    assert d.docker('images', '--no-trunc', '--format', '{{.Repository}} {{.ID}}').out == f'<none> {id}'
    assert d.hostel('run', '--rm', '--pull', 'never', 'busybox', 'true').returncode == 125
    # Its layers are used: what runs goes on, and starts again.
    assert d.ok('exec', 'box', 'echo', 'fine') == 'fine'
    d.ok('restart', '-t', '0', 'box')
    d.kill()
    d.start()
    assert d.ok('exec', 'box', 'busybox', 'echo', 'fine') == 'fine'
    d.ok('kill', 'box')
    d.ok('wait', 'box')
    assert refused(id[7:19]).startswith(f'conflict: unable to delete {id[7:19]} (must be forced) - image is being used by '
                                        f'stopped container {box}')
    assert stored(d, 'layers/sha256')
    d.ok('rm', 'box')
    assert d.docker('rmi', id[7:19]).out.splitlines()[0] == f'Deleted: {id}'
    wait_for(lambda: not stored(d, 'layers/sha256'))


# ---- sizes and lists, as docker shows them ----

def test_history_says_how_big_each_step_is(served, docker):
    image = Image([tar_of(('a', noise(30000))), tar_of(('b', 'x' * 5000))])
    with_config(image, history=[{'created': '2024-01-01T00:00:00Z', 'created_by': 'ADD a'},
                                {'created': '2024-01-01T00:00:01Z', 'created_by': 'ENV x', 'empty_layer': True},
                                {'created': '2024-01-01T00:00:02Z', 'created_by': 'ADD b'}])
    served.liar.add('1', image)
    ref = f'{served.liar.name}/x:1'
    served.ok('pull', '-q', ref)
    rows = served.api('GET', f'/images/{ref}/history').json
    assert [(r['CreatedBy'], r['Size']) for r in rows] == [('ADD b', 5000), ('ENV x', 0), ('ADD a', 30000)]
    assert rows[0]['Id'] == image.id and rows[0]['Tags'] == [ref] and rows[1]['Id'] == '<missing>'
    assert served.docker('history', '--format', '{{.CreatedBy}}|{{.Size}}', ref).out.splitlines() == \
        ['ADD b|5kB', 'ENV x|0B', 'ADD a|30kB']
    assert served.docker('images', '--digests', '--format', '{{.Repository}}|{{.Tag}}|{{.Digest}}|{{.Size}}').out == \
        f'{served.liar.name}/x|1|{digest(image.manifest)}|35kB'
    shown = json.loads(served.docker('image', 'inspect', ref).out)[0]
    assert shown['Size'] == 35000 and shown['RepoDigests'] == [f'{served.liar.name}/x@{digest(image.manifest)}']
    assert shown['RootFS'] == {'Type': 'layers', 'Layers': image.diff_ids}


def with_config(image, **members):
    image.blobs.pop(image.id)
    image.config = json.dumps({**json.loads(image.config), **members}).encode()
    manifest = json.loads(image.manifest)
    manifest['config'] = {**manifest['config'], 'digest': digest(image.config), 'size': len(image.config)}
    image.id, image.manifest = image.put(image.config), json.dumps(manifest).encode()
    return image


def dated(text, when):
    return with_config(Image([tar_of(('a', text))]), created=when)


def test_dangling_images_and_times(served, docker):
    for tag, made in (('old', '2020-01-01T00:00:00Z'), ('new', '2024-01-01T00:00:00Z')):
        new = dated(tag, made)
        served.liar.add(tag, new)
        served.ok('pull', '-q', f'{served.liar.name}/{tag}:{tag}')
    name = served.liar.name

    def listed(*filters):
        return served.docker('images', *[f for x in filters for f in ('-f', x)], '--format', '{{.Repository}}').out
    assert listed(f'before={name}/new:new') == f'{name}/old'
    assert listed(f'since={name}/old:old') == f'{name}/new'
    assert listed('dangling=true') == '' and len(listed('dangling=false').splitlines()) == 2
    served.liar.add('new', dated('other', '2025-01-01T00:00:00Z'))
    served.ok('pull', '-q', f'{name}/new:new')  # the tag moves: the other one dangles
    assert served.docker('images', '-f', 'dangling=true', '--no-trunc', '-q').out == new.id
    assert served.docker('image', 'prune', '-f', '--filter', 'until=2021-01-01').out == 'Total reclaimed space: 0B'
    p = served.docker('image', 'prune', '-f')
    assert f'deleted: {new.id}' in p.out and 'Total reclaimed space: 3B' in p.out, p.out
    assert served.docker('image', 'prune', '-a', '-f', '--filter', 'until=2021-01-01').out.count('untagged') >= 1
    assert listed() == f'{name}/new'


def test_what_containers_and_volumes_hold_is_counted(new_hosteld, busybox_tar, docker):
    d = new_hosteld()
    d.ok('load', '-q', '-i', busybox_tar)
    image = d.api('GET', '/images/busybox/json').json['Size']
    script = 'head -c 100000 /dev/zero >/big; ln /big /other; ln -s /big /l; head -c 5000 /dev/zero >/v/f'
    d.ok('run', '--name', 'writer', '-v', 'vol:/v', 'busybox', 'sh', '-c', script)
    d.ok('create', '--name', 'idle', 'busybox', 'true')
    sizes = {c['Names'][0]: (c['SizeRw'], c['SizeRootFs']) for c in d.api('GET', '/containers/json?all=1&size=1').json}
    assert sizes['/idle'] == (0, image)
    written = sizes['/writer'][0]
    assert 100004 <= written < 104000 and sizes['/writer'][1] == written + image  # a hard link counts once
    assert 'SizeRw' not in d.api('GET', '/containers/json?all=1').json[0]
    one = d.api('GET', '/containers/writer/json?size=1').json
    assert (one['SizeRw'], one['SizeRootFs']) == (written, written + image)
    assert d.docker('ps', '-a', '-s', '--format', '{{.Names}} {{.Size}}', '--filter', 'name=writer').out.startswith('writer 1')
    df = d.api('GET', '/system/df').json
    assert df['LayersSize'] == image and df['Images'][0]['Containers'] == 2 and df['Images'][0]['SharedSize'] == 0
    assert {c['Names'][0]: c['SizeRw'] for c in df['Containers']} == {'/writer': written, '/idle': 0}
    assert df['Volumes'][0]['UsageData'] == {'Size': 5000, 'RefCount': 1}
    p = d.docker('system', 'df')
    assert p.returncode == 0 and 'Local Volumes   1         1' in p.out.replace('   0 ', '   0 '), p.out


def test_blocks_of_a_disk_of_its_own_are_counted(new_hosteld, busybox_tar):
    d = new_hosteld()
    d.ok('load', '-q', '-i', busybox_tar)
    d.ok('create', '--name', 'vm', '--vm', 'busybox', 'true')
    i = d.api('GET', '/containers/vm/json').json
    disk = d.root / 'instances' / i['Id'] / 'rw.img'
    with open(disk, 'wb') as f:
        f.truncate(1 << 30)
        f.write(b'x' * 1000000)
    one = d.api('GET', '/containers/vm/json?size=1').json
    assert one['SizeRw'] == disk.stat().st_blocks * 512 < 2000000
