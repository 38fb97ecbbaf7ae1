# SPDX-License-Identifier: Apache-2.0
"""docker-py, plus Container.run(), against hosteld: used only when bindings/python/compat is on PYTHONPATH.

    from docker import DockerClient
    client = DockerClient()               # $HOSTEL_SOCKET, $DOCKER_HOST, /run/hostel/hostel.sock
    container = client.containers.create(image="ubuntu", command="/bin/bash")
    container.start()
    container.run()                       # started if it never was: ExecResult(exit_code, output)
    container.stop()
"""
# This package stands before docker-py's in sys.path.  It runs the real one's source as itself, so that every
# docker.X is docker-py's own, and adds to it at the end.
import importlib.machinery as _machinery
import os as _os
import sys as _sys

_here = _os.path.dirname(_os.path.dirname(_os.path.realpath(__file__)))
_real = _machinery.PathFinder.find_spec('docker', [p for p in _sys.path if _os.path.realpath(p or '.') != _here])
if _real is None:
    raise ModuleNotFoundError("docker-py is not installed (python3-docker); bindings/python/compat only adds to it",
                              name='docker')
__path__ = __spec__.submodule_search_locations = list(_real.submodule_search_locations)
__file__ = _real.origin
with open(__file__, encoding='utf-8') as _source:
    exec(compile(_source.read(), __file__, 'exec'))


def _add():
    import time

    import docker.client
    from docker.models.containers import Container, ExecResult

    def run(self, command=None, timeout=1, **options):
        """With a command: exec_run(). Without: the container's own process, started if it never was; of one that
        has ended, its output and status; what still runs after `timeout` seconds (None: no end) is left alone and has
        exit_code None."""
        self.reload()
        if self.status == 'created':
            self.start()
            self.reload()
        if command is not None:
            return self.exec_run(command, **options)
        end = None if timeout is None else time.monotonic() + timeout
        while self.status in ('running', 'restarting') and (end is None or time.monotonic() < end):
            time.sleep(0.02)
            self.reload()
        ended = self.status == 'exited'
        return ExecResult(self.attrs['State']['ExitCode'] if ended else None, self.logs())

    Container.run = run

    real_init = docker.client.DockerClient.__init__

    def init(self, *args, **kwargs):
        if not args and not kwargs.get('base_url'):
            socket = _os.environ.get('HOSTEL_SOCKET') or _os.environ.get('DOCKER_HOST') or '/run/hostel/hostel.sock'
            kwargs['base_url'] = socket if '://' in socket else 'unix://' + socket
        real_init(self, *args, **kwargs)

    docker.client.DockerClient.__init__ = init


_add()
