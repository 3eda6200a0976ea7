package snapshot

import (
	"slices"
	"testing"
)

func TestLooksSecret(t *testing.T) {
	for name, want := range map[string]bool{
		"password": true, "DB_PASSWORD": true, "dbPasswd": true, "api-key": true, "API_KEY": true, "apikey": true, "key": true,
		"basicAuth": true, "pass": true, "Set-Cookie": true, "SessionID": true, "jwt": true, "AWS_SECRET_ACCESS_KEY": true,
		"accessTokenSource": true, "Authorization": true, "DSN": true,
		"w": false, "stop": false, "done": false, "listener": false, "server": false, "PWD": false, "OLDPWD": false, "pwd": true,
		"monkey": false, "keyboard": false, "author": false, "compass": false, "keys": false, "": false, "_": false,
	} {
		if got := LooksSecret(name); got != want {
			t.Errorf("LooksSecret(%q) = %v", name, got)
		}
	}
}

func TestMaskArguments(t *testing.T) {
	in := []string{"prog", "--password=a", "-token", "b", "--listen", ":80", "SECRET=c", "--api-key", "--verbose", "postgres://u:p@h/db", "plain"}
	want := []string{"prog", "--password=***", "-token", "***", "--listen", ":80", "SECRET=***", "--api-key", "--verbose", "postgres://u:***@h/db", "plain"}
	before := slices.Clone(in)
	if got := MaskArguments(in); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if !slices.Equal(in, before) {
		t.Error("the arguments were changed in place")
	}
}

func TestMaskEnvironment(t *testing.T) {
	got := MaskEnvironment([]string{"API_TOKEN=a=b", "HOME=/root", "PWD=/", "URL=amqp://u:p@h", "password"})
	if want := []string{"API_TOKEN=***", "HOME=/root", "PWD=/", "URL=amqp://u:***@h", "password"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestMaskURLs(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "http://h/p": "http://h/p", "http://u@h": "http://u@h", "http://h:80/a@b:c": "http://h:80/a@b:c",
		"a://u:p@h b://v:q@i/x": "a://u:***@h b://v:***@i/x", "a://u:p@q@h": "a://u:***@h", "://": "://", "x://:p@": "x://:***@",
	} {
		if got := MaskURLs(in); got != want {
			t.Errorf("MaskURLs(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzMaskURLs: masking ends, and twice is once.
func FuzzMaskURLs(f *testing.F) {
	f.Add("a://u:p@h b://v:q@i")
	f.Fuzz(func(t *testing.T, s string) {
		if once := MaskURLs(s); MaskURLs(once) != once {
			t.Errorf("%q becomes %q, then %q", s, once, MaskURLs(once))
		}
	})
}
