package golang

import (
	"reflect"
	"strings"
	"testing"

	"github.com/go-delve/delve/service/api"
)

func text(name, value string) api.Variable {
	return api.Variable{Name: name, Type: "string", Kind: reflect.String, Value: value, Len: int64(len(value)), Addr: 1}
}

// TestTidyMasksOnlyWhatLooksSecret: the rest of the value is still shown.
func TestTidyMasksOnlyWhatLooksSecret(t *testing.T) {
	v := api.Variable{Name: "c", Type: "main.config", Kind: reflect.Struct, Len: 4, Addr: 1, Children: []api.Variable{
		text("name", "north"), text("password", "hunter2"), text("url", "pg://u:hunter2@h"),
		{Name: "headers", Type: "map[string]string", Kind: reflect.Map, Len: 2, Addr: 1, Base: 1, Children: []api.Variable{
			text("", "Cookie"), text("", "hunter2"), text("", "Accept"), text("", "all")}},
	}}
	tidy(&v)
	want := `main.config {name: "north", password: ***, url: "pg://u:***@h", headers: map[string]string ["Cookie": ***, "Accept": "all", ]}`
	if got := v.SinglelineString(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestInteger(t *testing.T) {
	for _, c := range []struct{ typ, value, want string }{
		{"time.Duration", "net/http.http2firstSettingsTimeout (2000000000)", "2s"},
		{"time.Duration", "1500000", "1.5ms"},
		{"net/http.ConnState", "net/http.StateActive (1)", "net/http.StateActive (1)"},
		{"main.flags", "main.a|main.b (3)", "main.a|main.b (3)"},
		{"main.flags", "other.a|main.b (3)", "3"},
		{"time.Month", "other.June (6)", "6"},
		{"int", "42", "42"}, {"int", "-1", "-1"},
	} {
		if got := integer(c.typ, c.value); got != c.want {
			t.Errorf("integer(%q, %q) = %q, want %q", c.typ, c.value, got, c.want)
		}
	}
}

func TestStatusName(t *testing.T) {
	for status, want := range map[uint64]string{
		0: "idle", 1: "runnable", 2: "running", 3: "syscall", 4: "waiting", 6: "", 8: "copystack", 9: "preempted",
		10: "leaked", 11: "", 0x1004: "waiting", 0x100b: "", 77: "status 77",
	} {
		if got := statusName(status); got != want {
			t.Errorf("statusName(%d) = %q, want %q", status, got, want)
		}
	}
}

func TestCutIsOneBoundedLine(t *testing.T) {
	got := cut(strings.Repeat("ä\n", 1000))
	if len(got) > maxValue+3 || strings.Contains(got, "\n") || !strings.HasSuffix(got, "...") {
		t.Errorf("got %q", got)
	}
}
