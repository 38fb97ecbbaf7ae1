# SPDX-License-Identifier: Apache-2.0
"""Pulling from Debian's docker-registry over TLS, with credentials, and what images there are in the wild."""
import base64, crypt, gzip, http.client, http.server, json, os, pathlib, shutil, ssl, struct, subprocess, threading, time
import urllib.parse

import pytest

from conftest import Registry, free_port, run
from test_image import CONFIG, INDEX, MANIFEST, Image, Store, digest, noise, plain, store, tar_of  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which('docker-registry') or not shutil.which('openssl'),
                                reason='docker-registry or openssl is not installed')

CA_CONFIG = '''
[ca]
default_ca = own
[own]
dir = {dir}
new_certs_dir = {dir}
database = {dir}/index.txt
serial = {dir}/serial
default_md = sha256
policy = any
copy_extensions = copy
x509_extensions = leaf
unique_subject = no
[any]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
'''


def openssl(*argv):
    p = run('openssl', *argv)
    assert p.returncode == 0, p.err
    return p.out


class Authority:
    """A self-made certificate authority."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir()
        self.crt, self.key = self.dir / 'ca.crt', self.dir / 'ca.key'
        (self.dir / 'ca.cnf').write_text(CA_CONFIG.format(dir=self.dir))
        (self.dir / 'index.txt').touch()
        (self.dir / 'serial').write_text('1000\n')
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30',
                '-subj', '/CN=an authority of this test', '-keyout', self.key, '-out', self.crt)

    def issue(self, name, sans='DNS:localhost,IP:127.0.0.1', begin='20240101000000Z', end='20490101000000Z', rsa=False):
        """Paths of a certificate and its key."""
        crt, key, csr = (self.dir / f'{name}.{e}' for e in ('crt', 'key', 'csr'))
        kind = ['rsa:2048'] if rsa else ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
        openssl('req', '-new', '-newkey', *kind, '-nodes', '-subj', f'/CN={name}', '-addext', f'subjectAltName={sans}',
                '-keyout', key, '-out', csr)
        openssl('ca', '-batch', '-notext', '-config', self.dir / 'ca.cnf', '-cert', self.crt, '-keyfile', self.key,
                '-startdate', begin, '-enddate', end, '-in', csr, '-out', crt)
        return crt, key


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('ca') / 'ca')


def put_blob(c, repo, data):
    c.request('POST', f'/v2/{repo}/blobs/uploads/', b'')
    r = c.getresponse()
    r.read()
    assert r.status == 202
    where = urllib.parse.urlsplit(r.getheader('Location'))
    c.request('PUT', f'{where.path}?{where.query}&digest={digest(data)}', data, {'Content-Type': 'application/octet-stream'})
    r = c.getresponse()
    assert r.status == 201, r.read()
    r.read()


def put_manifest(c, repo, reference, document, kind=MANIFEST):
    c.request('PUT', f'/v2/{repo}/manifests/{reference}', document, {'Content-Type': kind})
    r = c.getresponse()
    assert r.status == 201, r.read()
    r.read()


def put_image(registry, repo, reference, image):
    c = http.client.HTTPConnection('127.0.0.1', registry.port)
    for data in image.blobs.values():
        put_blob(c, repo, data)
    put_manifest(c, repo, reference, image.manifest)
    c.close()


SMALL = Image([tar_of(('bin', None), ('bin/a', 'x' * 5000)), tar_of(('b', noise(100000)))])


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A registry's data that hold the image small:1."""
    folder = tmp_path_factory.mktemp('data')
    r = Registry(folder)
    put_image(r, 'small', '1', SMALL)
    put_image(r, 'library/small', '1', SMALL)
    r.stop()
    return folder / 'data'


