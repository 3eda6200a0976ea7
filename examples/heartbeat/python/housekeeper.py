"""A housekeeper with one thread and one activity for each of its jobs, any of
which can be wedged while the others go on; see ../README.md.

    PYTHONPATH=../../../heartbeat/python python3 housekeeper.py
"""

import os
import queue
import signal
import socket
import sys
import threading
import zlib

import vigil_heartbeat

PAUSE = 0.02  # seconds, the longest between two rounds of a job

# Locked and nobody will unlock it: the bug of the demonstration.
broken = threading.Lock()
broken.acquire()


def notify(message):
    """Tell the supervisor, if there is one: sd_notify(3)."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    if path.startswith("@"):
        path = "\0" + path[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(message.encode(), path)


class Job(threading.Thread):
    """Something that the housekeeper does again and again."""

    def __init__(self, page, argument):
        """argument is NAME, or NAME=MILLISECONDS with a timeout of its own."""
        name, _, limit = argument.partition("=")
        super().__init__(name=name)
        self.page, self.timeout = page, int(limit or 0) / 1000
        self.orders = queue.SimpleQueue()
        self.claimed = threading.Event()

    def run(self):
        try:
            self.activity = self.page.claim(self.name, self.timeout)
        except vigil_heartbeat.Error as e:
            print("unwatched:", e, file=sys.stderr)
            self.activity = vigil_heartbeat.Page().claim(self.name)
        self.claimed.set()
        resting = False
        while True:
            if not resting:
                with self.activity.busy():
                    self.work()
            try:
                order = self.orders.get(timeout=PAUSE)
            except queue.Empty:
                continue
            if order == "wedge":
                self.wedge()
            elif order in ("rest", "work"):
                resting = order == "rest"
                print(self.name, "has to", order)
            elif order == "leave":
                self.activity.release()
                print(self.name, "has left")
                return
            elif order == "stop":
                self.activity.stopping()
                self.work()
                self.activity.release()
                return

    def work(self):
        """One round: some checksums, and a beat after each."""
        block = bytes(4096)
        for _ in range(16):
            self.sum = zlib.crc32(block)
            self.activity.beat()

    def wedge(self):
        self.activity.busy()
        print(self.name, "is wedged")
        broken.acquire()  # never returns


def obey(jobs):
    """Read orders, "VERB NAME" on a line each, from the FIFO that CONTROL names
    or else from standard input."""
    path = os.environ.get("CONTROL")
    # For writing too: so it never ends.
    orders = os.fdopen(os.open(path, os.O_RDWR), "r") if path else sys.stdin
    for line in orders:
        verb, _, name = line.strip().partition(" ")
        if name in jobs:
            jobs[name].orders.put(verb)
        else:
            print("no job", name, file=sys.stderr)


def main():
    sys.stdout.reconfigure(line_buffering=True)
    ends = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        page = vigil_heartbeat.default()
    except vigil_heartbeat.Error as e:
        print("unwatched:", e, file=sys.stderr)
        page = vigil_heartbeat.Page()
    arguments = sys.argv[1:] or ["reader=2000", "indexer=2000", "flusher=2000", "sweeper"]
    jobs = {}
    for argument in arguments:
        job = Job(page, argument)
        jobs[job.name] = job
        job.start()
        job.claimed.wait()
    threading.Thread(target=obey, args=(jobs,), daemon=True).start()
    notify("READY=1")
    print("ready")

    signal.sigwait(ends)
    notify("STOPPING=1")
    for job in jobs.values():
        job.orders.put("stop")
    for job in jobs.values():
        job.join()  # for ever, if it is wedged: then only a KILL helps
    # The reader of orders sits in read(2) and holds the lock of standard
    # input, which the usual end of the interpreter would want.
    sys.stdout.flush()
    os._exit(0)


main()
