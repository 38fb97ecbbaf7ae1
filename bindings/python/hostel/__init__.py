# SPDX-License-Identifier: Apache-2.0
"""libhostel from Python, by ctypes: containers and virtual machines of one hosteld.

    from hostel import Hostel
    h = Hostel()                                  # $HOSTEL_SOCKET, $DOCKER_HOST, /run/hostel/hostel.sock
    id = h.create_container('busybox', ['echo', 'hi'])
    print(h.run(id).output)

$HOSTEL_LIB names the library, when it is not where the system looks.
"""
import collections, ctypes, ctypes.util, json, os

__all__ = ['Hostel', 'HostelError', 'Result']

#: What a process printed (bytes) and its exit code (None: it runs).
Result = collections.namedtuple('Result', 'exit_code output')


class HostelError(Exception):
    """A call failed; `code` is one of enum hostel_result."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


NO_MEMORY, NO_DAEMON, BROKEN, INVALID, DENIED, NOT_FOUND, CONFLICT, FAILED, UNSUPPORTED, BUSY = range(-1, -11, -1)

_strings = ctypes.POINTER(ctypes.c_char_p)


class _Container(ctypes.Structure):
    _fields_ = [('image', ctypes.c_char_p), ('name', ctypes.c_char_p), ('argv', _strings), ('env', _strings),
                ('memory_bytes', ctypes.c_int64), ('cpu_milli', ctypes.c_int64), ('isolation', ctypes.c_char_p),
                ('network', ctypes.c_char_p), ('binds', _strings), ('tty', ctypes.c_int),
                ('open_stdin', ctypes.c_int), ('auto_remove', ctypes.c_int), ('document_json', ctypes.c_char_p)]


class _VM(ctypes.Structure):
    _fields_ = [('name', ctypes.c_char_p), ('memory_mib', ctypes.c_int64), ('vcpus', ctypes.c_int),
                ('disks', _strings), ('kernel', ctypes.c_char_p), ('initrd', ctypes.c_char_p),
                ('append', ctypes.c_char_p), ('document_json', ctypes.c_char_p)]


class _Output(ctypes.Structure):
    _fields_ = [('text', ctypes.c_void_p), ('len', ctypes.c_size_t), ('is_ended', ctypes.c_int),
                ('exit_code', ctypes.c_int)]


_waiting = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_progress = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)

_h, _s, _i = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_out_text, _out_int = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int)
_SIGNATURES = {
    'open': (_h, _s), 'close': (None, _h), 'error': (_s, _h), 'status': (_i, _h),
    'container_create': (_i, _h, ctypes.POINTER(_Container), _out_text),
    'vm_create': (_i, _h, ctypes.POINTER(_VM), _out_text),
    'start': (_i, _h, _s, _waiting, ctypes.c_void_p),
    'run': (_i, _h, _s, _strings, _i, ctypes.POINTER(_Output)),
    'stop': (_i, _h, _s, _i), 'kill': (_i, _h, _s, _s), 'restart': (_i, _h, _s, _i), 'pause': (_i, _h, _s),
    'unpause': (_i, _h, _s), 'rename': (_i, _h, _s, _s), 'remove': (_i, _h, _s, _i, _i),
    'wait': (_i, _h, _s, _out_int), 'inspect': (_i, _h, _s, _out_text), 'list': (_i, _h, _i, _out_text),
    'pull': (_i, _h, _s, _s, _progress, ctypes.c_void_p), 'load': (_i, _h, _i, _progress, ctypes.c_void_p),
    'call': (_i, _h, _s, _s, _s, _out_text),
}


def _load():
    path = os.environ.get('HOSTEL_LIB') or ctypes.util.find_library('hostel') or 'libhostel.so.0'
    lib = ctypes.CDLL(path)
    for name, (result, *arguments) in _SIGNATURES.items():
        fn = getattr(lib, 'hostel_' + name)
        fn.restype, fn.argtypes = result, arguments
    libc = ctypes.CDLL(None)
    libc.free.argtypes = [ctypes.c_void_p]
    return lib, libc.free


def _bytes(text):
    return None if text is None else os.fsencode(text)


def _list(words):
    if words is None:
        return None
    return (ctypes.c_char_p * (len(words) + 1))(*map(os.fsencode, words), None)


def _json(doc):
    return None if doc is None else json.dumps(doc).encode()


class Hostel:
    """A client of one hosteld; for one thread at a time."""

    def __init__(self, socket=None):
        self._lib, self._free = _load()
        self._handle = self._lib.hostel_open(_bytes(socket))
        if not self._handle:
            raise MemoryError

    def close(self):
        if self._handle:
            self._lib.hostel_close(self._handle)
            self._handle = None

    __del__ = close

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _call(self, name, *arguments):
        code = getattr(self._lib, 'hostel_' + name)(self._handle, *arguments)
        if code:
            raise HostelError(code, self._lib.hostel_error(self._handle).decode(errors='replace'))

    def _text(self, name, *arguments):
        text = ctypes.c_void_p()
        self._call(name, *arguments, ctypes.byref(text))
        try:
            return ctypes.string_at(text.value).decode(errors='replace')
        finally:
            self._free(text)

    # ---- make ----

    def create_container(self, image, command=None, name=None, env=None, memory_bytes=0, cpus=0, isolation=None,
                         network=None, binds=None, tty=False, open_stdin=False, auto_remove=False, document=None):
        """Its id; the image must be there."""
        return self._text('container_create', _Container(
            _bytes(image), _bytes(name), _list(command), _list(env), memory_bytes, round(cpus * 1000),
            _bytes(isolation), _bytes(network), _list(binds), tty, open_stdin, auto_remove, _json(document)))

    def create_vm(self, name=None, memory_mib=0, vcpus=0, disks=None, kernel=None, initrd=None, append=None,
                  document=None):
        """Its id."""
        return self._text('vm_create', _VM(_bytes(name), memory_mib, vcpus, _list(disks), _bytes(kernel),
                                           _bytes(initrd), _bytes(append), _json(document)))

    # ---- life ----

    def start(self, ref, waiting=None):
        """Start it, waiting in the queue; waiting(reason) is called meanwhile, and gives up by returning True."""
        fn = _waiting(lambda arg, reason: int(bool(waiting and waiting(reason.decode(errors='replace')))))
        self._call('start', _bytes(ref), fn, None)

    def run(self, ref, command=None, timeout=None):
        """With a command: its Result inside the instance. Without: the instance's own, started if it never was;
        after `timeout` seconds (None: no end) what still runs is left alone, and has exit_code None."""
        out = _Output()
        self._call('run', _bytes(ref), _list(command), -1 if timeout is None else round(timeout * 1000),
                   ctypes.byref(out))
        try:
            return Result(out.exit_code if out.is_ended else None, ctypes.string_at(out.text, out.len))
        finally:
            self._free(out.text)

    def stop(self, ref, timeout=-1):
        self._call('stop', _bytes(ref), timeout)

    def kill(self, ref, signal='KILL'):
        self._call('kill', _bytes(ref), _bytes(signal))

    def restart(self, ref, timeout=-1):
        self._call('restart', _bytes(ref), timeout)

    def pause(self, ref):
        self._call('pause', _bytes(ref))

    def unpause(self, ref):
        self._call('unpause', _bytes(ref))

    def rename(self, ref, name):
        self._call('rename', _bytes(ref), _bytes(name))

    def remove(self, ref, force=False, volumes=False):
        self._call('remove', _bytes(ref), force, volumes)

    def wait(self, ref):
        """Its exit code, when it has ended."""
        code = ctypes.c_int()
        self._call('wait', _bytes(ref), ctypes.byref(code))
        return code.value

    def inspect(self, ref):
        return json.loads(self._text('inspect', _bytes(ref)))

    def list(self, all=False):
        return json.loads(self._text('list', all))

    # ---- images, and everything else ----

    def pull(self, image, platform=None, progress=None):
        fn = _progress(lambda arg, text: progress(json.loads(text)) if progress else None)
        self._call('pull', _bytes(image), _bytes(platform), fn, None)

    def load(self, path, progress=None):
        fn = _progress(lambda arg, text: progress(json.loads(text)) if progress else None)
        with open(path, 'rb') as f:
            self._call('load', f.fileno(), fn, None)

    def call(self, method, path, body=None):
        """Any request of the API: its JSON, or None."""
        text = self._text('call', _bytes(method), _bytes(path), _json(body))
        return json.loads(text) if text else None
