package native

import (
	"encoding/binary"
	"strconv"
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func itoa(n int) string { return strconv.Itoa(n) }

const euText = `PID 3783 - process
TID 3783:
#0  0x00007f2cddaa3f16 __futex_abstimed_wait_common64
    ./nptl/futex-internal.c:57:12
#1  0x00007f2cddaa3f16 __futex_abstimed_wait_common
    ./nptl/futex-internal.c:87:9
#2  0x00007f2cddaa8ce3 pthread_cond_wait@@GLIBC_2.3.2
    ./nptl/pthread_join_common.c:102:14
#3  0x00007f2cddcd4517 std::thread::join()
#4  0x00005629a2727222
#5  0x00007f2cdda4524a __libc_start_call_main
TID 3785:
#0  0x1 recurse
    /a:b.c:7
#1  0x1 recurse
    /a:b.c:7
`

func TestParseEUStack(t *testing.T) {
	threads := parseEUStack([]byte(euText))
	if len(threads) != 2 || threads[0].tid != 3783 || len(threads[0].frames) != 6 {
		t.Fatalf("%+v", threads)
	}
	f := threads[0].frames
	if !f[0].Inlined || f[1].Inlined || f[1].Line != 87 || f[2].Function != "pthread_cond_wait" || f[4].Function != "" || f[4].PC != 0x5629a2727222 {
		t.Errorf("%+v", f)
	}
	if waitReason(f, "") != reasonCondition {
		t.Error(waitReason(f, ""))
	}
	if f := threads[1].frames; f[0].Inlined || f[0].File != "/a:b.c" || f[0].Line != 7 {
		t.Errorf("%+v", f)
	}
}

const gdbText = `[New LWP 3909]
0x00007f01266bc26f in __GI___poll (fds=0x7ffd9db8c758, nfds=1, timeout=-1) at ../sysdeps/unix/sysv/linux/poll.c:29

Thread 2 (Thread 0x7f01265bc6c0 (LWP 3909) "o (n"e"):
#0  futex_wait (private=0, expected=2, futex_word=0x56196416c140) at ../sysdeps/nptl/futex-internal.h:146
#1  ___pthread_mutex_lock (mutex=0x56196416c140 <a>) at ./nptl/pthread_mutex_lock.c:93
#2  0x000056196416931d in ?? ()
#3  0x0000000000000001 in login (password=0x1 "x) (\", y", s=..., n={a = 1, b = 2}, g=<optimized out>) at x.c:3
#4  operator() (__closure=<optimized out>) at in.cc:7
#5  0x00007f01266c98ec in std::wait<app::Queue<int>::take()::{lambda()#1}>(std::unique_lock<std::mutex>&, int) (this=0x1) from /lib/x.so
(More stack frames follow...)

Thread 1 (LWP 3907):
#0  0x00007f01266bc26f in poll () from /lib/libc.so.6
[Inferior 1 (process 3907) detached]
`

func TestParseGDB(t *testing.T) {
	threads := parseGDB([]byte(gdbText))
	if len(threads) != 2 || threads[0].tid != 3907 || threads[1].tid != 3909 || threads[1].name != `o (n"e` || !threads[1].cut {
		t.Fatalf("%+v", threads)
	}
	f := threads[1].frames
	for i, want := range []string{"futex_wait", "___pthread_mutex_lock", "", "login", "operator()", "std::wait<app::Queue<int>::take()::{lambda()#1}>(std::unique_lock<std::mutex>&, int)"} {
		if f[i].Function != want {
			t.Errorf("frame %d: %+v", i, f[i])
		}
	}
	if a := f[3].Arguments; len(a) != 4 || !a[0].Masked || a[0].Value != snapshot.Mask || a[2].Value != "{a = 1, b = 2}" || a[3].Error == "" {
		t.Errorf("%+v", a)
	}
	if f[0].Line != 146 || f[1].PC != f[2].PC || !f[1].Inlined || f[3].Line != 3 || lockName(f) != "a" {
		t.Errorf("%+v", f)
	}
}

func TestPlainName(t *testing.T) {
	for name, want := range map[string]string{
		"__GI___lll_lock_wait": "lll_lock_wait", "__libc_recv": "recv", "poll": "poll", "___pthread_mutex_lock": "pthread_mutex_lock",
		"__futex_abstimed_wait_common.constprop.0": "futex_abstimed_wait_common", "": "", "_": "",
	} {
		if got := plainName(name); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
}

func TestModules(t *testing.T) {
	m := parseModules([]byte("1000-2000 r--p 00000000 00:01 7 /a b\n2000-3000 r-xp 00001000 00:01 7 /a b\n5000-6000 r-xp 00000000 00:00 0 [vdso]\nx\n"))
	if len(m) != 2 || m.name(0x2010) != "a b+0x1010" || m.name(0x3000) != "0x3000" || m.name(0x5000) != "[vdso]+0x0" {
		t.Errorf("%+v", m)
	}
}

func FuzzEUStack(f *testing.F) {
	f.Add([]byte(euText))
	f.Add([]byte("TID 1:\n#\n    :\n# 0x\n"))
	f.Fuzz(func(t *testing.T, text []byte) { checkThreads(t, parseEUStack(text)) })
}

func FuzzGDB(f *testing.F) {
	f.Add([]byte(gdbText))
	f.Add([]byte("Thread 1 (LWP 1):\n#0 )\n#1 \") at :\n#2 a (\n#3 (()\n#4 a (\")\n"))
	f.Fuzz(func(t *testing.T, text []byte) { checkThreads(t, parseGDB(text)) })
}

func checkThreads(t *testing.T, threads []thread) {
	t.Helper()
	for _, th := range threads {
		if th.tid <= 0 || len(th.frames) > maxFrames {
			t.Errorf("%+v", th)
		}
		for _, fr := range th.frames {
			if len(fr.Function) > 3*maxFunction || fr.Line < 0 || len(fr.Arguments) > maxArguments {
				t.Errorf("%+v", fr)
			}
		}
		_ = waitReason(th.frames, "")
		_ = startOf(th.frames)
	}
}

func FuzzProc(f *testing.F) {
	f.Add([]byte("Name:\ta\nState:\tS (sleeping)\nTracerPid:\t7\nSigPnd:\t0000000000040000\n"))
	f.Add([]byte("202 0x5652b2b060e0 0x80 0x2 0x0 0x0 0x0 0x7f3cb88aee78 0x7f3cb893912b\n"))
	f.Add([]byte("1000-2000 r-xp 00000000 00:01 7 /a b\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_ = parseStatus(text)
		_ = parseFutex(text)
		_ = parseModules(text).name(0x1800)
	})
}

func FuzzCoreNotes(f *testing.F) {
	note := make([]byte, 12+8+64)
	binary.LittleEndian.PutUint32(note, 5)
	binary.LittleEndian.PutUint32(note[4:], 64)
	binary.LittleEndian.PutUint32(note[8:], ntPrstatus)
	f.Add(note)
	file := make([]byte, 12+8+16+24+4)
	binary.LittleEndian.PutUint32(file, 5)
	binary.LittleEndian.PutUint32(file[4:], 44)
	binary.LittleEndian.PutUint32(file[8:], ntFile)
	binary.LittleEndian.PutUint64(file[20:], 1)
	binary.LittleEndian.PutUint64(file[44:], 0x1000)
	f.Add(file)
	f.Fuzz(func(_ *testing.T, notes []byte) {
		var h coreHead
		h.parse(notes)
		_ = h.modules.name(1)
	})
}