class TlsRegistry:
    """docker-registry on loopback by https; `more` are further parts of its configuration."""

    def __init__(self, folder, data, crt, key, tls='', more=''):
        self.port = free_port()
        self.name = f'localhost:{self.port}'
        folder = pathlib.Path(folder)
        config = folder / f'{self.port}.yml'
        config.write_text(f'version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {data}}}\n'
                          f'http:\n  addr: "127.0.0.1:{self.port}"\n  tls:\n    certificate: {crt}\n    key: {key}\n'
                          f'{tls}{more}')
        with open(folder / 'log', 'ab') as log:
            self.process = subprocess.Popen(['docker-registry', 'serve', str(config)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        context = ssl._create_unverified_context()
        for _ in range(400):
            try:
                with context.wrap_socket(__import__('socket').create_connection(('127.0.0.1', self.port), 5)):
                    return
            except ssl.SSLError:
                return  # it speaks TLS, and wants to know who we are
            except OSError:
                time.sleep(0.05)
        raise RuntimeError('docker-registry does not answer: ' + (folder / 'log').read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def tls_registry(tmp_path, data):
    made = []

    def make(pair, **kw):
        made.append(TlsRegistry(tmp_path, data, *pair, **kw))
        return made[-1]
    yield make
    for r in made:
        r.stop()


def trust(certs, name, *files):
    """HOST:PORT/ in a folder laid out as /etc/docker/certs.d."""
    folder = certs / name
    folder.mkdir(parents=True)
    for path, to in files:
        shutil.copy(path, folder / to)
    return folder


def pull(store, registry, ref='small:1', **args):
    config = {'tries': 1, 'stall_timeout_s': 10, **args.pop('registry_config', {})}
    return store.job('pull', ref=f'{registry if isinstance(registry, str) else registry.name}/{ref}',
                     registry_config=config, **args)


# ---- whom we trust ----

def test_an_authority_of_ones_own_is_trusted_by_certs_d(store, authority, tls_registry, tmp_path):
    r = tls_registry(authority.issue('registry'))
    certs = tmp_path / 'certs.d'
    trust(certs, r.name, (authority.crt, 'ca.crt'))
    p = pull(store, r, registry_config={'certs': [str(tmp_path / 'none'), str(certs)]})
    assert p.done, p.error
    assert p.done['id'] == SMALL.id and store.is_tidy()
    assert (store.layer(SMALL.diff_ids[1]) / 'b').read_bytes() == noise(100000)


def test_what_is_wrong_with_a_certificate_is_one_clear_line(store, authority, tls_registry, tmp_path):
    other = Authority(tmp_path / 'other')
    certs = tmp_path / 'certs.d'
    good = {'certs': [str(certs)]}
    r = tls_registry(authority.issue('unknown'))
    url = f'Get "https://{r.name}/v2/": x509: '
    remedy = f'{url}certificate signed by unknown authority (to trust it, put the authority\'s certificate into ' \
             f'{certs}/{r.name}/ca.crt)'
    p = pull(store, r, registry_config=good)  # nobody trusts it
    assert (p.kind, p.text) == ('DENIED', remedy)
    trust(certs, r.name, (other.crt, 'ca.crt'))  # the wrong one is trusted
    p = pull(store, r, registry_config=good)
    assert (p.kind, p.text) == ('DENIED', remedy)
    r = tls_registry(authority.issue('expired', end='20240301000000Z'))
    trust(certs, r.name, (authority.crt, 'ca.crt'))
    p = pull(store, r, registry_config=good)
    assert (p.kind, p.text) == ('DENIED', f'Get "https://{r.name}/v2/": x509: certificate has expired on 2024-03-01')
    r = tls_registry(authority.issue('elsewhere', sans='DNS:registry.example'))
    trust(certs, r.name, (authority.crt, 'ca.crt'))
    p = pull(store, r, registry_config=good)
    assert (p.kind, p.text) == ('DENIED', f'Get "https://{r.name}/v2/": x509: certificate is valid for '
                                          'registry.example, not localhost')
    assert store.names('blobs/sha256') == []


def test_an_insecure_registry_only_on_request(store, authority, tls_registry):
    r = tls_registry(authority.issue('expired', end='20240301000000Z'))
    assert pull(store, r).kind == 'DENIED'
    assert pull(store, r, registry_config={'insecure': ['localhost:1', 'elsewhere:5000']}).kind == 'DENIED'
    p = pull(store, r, registry_config={'insecure': [r.name]})
    assert p.done, p.error


def test_a_registry_that_wants_to_know_who_we_are_by_certificate(store, authority, tls_registry, tmp_path):
    clients = Authority(tmp_path / 'clients')
    crt, key = clients.issue('client')
    r = tls_registry(authority.issue('registry'), tls=f'    clientcas: [{clients.crt}]\n')
    certs = tmp_path / 'certs.d'
    folder = trust(certs, r.name, (authority.crt, 'ca.crt'))
    p = pull(store, r, registry_config={'certs': [str(certs)]})
    assert p.kind == 'UNAVAILABLE' and f'https://{r.name}' in p.text and '\n' not in p.text
    shutil.copy(crt, folder / 'client.cert')
    p = pull(store, r, registry_config={'certs': [str(certs)]})
    assert p.kind == 'INVALID' and f'missing key {folder}/client.key' in p.text
    shutil.copy(key, folder / 'client.key')
    p = pull(store, r, registry_config={'certs': [str(certs)]})
    assert p.done, p.error
    (folder / 'client.cert').unlink()
    p = pull(store, r, registry_config={'certs': [str(certs)]})
    assert p.kind == 'INVALID' and f'missing client certificate {folder}/client.cert' in p.text
    (folder / 'ca.crt').write_text('nothing')
    (folder / 'client.key').unlink()
    p = pull(store, r, registry_config={'certs': [str(certs)]})
    assert p.kind == 'INVALID' and p.text == f'{folder}/ca.crt holds no certificate in PEM form'


# ---- who we are ----

def htpasswd(folder, **users):
    path = pathlib.Path(folder) / 'htpasswd'
    path.write_text(''.join(f'{u}:{crypt.crypt(p, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n'
                            for u, p in users.items()))
    return f'auth:\n  htpasswd: {{realm: test, path: {path}}}\n'


@pytest.fixture
def basic(authority, tls_registry, tmp_path):
    """A registry with htpasswd, and its configuration that trusts it."""
    r = tls_registry(authority.issue('registry'), more=htpasswd(tmp_path, me='secret'))
    trust(tmp_path / 'certs.d', r.name, (authority.crt, 'ca.crt'))
    r.certs = tmp_path / 'certs.d'
    return r


def test_basic_auth(store, basic):
    config = {'certs': [str(basic.certs)]}
    p = pull(store, basic, registry_config=config)
    assert (p.kind, p.text) == ('DENIED', f'Get "https://{basic.name}/v2/": no basic auth credentials')
    p = pull(store, basic, registry_config=config, auth={'username': 'me', 'password': 'wrong'})
    assert p.kind == 'DENIED' and 'unauthorized' in p.text and '\n' not in p.text
    assert pull(store, basic, registry_config=config, auth={'username': 'me', 'password': 'secret'}).done


class TokenService(http.server.ThreadingHTTPServer):
    """Docker's token authentication: signs what may be done, for who says the password or has an identity token."""
    daemon_threads = True

    def __init__(self, folder, tls, signer):
        super().__init__(('127.0.0.1', 0), TokenHandler)
        self.folder, self.signer, self.asked = pathlib.Path(folder), signer, []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f'https://localhost:{self.server_port}/token'

    def sign(self, user, access):
        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b'=')
        der = subprocess.run(['openssl', 'x509', '-in', self.signer[0], '-outform', 'DER'], capture_output=True).stdout
        now = int(time.time())
        head = {'typ': 'JWT', 'alg': 'RS256', 'x5c': [base64.b64encode(der).decode()]}
        claims = {'iss': 'issuer', 'sub': user, 'aud': 'service of this test', 'exp': now + 300, 'nbf': now - 10,
                  'iat': now, 'jti': str(now), 'access': access}
        text = part(json.dumps(head).encode()) + b'.' + part(json.dumps(claims).encode())
        signature = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', self.signer[1]], input=text,
                                   capture_output=True, check=True).stdout
        return (text + b'.' + part(signature)).decode()


class TokenHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def give(self, query, name):
        access = []
        for scope in query.get('scope', []):
            kind, repo, actions = scope.split(':')
            access.append({'type': kind, 'name': repo, 'actions': actions.split(',')})
        self.server.asked.append(query)
        assert query['service'] == ['service of this test']
        self.answer(200, {name: self.server.sign('me', access)})

    def do_GET(self):
        good = 'Basic ' + base64.b64encode(b'me:secret').decode()
        if self.headers.get('Authorization') != good:
            return self.answer(401, {'errors': [{'code': 'UNAUTHORIZED', 'message': 'incorrect username or password'}]})
        self.give(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query), 'token')

    def do_POST(self):
        query = urllib.parse.parse_qs(self.rfile.read(int(self.headers['Content-Length'])).decode())
        if query.get('grant_type') != ['refresh_token'] or query.get('refresh_token') != ['iden+tity']:
            return self.answer(401, {'errors': [{'code': 'UNAUTHORIZED', 'message': 'bad token'}]})
        self.give(query, 'access_token')


