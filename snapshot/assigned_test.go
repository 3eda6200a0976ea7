package snapshot

import (
	"strings"
	"testing"
)

func TestMaskTextByName(t *testing.T) {
	for text, want := range map[string]string{
		"password=hunter2 ok":                          "password=*** ok",
		"db_password = hunter2":                        "db_password = ***",
		"pwd: hunter2, next":                           "pwd: ***, next",
		`{"user":"a","password":"hunter two","x":1}`:   `{"user":"a","password":"***","x":1}`,
		`{"e":"{\"api_key\":\"hunter2\",\"n\":1}"}`:    `{"e":"{\"api_key\":\"***\",\"n\":1}"}`,
		"Authorization: token hunter2hunter2":          "Authorization: ***",
		"authorization: Basic aHVudGVyMg==":            "authorization: ***",
		"X-Api-Key: hunter2":                           "X-Api-Key: ***",
		"GET /x?access_token=hunter2&page=2":           "GET /x?access_token=***&page=2",
		"-Djavax.net.ssl.keyStorePassword=changeit":    "-Djavax.net.ssl.keyStorePassword=***",
		"Set-Cookie: hunter2; Path=/":                  "Set-Cookie: ***; Path=/",
		"https://abcdefghijklmnopqrstuvwx@example.org": "https://***@example.org",
		"PASSWORD='a b' ./run":                         "PASSWORD='***' ./run",
		// What must stay.
		"/usr/lib/go/token/token.go:14 +0x1d":     "/usr/lib/go/token/token.go:14 +0x1d",
		"at com.acme.TokenFilter(Token.java:14)":  "at com.acme.TokenFilter(Token.java:14)",
		"max_tokens=4096":                         "max_tokens=4096",
		"PWD=/root/work":                          "PWD=/root/work",
		"the password is wrong":                   "the password is wrong",
		"ssh://git@example.org/x.git":             "ssh://git@example.org/x.git",
		"goroutine 7 [sync.Mutex.Lock]:":          "goroutine 7 [sync.Mutex.Lock]:",
		"key 42 of 100":                           "key 42 of 100",
		"monkey=banana keyboard: qwerty":          "monkey=banana keyboard: qwerty",
		"trace=4bf92f3577b34da6a3ce929d0e0e4736 ": "trace=4bf92f3577b34da6a3ce929d0e0e4736 ",
	} {
		if got, _ := MaskText(text); got != want {
			t.Errorf("%q\n became %q\n   want %q", text, got, want)
		}
	}
}

func TestMaskArgumentsOfPrograms(t *testing.T) {
	for args, want := range map[string]string{
		"mysql -u root -phunter2 db":           "mysql -u root -p*** db",
		"/usr/bin/curl -u me:hunter2 http://x": "/usr/bin/curl -u me:*** http://x",
		"curl -u me http://x":                  "curl -u me http://x",
		"redis-cli -a hunter2 ping":            "redis-cli -a *** ping",
		"redis-server -p 6379":                 "redis-server -p 6379",
		"docker run -e API_KEY=hunter2 -p 80":  "docker run -e API_KEY=*** -p 80",
		"sh -c PASSWORD=hunter2;exec":          "sh -c PASSWORD=***",
		"curl -H X-Auth-Token:|hunter2":        "curl -H X-Auth-Token:|***",
	} {
		var list []string
		for _, a := range strings.Fields(args) {
			list = append(list, strings.ReplaceAll(a, "|", " "))
		}
		got := strings.ReplaceAll(strings.Join(MaskArguments(list), " "), "X-Auth-Token: ", "X-Auth-Token:|")
		if got != want {
			t.Errorf("%q\n became %q\n   want %q", args, got, want)
		}
	}
}

// A key in PEM is many lines; its end may be missing.
func TestLineMasker(t *testing.T) {
	var m LineMasker
	lines := strings.Split("before\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIIEow==\n-----END RSA PRIVATE KEY-----\nafter", "\n")
	var out []string
	for _, l := range lines {
		shown, _ := m.Line(l)
		out = append(out, shown)
	}
	if got := strings.Join(out, "\n"); got != "before\n***\n***\n***\n***\n***\n***\nafter" {
		t.Errorf("%q", got)
	}
	if got, _ := MaskText(strings.Join(lines, "\n")); got != "before\n***\nafter" {
		t.Errorf("whole: %q", got)
	}
	if got, _ := MaskText("x -----BEGIN PRIVATE KEY-----\nMIIE"); got != "x ***" {
		t.Errorf("cut: %q", got)
	}
	m.Line("-----BEGIN PRIVATE KEY-----")
	masked := 0
	for range 2 * maxKeyLines {
		if shown, _ := m.Line("a line"); shown == Mask {
			masked++
		}
	}
	if masked != maxKeyLines {
		t.Errorf("%d lines after a key without end", masked)
	}
}

func FuzzLineMasker(f *testing.F) {
	f.Add("password=x\n-----BEGIN PRIVATE KEY-----\nabc")
	f.Fuzz(func(t *testing.T, s string) {
		var m LineMasker
		for l := range strings.SplitSeq(s, "\n") {
			m.Line(l)
		}
	})
}

func BenchmarkMaskText(b *testing.B) {
	text := strings.Repeat("2026-11-25T13:55:53.363Z INFO request served in 3 ms by worker-7, 200 bytes, key user:42\n", 1<<20/90)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		MaskText(text)
	}
}
