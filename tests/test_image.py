# SPDX-License-Identifier: Apache-2.0
"""hostel-image by hand: load, import, pull, save, files, erofs, removal; against Debian's docker-registry and
against one that lies."""
import base64, gzip, hashlib, http.server, io, json, os, pathlib, shutil, signal, stat, subprocess, tarfile, threading, time

import pytest

from conftest import need, program, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')

CONFIG = 'application/vnd.oci.image.config.v1+json'
MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
INDEX = 'application/vnd.oci.image.index.v1+json'
LAYER = 'application/vnd.oci.image.layer.v1.tar'


class Result:
    def __init__(self, code, lines, stderr):
        self.code, self.lines, self.stderr = code, lines, stderr
        last = lines[-1] if lines else {}
        self.done, self.error = last.get('done'), last.get('error')
        self.text = self.error['text'] if self.error else ''
        self.kind = self.error['kind'] if self.error else ''

    def statuses(self):
        return [l['progress']['status'] for l in self.lines if 'progress' in l] + \
               [l['status'] for l in self.lines if 'status' in l]


class Store:
    """A root folder, and jobs on it."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def start(self, job, data=None, **args):
        fd = os.open(data, os.O_RDWR | os.O_CREAT, 0o644) if data else -1
        p = subprocess.Popen([need('hostel-image')] if fd < 0 else ['sh', '-c', f'exec "$0" 3<>/dev/fd/{fd}',
                                                                    need('hostel-image')],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             pass_fds=[fd] if fd >= 0 else [])
        if fd >= 0:
            os.close(fd)
        p.stdin.write(json.dumps({'job': job, 'root': str(self.root), **args}).encode())
        p.stdin.close()
        p.stdin = None
        return p

    def job(self, job, data=None, **args):
        p = self.start(job, data, **args)
        out, err = p.communicate(timeout=120)
        lines = [json.loads(l) for l in out.splitlines()]
        assert lines and ('done' in lines[-1]) != ('error' in lines[-1]), (out, err)
        assert p.returncode == (0 if 'done' in lines[-1] else 1), err
        return Result(p.returncode, lines, err.decode())

    def ok(self, job, data=None, **args):
        r = self.job(job, data, **args)
        assert r.done is not None, r.error
        return r.done

    def names(self, folder):
        d = self.root / folder
        return sorted(os.listdir(d)) if d.exists() else []

    def layer(self, diff_id):
        return self.root / 'layers/sha256' / diff_id.split(':')[1] / 'fs'

    def is_tidy(self):
        """Nothing half-made: tmp is empty, every blob is what its name says."""
        assert self.names('tmp') == []
        for name in self.names('blobs/sha256'):
            data = (self.root / 'blobs/sha256' / name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == name
        return True


@pytest.fixture
def store(tmp_path):
    s = Store(tmp_path / 'root')
    s.root.mkdir()
    yield s
    mounts = pathlib.Path('/proc/self/mounts').read_text()
    assert str(s.root) not in mounts


def digest(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def tar_of(*entries):
    """An uncompressed tar of (name, content or None for a folder, {attributes})."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as t:
        for name, content, *more in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.mode = 0o755 if content is None else 0o644
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            data = (content or '').encode() if not isinstance(content, bytes) else content
            info.size = len(data) if info.type == tarfile.REGTYPE else 0
            t.addfile(info, io.BytesIO(data) if info.size else None)
    return out.getvalue()


class Image:
    """An OCI image in memory: documents and blobs by digest."""

    def __init__(self, layers, compress=gzip.compress, arch='amd64', diff_ids=None, suffix='+gzip'):
        self.blobs = {}
        self.layer_digests = []
        descs = []
        for tar in layers:
            packed = compress(tar)
            self.layer_digests.append(self.put(packed))
            descs.append({'mediaType': LAYER + suffix, 'digest': digest(packed), 'size': len(packed)})
        self.diff_ids = diff_ids or [digest(t) for t in layers]
        self.config = json.dumps({'os': 'linux', 'architecture': arch, 'config': {'Cmd': ['sh']},
                                  'rootfs': {'type': 'layers', 'diff_ids': self.diff_ids}}).encode()
        self.id = self.put(self.config)
        self.manifest = json.dumps({'schemaVersion': 2, 'mediaType': MANIFEST,
                                    'config': {'mediaType': CONFIG, 'digest': self.id, 'size': len(self.config)},
                                    'layers': descs}).encode()

    def put(self, data):
        self.blobs[digest(data)] = data
        return digest(data)

    def oci_archive(self, path, ref='docker.io/library/made:1'):
        index = {'schemaVersion': 2, 'manifests': [{'mediaType': MANIFEST, 'digest': digest(self.manifest),
                                                    'size': len(self.manifest),
                                                    'annotations': {'org.opencontainers.image.ref.name': ref}}]}
        files = [('oci-layout', '{"imageLayoutVersion":"1.0.0"}'), ('index.json', json.dumps(index))]
        for d, data in [*self.blobs.items(), (digest(self.manifest), self.manifest)]:
            files.append(('blobs/sha256/' + d[7:], data))
        pathlib.Path(path).write_bytes(tar_of(*files))
        return path


def plain(data):
    return data


# ---- load and import ----

def test_a_docker_archive_is_loaded(store, busybox_tar):
    image = store.ok('load', busybox_tar)['images'][0]
    assert image['refs'] == ['docker.io/library/busybox:latest']
    assert image['platform'] == 'linux/amd64'
    fs = store.layer(image['layers'][0]['diff_id'])
    assert os.access(fs / 'bin/busybox', os.X_OK)
    assert os.readlink(fs / 'bin/sh') == '/bin/busybox'
    assert image['size'] == sum(f.lstat().st_size for f in fs.rglob('*') if f.is_file() and not f.is_symlink())
    assert stat.S_IMODE((fs / 'tmp').stat().st_mode) == 0o1777
    assert store.is_tidy()
    again = store.job('load', busybox_tar)
    assert again.done['images'] == [image] and 'Already exists' in again.statuses()


@pytest.mark.parametrize('pack', ['gzip', 'zstd'])
def test_a_compressed_archive_is_loaded_the_same(store, busybox_tar, tmp_path, pack):
    packed = tmp_path / 'packed'
    with open(packed, 'wb') as f:
        subprocess.run([pack, '-c', busybox_tar], stdout=f, check=True)
    assert store.ok('load', packed)['images'][0]['refs'] == ['docker.io/library/busybox:latest']