@pytest.fixture
def bearer(authority, tls_registry, tmp_path):
    """A registry that sends one to a token service, which has a certificate of the same authority."""
    signer = authority.issue('signer', rsa=True)
    service = TokenService(tmp_path, authority.issue('token service'), signer)
    more = (f'auth:\n  token:\n    realm: "{service.url}"\n    service: service of this test\n    issuer: issuer\n'
            f'    rootcertbundle: {signer[0]}\n')
    r = tls_registry(authority.issue('registry'), more=more)
    trust(tmp_path / 'certs.d', r.name, (authority.crt, 'ca.crt'))
    r.certs, r.service = tmp_path / 'certs.d', service
    yield r
    service.shutdown()
    service.server_close()


def test_token_auth(store, bearer):
    config = {'certs': [str(bearer.certs)]}
    p = pull(store, bearer, registry_config=config, auth={'username': 'me', 'password': 'wrong'})
    assert p.kind == 'DENIED' and 'incorrect username or password' in p.text
    assert pull(store, bearer, registry_config=config).kind == 'DENIED'
    p = pull(store, bearer, registry_config=config, auth={'username': 'me', 'password': 'secret'})
    assert p.done, p.error
    assert bearer.service.asked[0]['scope'] == ['repository:small:pull']


def test_identity_and_registry_tokens(store, bearer):
    config = {'certs': [str(bearer.certs)]}
    p = pull(store, bearer, registry_config=config, auth={'username': 'me', 'identitytoken': 'no'})
    assert p.kind == 'DENIED' and 'bad token' in p.text
    p = pull(store, bearer, registry_config=config, auth={'username': 'me', 'identitytoken': 'iden+tity'})
    assert p.done, p.error
    shutil.rmtree(store.root / 'blobs')
    token = bearer.service.sign('me', [{'type': 'repository', 'name': 'small', 'actions': ['pull']}])
    p = pull(store, bearer, registry_config=config, auth={'registrytoken': token})
    assert p.done, p.error
    p = pull(store, bearer, registry_config=config, auth={'registrytoken': 'no.to.ken'})
    assert p.kind == 'DENIED' and '\n' not in p.text


