package fault

import "testing"

func TestParse(t *testing.T) {
	for text, want := range map[string]order{
		"after hello:kill:1\n": {"after hello", actionKill, 1},
		"a:stop:12":            {"a", actionStop, 12},
	} {
		if got, err := parse(text); err != nil || got != want {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "a", "a:kill", ":kill:1", "a:kill:0", "a:kill:x", "a:burn:1", "a:kill:1:2"} {
		if o, err := parse(bad); err == nil {
			t.Errorf("%q: %+v", bad, o)
		}
	}
}

// The binaries that people get have no points.
func TestOffByDefault(t *testing.T) {
	t.Setenv(Variable, "here:kill:1")
	if Enabled {
		t.Skip("built with the tag vigilfault")
	}
	Point("here")
}

func FuzzParse(f *testing.F) {
	f.Add("after hello:kill:1")
	f.Add("::")
	f.Fuzz(func(t *testing.T, text string) {
		if o, err := parse(text); err == nil && (o.nth < 1 || o.point == "") {
			t.Errorf("%q: %+v", text, o)
		}
	})
}
