package native

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"github.com/vigil-supervisor/vigil/snapshot"
)

// mutexSize is what is read of a pthread_mutex_t of glibc with 64-bit pointers:
// int __lock, unsigned __count, int __owner (sysdeps/nptl/bits/struct_mutex.h,
// glibc 2.31 to 2.42). A thread that waits for it waits by futex(2) on __lock,
// its first word.
const mutexSize = 12

// owner finds who holds the mutex that a thread waits for. It needs no debug
// information: the address is the argument of the thread's system call, and
// glibc writes the owner's TID into the mutex. The answer is certain when the
// thread waits on the same word before and after the reading.
func (t *target) owner(k task, frames []snapshot.Frame, reason string) (snapshot.Wait, bool) {
	if reason != reasonMutex || k.futex == 0 || t.modules.musl() || !inMutexLock(frames) {
		return snapshot.Wait{}, false
	}
	w := snapshot.Wait{Waiter: int64(k.tid), Kind: reasonMutex, Address: k.futex, Place: callerOfLock(frames), Name: lockName(frames)}
	word, err := t.peek(k.futex)
	if err != nil || readFutex(t.pid, k.tid) != k.futex {
		return w, true
	}
	locked := binary.LittleEndian.Uint32(word) != 0
	holder := int(int32(binary.LittleEndian.Uint32(word[8:])))
	if _, ours := t.task(holder); locked && ours {
		w.Holder, w.Certain = int64(holder), true
	}
	return w, true
}

func (t *target) peek(addr uint64) ([]byte, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, mutexSize)
	if _, err := f.ReadAt(b, int64(addr)); err != nil {
		return nil, err
	}
	return b, nil
}

// inMutexLock says whether a stack is in pthread_mutex_lock(3) itself: glibc has
// other locks that wait in the same functions and record no owner.
func inMutexLock(frames []snapshot.Frame) bool {
	for _, f := range frames[:min(len(frames), maxPlumbing)] {
		if strings.HasPrefix(plainName(f.Function), "pthread_mutex_") {
			return true
		}
	}
	return false
}

// callerOfLock is where the program's own code waits.
func callerOfLock(frames []snapshot.Frame) *snapshot.Place {
	for _, f := range frames {
		if _, libc := waitsIn[plainName(f.Function)]; !libc {
			place := f.Place
			return &place
		}
	}
	return nil
}

// lockName is what gdb calls the mutex, "<queue_lock>", where it knows.
func lockName(frames []snapshot.Frame) string {
	for _, f := range frames {
		for _, a := range f.Arguments {
			if a.Name != "mutex" {
				continue
			}
			if _, name, ok := strings.Cut(a.Value, "<"); ok {
				return strings.TrimSuffix(name, ">")
			}
		}
	}
	return ""
}