@pytest.mark.parametrize('kind', ['basic', 'bearer'])
def test_a_login_is_verified(store, request, kind):
    r = request.getfixturevalue(kind)
    config = {'certs': [str(r.certs)]}
    good = {'username': 'me', 'password': 'secret'}
    assert store.job('login', registry=r.name, auth=good, registry_config=config).done == {}
    p = store.job('login', registry=r.name, auth={**good, 'password': 'wrong'}, registry_config=config)
    assert p.kind == 'DENIED' and '\n' not in p.text
    assert store.job('login', registry='localhost:1', auth=good).kind == 'UNAVAILABLE'
    for bad in ('a/b', '..', 'x y', 'u@h'):
        assert store.job('login', registry=bad, auth=good).kind == 'INVALID'


# ---- what there is in registries ----

def zstd(data, *options):
    return subprocess.run(['zstd', '-q', '-c', *options], input=data, capture_output=True, check=True).stdout


def zstd_chunked(data):
    """As zstd:chunked has it: frames of their own for pieces, then the table of contents in skippable frames."""
    frames = [zstd(data[at:at + 4096]) for at in range(0, len(data), 4096)]
    toc = zstd(b'{"version":1,"entries":[]}')
    return b''.join(frames) + struct.pack('<II', 0x184D2A50, len(toc)) + toc + \
        struct.pack('<II', 0x184D2A5F, 64) + bytes(64)


