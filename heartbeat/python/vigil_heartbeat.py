"""Activities for Python programs: tell vigil what the program is doing and
that it is getting on.

    import vigil_heartbeat

    flusher = vigil_heartbeat.claim("flusher", timeout=2.0)
    for batch in batches:
        with flusher.busy():
            for row in batch:
                write(row)
                flusher.beat()
    flusher.release()

An idle activity is healthy for as long as it likes. A busy one that does not
beat within its timeout is a hang: vigil takes the stacks of the program and
restarts it. Beat where work is done, not from a timer beside it.

Without vigil (VIGIL_HEARTBEAT_FD is not set) every activity is one that nobody
watches, and nothing fails. This file needs Linux, Python 3.9 or later and the
standard library; copy it or put its directory on PYTHONPATH.

An activity belongs to one thread at a time. After os.fork() the activities of
the parent are the parent's; a child claims its own on the same page.
"""

import fcntl
import mmap
import os
import struct
import sys
import threading
import time

__all__ = ["Activity", "Error", "Page", "attach", "claim", "default"]

VARIABLE = "VIGIL_HEARTBEAT_FD"

# Layout version 1; the same numbers are in docs/heartbeat.md.
_MAGIC = b"VIGILHB\0"
_VERSION = 1
_HEADER = struct.Struct("=8sIIIIQ32x")  # magic, version, header, slot, count, page
_SLOT_SIZE = 64
_MAX_SLOTS = 1 << 20
_MAX_NAME = 32

_FREE, _CLAIMED, _IDLE, _BUSY, _STOPPING = range(5)

# The words of a slot, 8 bytes each.
_PULSE, _TIMEOUT, _THREAD, _SERIAL, _NAME = range(5)
_WORDS = _SLOT_SIZE // 8
_MASK = (1 << 64) - 1
_MAX_TIMEOUT = 365 * 24 * 3600.0  # seconds; vigil takes no longer one

_GET_SEALS = getattr(fcntl, "F_GET_SEALS", 1034)
_SEAL_SHRINK = getattr(fcntl, "F_SEAL_SHRINK", 2)


class Error(Exception):
    """The page or an activity is refused; the text says why."""


class _Busy:
    """What Activity.busy returns: idle again at the end of a with statement."""

    __slots__ = ("_activity",)

    def __init__(self, activity):
        self._activity = activity

    def __enter__(self):
        return self._activity

    def __exit__(self, *exception):
        self._activity.idle()


class Activity:
    """One kind of work that is watched.

    beat() stores 8 aligned bytes, which is one store of the processor:
    memoryview copies an item of its size at once.
    """

    __slots__ = ("_words", "_pulse", "_leave")

    def __init__(self, words, base):
        self._words = words
        self._pulse = base + _PULSE
        self._leave = _Busy(self)

    def beat(self):
        """The work gets on. The state stays as it is."""
        words, pulse = self._words, self._pulse
        words[pulse] = (words[pulse] + 256) & _MASK

    def busy(self):
        """There is work: from now on the activity must beat within its timeout.

        Use it alone, with idle() later, or in a with statement.
        """
        self._change(_BUSY)
        return self._leave

    def idle(self):
        """There is nothing to do. An idle activity is healthy."""
        self._change(_IDLE)

    def stopping(self):
        """The activity winds up because the program is about to end."""
        self._change(_STOPPING)

    def here(self):
        """Record the calling thread as the one that does the work now."""
        self._words[self._pulse - _PULSE + _THREAD] = _thread()

    def release(self):
        """Give the slot back; what is done afterwards has no effect."""
        words, pulse = self._words, self._pulse
        # A new array first: whoever beats at this moment does it there.
        self._words, self._pulse = _nowhere(), _PULSE
        words[pulse] = _FREE

    def _change(self, state):
        words, pulse = self._words, self._pulse
        words[pulse] = (((words[pulse] >> 8) + 1) << 8 | state) & _MASK


