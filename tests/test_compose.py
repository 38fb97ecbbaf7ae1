# SPDX-License-Identifier: Apache-2.0
"""docker compose, unmodified: version 1 of this Debian, and version 2 of Debian sid."""
import json, re, shutil, time

import pytest

from conftest import CACHE, ROOT, docker_program, free_port, links, run

FILE = """
version: "3.8"
services:
  web:
    image: busybox
    command: sh -c "mkdir -p /w && echo $$GREETING > /w/index.html && exec httpd -f -p 80 -h /w"
    environment: [GREETING=hello]
    ports: ["127.0.0.1:PORT:80"]
    networks:
      front: {aliases: [www]}
      back: {ipv4_address: SUBNET.77}
    depends_on: [db]
    stop_grace_period: 0s
  db:
    image: busybox
    command: sh -c "echo db is up; echo kept >> /data/file; exec sleep 1000"
    volumes: ["data:/data"]
    networks: [back]
    stop_grace_period: 0s
  app:
    image: busybox
    command: sleep 1000
    networks: [front]
    stop_grace_period: 0s
volumes:
  data: {}
networks:
  front: {}
  back:
    internal: true
    ipam: {config: [{subnet: SUBNET.0/24}]}
"""


def version_1(d):
    if not shutil.which('docker-compose'):
        pytest.skip('docker-compose is not installed')
    return ['docker-compose']


def version_2(d):
    p = run(ROOT / 'tools/fetch.sh', 'compose', CACHE, timeout=300)
    if p.returncode:
        pytest.skip(f'there is no docker compose: {p.err[-200:]}')
    plugins = d.dir / 'docker-config/cli-plugins'
    plugins.mkdir(parents=True, exist_ok=True)
    if not (plugins / 'docker-compose').exists():
        (plugins / 'docker-compose').symlink_to(p.out.splitlines()[-1])
    return [docker_program(), 'compose', '--ansi', 'never']


@pytest.fixture(params=[version_1, version_2], ids=['v1', 'v2'])
def compose(request, hosteld, tmp_path):
    argv = request.param(hosteld)
    text = FILE.replace('PORT', str(port := free_port())).replace('SUBNET', f'10.233.{port % 250}')
    (tmp_path / 'compose.yaml').write_text(text if request.param is version_1 else text.replace('version: "3.8"\n', ''))

    def call(*args, fails=False):
        p = run(*argv, '-f', tmp_path / 'compose.yaml', '-p', 'proj', *args, env=hosteld.env, timeout=180)
        assert fails or p.returncode == 0, f'compose {args}: {p.returncode}\n{p.out}\n{p.err}\n{hosteld.log[-2000:]}'
        return p
    call.port, call.d = port, hosteld
    yield call
    call('down', '-v', fails=True)


def containers(d, service):
    filters = json.dumps({'label': ['com.docker.compose.project=proj', f'com.docker.compose.service={service}']})
    return [c['Id'] for c in d.api('GET', f'/containers/json?all=1&filters={filters}'.replace(' ', '')).json]


def published(port):
    """What the web service says, once it listens."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if out := run('busybox', 'wget', '-q', '-O-', f'http://127.0.0.1:{port}/').out:
            return out
        time.sleep(0.1)
    return None


def addresses(text):
    return set(re.findall(r'Address(?: \d)?: +([\d.]+)$', text, re.M))


def test_a_project_comes_up_works_and_goes(compose):
    d = compose.d
    before = links()
    compose('up', '-d', '--scale', 'app=2')
    assert {s: len(containers(d, s)) for s in ('web', 'db', 'app')} == {'web': 1, 'db': 1, 'app': 2}
    listed = compose('ps').out
    assert all(s in listed for s in ('proj', 'web', 'db', 'app')) and f'127.0.0.1:{compose.port}->80/tcp' in listed

    assert published(compose.port) == 'hello'
    # Services find each other by name, by alias, and one of several by turns; across networks they do not.
    fetch = lambda *names: compose('exec', '-T', 'app', 'sh', '-c', ';'.join(f'timeout 10 wget -q -O - http://{n}/' for n in names)).out
    assert fetch('web', 'www') == 'hello\nhello'
    assert len(addresses(compose('exec', '-T', 'web', 'nslookup', '-type=a', 'app').out)) == 2
    assert compose('exec', '-T', 'web', 'ping', '-c1', '-w5', '-W5', 'db').returncode == 0
    assert compose('exec', '-T', 'app', 'nslookup', '-type=a', 'db', fails=True).returncode
    web = d.api('GET', f'/containers/{containers(d, "web")[0]}/json').json['NetworkSettings']['Networks']
    assert set(web) == {'proj_front', 'proj_back'} and web['proj_back']['IPAddress'].endswith('.77')
    assert 'db is up' in compose('logs', '--no-color', 'db').out
    assert compose('run', '--rm', 'app', 'ping', '-c1', '-w5', '-W5', 'web').returncode == 0

    # What is made anew has another address, the same name, and the volume's content.
    compose('up', '-d', '--force-recreate', '--scale', 'app=1', 'db', 'app')
    assert len(containers(d, 'app')) == 1
    assert compose('exec', '-T', 'db', 'cat', '/data/file').out.splitlines() == ['kept', 'kept']
    assert compose('exec', '-T', 'web', 'ping', '-c1', '-w5', '-W5', 'db').returncode == 0
    compose('restart', 'web')
    assert published(compose.port) == 'hello' and fetch('web') == 'hello'

    compose('down', '-v')
    assert d.api('GET', '/containers/json?all=1').json == [] and d.api('GET', '/volumes').json['Volumes'] == []
    assert {n['Name'] for n in d.api('GET', '/networks').json} == {'bridge', 'host', 'none'}
    assert not {l for l in links() - before if l.startswith('br-')} & d.user_bridges()


@pytest.mark.parametrize('compose', [version_2], indirect=True, ids=['v2'])
def test_stop_and_start_keep_what_is_there(compose):
    compose('up', '-d')
    ids = [containers(compose.d, s) for s in ('web', 'db', 'app')]
    compose('stop')
    assert run('busybox', 'wget', '-q', '-O-', f'http://127.0.0.1:{compose.port}/').returncode
    compose('start')
    assert [containers(compose.d, s) for s in ('web', 'db', 'app')] == ids
    assert published(compose.port) == 'hello'
    # The second `up` finds all as it is.
    compose('up', '-d')
    assert [containers(compose.d, s) for s in ('web', 'db', 'app')] == ids
