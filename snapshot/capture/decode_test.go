package capture

import (
	"bytes"
	"testing"
)

func FuzzParseMapping(f *testing.F) {
	f.Add("7f1-8f2 rw-p 00001000 08:01 42                         /a b (deleted)")
	f.Add("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]")
	f.Fuzz(func(t *testing.T, line string) {
		m, err := parseMapping(line)
		if err == nil && (m.end <= m.start || len(m.perm) != 4) {
			t.Fatalf("%+v of %q", m, line)
		}
		if err == nil && m.wanted() && m.flags() == 0 {
			t.Fatalf("%q is wanted, and may not even be read", line)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20")
	f.Fuzz(func(t *testing.T, line string) {
		if st, err := parseStat(line); err == nil && st.state == 0 {
			t.Fatalf("no state in %q", line)
		}
	})
}

func TestParseStat(t *testing.T) {
	st, err := parseStat("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20")
	if err != nil || st.state != 'S' || st.startTicks != 4711 {
		t.Fatalf("%+v, %v", st, err)
	}
}

func FuzzParseNotes(f *testing.F) {
	f.Add(encodeNotes(identity{pid: 7, comm: "a"}, []*thread{{tid: 8, regs: make([]byte, registers), extra: []byte{1}}}))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _ := parseNotes(data)
		total := 0
		for _, n := range list {
			total += len(n.desc)
		}
		if total > len(data) {
			t.Fatal("more than there is")
		}
		owners(list)
	})
}

func TestNotesRoundTrip(t *testing.T) {
	list, err := parseNotes(encodeNotes(identity{pid: 7, comm: "a"}, []*thread{{tid: 8, regs: make([]byte, registers)}, {tid: 9}}))
	if err != nil {
		t.Fatal(err)
	}
	if pid, tids := owners(list); pid != 7 || len(tids) != 2 || tids[1] != 9 {
		t.Fatalf("%d %v", pid, tids)
	}
}

func TestNonZero(t *testing.T) {
	buf := make([]byte, 5*pageSize)
	buf[pageSize], buf[2*pageSize+9], buf[5*pageSize-1] = 1, 1, 1
	got := nonZero(buf)
	if len(got) != 2 || got[0] != (span{pageSize, 3 * pageSize}) || got[1] != (span{4 * pageSize, 5 * pageSize}) {
		t.Fatalf("%v", got)
	}
	if !bytes.Equal(buf[:1], []byte{0}) {
		t.Fatal("changed")
	}
}