class Page:
    """The memory that a program shares with vigil; without a descriptor it has
    no slots and gives activities that nobody watches."""

    def __init__(self, fd=None):
        self._lock = threading.Lock()
        self._fd = None
        self.slots = 0
        if fd is None:
            return
        self.slots = _check(fd)
        memory = mmap.mmap(fd, _HEADER.size + self.slots * _SLOT_SIZE)
        # The descriptor stays open, for locks, and is not passed on.
        os.set_inheritable(fd, False)
        self._fd = fd
        self._words = memoryview(memory).cast("Q")

    def claim(self, name, timeout=0.0):
        """Take a slot for an activity of the calling thread, idle at first.

        timeout is in seconds; 0 means the one of the service. A name has at
        most 32 bytes of UTF-8; a longer one is cut at a character. Error says
        that every slot is taken.
        """
        if not name:
            raise Error("cannot claim an activity: it needs a name")
        if not 0 <= timeout < float("inf"):
            raise Error("cannot claim activity %r with timeout %r" % (name, timeout))
        if self.slots == 0:
            return Activity(_nowhere(), 0)
        with self._lock, _Exclusive(self._fd):
            base = self._take()
            if base is None:
                raise Error(
                    "cannot claim activity %r: every slot is taken: the page has %d"
                    " (heartbeat.activities of the service)" % (name, self.slots)
                )
            self._fill(base, name, timeout)
        return Activity(self._words, base)

    def _bases(self):
        # From the end: other clients, which do have an atomic
        # compare-and-swap, take slots from the beginning.
        first = _HEADER.size // 8
        return range(first + (self.slots - 1) * _WORDS, first - 1, -_WORDS)

    def _take(self):
        for base in self._bases():
            if self._words[base + _PULSE] == _FREE and self._seize(base, _FREE):
                return base
        for base in self._bases():
            pulse = self._words[base + _PULSE]
            if _IDLE <= pulse & 0xFF <= _STOPPING and self._orphaned(base) and self._seize(base, pulse):
                return base
        return None

    def _seize(self, base, expected):
        """Claim a slot without a compare-and-swap, which Python has not.

        Python programs exclude each other by a lock. A program in another
        language that takes the same slot at the same moment is noticed by its
        serial or by what it stores: then the slot is its own.
        """
        words = self._words
        serial = words[base + _SERIAL]
        mark = int.from_bytes(os.urandom(7), sys.byteorder) << 8 | _CLAIMED
        if words[base + _PULSE] != expected:
            return False
        words[base + _PULSE] = mark
        if words[base + _SERIAL] == serial and words[base + _PULSE] == mark:
            return True
        if words[base + _PULSE] == mark:
            words[base + _PULSE] = 1 << 8 | _IDLE  # as the other one left it
        return False

    def _orphaned(self, base):
        # Processes that share a page share a pid namespace; where they do
        # not, a page must not run full.
        pid = struct.unpack("=II", struct.pack("=Q", self._words[base + _THREAD]))[0]
        if not 0 < pid <= 1 << 30:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
        return False

    def _fill(self, base, name, timeout):
        words = self._words
        serial = struct.unpack("=II", struct.pack("=Q", words[base + _SERIAL]))[0]
        # The serial first and the pulse last: a reader relies on both.
        words[base + _SERIAL] = _pair(serial + 1 & 0xFFFFFFFF, 0)
        words[base + _TIMEOUT] = round(min(timeout, _MAX_TIMEOUT) * 1e9)
        words[base + _THREAD] = _thread()
        for i, word in enumerate(struct.unpack("=4Q", _name(name))):
            words[base + _NAME + i] = word
        words[base + _PULSE] = 1 << 8 | _IDLE


class _Exclusive:
    """Excludes other Python processes on the page: a lock of fcntl(2), which
    belongs to the process and ends with it. A process that is stopped while it
    holds the lock must not stop the others, so the wait is bounded."""

    PATIENCE = 1.0  # seconds

    def __init__(self, fd):
        self._fd = fd

    def __enter__(self):
        deadline = time.monotonic() + self.PATIENCE
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except (BlockingIOError, PermissionError):
                if time.monotonic() > deadline:
                    raise Error("cannot claim an activity: another process keeps the page locked") from None
                time.sleep(0.001)

    def __exit__(self, *exception):
        fcntl.lockf(self._fd, fcntl.LOCK_UN)


def _check(fd):
    """Return the number of slots of the page behind a descriptor."""
    try:
        size = os.fstat(fd).st_size
    except OSError as e:
        raise Error("descriptor %d (closed on the way from vigil?): %s" % (fd, e.strerror)) from None
    try:
        # Only a memfd has seals. Without this one, whoever shrinks the file
        # has the next beat end the program by SIGBUS.
        seals = fcntl.fcntl(fd, _GET_SEALS)
    except OSError:
        raise Error("descriptor %d is no memfd" % fd) from None
    if not seals & _SEAL_SHRINK:
        raise Error("descriptor %d is not sealed against shrinking" % fd)
    header = os.pread(fd, _HEADER.size, 0)
    if len(header) < _HEADER.size:
        raise Error("descriptor %d has no header: %d bytes" % (fd, size))
    magic, version, header_size, slot_size, count, page_size = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise Error("descriptor %d is no page of activities: the magic is missing" % fd)
    if version != _VERSION:
        raise Error("descriptor %d: unknown layout version %d (this module knows %d)" % (fd, version, _VERSION))
    if (
        header_size != _HEADER.size
        or slot_size != _SLOT_SIZE
        or not 1 <= count <= _MAX_SLOTS
        or page_size != header_size + count * slot_size
        or page_size != size
    ):
        raise Error(
            "descriptor %d: sizes do not agree: %d bytes, header says %d + %d slots of %d = %d"
            % (fd, size, header_size, count, slot_size, page_size)
        )
    return count


def _name(name):
    raw = name.encode("utf-8", "replace")
    if len(raw) > _MAX_NAME:
        raw = raw[:_MAX_NAME].decode("utf-8", "ignore").encode("utf-8")
    return raw.ljust(_MAX_NAME, b"\0")


def _pair(low, high):
    return struct.unpack("=Q", struct.pack("=II", low, high))[0]


def _thread():
    return _pair(os.getpid(), threading.get_native_id())


def _nowhere():
    return memoryview(bytearray(_SLOT_SIZE)).cast("Q")


_default = None
_default_lock = threading.Lock()


def attach():
    """Return the page that vigil gave to this program, or raise Error.

    Without VIGIL_HEARTBEAT_FD in the environment it is a page without slots.
    On success the variable is removed, since the programs that this one starts
    do not have the descriptor.
    """
    value = os.environ.get(VARIABLE)
    if value is None:
        return Page()
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Error("cannot use %s=%r: not a descriptor number" % (VARIABLE, value))
    try:
        page = Page(int(value))
    except (Error, OSError) as e:
        raise Error("cannot use %s=%s: %s" % (VARIABLE, value, e)) from None
    del os.environ[VARIABLE]
    return page


def default():
    """Return the page of attach(), which is called at the first use."""
    global _default
    with _default_lock:
        if _default is None:
            _default = attach()
        return _default


def claim(name, timeout=0.0):
    """Claim an activity on the default page; see Page.claim."""
    return default().claim(name, timeout)
