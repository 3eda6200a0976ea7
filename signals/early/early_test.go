package early

import "testing"

func TestKeeps(t *testing.T) {
	for _, c := range []struct {
		args []string
		want bool
	}{
		{[]string{"vigil", "run", "--", "x"}, true},
		{[]string{"vigil", "--name", "up", "up"}, true},
		{[]string{"vigil", "--name", "up", "status"}, false},
		{[]string{"vigil", "--name=a", "up", "f.toml"}, true},
		{[]string{"vigil", "logs", "up", "-f"}, false},
		{[]string{"vigil", "supervisor", "--name=a", "--", "up"}, false},
		{[]string{"vigil", "--", "up"}, false},
		{[]string{"vigil", "up", "--help"}, false},
		{[]string{"vigil"}, false},
		{nil, false},
	} {
		if got := keeps(c.args); got != c.want {
			t.Errorf("%q: %v", c.args, got)
		}
	}
}
