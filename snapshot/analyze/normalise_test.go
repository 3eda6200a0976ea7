package analyze

import (
	"testing"

	"github.com/vigil-supervisor/vigil/snapshot"
)

func TestNormal(t *testing.T) {
	for in, want := range map[string]string{
		"main.run":                                             "main.run",
		"main.run.func1":                                       "main.run.func",
		"main.run.func12.3":                                    "main.run.func",
		"main.run.func1.gowrap2":                               "main.run.func",
		"main.run.gowrap1":                                     "main.run.func",
		"main.run-range1":                                      "main.run",
		"main.(*T).run-fm":                                     "main.(*T).run",
		"main.Map[go.shape.int,go.shape.[]uint8]":              "main.Map",
		"main.Map[...].func2":                                  "main.Map.func",
		"main.init.0":                                          "main.init",
		"main.glob..func3":                                     "main.glob..func",
		"example.com/lib/v2.F":                                 "example.com/lib.F",
		"example.com/lib/v3/sub.(*T).F":                        "example.com/lib/sub.(*T).F",
		"example.com/lib.F":                                    "example.com/lib.F",
		"gopkg.in/yaml%2ev3.(*Decoder).Decode":                 "gopkg.in/yaml.(*Decoder).Decode",
		"a.com/app/vendor/b.com/lib.F":                         "b.com/lib.F",
		"java.base@17.0.2/java.lang.Thread.run":                "java.lang.Thread.run",
		"app//org.x.Main$$Lambda$14/0x000008c8.run":            "org.x.Main$$Lambda.run",
		"org.x.Main$$Lambda/0x00007f2a1c0.run":                 "org.x.Main$$Lambda.run",
		"org.x.Main.lambda$start$3":                            "org.x.Main.lambda$start",
		"com.sun.proxy.$Proxy12.call":                          "com.sun.proxy.$Proxy.call",
		"jdk.internal.reflect.GeneratedMethodAccessor7.invoke": "jdk.internal.reflect.GeneratedMethodAccessor.invoke",
		"org.x.S$$EnhancerBySpringCGLIB$$1a2b3c.f":             "org.x.S$$EnhancerBySpringCGLIB.f",
		"org.x.Main$1.run":                                     "org.x.Main$.run",
		"org.x.Main$Inner.run":                                 "org.x.Main$Inner.run",
		"grind.constprop.0":                                    "grind",
		"grind.part.1.isra.0":                                  "grind",
		"grind+0x1f":                                           "grind",
		"poll@@GLIBC_2.2.5":                                    "poll",
		"app::serve::h0123456789abcdef":                        "app::serve",
		"app::serve::{closure#2}":                              "app::serve::{closure#}",
		"Pool::work(int, char*)":                               "Pool::work",
		"Pool::size() const":                                   "Pool::size",
		"C.f2":                                                 "f2",
		"":                                                     "",
	} {
		if got := normal(in); got != want {
			t.Errorf("normal(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestOwn(t *testing.T) {
	for function, want := range map[string]bool{
		"main.run": true, "example.com/bank.(*Bank).Close": true, "time.Time.Format": false, "sync.OnceFunc.func1": false, "os.(*File).Read": false,
		"encoding/json.Marshal": false, "crypto/internal/fips140/aes.F": false, "vendor/golang.org/x/net/http2.F": false,
		"org.apache.zookeeper.server.NIOServerCnxnFactory$AcceptThread.run": true, "Main.run": true, "app//org.x.Main.run": true,
		"java.base@17.0.2/java.lang.Object.wait": false, "java.lang.Object.wait": false, "jdk.internal.misc.Unsafe.park": false,
		"sun.nio.ch.EPoll.wait": false, "com.sun.proxy.$Proxy12.call": false, "com.sunrise.App.run": true, "org.x.Main$$Lambda$14/0x000008c8.run": true,
		"pthread_cond_wait": false, "__futex_abstimed_wait": false, "start_thread": false, "clone3": false, "poll+0x1f": false, "grind": true,
		"grind+0x1f": true, "std::thread::_State_impl": false, "Pool::work(int)": true, "C.f2": true, "C.pthread_join": false, "": false, "?": false, "0x55aa": false,
	} {
		if got := Own(function); got != want {
			t.Errorf("Own(%q) = %v", function, got)
		}
	}
}

// TestFingerprintOfTwoBuilds: other closures, versions, lambdas and goroutines
// in other states are the same death; another function is not.
func TestFingerprintOfTwoBuilds(t *testing.T) {
	print := func(status string, functions ...string) string {
		g := group(1, 2, status, "", functions...)
		return Fingerprint(snapshot.CauseHang, &snapshot.Stacks{Groups: []snapshot.Group{g}})
	}
	for _, c := range []struct{ a, b string }{
		{"example.com/x.F.func1", "example.com/x/v2.F.func2"}, {"main.F[go.shape.int]", "main.F[...]"},
		{"org.x.A$$Lambda$14/0x000008c8.run", "org.x.A$$Lambda$9/0x00000aaa.run"}, {"grind.part.0", "grind+0x1f"},
	} {
		if print("running", c.a) != print("runnable", c.b) {
			t.Errorf("%s and %s differ", c.a, c.b)
		}
	}
	if print("running", "main.a") == print("running", "main.b") {
		t.Error("two deaths have one fingerprint")
	}
}

// FuzzFingerprint: no name ends it, and the order of the groups does not count.
func FuzzFingerprint(f *testing.F) {
	f.Add("main.F[[", "a/v2.F)", "::h")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		one := []snapshot.Group{group(1, 1, "waiting", a, b, c), group(2, 1, "waiting", c, b, a)}
		two := []snapshot.Group{one[1], one[0]}
		if Fingerprint("hang", &snapshot.Stacks{Groups: one}) != Fingerprint("hang", &snapshot.Stacks{Groups: two}) {
			t.Errorf("the order counts for %q %q %q", a, b, c)
		}
	})
}
