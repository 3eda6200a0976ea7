"""What a program may do with the module, and what it may do wrong. The page has
three slots, or there is none."""

import os
import sys
import threading

import vigil_heartbeat

try:
    page = vigil_heartbeat.default()
except vigil_heartbeat.Error as e:
    sys.exit(str(e))

assert "VIGIL_HEARTBEAT_FD" not in os.environ
for wrong in (("", 0), ("x", -1), ("x", float("nan"))):
    try:
        vigil_heartbeat.claim(*wrong)
        sys.exit("not refused: %r" % (wrong,))
    except vigil_heartbeat.Error:
        pass

first = vigil_heartbeat.claim("first-ä", timeout=2.0)
second = vigil_heartbeat.claim("0123456789012345678901234567890ä")
third = vigil_heartbeat.claim("third")
if page.slots:
    assert page.slots == 3
    try:
        vigil_heartbeat.claim("more")
        sys.exit("a full page is not full")
    except vigil_heartbeat.Error as e:
        assert "every slot is taken: the page has 3" in str(e), e


def work(a):
    for _ in range(1000):
        with a.busy():
            a.beat()


threads = [threading.Thread(target=work, args=(third,)) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()

with first.busy() as same:
    assert same is first
first.busy()
first.beat()
second.idle()
second.stopping()
second.here()
third.release()
third.release()
fourth = vigil_heartbeat.claim("fourth")
third.beat()
third.busy()
third.here()
third.release()

child = os.fork()
if child == 0:
    # The parent's activities are not the child's; there is no slot left for its own.
    try:
        page.claim("child")
        os._exit(0 if page.slots == 0 else 1)
    except vigil_heartbeat.Error:
        os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(threading.get_native_id())