def stargz(data):
    """Many gzip members after each other, as eStargz has them."""
    return b''.join(gzip.compress(data[at:at + 4096]) for at in range(0, len(data), 4096))


@pytest.mark.parametrize('suffix,pack', [('', plain), ('+gzip', gzip.compress), ('+gzip', stargz), ('+zstd', zstd),
                                         ('+zstd', zstd_chunked)],
                         ids=['plain', 'gzip', 'gzip members', 'zstd', 'zstd:chunked'])
def test_every_form_of_layer_is_pulled(store, registry, suffix, pack):
    image = Image([tar_of(('d', None), ('d/a', noise(50000)), ('d/e', '')), tar_of(('d/.wh.e', ''), ('b', 'y' * 9000))],
                  pack, suffix=suffix)
    put_image(registry, 'x', '1', image)
    p = pull(store, registry, 'x:1')
    assert p.done, p.error
    assert p.done['id'] == image.id and [l['digest'] for l in p.done['layers']] == image.layer_digests
    assert (store.layer(image.diff_ids[0]) / 'd/a').read_bytes() == noise(50000)
    assert (store.layer(image.diff_ids[1]) / 'b').read_text() == 'y' * 9000
    assert store.is_tidy()


def test_an_index_with_attestations(store, registry):
    """As buildx makes it: beside our platform's manifest one for unknown/unknown that is no image at all."""
    image = Image([tar_of(('a', 'x'))])
    statement = b'{"_type":"https://in-toto.io/Statement/v0.1"}'
    config = json.dumps({'architecture': 'unknown', 'os': 'unknown', 'config': {},
                         'rootfs': {'type': 'layers', 'diff_ids': [digest(statement)]}}).encode()
    attestation = json.dumps({'schemaVersion': 2, 'mediaType': MANIFEST, 'config': {
        'mediaType': CONFIG, 'digest': digest(config), 'size': len(config)}, 'layers': [
        {'mediaType': 'application/vnd.in-toto+json', 'digest': digest(statement), 'size': len(statement)}]}).encode()
    c = http.client.HTTPConnection('127.0.0.1', registry.port)
    for blob in (statement, config):
        put_blob(c, 'x', blob)
    put_manifest(c, 'x', digest(attestation), attestation)
    put_image(registry, 'x', digest(image.manifest), image)
    index = {'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [
        {'mediaType': MANIFEST, 'digest': digest(attestation), 'size': len(attestation),
         'platform': {'architecture': 'unknown', 'os': 'unknown'},
         'annotations': {'vnd.docker.reference.type': 'attestation-manifest',
                         'vnd.docker.reference.digest': digest(image.manifest)}},
        {'mediaType': MANIFEST, 'digest': digest(image.manifest), 'size': len(image.manifest),
         'platform': {'architecture': 'amd64', 'os': 'linux'}}]}
    put_manifest(c, 'x', '1', json.dumps(index), INDEX)
    index['manifests'].pop()
    put_manifest(c, 'x', 'none', json.dumps(index), INDEX)
    c.close()
    p = pull(store, registry, 'x:1')
    assert p.done and p.done['id'] == image.id and p.done['manifest'] == digest(image.manifest), p.error
    p = pull(store, registry, 'x:none')
    assert p.kind == 'UNSUPPORTED' and 'no matching manifest for linux/amd64' in p.text
    assert digest(statement)[7:] not in store.names('blobs/sha256') and store.is_tidy()


