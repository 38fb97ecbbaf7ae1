# SPDX-License-Identifier: Apache-2.0
"""Hosts that trust each other, and instances that move between them."""
import json, os, stat

import pytest

from conftest import free_port, waiter

wait_for = waiter(60)


# ---- trust ----

def identity(d):
    return d.api('GET', '/hostel/v1/identity').json


def test_a_host_has_one_identity_for_its_owner_only_and_another_host_trusts_it_by_a_name(new_hosteld):
    a, b = new_hosteld(), new_hosteld()
    pem = a.ok('trust', 'show')
    assert pem.startswith('-----BEGIN CERTIFICATE-----')
    own = identity(a)
    assert own['certificate'].strip() == pem
    assert identity(b)['fingerprint'] != own['fingerprint']
    path = a.root / 'tls/identity.pem'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and 'PRIVATE KEY' in path.read_text()

    assert b.ok('trust', 'add', 'alpha', '-', input=f'from alpha:\n{pem}\n') == 'alpha'
    assert b.ok('trust', 'ls', '--format', '{{.name}} {{.fingerprint}}') == f'alpha {own["fingerprint"]}'
    assert b.ok('trust', 'add', 'alpha', path_of(b, pem)) == 'alpha'  # the same again
    b.kill()
    b.start()
    assert own['fingerprint'] in b.ok('trust', 'ls')
    assert identity(a) == own, 'made once'
    b.ok('trust', 'rm', 'alpha')
    assert json.loads(b.ok('trust', 'ls', '--format', 'json')) == []


def path_of(d, text):
    path = d.dir / 'given.pem'
    path.write_text(text)
    return path


@pytest.mark.parametrize('text, words', [
    ('nothing', 'that is no certificate'),
    ('{pem}{pem2}', '2 certificates, where one is expected'),
    ('x' * 20000, 'that is too long for a certificate'),
])
def test_what_is_not_one_certificate_is_refused(hosteld, text, words):
    pem = identity(hosteld)['certificate']
    p = hosteld.hostel('trust', 'add', 'x', '-', input=text.format(pem=pem, pem2=pem))
    assert p.returncode == 1 and words in p.err
    assert hosteld.api('GET', '/hostel/v1/trust').json == []


def test_a_name_stands_for_one_certificate_and_a_certificate_for_one_name(new_hosteld):
    a, b = new_hosteld(), new_hosteld()
    b.ok('trust', 'add', 'a', '-', input=identity(a)['certificate'])
    p = b.hostel('trust', 'add', 'a', '-', input=identity(b)['certificate'])
    assert p.returncode == 1 and 'a is trusted already, with another certificate' in p.err
    p = b.hostel('trust', 'add', 'c', '-', input=identity(a)['certificate'])
    assert p.returncode == 1 and 'this certificate is trusted already, as a' in p.err
    p = b.hostel('trust', 'rm', 'nobody')
    assert p.returncode == 1 and 'No such trusted host: nobody' in p.err


def test_who_is_trusted_outlives_a_lost_store(new_hosteld):
    a, b = new_hosteld(), new_hosteld()
    b.ok('trust', 'add', 'a', '-', input=identity(a)['certificate'])
    b.kill()
    for path in b.root.glob('hostel.db*'):
        os.unlink(path)
    b.start()
    assert b.ok('trust', 'ls', '--format', '{{.fingerprint}}') == identity(a)['fingerprint']


# ---- moving ----

@pytest.fixture
def two(new_hosteld, busybox_tar):
    """Function that starts two hosts that take each other's instances: by a socket, or over TLS."""
    def make(tls=False, image=True):
        a, b = new_hosteld(start=False), new_hosteld(start=False)
        for d in (a, b):
            d.door = f'tcp+tls://127.0.0.1:{free_port()}' if tls else f'unix://{d.run_dir}/migrate.sock'
            d.options += ['--migrate-listen', d.door]
            d.start()
        if tls:
            a.ok('trust', 'add', 'beta', '-', input=identity(b)['certificate'])
            b.ok('trust', 'add', 'alpha', '-', input=identity(a)['certificate'])
        if image:
            a.ok('load', '-q', '-i', busybox_tar)
        return a, b
    return make


def instances(d):
    return {i['name']: i for i in d.api('GET', '/hostel/v1/instances?all=true').json}


def runs(d, name='c1'):
    return instances(d).get(name, {}).get('state') == 'running'


def left_of(d):
    """What migrations leave behind: nothing."""
    return [p.name for p in (d.root / 'tmp').iterdir() if p.name.startswith('incoming')]


@pytest.mark.parametrize('tls', [False, True])
def test_a_container_moves_with_all_that_is_its_own(two, tls):
    a, b = two(tls)
    a.ok('run', '-d', '--name', 'c1', '-v', 'data:/data', '--label', 'colour=red', '-m', '32m', '--stop-signal', 'KILL', 'busybox', 'sh', '-c',
         'echo from-$(cat /here 2>/dev/null || echo first); cp /etc/passwd /data/p 2>/dev/null; rm -f /etc/group; '
         'echo second > /here; sleep 600')
    wait_for(lambda: 'from-first' in a.ok('logs', 'c1'))
    wait_for(lambda: a.hostel('exec', 'c1', 'cat', '/here').returncode == 0)
    id_ = instances(a)['c1']['id']
    assert a.ok('migrate', '--check', 'c1', b.door) == f'c1 can move to {b.door}'
    assert not instances(b) and runs(a)
    p = a.hostel('migrate', 'c1', b.door)
    assert (p.returncode, p.out) == (0, 'c1'), p.err + a.log[-2000:] + b.log[-2000:]
    wait_for(lambda: runs(b))
    assert not instances(a)
    assert instances(b)['c1']['id'] == id_
    wait_for(lambda: 'from-second' in b.ok('logs', 'c1'), text='its disk came along')
    assert 'from-first' in b.ok('logs', 'c1'), 'its log came along'
    assert b.hostel('exec', 'c1', 'ls', '/etc/group').returncode != 0, 'what it deleted stays deleted'
    assert 'root' in b.ok('exec', 'c1', 'cat', '/data/p')
    assert b.ok('inspect', 'c1', '--format', '{{json .Config.Labels}}') == '{"colour":"red"}'
    assert a.api('GET', '/volumes').json['Volumes'] == [] and 'data' in json.dumps(b.api('GET', '/volumes').json)
    assert [i['RepoTags'] for i in b.api('GET', '/images/json').json] == [['busybox:latest']]
    assert not left_of(a) and not left_of(b)
    # and back, where its image is already
    b.ok('migrate', 'c1', a.door)
    wait_for(lambda: runs(a))
    assert not instances(b) and instances(a)['c1']['id'] == id_
