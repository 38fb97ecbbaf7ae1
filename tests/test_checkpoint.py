# SPDX-License-Identifier: Apache-2.0
"""Running containers kept and brought back: docker's checkpoints, hostel's, copies and forks."""
import json, socket

import pytest

from conftest import lent, waiter

wait_for = waiter(120)

# One process that counts in memory alone, and says how far it is to whoever connects.
COUNTER = 'i=0; while :; do i=$((i+1)); echo $i > /dev/shm/count.t; mv /dev/shm/count.t /dev/shm/count; sleep 0.1; done'


@pytest.fixture(scope='module')
def world(root_only, busybox_tar):
    with lent(busybox_tar, '--memory-total', '64g', '--cpus-total', '64') as d:
        yield d


@pytest.fixture
def d(world):
    """The daemon, with nothing in it."""
    yield world
    for name in [i['name'] for i in world.api('GET', '/hostel/v1/instances?all=1').json]:
        world.ok('rm', '-f', name, timeout=60)


def docker(d, *args, rc=0):
    p = d.docker(*args)
    assert p.returncode == rc, f'docker {" ".join(args)}: {p.returncode}\n{p.out}\n{p.err}'
    return p


def count(d, name='it'):
    return wait_for(lambda: int(d.hostel('exec', name, 'cat', '/dev/shm/count', timeout=60).out or 0))


def running(d, name='it'):
    return d.api('GET', f'/containers/{name}/json').json['State']['Running']


def test_docker_checkpoint(d):
    docker(d, 'run', '-d', '--name', 'it', 'busybox', 'sh', '-c', COUNTER)
    count(d)
    docker(d, 'checkpoint', 'create', '--leave-running', 'it', 'first')
    assert running(d)
    assert 'first' in docker(d, 'checkpoint', 'ls', 'it').out
    assert 'first' in docker(d, 'checkpoint', 'create', 'it', 'first', rc=1).err
    was = count(d)
    docker(d, 'checkpoint', 'create', 'it', 'second')
    wait_for(lambda: not running(d))
    docker(d, 'start', '--checkpoint', 'second', 'it')
    assert running(d)
    after = count(d)
    assert after >= was
    wait_for(lambda: count(d) > after)
    for name in 'first', 'second':
        docker(d, 'checkpoint', 'rm', 'it', name)
    assert d.api('GET', '/containers/it/checkpoints').json == []


def test_what_dockers_checkpoints_refuse(d):
    docker(d, 'run', '-d', '--name', 'it', 'busybox', 'sleep', '1000')
    assert 'lies with its container' in docker(d, 'checkpoint', 'create', '--checkpoint-dir', '/tmp', 'it', 'c', rc=1).err
    assert 'no snapshot none' in docker(d, 'checkpoint', 'rm', 'it', 'none', rc=1).err
    assert d.api('POST', '/containers/none/checkpoints', {'CheckpointID': 'c'}).status == 404
    assert d.api('POST', '/containers/it/start?checkpoint=c').status == 304
    docker(d, 'stop', '-t', '0', 'it')
    assert 'no snapshot none' in docker(d, 'start', '--checkpoint', 'none', 'it', rc=1).err
    assert docker(d, 'checkpoint', 'create', 'it', 'c', rc=1).err


def test_a_container_goes_on_where_its_checkpoint_was(d):
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sh', '-c', COUNTER)
    was = count(d)
    address = d.api('GET', '/containers/it/json').json['NetworkSettings']['IPAddress']
    assert d.ok('checkpoint', 'it', timeout=180) == 'checkpoint0'
    assert not running(d)
    assert d.ok('restore', 'it', timeout=180) == 'it'
    assert count(d) >= was
    assert d.api('GET', '/containers/it/json').json['NetworkSettings']['IPAddress'] == address
    d.ok('stop', '-t', '0', 'it')


def test_forks_of_a_container_count_on_with_names_and_addresses_of_their_own(d):
    d.ok('run', '-d', '--name', 'it', 'busybox', 'sh', '-c', COUNTER)
    was = count(d)
    assert d.ok('fork', 'it', '-n', '2', timeout=240).split() == ['it-1', 'it-2']
    addresses = set()
    for name in 'it', 'it-1', 'it-2':
        assert count(d, name) >= was
        addresses.add(d.ok('exec', name, 'hostname', '-i'))
    assert len(addresses) == 3
    assert d.ok('exec', 'it-1', 'hostname') == d.api('GET', '/containers/it-1/json').json['Config']['Hostname']
