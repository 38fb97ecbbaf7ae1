# SPDX-License-Identifier: Apache-2.0
"""A hosteld of a bench's own, with an image and a kernel."""
import json, os, pathlib, subprocess, tempfile

from peers import Hostel, remove_tree

TOP = pathlib.Path(__file__).resolve().parent.parent


def sh(*argv, **kw):
    p = subprocess.run([str(a) for a in argv], capture_output=True, stdin=None if 'input' in kw else subprocess.DEVNULL, **kw)
    if p.returncode:
        raise RuntimeError(f'{argv}: {p.returncode}\n{p.stderr.decode(errors="replace")[-2000:]}')
    return p.stdout


def fetched(what, cache):
    return sh(TOP / 'tools/fetch.sh', what, cache).decode().split()[-1]


class Setup:
    """A private hosteld with a kernel and busybox."""

    def __init__(self, build, *options, name='hostel-bench', kernel=True):
        self.build = pathlib.Path(build).resolve()
        cache = pathlib.Path(os.environ.get('HOSTEL_CACHE', self.build / 'cache')).resolve()
        cache.mkdir(parents=True, exist_ok=True)
        self.work = pathlib.Path(tempfile.mkdtemp(prefix=name + '.'))
        self.image = cache / 'busybox.tar'
        if not self.image.exists():
            sh(TOP / 'tools/mkimage.sh', 'busybox', self.image)
        deb = kernel and fetched('kernel', cache)
        self.daemon = Hostel(self.work / 'h', self.build, options)
        try:
            self.hostel('load', '-q', '-i', self.image)
            if deb:
                self.hostel('kernel', 'add', deb)
        except BaseException:
            self.close()
            raise

    def hostel(self, *args):
        return sh(self.build / 'hostel', *args, env=self.daemon.env()).decode()

    def plan(self, name):
        """What the engine decided for an instance that runs."""
        ident = json.loads(self.hostel('inspect', name))[0]['Id']
        return json.loads((self.work / 'h/root/instances' / ident / 'plan.json').read_text())

    def close(self, keep=False):
        if keep:
            self.daemon.process.terminate()
            self.daemon.process.wait(20)
            print(f'kept: {self.work}')
            return
        self.daemon.stop()
        remove_tree(self.work)
