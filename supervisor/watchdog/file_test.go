package watchdog

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var epoch = time.Unix(1_800_000_000, 0)

// lookAt is a look at time at, at a file changed at time changed; before the
// begin of time means that it is missing.
func lookAt(at, changed time.Duration) FileLook {
	l := FileLook{Path: "/run/beat", At: at, Wall: epoch.Add(at)}
	if changed >= 0 {
		l.Stamp = FileStamp{Inode: 1, Size: 3, Modified: epoch.Add(changed)}
	}
	return l
}

func TestFileFresh(t *testing.T) {
	f := NewFile("/run/beat", 10*s, 6*s, 100*s)
	// What it was before does not count.
	if v := f.Observe(lookAt(100*s, 1*s)); v != nil {
		t.Errorf("%+v", v)
	}
	if at, ok := f.Next(); !ok || at != 106*s || f.Ask(105*s) {
		t.Errorf("next %v %v", at, ok)
	}
	for changed := 103 * s; changed < 200*s; changed += 5 * s {
		at, _ := f.Next()
		if !f.Ask(at) {
			t.Fatal("not asked")
		}
		if _, ok := f.Next(); ok || f.Ask(at+s) {
			t.Fatal("asked twice")
		}
		// The stamp tells when it was, so the next look is not too late.
		if v := f.Observe(lookAt(at, changed)); v != nil {
			t.Fatalf("%+v", v)
		}
		if next, _ := f.Next(); next != changed+6*s {
			t.Fatalf("changed at %v: next %v", changed, next)
		}
	}
}

func TestFileOld(t *testing.T) {
	f := NewFile("/run/beat", 10*s, 6*s, 100*s)
	f.Observe(lookAt(100*s, 1*s))
	// As late as that: suspicion comes first all the same.
	v := f.Observe(lookAt(111*s, 1*s))
	if len(v) != 1 || v[0].To != Suspect || v[0].Text != `file "/run/beat" was not changed for 11s (limit 10s)` {
		t.Fatalf("%+v", v)
	}
	if at, ok := f.Next(); !ok || at != 110*s {
		t.Errorf("next %v %v", at, ok)
	}
	v = f.Observe(lookAt(112*s, -1))
	if len(v) != 1 || v[0].To != Confirmed || !strings.Contains(v[0].Text, "is missing, and was not there for 12s") {
		t.Fatalf("%+v", v)
	}
	if st := f.Standing(113 * s); st.Text != "missing" || st.State != Confirmed || st.Age != 13*s || st.Limit != 10*s || st.Kind != KindFile {
		t.Errorf("%+v", st)
	}
	v = f.Observe(lookAt(114*s, 114*s))
	if len(v) != 1 || v[0].To != Healthy || v[0].Text != `file "/run/beat" was changed again` {
		t.Fatalf("%+v", v)
	}
}

// A clock that is wrong, or a stamp that somebody set, puts the change nowhere but
// between two looks.
func TestFileStampsAreNotTrusted(t *testing.T) {
	for name, tt := range map[string]struct{ changed, want time.Duration }{
		"long ago":   {3 * s, 102 * s},
		"in between": {104 * s, 104 * s},
		"to come":    {5000 * s, 105 * s},
	} {
		f := NewFile("/run/beat", 10*s, 6*s, 100*s)
		f.Observe(lookAt(102*s, 50*s))
		f.Observe(lookAt(105*s, tt.changed))
		if next, _ := f.Next(); next != tt.want+6*s {
			t.Errorf("%s: next %v", name, next)
		}
	}
}

func TestFileThatCannotBeLookedAt(t *testing.T) {
	f := NewFile("/run/beat", 10*s, 6*s, 100*s)
	f.Observe(lookAt(100*s, 1*s))
	if !f.Ask(106 * s) {
		t.Fatal("not asked")
	}
	l := lookAt(106*s, -1)
	l.Failed = errors.New("cannot look: no")
	if v := f.Observe(l); v != nil || f.Standing(106*s).Text != "cannot look: no" {
		t.Errorf("%+v, %+v", v, f.Standing(106*s))
	}
	if at, ok := f.Next(); !ok || at != 107*s {
		t.Errorf("next %v %v", at, ok)
	}
	// A look that was overtaken says nothing.
	f.Observe(lookAt(107*s, 106*s))
	if v := f.Observe(lookAt(105*s, 1*s)); v != nil {
		t.Errorf("%+v", v)
	}
	f.Suspend()
	if _, ok := f.Next(); ok || !f.Standing(108*s).Suspended {
		t.Error("judged while suspended")
	}
	f.Resume(200 * s)
	if at, ok := f.Next(); !ok || at != 206*s {
		t.Errorf("next %v %v", at, ok)
	}
	f.Observe(lookAt(207*s, 106*s))
	if v := f.Extend(208*s, 60*s); len(v) != 1 || v[0].To != Healthy {
		t.Errorf("%+v", v)
	}
}