def test_an_old_docker_archive_with_shared_layers_is_loaded(store, tmp_path):
    """Layers that are links to those of another folder, and two images of one layer."""
    tar = tar_of(('f', 'x'))
    top = tar_of(('g', 'y'))
    configs = [json.dumps({'os': 'linux', 'architecture': 'amd64', 'rootfs': {'diff_ids': ids}}).encode()
               for ids in ([digest(tar)], [digest(tar), digest(top)])]
    names = [hashlib.sha256(c).hexdigest() + '.json' for c in configs]
    manifest = [{'Config': names[0], 'RepoTags': ['one:1', 'one:2'], 'Layers': ['a/layer.tar']},
                {'Config': names[1], 'RepoTags': None, 'Layers': ['b/layer.tar', 'c/layer.tar']}]
    path = tmp_path / 'old.tar'
    path.write_bytes(tar_of(('a/layer.tar', tar), ('b/layer.tar', '', {'type': tarfile.SYMTYPE,
                                                                        'linkname': '../a/layer.tar'}),
                            ('c/layer.tar', top), (names[0], configs[0]), (names[1], configs[1]),
                            ('manifest.json', json.dumps(manifest))))
    one, two = store.ok('load', path)['images']
    assert one['refs'] == ['docker.io/library/one:1', 'docker.io/library/one:2'] and two['refs'] == []
    assert len(two['layers']) == 2 and store.is_tidy()


@pytest.mark.parametrize('suffix,compress', [('', plain), ('+gzip', gzip.compress)])
def test_an_oci_archive_is_loaded(store, tmp_path, suffix, compress):
    image = Image([tar_of(('a', 'x'))], compress, suffix=suffix)
    got = store.ok('load', image.oci_archive(tmp_path / 'i.tar'))['images'][0]
    assert got['id'] == image.id and got['manifest'] == digest(image.manifest)
    assert got['refs'] == ['docker.io/library/made:1']


@pytest.mark.parametrize('what,kind', [
    ('no archive at all', 'CORRUPT'), (tar_of(('etc/passwd', 'x')), 'INVALID'), ('', 'INVALID'),
    (tar_of(('manifest.json', '[{"Config":"c","Layers":[]}]')), 'CORRUPT'),
    (tar_of(('manifest.json', '{')), 'INVALID'),
    (tar_of(('manifest.json', '[{"Config":"../../../etc/passwd","Layers":[]}]')), 'CORRUPT'),
])
def test_what_is_no_image_archive_is_refused(store, tmp_path, what, kind):
    path = tmp_path / 'x.tar'
    path.write_bytes(what.encode() if isinstance(what, str) else what)
    r = store.job('load', path)
    assert r.kind == kind and '\n' not in r.text
    assert store.is_tidy() and store.names('blobs/sha256') == [] and store.names('layers/sha256') == []


def test_a_damaged_archive_puts_nothing_into_the_store(store, tmp_path):
    image = Image([tar_of(('a', noise(5000)))])
    bad = Image([tar_of(('a', 'x'))])
    bad.blobs[bad.layer_digests[0]] = gzip.compress(b'other' * 1000)
    r = store.job('load', bad.oci_archive(tmp_path / 'i.tar'))
    assert r.kind == 'CORRUPT' and 'damaged' in r.text
    lies = Image([tar_of(('a', 'x'))], diff_ids=['sha256:' + '1' * 64])
    r = store.job('load', lies.oci_archive(tmp_path / 'j.tar'))
    assert r.kind == 'CORRUPT' and 'content is' in r.text
    whole = image.oci_archive(tmp_path / 'k.tar').read_bytes()
    for cut in (700, 2600, 4100, 6000):
        (tmp_path / 'k.tar').write_bytes(whole[:cut])
        assert store.job('load', tmp_path / 'k.tar').error, cut
    assert store.is_tidy() and store.names('layers/sha256') == [] and store.names('blobs/sha256') == []


def test_an_image_for_another_platform_is_refused(store, tmp_path):
    r = store.job('load', Image([tar_of(('a', 'x'))], arch='arm64').oci_archive(tmp_path / 'i.tar'))
    assert r.kind == 'UNSUPPORTED' and 'linux/arm64' in r.text and 'linux/amd64' in r.text
    assert store.names('layers/sha256') == []


@pytest.mark.parametrize('pack', [None, 'gzip', 'zstd', 'xz', 'bzip2'])
def test_a_tarball_is_imported(store, tmp_path, pack):
    path = tmp_path / 'root.tar'
    path.write_bytes(tar_of(('bin', None), ('bin/x', 'hello')))
    if pack:
        subprocess.run([pack, '-q', path], check=True)
        path = next(tmp_path.glob('root.tar?*'), path)
    image = store.ok('import', path, ref='mine:1', message='by hand', changes=['CMD ["x"]', 'ENV A=1'])
    assert image['refs'] == ['docker.io/library/mine:1']
    config = json.loads((store.root / 'blobs/sha256' / image['id'][7:]).read_text())
    assert config['config'] == {'Cmd': ['x'], 'Env': ['A=1']} and config['history'][0]['comment'] == 'by hand'
    assert (store.layer(image['layers'][0]['diff_id']) / 'bin/x').read_text() == 'hello'
    assert store.is_tidy()


def test_wrong_import_arguments_are_refused(store, tmp_path):
    path = tmp_path / 'root.tar'
    path.write_bytes(tar_of(('x', 'hello')))
    assert store.job('import', path, ref='Mine').kind == 'INVALID'
    assert store.job('import', path, ref='mine', changes=['RUN x']).kind == 'INVALID'
    assert store.is_tidy()


# ---- layers that try to do harm ----

def test_no_layer_leaves_its_folder(store, tmp_path):
    victim = tmp_path / 'victim'
    victim.write_text('untouched')
    link = {'type': tarfile.SYMTYPE}
    hard = {'type': tarfile.LNKTYPE}
    attacks = [
        [('../' * 12 + str(victim)[1:], 'evil')],
        [(str(victim), 'evil')],
        [('l', '', {**link, 'linkname': str(tmp_path)}), ('l/victim', 'evil')],
        [('l', '', {**link, 'linkname': '../' * 12}), ('l' + str(victim), 'evil')],
        [('h', '', {**hard, 'linkname': str(victim)}), ('h', 'evil')],
        [('h', '', {**hard, 'linkname': '../' * 12 + str(victim)[1:]}), ('h', 'evil')],
        [('l', '', {**link, 'linkname': str(victim)}), ('h', '', {**hard, 'linkname': 'l'}), ('h', 'evil')],
        [('proc', '', {**link, 'linkname': '/proc/self/root'}), ('proc' + str(victim), 'evil')],
        [('.wh..' , '')], [('.wh..wh..opq/../' + '../' * 12 + str(victim)[1:], 'evil')],
    ]
    for n, entries in enumerate(attacks):
        image = Image([tar_of(*entries)])
        r = store.job('load', image.oci_archive(tmp_path / f'{n}.tar'))
        assert r.done is not None or r.kind == 'CORRUPT', r.error
        assert victim.read_text() == 'untouched' and victim.stat().st_nlink == 1
        assert store.is_tidy()


