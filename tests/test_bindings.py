# SPDX-License-Identifier: Apache-2.0
"""The two stories, a VM and a container, from C and from Python, as people write them."""
import json, os, pathlib, subprocess, sys

import pytest

from conftest import BUILD, ROOT, need, run
from fake_hosteld import FakeHosteld

PYTHON = ROOT / 'bindings/python'

KVM_STORY = '''
from kvm import KVM; kvm = KVM(); vm = kvm.create_vm(name="my_vm", memory=1024, vcpu=2); vm.start(); vm.run(); vm.stop()
print(vm.status)
'''
DOCKER_STORY = '''
from docker import DockerClient; client = DockerClient(); container = client.containers.create(image="ubuntu", command="/bin/bash"); container.start(); container.run(); container.stop()
result = container.run()
print(result.exit_code, result.output)
container.remove()
'''


def library():
    found = sorted(BUILD.glob('src/client/libhostel.so'))
    if not found:
        pytest.skip('libhostel.so is not built')
    return str(found[0])


def python(daemon_socket, code, *paths, timeout=120):
    env = {**os.environ, 'HOSTEL_SOCKET': str(daemon_socket), 'HOSTEL_LIB': library(),
           'PYTHONPATH': ':'.join(str(PYTHON / p) for p in paths), 'PYTHONDONTWRITEBYTECODE': '1'}
    env.pop('DOCKER_HOST', None)
    return run(sys.executable, '-c', code, env=env, timeout=timeout)


def example(name):
    path = BUILD / 'examples' / f'example-{name}'
    if not path.exists():
        pytest.skip(f'{path} is not built')
    return path


# ---- against a hosteld that isolates nothing ----

@pytest.fixture
def fake(tmp_path):
    f = FakeHosteld(tmp_path / 's')
    yield f
    f.close()


def test_the_library_exports_its_names_only():
    names = [l.split()[-1] for l in run('nm', '-D', '--defined-only', library()).out.splitlines()]
    assert names and all(n.startswith('hostel_') for n in names), names
    header = (ROOT / 'include/hostel/hostel.h').read_text()
    for name in names:
        assert f'{name}(' in header


def test_the_header_alone_is_valid_c_and_cpp(tmp_path):
    for compiler, name in (('cc', 'a.c'), ('g++', 'a.cc')):
        if run('sh', '-c', f'command -v {compiler}').returncode:
            continue
        (tmp_path / name).write_text('#include <hostel/hostel.h>\nint main(void) { return !hostel_open; }\n')
        p = run(compiler, '-Wall', '-Wextra', '-Wno-address', '-I', ROOT / 'include', '-fsyntax-only', tmp_path / name)
        assert p.returncode == 0, p.err


def test_python_runs_a_container_and_a_command_in_it(fake):
    p = python(fake.path, '''
from hostel import Hostel, HostelError, NOT_FOUND
h = Hostel()
id = h.create_container('busybox', ['sh', '-c', 'echo hi; exit 3'], name='a')
print(h.run(id), h.run('a'))
b = h.create_container('busybox', ['sleep', '60'], name='b', memory_bytes=64 << 20, cpus=0.5)
h.start(b)
print(h.run(b, ['sh', '-c', 'echo inside; exit 4']), h.run(b, timeout=0.1).exit_code)
h.kill(b); print(h.wait(b)); h.stop(b)
try:
    h.start('nobody')
except HostelError as e:
    print(e.code == NOT_FOUND, e)
print([i['name'] for i in h.list(all=True)], h.inspect('b')['State']['ExitCode'])
h.remove('a'); h.remove('b')
h.pull('thing', progress=lambda m: print(m['status']) if m.get('status') == 'Pull complete' else None)
''', '')
    assert p.err == '' and p.out.splitlines() == [
        "Result(exit_code=3, output=b'hi\\n') Result(exit_code=3, output=b'hi\\n')",
        "Result(exit_code=4, output=b'inside\\n') None", '137', 'True No such container: nobody', "['b', 'a'] 137",
        'Pull complete']
    body = [d for m, path, q, d in fake.asked if path == '/containers/create'][1]
    assert body['HostConfig'] == {'Memory': 64 << 20, 'NanoCpus': 500000000}


def test_a_start_that_waits_tells_python_and_can_be_given_up(fake):
    fake.hold, fake.hold_for = ['memory: short'], 0.05
    p = python(fake.path, '''
from hostel import Hostel, HostelError
h = Hostel()
id = h.create_container('busybox', ['true'])
try:
    h.start(id, waiting=lambda reason: print(reason) or True)
except HostelError as e:
    print(e)
h.start(id, waiting=print)
''', '')
    assert p.err == '' and p.out.splitlines() == ['memory: short', 'not started: given up (memory: short)',
                                                  'memory: short']


def test_compat_is_docker_py_with_run(fake):
    pytest.importorskip('docker')
    p = python(fake.path, '''
import docker, docker.errors, docker.models.containers as m
print(docker.__version__ != "", hasattr(m.Container, "run"), docker.__path__[0].endswith("dist-packages/docker"))
print(docker.DockerClient(version="1.41").api.base_url)
''', 'compat')
    assert p.out.splitlines()[0].startswith('True True') and p.err == ''
    p = python(fake.path, 'import docker, docker.models.containers as m; print(hasattr(m.Container, "run"))', '')
    assert p.out == 'False', 'only when compat is on the path'


def test_the_container_example_runs(fake):
    p = run(example('container'), 'busybox', 'sh', '-c', 'echo hello; exit 2',
            env={**os.environ, 'HOSTEL_SOCKET': fake.path})
    assert p.err == '' and p.out == 'busybox ended with 2 and printed 6 bytes\nhello'
    assert not fake.instances
    p = run(example('container'), 'nothing', env={**os.environ, 'HOSTEL_SOCKET': fake.path})
    assert p.returncode == 1 and p.err == 'container: No such image: nothing'


# ---- against the real one ----

@pytest.fixture
def ubuntu(hosteld, images):
    """The minbase image, tagged ubuntu."""
    if hosteld.hostel('inspect', '--type', 'image', 'ubuntu').returncode:
        hosteld.ok('load', '-q', '-i', images('debian'))
        hosteld.ok('tag', 'debian:12', 'ubuntu')
    return hosteld


def test_c_container_story(ubuntu):
    p = run(example('container'), env=ubuntu.env)
    assert (p.returncode, p.out) == (0, 'ubuntu ended with 0 and printed 0 bytes'), p.err


def test_c_vm_story(kernel):
    p = run(example('vm'), env=kernel.env, timeout=180)
    assert p.returncode == 0 and 'my_vm is running' in p.out and 'my_vm is stopped' in p.out, p.err


def test_python_kvm_story(kernel):
    p = python(kernel.socket, KVM_STORY, '', timeout=180)
    assert p.err == '' and p.out == 'exited'


def test_python_docker_story(ubuntu):
    pytest.importorskip('docker')
    p = python(ubuntu.socket, DOCKER_STORY, 'compat')
    assert p.err == '' and p.out == "0 b''"