# ---- through the daemon ----

@pytest.fixture
def daemon(new_hosteld, tmp_path):
    return new_hosteld(config={'registry_certs': str(tmp_path / 'certs.d')})


def kept(d):
    path = d.dir / 'docker-config/config.json'
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.mark.parametrize('kind', ['basic', 'bearer'])
def test_hostel_login_pull_logout(daemon, request, kind):
    r = request.getfixturevalue(kind)
    ref = f'{r.name}/small:1'
    p = daemon.hostel('pull', ref)
    assert p.returncode == 1 and len(p.err.splitlines()) == 1, p.err
    p = daemon.hostel('login', '-u', 'me', '--password-stdin', r.name, input='wrong\n')
    assert p.returncode == 1 and 'unauthorized' in p.err and len(p.err.splitlines()) == 1 and kept(daemon) == {}, p.err
    p = daemon.hostel('login', '-u', 'me', '--password-stdin', r.name, input='secret\n')
    assert (p.returncode, p.out, p.err) == (0, 'Login Succeeded', '')
    assert kept(daemon)['auths'] == {r.name: {'auth': base64.b64encode(b'me:secret').decode()}}
    daemon.ok('pull', '-q', ref)
    assert daemon.ok('images', '-q') == SMALL.id[7:19]
    daemon.ok('rmi', ref)
    assert daemon.ok('create', '--pull', 'always', ref)  # pulls with them too
    daemon.ok('logout', r.name)
    assert kept(daemon)['auths'] == {}
    assert daemon.hostel('pull', ref).returncode == 1
    p = daemon.hostel('logout', r.name)
    assert p.returncode == 1 and p.err == f'hostel: not logged in to {r.name}'


def test_docker_login_and_pull(daemon, basic, docker):
    ref = f'{basic.name}/small:1'
    p = daemon.docker('pull', ref)
    assert p.returncode == 1 and 'no basic auth credentials' in p.err
    p = daemon.docker('login', '-u', 'me', '-p', 'wrong', basic.name)
    assert p.returncode == 1 and 'unauthorized' in p.err, p.err
    p = daemon.docker('login', '-u', 'me', '-p', 'secret', basic.name)
    assert p.returncode == 0 and 'Login Succeeded' in p.out, p.err
    p = daemon.docker('pull', ref)  # by X-Registry-Auth
    assert p.returncode == 0 and f'Status: Downloaded newer image for {ref}' in p.out, p.err
    daemon.ok('rmi', ref)
    daemon.ok('pull', '-q', ref)  # what docker login kept is used
    config = kept(daemon)
    config['credHelpers'] = {basic.name: 'secretservice'}
    (daemon.dir / 'docker-config/config.json').write_text(json.dumps(config))
    p = daemon.hostel('pull', ref)
    assert p.returncode == 1 and 'docker-credential-secretservice' in p.err and len(p.err.splitlines()) == 1


def test_settings_of_the_daemon(new_hosteld, authority, tls_registry):
    r = tls_registry(authority.issue('expired', end='20240301000000Z'))
    d = new_hosteld(config={'registry_certs': '/nonexistent'})
    p = d.hostel('pull', f'{r.name}/small:1')
    assert p.returncode == 1 and 'x509: certificate has expired on 2024-03-01' in p.err
    assert len(p.err.splitlines()) == 1
    d = new_hosteld('--registry-insecure', f'localhost:1,{r.name}')
    assert d.ok('pull', '-q', f'{r.name}/small:1')
    d = new_hosteld('--registry-mirror', f'https://{r.name}', '--registry-insecure', r.name)
    d.ok('pull', '-q', 'small:1')
    assert 'small' in d.ok('images')