def test_special_things_in_layers(store, tmp_path):
    caps = bytes.fromhex('0100000200040000000000000000000000000000')
    layer = tar_of(
        ('f', b'data', {'uid': 1234, 'gid': 4321, 'mode': 0o4755}),
        ('capable', 'x', {'pax_headers': {'SCHILY.xattr.security.capability': caps.decode('latin1'),
                                          'SCHILY.xattr.user.note': 'hi',
                                          'SCHILY.xattr.trusted.overlay.redirect': '/etc'}}),
        ('null', '', {'type': tarfile.CHRTYPE, 'devmajor': 1, 'devminor': 3}),
        ('kmem', '', {'type': tarfile.CHRTYPE, 'devmajor': 1, 'devminor': 2}),
        ('sda', '', {'type': tarfile.BLKTYPE, 'devmajor': 8, 'devminor': 0}),
        ('pipe', '', {'type': tarfile.FIFOTYPE}),
        ('d', None), ('d/.wh.gone', ''), ('o', None), ('o/.wh..wh..opq', ''),
        ('n\xe4me \u65e5', 'x'))
    image = Image([layer])
    store.ok('load', image.oci_archive(tmp_path / 'i.tar'))
    fs = store.layer(image.diff_ids[0])
    st = (fs / 'f').stat()
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode), st.st_mtime) == (1234, 4321, 0o4755, 1700000000)
    assert os.getxattr(fs / 'capable', 'user.note') == b'hi'
    assert not any(x.startswith('trusted') for x in os.listxattr(fs / 'capable'))
    assert os.major((fs / 'null').stat().st_rdev) == 1
    assert not (fs / 'kmem').exists() and not (fs / 'sda').exists()
    assert stat.S_ISFIFO((fs / 'pipe').stat().st_mode)
    gone = (fs / 'd/gone').lstat()
    assert stat.S_ISCHR(gone.st_mode) and gone.st_rdev == 0
    assert os.getxattr(fs / 'o', 'trusted.overlay.opaque') == b'y'
    assert (fs / 'n\xe4me \u65e5').exists()


def test_a_sparse_file_stays_sparse(store, tmp_path):
    src = tmp_path / 'src'
    src.mkdir()
    with open(src / 'hole', 'wb') as f:
        f.truncate(200 << 20)
        f.seek(100 << 20)
        f.write(b'middle')
    tar = tmp_path / 'sparse.tar'
    for fmt in ('gnu', 'pax'):
        subprocess.run(['tar', '-S', f'--format={fmt}', '-C', src, '-cf', tar, '.'], check=True)
        image = store.ok('import', tar)
        st = (store.layer(image['layers'][0]['diff_id']) / 'hole').stat()
        assert st.st_size == 200 << 20 and st.st_blocks * 512 < 1 << 20


def test_a_folder_of_65000_entries(store, tmp_path):
    names = [('d', None)] + [(f'd/{n:06}', '') for n in range(65000)]
    path = tmp_path / 'many.tar'
    path.write_bytes(tar_of(*names))
    image = store.ok('import', path, ref='many')
    assert len(os.listdir(store.layer(image['layers'][0]['diff_id']) / 'd')) == 65000
    hex_ = image['layers'][0]['diff_id'][7:]
    store.ok('remove-tree', path=f'layers/sha256/{hex_}')
    assert store.names('layers/sha256') == []


# ---- pull ----

class Liar(http.server.ThreadingHTTPServer):
    """A registry that serves an image and lies as it is told."""
    daemon_threads = True

    def __init__(self, images):
        self.images = images       # tag -> bytes of manifest or index
        self.blobs = {}            # digest -> bytes
        self.manifests = {}        # digest -> bytes
        self.lies = {}             # digest -> how
        self.auth = None           # 'bearer' or 'basic'
        self.requests = []
        self.ranges = True
        super().__init__(('127.0.0.1', 0), LiarHandler)
        self.name = f'localhost:{self.server_address[1]}'
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def add(self, tag, image):
        self.images[tag] = image.manifest
        self.manifests[digest(image.manifest)] = image.manifest
        self.blobs.update(image.blobs)

    def blobs_asked(self):
        return [p.split('/')[-1] for p in self.requests if '/blobs/' in p]


class LiarHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def send(self, status, body=b'', length=None, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status, code, message):
        self.send(status, json.dumps({'errors': [{'code': code, 'message': message}]}).encode())

    def is_let_in(self):
        auth = self.headers.get('Authorization', '')
        good = 'Basic ' + base64.b64encode(b'me:secret').decode()
        if self.path.startswith('/token'):
            if auth == good:
                self.send(200, b'{"token":"letmein"}')
            else:
                self.fail(401, 'UNAUTHORIZED', 'wrong password')
            return False
        if self.server.auth == 'bearer' and auth != 'Bearer letmein':
            self.send(401, b'{}', WWW_Authenticate=f'Bearer realm="http://{self.server.name}/token",service="liar"')
            return False
        if self.server.auth == 'basic' and auth != good:
            self.send(401, b'{}', WWW_Authenticate='Basic realm="liar"')
            return False
        return True

    def do_GET(self):
        server = self.server
        server.requests.append(self.path)
        if not self.is_let_in():
            return
        if self.path == '/v2/':
            return self.send(200, b'{}')
        kind, name = self.path.split('/')[-2:]
        if kind == 'manifests':
            body = server.images.get(name) or server.manifests.get(name)
            if not body:
                return self.fail(404, 'MANIFEST_UNKNOWN', 'manifest unknown')
            lie = server.lies.get(name)
            if lie == 'wrong':
                body = body.replace(b'"schemaVersion"', b' "schemaVersion"')
            return self.send(200, body)
        if name not in server.blobs:
            return self.fail(404, 'BLOB_UNKNOWN', 'blob unknown')
        self.blob(name, server.blobs[name], server.lies.get(name))

    def blob(self, name, data, lie):
        start, status = 0, 200
        asked = self.headers.get('Range', '')
        if asked and self.server.ranges:
            start, status = int(asked.split('=')[1].rstrip('-')), 206
            if start >= len(data):
                return self.send(416)
        body = data[start:]
        if lie == 'wrong':
            self.send(status, bytes([body[0] ^ 1]) + body[1:])
        elif lie == 'short':
            self.send(status, body[:len(body) // 2])
        elif lie == 'long':
            self.send(status, body + b'more')
        elif lie == 'cut':  # the connection breaks half-way, every time
            self.send(status, body[:len(body) // 2], length=len(body))
            self.close_connection = True
        elif lie == 'cut once':
            del self.server.lies[name]
            self.send(status, body[:len(body) // 2], length=len(body))
            self.close_connection = True
        elif lie == 'busy once':
            del self.server.lies[name]
            self.send(503)
        elif lie == 'stall':
            self.send(status, body[:len(body) // 2], length=len(body))
            time.sleep(20)
        elif lie == 'slow':
            self.send(status, b'', length=len(body))
            for at in range(0, len(body), 1000):
                self.wfile.write(body[at:at + 1000])
                time.sleep(0.05)
        else:
            self.send(status, body)


@pytest.fixture
def liar():
    server = Liar({})
    yield server
    server.shutdown()
    server.server_close()


def noise(n, seed=1):
    """Bytes that do not compress."""
    out = bytearray()
    block = str(seed).encode()
    while len(out) < n:
        block = hashlib.sha256(block).digest()
        out += block
    return bytes(out[:n])


@pytest.fixture
def two_layers():
    return Image([tar_of(('a', noise(300000))), tar_of(('b', noise(200000, 2)))])


def pull(store, ref, **args):
    config = {'stall_timeout_s': 2, 'tries': 2, **args.pop('registry_config', {})}
    return store.job('pull', ref=ref, registry_config=config, **args)


@pytest.mark.skipif(not shutil.which('docker-registry') or not shutil.which('skopeo'), reason='no registry')
@pytest.mark.parametrize('options', [[], ['--format=oci', '--dest-compress-format=zstd', '--dest-force-compress-format'],
                                     ['--format=oci']])
def test_pull_from_debians_registry(store, registry, busybox_tar, tmp_path, options):
    if '--dest-force-compress-format' in options and \
            '--dest-force-compress-format' not in run('skopeo', 'copy', '--help').out:
        options.remove('--dest-force-compress-format')
    ref = registry.push(busybox_tar, 'busybox:1', *options)
    r = store.job('pull', ref=ref, platform='linux/amd64')
    assert r.done, r.error
    assert r.done['refs'] == [ref] and r.done['digest'].startswith('sha256:')
    loaded = Store(tmp_path / 'other')
    loaded.root.mkdir()
    image = loaded.ok('load', busybox_tar)['images'][0]
    assert image['layers'][0]['diff_id'] == r.done['layers'][0]['diff_id']
    for word in ('Pulling fs layer', 'Download complete', 'Pull complete', 'Pulling from busybox'):
        assert word in r.statuses()
    again = store.job('pull', ref=f'{ref.rsplit(":", 1)[0]}@{r.done["digest"]}')
    assert again.done['id'] == r.done['id'] and again.done['refs'][0].endswith('@' + r.done['digest'])
    assert 'Already exists' in again.statuses() and 'Download complete' not in again.statuses()
    missing = store.job('pull', ref=f'{registry.name}/busybox:nope')
    assert missing.kind == 'NOT_FOUND'
    assert missing.text == f'manifest for {registry.name}/busybox:nope not found: manifest unknown: manifest unknown'
    assert store.is_tidy()


def test_a_pull_verifies_and_unpacks(store, liar, two_layers):
    liar.add('1', two_layers)
    r = pull(store, f'{liar.name}/x:1')
    assert r.done, r.error
    assert (store.layer(two_layers.diff_ids[0]) / 'a').read_bytes() == noise(300000)
    assert store.is_tidy()


@pytest.mark.parametrize('lie,kind,words', [
    ('wrong', 'CORRUPT', 'filesystem layer verification failed for digest'),
    ('short', 'UNAVAILABLE', 'download ended after'),
    ('long', 'CORRUPT', 'is longer than'),
    ('cut', 'UNAVAILABLE', 'download ended after'),
    ('stall', 'UNAVAILABLE', 'stopped sending after'),
])
def test_a_registry_that_lies_gets_nothing_into_the_store(store, liar, two_layers, lie, kind, words):
    liar.add('1', two_layers)
    bad = two_layers.layer_digests[1]
    liar.lies[bad] = lie
    r = pull(store, f'{liar.name}/x:1', registry_config={'tries': 1} if lie == 'stall' else {})
    assert (r.kind, words in r.text, bad in r.text) == (kind, True, True), r.text
    assert '\n' not in r.text
    assert bad[7:] not in store.names('blobs/sha256') and digest(two_layers.manifest)[7:] not in store.names('blobs/sha256')
    assert two_layers.diff_ids[1][7:] not in store.names('layers/sha256')
    assert store.is_tidy()


@pytest.mark.parametrize('lie', ['cut once', 'busy once'])
@pytest.mark.parametrize('ranges', [True, False])
def test_a_broken_connection_is_taken_up_again(store, liar, two_layers, lie, ranges):
    liar.add('1', two_layers)
    liar.ranges = ranges
    liar.lies[two_layers.layer_digests[0]] = lie
    r = pull(store, f'{liar.name}/x:1')
    assert r.done, r.error
    assert store.is_tidy()


def test_a_lying_manifest_or_config_is_refused(store, liar, two_layers):
    liar.add('1', two_layers)
    by_digest = digest(two_layers.manifest)
    liar.lies[by_digest] = 'wrong'
    r = pull(store, f'{liar.name}/x@{by_digest}')
    assert r.kind == 'CORRUPT' and 'manifest verification failed' in r.text
    liar.lies[two_layers.id] = 'wrong'
    assert pull(store, f'{liar.name}/x:1').kind == 'CORRUPT'
    wrong = Image([tar_of(('a', 'x'))], diff_ids=['sha256:' + '2' * 64])
    liar.add('2', wrong)
    r = pull(store, f'{liar.name}/x:2')
    assert r.kind == 'CORRUPT' and 'content is' in r.text
    few = Image([tar_of(('a', 'x'))], diff_ids=[digest(b'1'), digest(b'2')])
    liar.add('3', few)
    assert pull(store, f'{liar.name}/x:3').kind == 'CORRUPT'
    for n, text in enumerate([b'', b'[]', b'{}', b'{"config":{},"layers":[]}', b'\xff\xfe', b'{"fsLayers":[]}']):
        liar.images[f'bad{n}'] = text
        r = pull(store, f'{liar.name}/x:bad{n}')
        assert r.kind in ('CORRUPT', 'INVALID', 'UNSUPPORTED', 'NOT_FOUND'), r.error
    assert store.is_tidy() and store.names('layers/sha256') == []


def test_an_index_is_searched_for_our_platform(store, liar):
    images = {arch: Image([tar_of(('arch', arch))], arch=arch) for arch in ('arm64', 'amd64', 's390x')}
    for i in images.values():
        liar.add(digest(i.manifest), i)

    def index(*archs):
        return json.dumps({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [
            {'mediaType': MANIFEST, 'digest': digest(images[a].manifest), 'size': len(images[a].manifest),
             'platform': {'os': 'linux', 'architecture': a}} for a in archs]}).encode()
    liar.images['all'] = index('arm64', 'amd64', 's390x')
    liar.images['foreign'] = index('arm64', 's390x')
    r = pull(store, f'{liar.name}/x:all')
    assert r.done['id'] == images['amd64'].id and r.done['digest'] == digest(liar.images['all'])
    r = pull(store, f'{liar.name}/x:foreign')
    assert r.kind == 'UNSUPPORTED' and 'no matching manifest for linux/amd64' in r.text
    liar.add('arm', images['arm64'])
    r = pull(store, f'{liar.name}/x:arm')
    assert r.kind == 'UNSUPPORTED' and 'linux/arm64' in r.text and 'linux/amd64' in r.text
    r = pull(store, f'{liar.name}/x:all', platform='linux/arm64')
    assert r.kind == 'UNSUPPORTED'
    assert len(store.names('layers/sha256')) == 1


@pytest.mark.parametrize('auth', ['bearer', 'basic'])
def test_a_registry_that_asks_who_we_are(store, liar, two_layers, auth):
    liar.add('1', two_layers)
    liar.auth = auth
    good = {'username': 'me', 'password': 'secret'}
    assert pull(store, f'{liar.name}/x:1').kind == 'DENIED'
    assert pull(store, f'{liar.name}/x:1', auth={'username': 'me', 'password': 'no'}).kind == 'DENIED'
    assert pull(store, f'{liar.name}/x:1', auth=good).done


def test_plain_http_is_for_loopback_or_on_request(store, liar, two_layers):
    liar.add('1', two_layers)
    port = liar.name.split(':')[1]
    host = f'127.0.0.1.nip.invalid:{port}'
    assert pull(store, f'{host}/x:1').kind == 'UNAVAILABLE'
    assert pull(store, f'127.0.0.1:{port}/x:1').done
    mirrors = {'mirrors': {'docker.io': f'http://{liar.name}'}}
    r = pull(store, 'x:1', registry_config=mirrors)
    assert r.done['refs'] == ['docker.io/library/x:1']
    assert '/v2/library/x/manifests/1' in liar.requests


def test_nobody_there(store):
    r = pull(store, 'localhost:1/x:1')
    assert r.kind == 'UNAVAILABLE' and 'localhost:1' in r.text


def test_a_killed_pull_leaves_what_is_whole_and_the_next_fetches_the_rest(store, liar):
    image = Image([tar_of(('a', noise(50000, n))) for n in range(5)])
    liar.add('1', image)
    last = image.layer_digests[4]
    liar.lies[last] = 'slow'
    p = store.start('pull', ref=f'{liar.name}/x:1')
    for line in p.stdout:
        if json.loads(line).get('progress', {}).get('status') == 'Pull complete':
            if len(store.names('layers/sha256')) == 4:
                break
    os.kill(p.pid, signal.SIGKILL)
    p.wait()
    p.stdout.close()
    p.stderr.close()
    assert len(store.names('layers/sha256')) == 4 and last[7:] not in store.names('blobs/sha256')
    assert digest(image.manifest)[7:] not in store.names('blobs/sha256')
    shutil.rmtree(store.root / 'tmp')  # as recovery does
    os.mkdir(store.root / 'tmp')
    liar.lies.clear()
    liar.requests.clear()
    r = pull(store, f'{liar.name}/x:1')
    assert r.done, r.error
    assert liar.blobs_asked() == [last]
    assert store.is_tidy() and len(store.names('layers/sha256')) == 5


def test_a_killed_unpack_leaves_no_layer(store, tmp_path):
    big = tmp_path / 'big.tar'
    big.write_bytes(tar_of(*[(f'd{n % 10}/f{n}', noise(2000, n)) for n in range(6000)]))
    p = store.start('import', big, ref='big')
    tmp = store.root / 'tmp'
    for _ in range(2000):
        if list(tmp.glob('job-*/layer-*/fs/d*')):
            break
        time.sleep(0.005)
    p.kill()
    p.communicate()
    time.sleep(0.3)  # its child dies with it
    assert store.names('layers/sha256') == [] and store.names('blobs/sha256') == []
    before = sum(1 for _ in tmp.rglob('*'))
    time.sleep(0.3)
    assert sum(1 for _ in tmp.rglob('*')) == before
    assert store.ok('import', big, ref='big')['layers']


def test_a_full_disk_is_one_clear_line(tmp_path, liar):
    root = tmp_path / 'small'
    root.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=3m', 'none', root], check=True)
    try:
        store = Store(root)
        image = Image([tar_of(('a', noise(4 << 20)))])
        liar.add('1', image)
        r = pull(store, f'{liar.name}/x:1')
        assert r.kind == 'LIMIT' and 'No space left on device' in r.text and '\n' not in r.text
        assert store.is_tidy() and store.names('layers/sha256') == []
        zeros = Image([tar_of(('a', bytes(8 << 20)))])
        liar.add('2', zeros)
        r = pull(store, f'{liar.name}/x:2')
        assert r.kind == 'LIMIT' and store.is_tidy() and store.names('layers/sha256') == []
    finally:
        subprocess.run(['umount', root], check=True)


# ---- save ----

def test_what_is_saved_loads_again_here_and_elsewhere(store, busybox_tar, tmp_path):
    image = store.ok('load', busybox_tar)['images'][0]
    other = Image([tar_of(('a', 'x')), tar_of(('b', 'y'))])
    second = store.ok('load', other.oci_archive(tmp_path / 'i.tar', 'localhost:5000/other:2'))['images'][0]
    out = tmp_path / 'saved.tar'
    store.ok('save', out, images=[{'manifest': i['manifest'], 'refs': i['refs']} for i in (image, second)])
    with tarfile.open(out) as t:
        names = t.getnames()
        assert {'oci-layout', 'index.json', 'manifest.json', 'repositories'} <= set(names)
        assert len(names) == len(set(names))
        docker = json.load(t.extractfile('manifest.json'))
    assert [d['RepoTags'] for d in docker] == [['busybox:latest'], ['localhost:5000/other:2']]
    fresh = Store(tmp_path / 'fresh')
    fresh.root.mkdir()
    assert fresh.ok('load', out)['images'] == [image, second]
    if shutil.which('skopeo'):
        for form, name in (('docker-archive', 'busybox:latest'), ('oci-archive', '2')):
            p = run('skopeo', 'copy', '-q', f'{form}:{out}:{name}', f'dir:{tmp_path / form}')
            assert p.returncode == 0, p.err


def test_a_damaged_store_is_not_saved(store, tmp_path):
    image = Image([tar_of(('a', 'x' * 5000))])
    got = store.ok('load', image.oci_archive(tmp_path / 'i.tar'))['images'][0]
    blob = store.root / 'blobs/sha256' / image.layer_digests[0][7:]
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    r = store.job('save', tmp_path / 'o.tar', images=[{'manifest': got['manifest'], 'refs': got['refs']}])
    assert r.kind == 'CORRUPT'


# ---- files of an instance ----

@pytest.fixture
def instance(store, tmp_path):
    """A stopped instance of a two-layer image: a rootfs object, and its upper folder."""
    image = Image([tar_of(('etc', None), ('etc/passwd', 'root'), ('etc/old', 'x'), ('data', None), ('data/keep', 'k'),
                          ('data/drop', 'd'), ('link', '', {'type': tarfile.SYMTYPE, 'linkname': 'etc/passwd'}),
                          ('abs', '', {'type': tarfile.SYMTYPE, 'linkname': '/etc'}),
                          ('out', '', {'type': tarfile.SYMTYPE, 'linkname': '../../../../../etc'})),
                   tar_of(('etc/new', 'y'), ('etc/.wh.old', ''))])
    store.ok('load', image.oci_archive(tmp_path / 'i.tar'))
    rw = store.root / 'instances/abc/rw'
    return {'lower': [str(store.layer(d)) for d in reversed(image.diff_ids)], 'upper': str(rw / 'upper'),
            'work': str(rw / 'work')}


def files(store, op, path='/', data=None, **args):
    return store.job('files', data, op=op, path=path, **args)


def tar_names(path):
    with tarfile.open(path) as t:
        return sorted(t.getnames())


def test_stat_as_docker_shows_it(store, instance):
    def st(path):
        return files(store, 'stat', path, rootfs=instance).done['stat']
    assert st('/etc/passwd')['name'] == 'passwd' and st('/etc/passwd')['size'] == 4
    assert st('/etc')['mode'] == 0x80000000 | 0o755
    assert st('/link')['mode'] & 0x8000000 and st('/link')['linkTarget'] == '/etc/passwd'
    assert st('/abs')['linkTarget'] == '/etc'
    assert st('/abs/')['mode'] & 0x80000000
    assert st('/out')['linkTarget'] == '/etc'
    assert st('/')['name'] == '/' and st('/etc/.')['name'] == '.'
    r = files(store, 'stat', '/nope/x', rootfs=instance, name='web')
    assert r.kind == 'NOT_FOUND' and r.text == 'Could not find the file /nope/x in container web'
    assert files(store, 'stat', '/etc/old', rootfs=instance).kind == 'NOT_FOUND'
    assert files(store, 'stat', '/etc/passwd/', rootfs=instance).kind == 'INVALID'


def test_get_names_entries_as_docker_does(store, instance, tmp_path):
    for path, names in (('/etc', ['etc', 'etc/new', 'etc/passwd']), ('/etc/passwd', ['passwd']),
                        ('/link', ['link']), ('/etc/.', ['.', './new', './passwd']), ('/abs/', ['abs', 'abs/new', 'abs/passwd'])):
        out = tmp_path / 'o.tar'
        out.unlink(missing_ok=True)
        assert files(store, 'get', path, out, rootfs=instance).done['stat']
        assert tar_names(out) == names
    out.unlink()
    assert files(store, 'get', '/', out, rootfs=instance).done
    with tarfile.open(out) as t:
        assert '/etc/passwd' in t.getnames()


def test_put_diff_and_export(store, instance, tmp_path):
    assert files(store, 'diff', rootfs=instance).done['changes'] == []
    tar = tmp_path / 'p.tar'
    tar.write_bytes(tar_of(('passwd', 'changed'), ('sub', None), ('sub/f', 'x', {'uid': 7})))
    assert files(store, 'put', '/abs', tar, rootfs=instance).done == {}
    upper = pathlib.Path(instance['upper'])
    assert (upper / 'etc/passwd').read_text() == 'changed' and (upper / 'etc/sub/f').stat().st_uid == 7
    os.mkdir(upper / 'data')
    shutil.copystat(store.layer('sha256:' + instance['lower'][1].split('/')[-2]) / 'data', upper / 'data')
    os.mknod(upper / 'data/drop', stat.S_IFCHR, 0)
    changes = files(store, 'diff', rootfs=instance).done['changes']
    assert changes == [{'Path': '/data', 'Kind': 0}, {'Path': '/data/drop', 'Kind': 2}, {'Path': '/etc', 'Kind': 0},
                       {'Path': '/etc/passwd', 'Kind': 0}, {'Path': '/etc/sub', 'Kind': 1}, {'Path': '/etc/sub/f', 'Kind': 1}]
    out = tmp_path / 'o.tar'
    assert files(store, 'export', '/', out, rootfs=instance).done == {}
    names = tar_names(out)
    assert 'etc/sub/f' in names and 'data/keep' in names and 'data/drop' not in names and 'etc/old' not in names


def test_mount_points_made_for_a_start_are_no_changes(store, instance):
    upper = pathlib.Path(instance['upper'])
    for name in ('etc', 'dev', 'proc', 'sys', 'deep/er/volume', 'data'):
        (upper / name).mkdir(parents=True)
    for name in ('etc/hosts', 'etc/hostname', 'etc/resolv.conf', 'data/file'):
        (upper / name).touch()
    pathlib.Path(instance['work']).mkdir()
    mounts = [{'source': '/none', 'target': t} for t in ('/deep/er/volume', '/data/file')]
    assert files(store, 'diff', rootfs=instance, mounts=mounts).done['changes'] == []
    (upper / 'etc/hosts').write_text('mine')
    assert files(store, 'diff', rootfs=instance, mounts=mounts).done['changes'] == [
        {'Path': '/etc', 'Kind': 0}, {'Path': '/etc/hosts', 'Kind': 1}]


def test_put_refuses_what_docker_refuses(store, instance, tmp_path):
    tar = tmp_path / 'p.tar'
    tar.write_bytes(tar_of(('passwd', None)))
    assert files(store, 'put', '/nope', tar, rootfs=instance).kind == 'NOT_FOUND'
    r = files(store, 'put', '/etc/passwd', tar, rootfs=instance)
    assert r.kind == 'INVALID' and r.text == 'extraction point is not a directory'
    assert files(store, 'put', '/etc', tar, rootfs=instance, noOverwriteDirNonDir=True).kind == 'INVALID'
    tar.write_bytes(b'no tar' * 1000)
    assert files(store, 'put', '/etc', tar, rootfs=instance).kind == 'CORRUPT'
    outside = tmp_path / 'victim'
    outside.write_text('untouched')
    tar.write_bytes(tar_of(('l', '', {'type': tarfile.SYMTYPE, 'linkname': str(tmp_path)}), ('l/victim', 'evil')))
    files(store, 'put', '/', tar, rootfs=instance)
    assert outside.read_text() == 'untouched'


def test_mounts_of_an_instance_are_seen(store, instance, tmp_path):
    volume = tmp_path / 'volume'
    volume.mkdir()
    (volume / 'v').write_text('in the volume')
    mounts = [{'source': str(volume), 'target': '/data'}, {'source': str(volume), 'target': '/new/place'}]
    tar = tmp_path / 'p.tar'
    tar.write_bytes(tar_of(('w', 'written')))
    assert files(store, 'stat', '/data/v', rootfs=instance, mounts=mounts).done
    assert files(store, 'put', '/new/place', tar, rootfs=instance, mounts=mounts).done == {}
    assert (volume / 'w').read_text() == 'written'
    out = tmp_path / 'o.tar'
    assert files(store, 'export', '/', out, rootfs=instance, mounts=mounts).done == {}
    assert 'data/v' not in tar_names(out) and 'data/keep' in tar_names(out)
    readonly = [{'source': str(volume), 'target': '/data', 'readonly': True}]
    assert files(store, 'put', '/data', tar, rootfs=instance, mounts=readonly).error


def test_an_instance_with_a_disk_of_its_own(store, instance, tmp_path):
    disk = store.root / 'instances/abc/rw.img'
    disk.parent.mkdir(parents=True, exist_ok=True)
    disk.touch()
    os.truncate(disk, 16 << 20)
    subprocess.run(['mke2fs', '-q', '-t', 'ext4', '-F', disk], check=True)
    rootfs = {'lower': instance['lower'], 'disk': str(disk)}
    tar = tmp_path / 'p.tar'
    tar.write_bytes(tar_of(('w', 'written')))
    assert files(store, 'put', '/data', tar, rootfs=rootfs).done == {}
    assert files(store, 'stat', '/data/w', rootfs=rootfs).done
    assert {'Path': '/data/w', 'Kind': 1} in files(store, 'diff', rootfs=rootfs).done['changes']
    tar.write_bytes(tar_of(('w', noise(20 << 20))))
    assert files(store, 'put', '/data', tar, rootfs=rootfs).kind == 'LIMIT'
    for _ in range(50):
        if str(disk) not in run('losetup', '-a').out:
            break
        time.sleep(0.1)
    assert str(disk) not in run('losetup', '-a').out


def test_a_running_instance_is_entered_by_its_pid(store, busybox_tar, tmp_path):
    image = store.ok('load', busybox_tar)['images'][0]
    lower = store.layer(image['layers'][0]['diff_id'])
    fs = tmp_path / 'fs'
    shutil.copytree(lower, fs, symlinks=True)
    script = (f'mount --bind {fs} {fs} && cd {fs} && mount -t tmpfs none tmp && mkdir old && pivot_root . old && '
              'umount -l old && echo hidden >/tmp/in-tmpfs && echo ready && exec sleep 60')
    p = subprocess.Popen(['unshare', '-m', 'sh', '-c', script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b'ready\n', p.stderr.read()
        rootfs = {'pid': p.pid, 'lower': [str(lower)]}
        assert files(store, 'stat', '/tmp/in-tmpfs', rootfs=rootfs).done['stat']['size'] == 7
        out = tmp_path / 'o.tar'
        assert files(store, 'get', '/tmp', out, rootfs=rootfs).done
        assert 'tmp/in-tmpfs' in tar_names(out)
        tar = tmp_path / 'p.tar'
        tar.write_bytes(tar_of(('put', 'x')))
        assert files(store, 'put', '/tmp', tar, rootfs=rootfs).done == {}
        assert files(store, 'stat', '/tmp/put', rootfs=rootfs).done
        assert not (fs / 'tmp/put').exists()
        out.unlink()
        assert files(store, 'export', '/', out, rootfs=rootfs).done == {}
        names = tar_names(out)
        assert 'etc/passwd' in names and 'tmp/in-tmpfs' not in names
    finally:
        p.kill()
        p.wait()
    assert files(store, 'stat', '/tmp', rootfs={'pid': p.pid, 'lower': [str(lower)]}).kind == 'NOT_FOUND'


# ---- trees ----

def test_an_erofs_root_holds_the_merged_layers(store, tmp_path):
    image = Image([tar_of(('a', None), ('a/old', 'x'), ('a/keep', 'k'), ('b', None), ('b/x', '1')),
                   tar_of(('a/.wh.old', ''), ('b/.wh..wh..opq', ''), ('b/y', '2', {'uid': 99, 'mode': 0o4711}))])
    store.ok('load', image.oci_archive(tmp_path / 'i.tar'))
    done = store.ok('erofs', layers=image.diff_ids, config=image.id)
    assert done['path'] == str(store.root / 'images' / (image.id[7:] + '.erofs'))
    first = os.stat(done['path'])
    assert store.ok('erofs', layers=image.diff_ids, config=image.id) == done
    assert os.stat(done['path']).st_mtime_ns == first.st_mtime_ns
    assert store.is_tidy()
    if shutil.which('fsck.erofs'):
        assert run('fsck.erofs', done['path']).returncode == 0
    where = tmp_path / 'm'
    where.mkdir()
    if subprocess.run(['mount', '-t', 'erofs', '-o', 'loop,ro', done['path'], where]).returncode == 0:
        try:
            assert sorted(str(p.relative_to(where)) for p in where.rglob('*')) == ['a', 'a/keep', 'b', 'b/y']
            assert (where / 'b/y').stat().st_uid == 99 and stat.S_IMODE((where / 'b/y').stat().st_mode) == 0o4711
        finally:
            subprocess.run(['umount', where], check=True)


def test_whiteouts_that_hide_nothing_do_not_show(store, tmp_path):
    image = Image([tar_of(('.wh.a', ''), ('d', None), ('d/.wh.b', ''), ('d/x', '1'), ('o', None), ('o/.wh..wh..opq', ''))])
    store.ok('load', image.oci_archive(tmp_path / 'i.tar'))
    assert store.ok('erofs', layers=image.diff_ids, config=image.id)
    rootfs = {'lower': [str(store.layer(d)) for d in reversed(image.diff_ids)]}
    out = tmp_path / 'o.tar'
    assert files(store, 'export', '/', out, rootfs=rootfs).done == {}
    assert tar_names(out) == ['d', 'd/x', 'o']


def test_two_pulls_of_one_image_at_a_time(store, liar, two_layers):
    liar.add('1', two_layers)
    both = [store.start('pull', ref=f'{liar.name}/x:1') for _ in range(2)]
    for p in both:
        out, err = p.communicate(timeout=60)
        assert b'"done"' in out.splitlines()[-1], (out, err)
    assert store.is_tidy() and len(store.names('layers/sha256')) == 2


def test_data_come_and_go_through_pipes(store, busybox_tar, tmp_path):
    exe = need('hostel-image')
    job = json.dumps({'job': 'load', 'root': str(store.root)})
    p = run('sh', '-c', f"cat {busybox_tar} | {{ exec 3<&0; echo '{job}' | {exe}; }}")
    image = json.loads(p.out.splitlines()[-1])['done']['images'][0]
    job = json.dumps({'job': 'save', 'root': str(store.root), 'images': [{'manifest': image['manifest'], 'refs': []}]})
    p = run('sh', '-c', f"{{ echo '{job}' | {exe} 3>&1 >{tmp_path}/log; }} | tar t")
    assert 'manifest.json' in p.out.splitlines()
    p = run('sh', '-c', f"{{ echo '{job}' | {exe} 3>&1 >{tmp_path}/log; }} | head -c 100 >/dev/null")
    assert 'error' in json.loads((tmp_path / 'log').read_text())


def test_the_child_that_unpacks_is_jailed(store, tmp_path):
    """In mount and network namespaces of its own, with few capabilities and a filter, below the layer's folder."""
    sanitized = 'asan' in str(need('hostel-image'))
    image = Image([tar_of(*[(f'f{n}', noise(5000, n)) for n in range(4000)])])
    p = store.start('load', image.oci_archive(tmp_path / 'i.tar'))
    seen = None
    while p.poll() is None and not seen:
        try:
            for kid in pathlib.Path(f'/proc/{p.pid}/task/{p.pid}/children').read_text().split():
                status = pathlib.Path(f'/proc/{kid}/status').read_text()
                if 'NoNewPrivs:\t1' in status and (sanitized or 'Seccomp:\t2' in status):
                    seen = (os.readlink(f'/proc/{kid}/root'), status, os.readlink(f'/proc/{kid}/ns/net'),
                            os.readlink(f'/proc/{kid}/ns/mnt'))
        except OSError:
            pass
    p.communicate()
    assert seen, 'the child was never seen'
    root, status, net, mnt = seen
    assert net != os.readlink('/proc/self/ns/net') and mnt != os.readlink('/proc/self/ns/mnt')
    fields = dict(l.split(':\t', 1) for l in status.splitlines() if ':\t' in l)
    assert sanitized or fields['Seccomp'] == '2'
    assert fields['NoNewPrivs'] == '1'
    assert not int(fields['CapEff'], 16) & (1 << 12 | 1 << 16 | 1 << 19 | 1 << 22)  # net admin, module, ptrace, boot


def test_a_volume_is_filled_from_the_image(store, tmp_path):
    image = Image([tar_of(('srv', None, {'uid': 5, 'mode': 0o750}), ('srv/old', 'x'), ('srv/f', 'data', {'uid': 6})),
                   tar_of(('srv', None, {'uid': 5, 'mode': 0o750}), ('srv/.wh.old', ''), ('srv/g', 'more'))])
    store.ok('load', image.oci_archive(tmp_path / 'i.tar'))
    volume = store.root / 'volumes/v/_data'
    volume.mkdir(parents=True)
    store.ok('volume-copy', layers=image.diff_ids, path='/srv', volume=str(volume))
    assert sorted(os.listdir(volume)) == ['f', 'g'] and (volume / 'f').stat().st_uid == 6
    assert stat.S_IMODE(volume.stat().st_mode) == 0o750 and volume.stat().st_uid == 5
    empty = store.root / 'volumes/e/_data'
    empty.mkdir(parents=True)
    assert store.ok('volume-copy', layers=image.diff_ids, path='/none', volume=str(empty)) == {}


def test_remove_tree_stays_below_the_root(store, tmp_path):
    victim = tmp_path / 'victim'
    victim.mkdir()
    (store.root / 'a/b').mkdir(parents=True)
    (store.root / 'a/link').symlink_to(victim)
    for bad in ('', '.', '..', '../victim', str(victim), 'a/..', str(store.root), '/'):
        assert store.job('remove-tree', path=bad).kind == 'INVALID', bad
    for bad in ('a/link/x', 'a/../../victim'):
        r = store.job('remove-tree', path=bad)
        assert r.error or victim.exists()
    assert victim.exists() and (store.root / 'a/b').exists()
    assert store.ok('remove-tree', path='a/link') == {} and victim.exists()
    assert store.ok('remove-tree', path=str(store.root / 'a')) == {}
    assert store.ok('remove-tree', path='a') == {}
    assert not (store.root / 'a').exists()


# ---- the job itself ----

@pytest.mark.parametrize('text,kind', [
    ('', 'INVALID'), ('{', 'INVALID'), ('[]', 'INVALID'), ('{"job":"fly","root":"/x"}', 'UNSUPPORTED'),
    ('{"job":"load"}', 'INVALID'), ('{"job":"load","root":"relative"}', 'INVALID'),
    ('{"job":"load","root":"/tmp/none"}', 'INVALID'), ('{"job":"files","root":"/tmp","op":"fly"}', 'INVALID'),
    ('{"job":"pull","root":"/tmp","ref":"UPPER"}', 'INVALID'), ('{"job":"erofs","root":"/tmp","config":"x"}', 'INVALID'),
])
def test_a_bad_job_is_refused_in_one_line(text, kind):
    p = run(need('hostel-image'), input=text)
    assert p.returncode == 1
    lines = p.out.splitlines()
    assert len(lines) == 1 and json.loads(lines[0])['error']['kind'] == kind
