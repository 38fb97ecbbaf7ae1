# SPDX-License-Identifier: Apache-2.0
"""The API by its bytes: replies as Docker describes them, statuses and words as dockerd has them, bad input, streams."""
import base64, contextlib, io, json, re, socket, struct, subprocess, tarfile, tempfile, time

import pytest

import apispec
from conftest import BUILD, UnixHTTP, Answer, Hosteld


def ask(socket_path, method, path, body=None, headers=None, timeout=30):
    c = UnixHTTP(str(socket_path), timeout)
    try:
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        c.request(method, path, data, {'Content-Type': 'application/json', **(headers or {})})
        r = c.getresponse()
        return Answer(r.status, dict(r.getheaders()), r.read())
    finally:
        c.close()


def raw(socket_path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(str(socket_path))
    return s


def read_until(s, mark):
    data = b''
    while mark not in data:
        piece = s.recv(65536)
        if not piece:
            break
        data += piece
    return data


def read_all(s):
    data = b''
    with contextlib.suppress(ConnectionResetError):
        while piece := s.recv(65536):
            data += piece
    return data


def frames(data):
    """Docker's multiplexed stream: [(stream, bytes)]."""
    out = []
    while len(data) >= 8:
        stream, n = data[0], struct.unpack('>I', data[4:8])[0]
        out.append((stream, data[8:8 + n]))
        data = data[8 + n:]
    assert not data
    return out


# ---- an API over an engine that runs nothing: quick, and needs no root ----

@pytest.fixture(scope='module')
def fake():
    exe = next((p for p in (BUILD / 'src/api/api-fake', BUILD / 'api-fake') if p.is_file()), None)
    if not exe:
        pytest.skip(f'api-fake is not built in {BUILD}')
    with tempfile.TemporaryDirectory() as d:
        path = f'{d}/s'
        p = subprocess.Popen([exe, path])
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    ask(path, 'GET', '/_ping')
                    break
                time.sleep(0.02)
            yield path
            assert p.poll() is None, 'api-fake died'
        finally:
            p.kill()
            p.wait()


def create(path, name=None, labels=None, **body):
    r = ask(path, 'POST', '/containers/create' + (f'?name={name}' if name else ''),
            {'Image': 'debian:12', 'Labels': labels or {}, **body})
    assert r.status == 201, r.body
    return r.json['Id']


def test_ping_has_the_headers_that_clients_negotiate_by(fake):
    for method, body in (('GET', b'OK'), ('HEAD', b'')):
        r = ask(fake, method, '/_ping')
        assert (r.status, r.body) == (200, body)
        want = {'Api-Version': '1.50', 'Docker-Experimental': 'true', 'Ostype': 'linux', 'Builder-Version': '1'}
        assert want.items() <= r.headers.items()
        assert r.headers['Server'].startswith('hostel/')
        assert r.headers['Content-Type'].startswith('text/plain')


@pytest.mark.parametrize('path, status, message', [
    ('/v1.24/version', 200, None),
    ('/v1.50/version', 200, None),
    ('/v1.51/version', 400, 'client version 1.51 is too new. Maximum supported API version is 1.50'),
    ('/v1.23/version', 400, 'client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade '
                            'your client to a newer version'),
    ('/v2.0/version', 400, 'client version 2.0 is too new. Maximum supported API version is 1.50'),
    ('/v1.x/version', 404, 'page not found'),
    ('/v1.50', 404, 'page not found'),
    ('/', 404, 'page not found'),
    ('/nothing', 404, 'page not found'),
])
def test_versions_are_cut_off_and_checked(fake, path, status, message):
    r = ask(fake, 'GET', path)
    assert r.status == status
    if message:
        assert r.json['message'] == message


BAD = [
    ('POST', '/containers/create', b'{"Image":', 400, 'invalid JSON'),
    ('POST', '/containers/create', b'{"Image":"debian:12","Image":"x"}', 400, 'duplicate object key'),
    ('POST', '/containers/create', b'[1]', 400, 'expected an object'),
    ('POST', '/containers/create', b'\xff\xfe', 400, 'invalid JSON'),
    ('POST', '/containers/create', b'[' * 100000, 400, 'invalid JSON'),
    ('POST', '/containers/create', b'', 400, 'config cannot be empty'),
    ('POST', '/containers/create', {}, 400, 'no image specified'),
    ('POST', '/containers/create', {'Image': 'nope'}, 404, 'No such image: nope'),
    ('POST', '/containers/create', {'Image': 'debian:12', 'HostConfig': {'Memory': -5}}, 400, 'Memory: -5 is out of range'),
    ('POST', '/containers/create', {'Image': 'debian:12', 'HostConfig': {'Memory': 2 ** 63}}, 400, ''),
    ('POST', '/containers/create', {'Image': 'debian:12', 'HostConfig': {'Memory': '1g'}}, 400, 'expected an integer'),
    ('POST', '/containers/create', {'Image': 'debian:12', 'HostConfig': {'Memory': 1024}}, 400,
     'Minimum memory limit allowed is 6MB'),
    ('POST', '/containers/create', {'Image': 'debian:12', 'HostConfig': {'Runtime': 'kata'}}, 400,
     'unknown or invalid runtime name: kata'),
    ('POST', '/containers/create', {'Image': 'debian:12', 'HostConfig': {'Runtime': 'vm', 'Binds': ['/a:/b']}}, 501, '-v'),
    ('POST', '/containers/create?name=a%2Fb', {'Image': 'debian:12'}, 400,
     'Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed'),
    ('POST', '/containers/create?name=a%0Ab', {'Image': 'debian:12'}, 400, 'Invalid container name (a?b)'),
    ('POST', '/containers/create?name=' + 'x' * 300, {'Image': 'debian:12'}, 400, 'Invalid container name'),
    ('POST', '/containers/create?platform=linux/arm64', {'Image': 'debian:12'}, 404, 'linux/arm64'),
    ('POST', '/containers/create', {'Image': 'debian:12', 'Labels': {'hostel.queue': 'soon'}}, 400, 'label hostel.queue'),
    ('GET', '/containers/nope/json', None, 404, 'No such container: nope'),
    ('POST', '/containers/nope/start', None, 404, 'No such container: nope'),
    ('POST', '/containers/nope/attach', None, 404, 'No such container: nope'),
    ('POST', '/containers/nope/wait', None, 404, 'No such container: nope'),
    ('GET', '/containers/nope/logs?stdout=1', None, 404, 'No such container: nope'),
    ('DELETE', '/containers/nope', None, 404, 'No such container: nope'),
    ('GET', '/containers/json?filters={"nope":["x"]}', None, 400, "invalid filter 'nope'"),
    ('GET', '/containers/json?filters=nonsense', None, 400, 'invalid filter'),
    ('GET', '/containers/json?limit=x', None, 400, 'limit'),
    ('GET', '/images/nope/json', None, 404, 'No such image: nope'),
    ('POST', '/images/create', None, 400, 'invalid reference format'),
    ('POST', '/images/create?fromImage=missing', None, 404, 'manifest for it not found'),
    ('GET', '/volumes/nope', None, 404, 'get nope: no such volume'),
    ('GET', '/networks/nope', None, 404, 'network nope not found'),
    ('POST', '/networks/create', {'Name': 'x', 'EnableIPv6': True}, 501, 'EnableIPv6'),
    ('POST', '/networks/create', {'Name': 'x', 'Driver': 'overlay'}, 404, 'plugin "overlay" not found'),
    ('POST', '/networks/create', {'Name': 'x', 'Driver': 'host'}, 403, 'only one instance'),
    ('POST', '/networks/create', None, 400, 'must be described'),
    ('POST', '/networks/create', {'Name': 'bridge'}, 409, 'already exists'),
    ('DELETE', '/networks/bridge', None, 403, 'pre-defined'),
    ('DELETE', '/networks/none', None, 403, 'pre-defined'),
    ('DELETE', '/networks/nope', None, 404, 'network nope not found'),
    ('POST', '/networks/bridge/connect', {'Container': 'nope'}, 404, 'No such container'),
    ('GET', '/exec/nope/json', None, 404, 'No such exec instance: nope'),
    ('GET', '/events?since=soon', None, 400, 'invalid time'),
    ('POST', '/auth', {}, 400, 'no username given'),
    ('POST', '/commit', None, 501, 'not supported by hostel'),
    ('POST', '/hostel/v1/vms', {'memroy_bytes': 1}, 400, 'unknown member "memroy_bytes"'),
    ('POST', '/hostel/v1/vms', {'memory_bytes': -1}, 400, 'memory_bytes: -1 is out of range'),
    ('POST', '/hostel/v1/vms', {'network': 'host'}, 400, 'network is bridge, none or'),
    ('POST', '/hostel/v1/kernels', {'source': 'relative'}, 400, 'absolute path'),
    ('DELETE', '/hostel/v1/kernels/nope', None, 404, 'No such kernel: nope'),
]


@pytest.mark.parametrize('method, path, body, status, words', BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_answered_with_its_status_and_words(fake, method, path, body, status, words):
    r = ask(fake, method, path.replace('"', '%22').replace('{', '%7B').replace('}', '%7D'), body)
    assert (r.status, words in r.json['message']) == (status, True), r.body
    assert r.json['kind']


def test_a_name_is_taken_once(fake):
    i = create(fake, 'twice')
    r = ask(fake, 'POST', '/containers/create?name=twice', {'Image': 'debian:12'})
    assert r.status == 409
    assert r.json['message'].startswith(f'Conflict. The container name "/twice" is already in use by container "{i}".')


def test_unknown_members_are_ignored_as_dockerd_does(fake):
    create(fake, NoSuchMember={'x': [1, 2]}, HostConfig={'Another': True})


def test_warnings_come_with_the_id(fake):
    r = ask(fake, 'POST', '/containers/create', {'Image': 'debian:12', 'Labels': {'fake.warn': 'too big'}})
    assert r.json['Warnings'] == ['too big']


def test_a_body_over_16_mib_is_refused_and_the_daemon_lives(fake):
    r = ask(fake, 'POST', '/containers/create', b' ' * (17 << 20))
    assert r.status == 413
    assert ask(fake, 'GET', '/_ping').status == 200


def test_a_header_of_100_mb_is_refused_early(fake):
    s, sent = raw(fake), 0
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        s.sendall(b'GET /_ping HTTP/1.1\r\nHost: x\r\nX-Big: ')
        while sent < 100 << 20:
            s.sendall(b'a' * 65536)
            sent += 65536
    assert sent < 10 << 20
    assert b' 431 ' in read_all(s)
    assert ask(fake, 'GET', '/_ping').status == 200


@pytest.mark.parametrize('data', [b'\x16\x03\x01\x00\r\n\r\n', b'GET\r\n\r\n', b'GET /_ping HTTP/9.9\r\n\r\n', b'\r\n' * 5000 + b'X\r\n\r\n',
                                  b'POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: -1\r\n\r\n',
                                  b'POST /containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
                         ids=['tls', 'short', 'version', 'empty-lines', 'negative-length', 'chunk'])
def test_nonsense_ends_its_connection_only(fake, data):
    s = raw(fake)
    s.sendall(data)
    read_all(s)
    assert ask(fake, 'GET', '/_ping').status == 200


def test_wait_sends_its_header_before_there_is_a_result(fake):
    i = create(fake)
    s = raw(fake)
    s.sendall(f'POST /v1.50/containers/{i}/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n'.encode())
    head = read_until(s, b'\r\n\r\n')
    assert head.startswith(b'HTTP/1.1 200 ')
    assert ask(fake, 'POST', f'/containers/{i}/start').status == 204
    assert ask(fake, 'POST', f'/containers/{i}/kill').status == 204
    assert b'{"StatusCode":137}' in read_until(s, b'\r\n0\r\n\r\n')
    r = ask(fake, 'POST', f'/containers/{i}/wait?condition=soon')
    assert (r.status, r.json['message']) == (400, 'invalid condition: "soon"')


def test_verbs_answer_as_dockerd(fake):
    i = create(fake)
    post = lambda what: ask(fake, 'POST', f'/containers/{i}/{what}').status
    assert [post('start'), post('start'), post('pause'), post('unpause')] == [204, 304, 204, 204]
    assert ask(fake, 'DELETE', f'/containers/{i}').status == 409
    assert [post('stop'), post('stop'), post('kill'), post('pause')] == [204, 304, 409, 409]
    assert post('rename?name=other') == 204
    assert ask(fake, 'GET', '/containers/other/json').json['Name'] == '/other'
    assert ask(fake, 'DELETE', f'/containers/{i}').status == 204


def test_a_failed_start_tells_why(fake):
    i = create(fake, labels={'fake.fail': 'exec: "x": executable file not found in $PATH'})
    r = ask(fake, 'POST', f'/containers/{i}/start')
    assert (r.status, r.json['message']) == (400, 'exec: "x": executable file not found in $PATH')


def state(fake, i):
    return ask(fake, 'GET', f'/hostel/v1/instances/{i}').json['state']


def until(what):
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_client_that_goes_withdraws_its_start(fake):
    i = create(fake, labels={'fake.hold': '1'})
    s = raw(fake)
    s.sendall(f'POST /containers/{i}/start HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n'.encode())
    until(lambda: state(fake, i) == 'queued')
    line = [c for c in ask(fake, 'GET', '/containers/json?all=1').json if c['Id'] == i][0]
    assert (line['State'], line['Status']) == ('created', 'Queued (memory: needs 4 GiB, 1.2 GiB free)')
    s.close()
    until(lambda: state(fake, i) == 'created')


def test_hostels_start_says_what_it_waits_for(fake):
    i = create(fake, labels={'fake.hold': '1'})
    s = raw(fake)
    s.sendall(f'POST /hostel/v1/instances/{i}/start HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n'.encode())
    assert b'{"waiting":"memory: needs 4 GiB, 1.2 GiB free"}' in read_until(s, b'}\n')
    s.close()
    until(lambda: state(fake, i) == 'created')
    lines = lambda q: [json.loads(l) for l in ask(fake, 'POST', f'/hostel/v1/instances/{i}/start?{q}').body.splitlines()]
    assert lines('no_wait=1') == [{'error': 'not started: memory: needs 4 GiB, 1.2 GiB free', 'kind': 'LIMIT'}]
    assert lines('wait_timeout=50ms')[-1]['kind'] == 'UNAVAILABLE'
    assert state(fake, i) == 'created'
    assert lines('hold=queue')[-1] == {'queued': True}
    assert ask(fake, 'POST', f'/hostel/v1/instances/{i}/start?hold=x').status == 400
    i = create(fake)
    assert [json.loads(ask(fake, 'POST', f'/hostel/v1/instances/{i}/start').body) for _ in range(2)] == [
        {'started': True, 'already': False}, {'started': True, 'already': True}]


def upgrade(fake, path, body=b'', early=b''):
    s = raw(fake)
    s.sendall(f'POST {path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: '
              f'application/json\r\nContent-Length: {len(body)}\r\n\r\n'.encode() + body + early)
    head, _, rest = read_until(s, b'\r\n\r\n').partition(b'\r\n\r\n')
    return head, rest + read_all(s)


def test_attach_gives_the_connection_away_with_what_came_early(fake):
    i = create(fake)
    head, data = upgrade(fake, f'/containers/{i}/attach?stream=1&stdin=1&stdout=1&stderr=1&detachKeys=ctrl-x', early=b'pre')
    assert head.startswith(b'HTTP/1.1 101 ')
    assert b'Content-Type: application/vnd.docker.multiplexed-stream' in head and b'Upgrade: tcp' in head
    assert frames(data) == [(1, b'attached streams=7 keys=ctrl-x pre=pre\n')]
    head, data = upgrade(fake, f'/v1.41/containers/{i}/attach?stream=1&stdout=1')
    assert b'Content-Type: application/vnd.docker.raw-stream' in head


def test_attach_without_an_upgrade_is_a_body(fake):
    i = create(fake)
    r = ask(fake, 'POST', f'/containers/{i}/attach?stream=1&stdout=1')
    assert (r.status, frames(r.body)) == (200, [(1, b'attached streams=2 keys=- pre=\n')])


def test_exec_in_its_three_forms(fake):
    i = create(fake)
    r = ask(fake, 'POST', f'/containers/{i}/exec', {'Cmd': ['ls']})
    assert (r.status, 'is not running' in r.json['message']) == (409, True)
    ask(fake, 'POST', f'/containers/{i}/start')
    r = ask(fake, 'POST', f'/containers/{i}/exec', {'Cmd': []})
    assert (r.status, r.json['message']) == (400, 'No exec command specified')
    r = ask(fake, 'POST', f'/containers/{i}/exec', {'Cmd': ['ls'], 'ConsoleSize': [24, 80]})
    assert (r.status, r.json) == (201, {'Id': 'e1'})
    assert ask(fake, 'POST', '/exec/e1/start', {'Detach': True}).status == 200
    head, data = upgrade(fake, '/exec/e1/start', b'{"Detach":false,"Tty":false}')
    assert head.startswith(b'HTTP/1.1 101 ') and frames(data)[0][1].startswith(b'exec streams=7')
    r = ask(fake, 'POST', '/exec/e1/start', {'Detach': False})
    assert (r.status, frames(r.body)[0][1][:14]) == (200, b'exec streams=6')


def test_pull_streams_progress_and_an_early_failure_has_a_status(fake):
    r = ask(fake, 'POST', '/images/create?fromImage=debian&tag=12', headers={
        'X-Registry-Auth': base64.urlsafe_b64encode(b'{"username":"u","password":"p"}').decode()})
    lines = [json.loads(l) for l in r.body.splitlines()]
    assert lines[0]['progressDetail'] == {'current': 5, 'total': 10}
    assert lines[0]['progress'] == '[' + '=' * 25 + '>' + ' ' * 24 + ']  5B/10B'
    assert lines[-1] == {'status': 'Status: Image is up to date for debian:12'}
    assert ask(fake, 'POST', '/images/create?fromImage=missing').status == 404


def test_load_and_import_take_their_body_as_it_comes(fake):
    r = ask(fake, 'POST', '/images/load', b'x' * (5 << 20))
    assert json.loads(r.body.splitlines()[-1]) == {'stream': 'Loaded image: debian:12\n'}
    r = ask(fake, 'POST', '/images/create?fromSrc=-&repo=x&changes=CMD%20a&changes=ENV%20b=c', b'x' * 100)
    assert json.loads(r.body.splitlines()[-1])['status'].startswith('sha256:')


def test_archive_has_its_stat_in_a_header(fake):
    i = create(fake)
    for method, body in (('HEAD', b''), ('GET', b'a tar\n')):
        r = ask(fake, method, f'/containers/{i}/archive?path=/etc')
        assert (r.status, r.body) == (200, body)
        stat = json.loads(base64.b64decode(r.headers['X-Docker-Container-Path-Stat']))
        assert stat == {'name': '/etc', 'size': 3, 'mode': 0o755, 'mtime': '2026-01-01T00:00:00Z', 'linkTarget': ''}
    assert ask(fake, 'GET', f'/containers/{i}/archive').status == 400
    assert ask(fake, 'GET', f'/containers/{i}/archive?path=/missing').status == 404
    assert ask(fake, 'PUT', f'/containers/{i}/archive?path=/', b'y' * (1 << 20)).status == 200
    assert ask(fake, 'PUT', f'/containers/{i}/archive?path=/missing', b'y' * (1 << 20)).status == 404


def test_events_come_as_they_happen_and_end_when_asked(fake):
    s = raw(fake)
    s.sendall(b'GET /events?filters=%7B%22event%22%3A%5B%22create%22%5D%7D HTTP/1.1\r\nHost: d\r\n\r\n')
    read_until(s, b'\r\n\r\n')
    i = create(fake, 'evented')
    event = json.loads(read_until(s, b'}\n').split(b'\r\n')[1])
    assert (event['Type'], event['Action'], event['Actor']) == ('container', 'create', {'ID': i, 'Attributes': {'name': 'evented'}})
    assert not apispec.problems('GET', '/events', 200, event)
    s.close()
    r = ask(fake, 'GET', '/events?since=1h&until=0.5')
    assert r.status == 400
    r = ask(fake, 'GET', f'/events?since=1h&until={time.time() - 0.001}')
    assert any(json.loads(l)['Actor']['ID'] == i for l in r.body.splitlines())


def test_list_filters(fake):
    a, b = create(fake, 'fil-a', {'l': '1'}), create(fake, 'fil-b', {'l': '2'})
    ask(fake, 'POST', f'/containers/{b}/start')

    def names(query, **filters):
        from urllib.parse import quote
        r = ask(fake, 'GET', f'/containers/json?{query}&filters={quote(json.dumps(filters))}')
        assert r.status == 200, r.body
        return [c['Names'][0] for c in r.json if c['Names'][0].startswith('/fil-')]
    assert names('', name=['fil-']) == ['/fil-b']
    assert names('all=1', name=['fil-']) == ['/fil-b', '/fil-a']
    assert names('all=1', label=['l=1']) == ['/fil-a']
    assert names('', status=['created'], name=['fil']) == ['/fil-a']
    assert names('all=1', id=[a[:20]]) == ['/fil-a']
    assert names('', since=['fil-a'], name=['fil-']) == ['/fil-b']
    assert names('limit=1', name=['fil-']) == ['/fil-b']
    assert names('all=1', ancestor=['debian:12'], name=['fil-a']) == ['/fil-a']
    assert names('all=1', isolation=['vm']) == []


def test_a_vm_shows_as_docker_shows_its_runtime(fake):
    for host in ({'Runtime': 'vm'}, {'Isolation': 'vm'}):
        i = create(fake, HostConfig=host)
        shown = ask(fake, 'GET', f'/containers/{i}/json').json['HostConfig']
        assert (shown['Runtime'], shown['Isolation']) == ('vm', '')


def test_the_openapi_file_describes_what_is_served(fake):
    doc = ask(fake, 'GET', '/hostel/v1/openapi.json').json
    assert doc['openapi'].startswith('3.')
    import jsonschema
    i = create(fake, 'described')
    for path, name in (('/hostel/v1/instances/described', 'Instance'),):
        schema = {'components': doc['components'], '$ref': f'#/components/schemas/{name}'}
        text = re.sub(r'"type": "(\w+)", "nullable": true', r'"type": ["\1", "null"]', json.dumps(schema))
        jsonschema.Draft7Validator(json.loads(text)).validate(ask(fake, 'GET', path).json)
    for path, methods in doc['paths'].items():
        if 'get' in methods and '{' not in path:
            assert ask(fake, 'GET', path).status == 200, path


# ---- the same with everything behind it ----

@pytest.fixture
def web(hosteld):
    hosteld.ok('run', '-d', '--name', 'web', '-p', '127.0.0.1::80', '-v', '/anon', '-e', 'A=1', 'busybox', 'sleep', '1000')
    return hosteld


REPLIES = [
    ('GET', '/version'), ('GET', '/info'), ('GET', '/system/df'),
    ('GET', '/containers/json?all=1&size=1'), ('GET', '/containers/web/json?size=1'), ('GET', '/containers/web/top'),
    ('GET', '/containers/web/changes'), ('GET', '/containers/web/stats?stream=0&one-shot=1'),
    ('GET', '/containers/web/stats?stream=0'),
    ('GET', '/images/json'), ('GET', '/images/busybox/json'), ('GET', '/images/busybox/history'), ('POST', '/build/prune'),
    ('GET', '/volumes'), ('GET', '/networks'), ('GET', '/networks/bridge'),
    ('POST', '/containers/web/update'), ('POST', '/volumes/create'), ('POST', '/containers/prune'),
    ('POST', '/images/prune'), ('POST', '/volumes/prune'), ('POST', '/networks/prune'),
    ('GET', '/containers/nope/json'), ('POST', '/containers/nope/start'), ('GET', '/images/nope/json'),
]


@pytest.mark.parametrize('method, path', REPLIES, ids=[f'{m} {p}' for m, p in REPLIES])
def test_a_reply_is_as_docker_describes_it(web, method, path):
    r = web.api(method, '/v1.50' + path, {} if method == 'POST' else None)
    assert not apispec.problems(method, path, r.status, r.json), r.body.decode()[:3000]


def test_exec_replies_are_as_docker_describes_them(web):
    r = web.api('POST', '/containers/web/exec', {'Cmd': ['true'], 'AttachStdout': True})
    assert not apispec.problems('POST', '/containers/web/exec', r.status, r.json)
    exec_id = r.json['Id']
    assert web.api('POST', f'/exec/{exec_id}/start', {'Detach': False}).status == 200
    r = web.api('GET', f'/exec/{exec_id}/json')
    assert not apispec.problems('GET', f'/exec/{exec_id}/json', 200, r.json)
    assert (r.json['Running'], r.json['ExitCode']) == (False, 0)


def test_wait_and_create_and_remove_replies(hosteld):
    r = hosteld.api('POST', '/containers/create?name=ww', {'Image': 'busybox', 'Cmd': ['sh', '-c', 'exit 3']})
    assert not apispec.problems('POST', '/containers/create', r.status, r.json)
    assert hosteld.api('POST', '/containers/ww/start').status == 204
    r = hosteld.api('POST', '/containers/ww/wait')
    assert (r.status, r.json) == (200, {'StatusCode': 3})
    assert hosteld.api('DELETE', '/containers/ww').status == 204


def test_logs_in_their_forms(hosteld):
    hosteld.api('POST', '/containers/create?name=lg', {'Image': 'busybox', 'Cmd': ['sh', '-c', 'echo out; sleep 0.1; echo err >&2']})
    hosteld.api('POST', '/containers/lg/start')
    hosteld.api('POST', '/containers/lg/wait')
    get = lambda q: hosteld.api('GET', f'/containers/lg/logs?{q}')
    assert frames(get('stdout=1&stderr=1').body) == [(1, b'out\n'), (2, b'err\n')]
    assert frames(get('stdout=1&stderr=1&tail=1').body) == [(2, b'err\n')]
    assert frames(get('stdout=1&follow=1').body) == [(1, b'out\n')]
    assert frames(get('stdout=1&stderr=1&until=1').body) == []
    assert get('').status == 400
    assert b'T' in frames(get('stdout=1&timestamps=1').body)[0][1].split(b' ')[0]


def test_a_tree_goes_in_and_out(web):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode='w') as t:
        info = tarfile.TarInfo('in.txt')
        info.size = 3
        t.addfile(info, io.BytesIO(b'abc'))
    assert web.api('PUT', '/containers/web/archive?path=/tmp', data.getvalue()).status == 200
    r = web.api('GET', '/containers/web/archive?path=/tmp/in.txt')
    assert tarfile.open(fileobj=io.BytesIO(r.body)).extractfile('in.txt').read() == b'abc'
    r = web.api('GET', '/containers/web/archive?path=/none')
    assert (r.status, r.json['message'].lower().count('/none')) == (404, 1)
    assert any(c == {'Path': '/tmp/in.txt', 'Kind': 1} for c in web.api('GET', '/containers/web/changes').json)
    names = tarfile.open(fileobj=io.BytesIO(web.api('GET', '/containers/web/export').body)).getnames()
    assert 'tmp/in.txt' in [n.lstrip('./') for n in names]


# ---- the ring of events ----

def memory_kb(d):
    with open(f'/proc/{d.process.pid}/smaps_rollup') as f:
        return int(next(l for l in f if l.startswith('Private_Dirty:')).split()[1])


def chunks(data):
    """Lines of a chunked body, and whether its last chunk came."""
    body, lines = data.split(b'\r\n\r\n', 1)[1], b''
    while b'\r\n' in body:
        n, body = body.split(b'\r\n', 1)
        if not int(n, 16):
            return lines.splitlines(), True
        lines, body = lines + body[:int(n, 16)], body[int(n, 16) + 2:]
    return lines.splitlines(), False


def listen(d, query=''):
    s = raw(d.socket)
    s.sendall(f'GET /events{query} HTTP/1.1\r\nHost: d\r\n\r\n'.encode())
    return s, read_until(s, b'\r\n\r\n')


def past(d):
    return [json.loads(l) for l in d.api('GET', f'/events?since=1h&until={time.time()}').body.splitlines()]


def tag(d, n):
    c = UnixHTTP(str(d.socket))
    for i in range(n):
        c.request('POST', f'/images/busybox/tag?repo=x&tag={i % 4}')
        assert c.getresponse().read() == b''
    c.close()


def test_of_1500_events_the_newest_1024_are_kept_and_listeners_hear_all(hosteld):
    s, head = listen(hosteld, f'?until={time.time() + 600}')
    begin = time.time()
    tag(hosteld, 1500)
    kept = past(hosteld)
    assert len(kept) == 1024 and {(e['Type'], e['Action']) for e in kept} == {('image', 'tag')}
    assert [e['timeNano'] for e in kept] == sorted(e['timeNano'] for e in kept) and kept[0]['timeNano'] > begin * 1e9
    assert [e['Actor']['Attributes']['name'] for e in kept] == [f'x:{i % 4}' for i in range(1500 - 1024, 1500)]
    heard = head
    while len(chunks(heard)[0]) < 1500:
        heard += s.recv(65536)
    s.close()
    assert [json.loads(l)['timeNano'] for l in chunks(heard)[0]][-1024:] == [e['timeNano'] for e in kept]
    before = memory_kb(hosteld)
    tag(hosteld, 1500)
    assert memory_kb(hosteld) < before + 1024 and len(past(hosteld)) == 1024
    for i in range(4):
        hosteld.api('DELETE', f'/images/x:{i}')


def test_a_listener_that_never_reads_is_cut_off_and_long_events_take_bounded_memory(hosteld):
    """40 MB of events: neither what waits for a listener nor what is kept for later grows past its bound (4 MiB each)."""
    before = memory_kb(hosteld)
    deaf, head = listen(hosteld)
    for n in range(40):
        r = hosteld.api('POST', '/containers/create', {'Image': 'busybox', 'Cmd': ['true'], 'Labels': {'n': str(n), 'long': 'x' * 500000}})
        assert r.status == 201, r.body
        assert hosteld.api('DELETE', f'/containers/{r.json["Id"]}').status == 204
    heard = head + read_all(deaf)
    assert len(head) < len(heard) < 6 << 20 and not chunks(heard)[1]
    deaf.close()
    kept = past(hosteld)
    assert (kept[-1]['Action'], kept[-1]['Actor']['Attributes']['n']) == ('destroy', '39')
    assert 4 <= len(kept) <= 8 and sum(len(e['Actor']['Attributes'].get('long', '')) for e in kept) <= 4 << 20
    assert memory_kb(hosteld) < before + (24 << 10)


def test_fifty_clients_stream_at_once_and_one_never_reads(web):
    held = []
    for n in range(50):
        s = raw(web.socket)
        s.sendall(b'GET /containers/web/stats HTTP/1.1\r\nHost: d\r\n\r\n')
        held.append(s)
    for s in held[1:]:
        assert b' 200 ' in read_until(s, b'}\n')
    assert web.api('GET', '/_ping').status == 200
    for s in held:
        s.close()
