# SPDX-License-Identifier: Apache-2.0
"""Hosts that trust each other, and instances that move between them."""
import json, os, stat

import pytest

from conftest import waiter

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
