# SPDX-License-Identifier: Apache-2.0
"""Virtual machines in five words:

    from kvm import KVM
    kvm = KVM()
    vm = kvm.create_vm(name="my_vm", memory=1024, vcpu=2)
    vm.start()
    vm.run()
    vm.stop()
"""
import shlex

from hostel import Hostel, HostelError, Result

__all__ = ['KVM', 'VM', 'HostelError', 'Result']


class VM:
    """A virtual machine of a hosteld."""

    def __init__(self, client, id, name):
        self._client, self.id, self.name = client, id, name

    def __repr__(self):
        return f'<VM {self.name}>'

    @property
    def status(self):
        """created, queued, running, exited …"""
        return self._client.call('GET', f'/hostel/v1/instances/{self.id}')['state']

    def start(self, waiting=None):
        """Boot it; waits in the queue when memory or cpus are short."""
        self._client.start(self.id, waiting)

    def run(self, command=None, timeout=0):
        """Without a command: started if it never was, then Result(exit_code or None while it runs, console output).
        With one (a string or a list): run that inside, by the guest's agent."""
        if isinstance(command, str):
            command = shlex.split(command)
        return self._client.run(self.id, command, timeout)

    def stop(self, timeout=-1):
        """Shut it down, by force after a time; a stopped one is no error."""
        self._client.stop(self.id, timeout)

    def pause(self):
        self._client.pause(self.id)

    def resume(self):
        self._client.unpause(self.id)

    def remove(self, force=False):
        self._client.remove(self.id, force, True)


class KVM:
    """The machines of one hosteld (KVM where it works, QEMU's own emulation elsewhere)."""

    def __init__(self, socket=None):
        self._client = Hostel(socket)

    def create_vm(self, name=None, memory=0, vcpu=0, disks=None, kernel=None, initrd=None, append=None, **more):
        """memory in MiB; disks: "FILE", "FILE,overlay", "new:20g"; `more`: members of /hostel/v1/vms."""
        if isinstance(disks, str):
            disks = [disks]
        id = self._client.create_vm(name, memory, vcpu, disks, kernel, initrd, append, more or None)
        return self.get(id)

    def get(self, name):
        """A machine by name or id."""
        found = self._client.call('GET', f'/hostel/v1/instances/{name}')
        return VM(self._client, found['id'], found['name'])

    def list(self, all=False):
        found = self._client.call('GET', f'/hostel/v1/vms?all={"true" if all else "false"}')
        return [VM(self._client, i['id'], i['name']) for i in found]
