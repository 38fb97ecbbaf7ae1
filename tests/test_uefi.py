# SPDX-License-Identifier: Apache-2.0
"""A machine with UEFI: OVMF boots Debian's kernel from an EFI system partition."""
import pathlib, shutil, struct, subprocess, uuid, zlib

import pytest

from conftest import CACHE, ROOT, run
from test_recovery import state, wait_for
from test_vm import INIT

SECTOR, CLUSTER, SIZE = 512, 4096, 40 << 20
ESP = uuid.UUID('c12a7328-f81f-11d2-ba4b-00a0c93ec93b')
OVMF = pathlib.Path('/usr/share/OVMF')


def name83(name):
    base, _, ext = name.upper().partition('.')
    return base.ljust(8).encode() + ext.ljust(3).encode()


def fat16(files, size):
    """A FAT16 file system with these files in its root: {'NAME.EXT': bytes}."""
    clusters = size // CLUSTER - 64
    fat_sectors = (clusters + 2) * 2 // SECTOR + 1
    boot = b'\xeb\x3c\x90HOSTEL  ' + struct.pack('<HBHBHHBHHHII', SECTOR, CLUSTER // SECTOR, 1, 2, 512, 0, 0xf8, fat_sectors, 32, 2,
                                                   0, size // SECTOR)
    boot += struct.pack('<BBBI11s8s', 0x80, 0, 0x29, 1, b'EFI        ', b'FAT16   ')
    fat, root, data, free = [0xfff8, 0xffff], b'', b'', 2
    for name, content in files.items():
        n = -(-len(content) // CLUSTER)
        fat += [free + i + 1 for i in range(n - 1)] + [0xffff]
        root += name83(name) + struct.pack('<B14xHI', 0x20, free, len(content))
        data += content.ljust(n * CLUSTER, b'\0')
        free += n
    table = b''.join(struct.pack('<H', f) for f in fat).ljust(fat_sectors * SECTOR, b'\0')
    return (boot.ljust(510, b'\0') + b'\x55\xaa' + table * 2 + root.ljust(512 * 32, b'\0') + data).ljust(size, b'\0')


def gpt(partition):
    """A disk with one partition, an EFI system partition, at 1 MiB."""
    first, n = (1 << 20) // SECTOR, len(partition) // SECTOR
    last = first + n + 2048
    entry = struct.pack('<16s16sQQQ72s', ESP.bytes_le, uuid.UUID(int=5).bytes_le, first, first + n - 1, 0, 'esp'.encode('utf-16-le'))
    entries = entry.ljust(128 * 128, b'\0')

    def header(here, other, table):
        h = struct.pack('<8sIIIIQQQQ16sQIII', b'EFI PART', 0x10000, 92, 0, 0, here, other, 34, last - 34, uuid.UUID(int=6).bytes_le,
                        table, 128, 128, zlib.crc32(entries))
        return (h[:16] + struct.pack('<I', zlib.crc32(h)) + h[20:]).ljust(SECTOR, b'\0')
    mbr = bytes(446) + struct.pack('<BBBBBBBBII', 0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, last) + bytes(48) + b'\x55\xaa'
    disk = (mbr + header(1, last, 2) + entries).ljust(1 << 20, b'\0') + partition
    return disk.ljust((last - 32) * SECTOR, b'\0') + entries + header(last, 1, last - 32)


@pytest.fixture
def disk(tmp_path):
    """Debian's kernel with an init that hears the power button, started by the firmware's own shell."""
    deb = run(ROOT / 'tools/fetch.sh', 'kernel', CACHE, timeout=300)
    if deb.returncode:
        pytest.skip(f'no kernel: {deb.err}')
    (tmp_path / 'init.c').write_text(INIT)
    subprocess.run(['gcc', '-static', '-O1', '-w', '-o', tmp_path / 'init', tmp_path / 'init.c'], check=True)
    subprocess.run(['dpkg-deb', '-x', deb.out.splitlines()[-1], tmp_path / 'deb'], check=True)
    for module in 'button.ko', 'evdev.ko':
        next((tmp_path / 'deb').rglob(module)).rename(tmp_path / module)
    initrd = subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet'], input=b'init\nbutton.ko\nevdev.ko\n', cwd=tmp_path,
                            capture_output=True, check=True).stdout
    kernel = next((tmp_path / 'deb/boot').glob('vmlinuz-*')).read_bytes()
    script = b'fs0:\\vmlinuz.efi console=ttyS0 panic=-1 initrd=\\initrd.img\r\n'
    path = tmp_path / 'disk.raw'
    path.write_bytes(gpt(fat16({'VMLINUZ.EFI': kernel, 'INITRD.IMG': initrd, 'STARTUP.NSH': script}, SIZE)))
    shutil.rmtree(tmp_path / 'deb')
    return path


@pytest.mark.slow
@pytest.mark.skipif(not OVMF.exists(), reason='ovmf is not installed')
def test_a_uefi_disk_boots_and_stops_in_order(hosteld, disk):
    before = (OVMF / 'OVMF_VARS_4M.fd').read_bytes()
    hosteld.ok('vm', 'create', 'efi', '--memory', '256', '--vcpus', '1', '--firmware', 'uefi', '--disk', disk)
    hosteld.ok('start', 'efi')
    said = wait_for(lambda: 'listening' in (text := hosteld.ok('logs', 'efi')) and text, 240)
    assert 'efi: EFI v2' in said and 'EDK II' in said
    assert 'Secure boot disabled' in said
    assert state(hosteld, 'efi')['Status'] == 'running'
    hosteld.ok('stop', '-t', '60', 'efi', timeout=120)
    s = state(hosteld, 'efi')
    assert (s['Status'], s['ExitCode'], s['Error']) == ('exited', 0, '')
    assert 'power button' in hosteld.ok('logs', 'efi')
    own = list((hosteld.root / 'instances').glob('*/ovmf-vars.fd'))
    assert len(own) == 1 and own[0].read_bytes() != before, 'the firmware wrote its variables'
    assert (OVMF / 'OVMF_VARS_4M.fd').read_bytes() == before
    hosteld.ok('rm', 'efi')
    assert disk.exists() and not own[0].exists()
