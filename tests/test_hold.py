# SPDX-License-Identifier: Apache-2.0
"""Clients that go, or only stop sending, while their start is held in the queue."""
import os, signal, socket, subprocess, threading, time

import pytest

from conftest import waiter


wait_for = waiter(60)


@pytest.fixture
def full(new_hosteld, busybox_tar):
    """A hosteld with 256 MiB of room, of which `holder` has 200."""
    d = new_hosteld('--memory-total', '512m', '--reserve-memory', '128m', '--manage-memory', '128m', '--hold-timeout', '2s')
    d.ok('load', '-q', '-i', busybox_tar)
    d.ok('run', '-d', '--name', 'holder', '-m', '200m', 'busybox', 'sleep', '600')
    return d


def state(d, name):
    return d.api('GET', f'/hostel/v1/instances/{name}').json


def is_queued(d, name):
    a = d.api('GET', f'/hostel/v1/instances/{name}')
    return a.status == 200 and a.json['state'] == 'queued'


def attach(d, name):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(str(d.socket))
    s.sendall(f'POST /containers/{name}/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\n'
              'Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n'.encode())
    head = b''
    while b'\r\n\r\n' not in head:
        head += s.recv(1024)
    assert head.startswith(b'HTTP/1.1 101')
    return s


class Start(threading.Thread):
    def __init__(self, d, name):
        super().__init__(daemon=True)
        self.d, self.name_, self.answer = d, name, None
        self.start()

    def run(self):
        self.answer = self.d.api('POST', f'/containers/{self.name_}/start', timeout=120)


@pytest.mark.parametrize('argv', [('docker', 'run'), ('docker', 'run', '-i'), ('hostel', 'run')])
@pytest.mark.parametrize('rm', [False, True], ids=['kept', 'rm'])
def test_a_client_that_dies_in_the_queue_withdraws(full, docker, argv, rm):
    exe = docker if argv[0] == 'docker' else full.cli
    p = subprocess.Popen([exe, *argv[1:], *(['--rm'] if rm else []), '--name', 'late', '-m', '200m', 'busybox', 'true'],
                         env=full.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: is_queued(full, 'late'))
    p.kill()
    p.communicate()
    if rm:
        wait_for(lambda: full.api('GET', '/containers/late/json').status == 404)
    else:
        wait_for(lambda: state(full, 'late')['state'] == 'created')
    full.ok('stop', '-t', '0', 'holder')
    full.ok('run', '--rm', '-m', '200m', 'busybox', 'true')  # nobody is in the way, nothing of it started
    if not rm:
        assert state(full, 'late')['state'] == 'created'


def test_an_attached_client_that_went_does_not_hold_a_start_for_ever(full):
    full.ok('create', '--name', 'late', '-m', '200m', '-i', 'busybox', 'true')
    attach(full, 'late').close()
    begin = time.monotonic()
    a = full.api('POST', '/containers/late/start', timeout=60)
    assert a.status == 500 and a.json['message'].startswith('not started: memory: needs 200 MiB'), a.body
    assert time.monotonic() - begin > 1.5


def test_an_attached_client_that_stops_sending_is_still_held_and_told(full):
    full.ok('create', '--name', 'late', '-m', '200m', '-i', 'busybox', 'head', '-n', '1')
    s = attach(full, 'late')
    s.sendall(b'typed early\n')
    s.shutdown(socket.SHUT_WR)
    start = Start(full, 'late')
    told = s.recv(4096)
    assert told[8:].startswith(b'memory: needs 200 MiB'), told
    time.sleep(3)  # beyond what one without a client is held
    assert start.answer is None and is_queued(full, 'late')
    full.ok('stop', '-t', '0', 'holder')
    start.join(60)
    assert start.answer.status == 204
    rest = b''
    while more := s.recv(4096):
        rest += more
    assert b'typed early\n' in rest
    s.close()
