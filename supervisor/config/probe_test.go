package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestLoadProbes(t *testing.T) {
	c := mustLoad(t, `
[service.web]
command = ["x"]
start_timeout = "30s"
ready.probe = "page"
[[service.web.probe]]
name = "page"
http = { url = "https://[::1]:8443/health?full", unix = "/run/web.sock", method = "HEAD", headers = { Host = "web", X-One = "1" }, status = [200, 204], body = "^ok$", header = { Content-Type = "json" }, insecure = true, ca = "/etc/ca.pem", server_name = "web" }
period = "30s"
timeout = "500ms"
start_period = "0s"
failure_threshold = 1000
success_threshold = 2
use = "readiness"
scope = "cluster"
[[service.web.probe]]
name = "port"
tcp.address = "localhost:80"
[[service.web.probe]]
name = "canary"
zookeeper.address = "127.0.0.1:2181"
[[service.web.probe]]
name = "script"
exec = ["check", "--fast"]
`)
	s, _ := c.Service("web")
	page := &HTTPProbe{
		URL: "https://[::1]:8443/health?full", Unix: "/run/web.sock", Method: "HEAD", Headers: map[string]string{"Host": "web", "X-One": "1"}, Status: []int{200, 204},
		Body: "^ok$", Header: map[string]string{"Content-Type": "json"}, Insecure: true, CA: "/etc/ca.pem", ServerName: "web",
	}
	plain := Probe{Period: 10 * time.Second, Timeout: 2 * time.Second, StartPeriod: 30 * time.Second, FailureThreshold: 3, SuccessThreshold: 1, Use: UseLiveness, Scope: ScopeLocal}
	port, canary, script := plain, plain, plain
	port.Name, port.TCP = "port", &TCPProbe{Address: "localhost:80"}
	canary.Name, canary.ZooKeeper, canary.Scope = "canary", &ZooKeeperProbe{Address: "127.0.0.1:2181", Canary: "/vigil"}, ScopeCluster
	script.Name, script.Exec = "script", []string{"check", "--fast"}
	want := []Probe{
		{Name: "page", HTTP: page, Period: 30 * time.Second, Timeout: 500 * time.Millisecond, FailureThreshold: 1000, SuccessThreshold: 2, Use: UseReadiness, Scope: ScopeCluster},
		port, canary, script,
	}
	if len(s.Probes) != len(want) || s.Ready.Probe != "page" {
		t.Fatalf("%d probes, ready %+v", len(s.Probes), s.Ready)
	}
	for i, p := range s.Probes {
		p.seen = nil
		if !reflect.DeepEqual(p, want[i]) {
			t.Errorf("got  %+v\nwant %+v", p, want[i])
		}
	}
	plan := Plan(c)
	for _, line := range []string{
		"page: HEAD https://[::1]:8443/health?full, every 30s, 500ms at most; readiness (cluster) after 1000 failures",
		"port: tcp localhost:80, every 10s, 2s at most; liveness (local) after 3 failures",
		"canary: zookeeper 127.0.0.1:2181, every 10s, 2s at most; liveness (cluster) after 3 failures",
		"script: check --fast, every 10s, 2s at most; liveness (local) after 3 failures",
		"when probe page succeeds",
	} {
		if !strings.Contains(plan, line) {
			t.Errorf("%q is not in\n%s", line, plan)
		}
	}
}
