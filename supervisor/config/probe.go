package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Probe asks a service something from outside, again and again. Exactly one of
// Exec, TCP, HTTP and ZooKeeper is set. Fields are named after the keys.
type Probe struct {
	Name             string          `json:"name"`
	Exec             []string        `json:"exec,omitempty"`
	TCP              *TCPProbe       `json:"tcp,omitempty"`
	HTTP             *HTTPProbe      `json:"http,omitempty"`
	ZooKeeper        *ZooKeeperProbe `json:"zookeeper,omitempty"`
	Period           time.Duration   `json:"period"`
	Timeout          time.Duration   `json:"timeout"`
	StartPeriod      time.Duration   `json:"start_period,omitempty"`
	FailureThreshold int             `json:"failure_threshold"`
	SuccessThreshold int             `json:"success_threshold"`
	Use              string          `json:"use"`   // UseLiveness, UseReadiness
	Scope            string          `json:"scope"` // ScopeLocal, ScopeCluster

	seen *seen
}

// What a probe is for, and what its failure proves.
const (
	UseLiveness  = "liveness"
	UseReadiness = "readiness"
	ScopeLocal   = "local"
	ScopeCluster = "cluster"
)

// TCPProbe connects.
type TCPProbe struct {
	Address string `json:"address"`
}

// HTTPProbe asks for a page.
type HTTPProbe struct {
	URL        string            `json:"url"`
	Unix       string            `json:"unix,omitempty"` // path of a socket; "": by the URL's host
	Method     string            `json:"method"`
	Headers    map[string]string `json:"headers,omitempty"`
	Status     []int             `json:"status,omitempty"` // none: 200 to 399
	Body       string            `json:"body,omitempty"`   // RE2
	Header     map[string]string `json:"header,omitempty"` // values are RE2
	Insecure   bool              `json:"insecure,omitempty"`
	CA         string            `json:"ca,omitempty"`
	ServerName string            `json:"server_name,omitempty"`
}

// ZooKeeperProbe writes and reads through one server.
type ZooKeeperProbe struct {
	Address string `json:"address"`
	Canary  string `json:"canary"`
}

func openProbe(t target, s *seen) target {
	t.service.Probes = append(t.service.Probes, Probe{
		Period: 10 * time.Second, Timeout: 2 * time.Second, StartPeriod: unsaid, FailureThreshold: 3, SuccessThreshold: 1, Use: UseLiveness, seen: s,
	})
	t.probe = &t.service.Probes[len(t.service.Probes)-1]
	return t
}

func (p *Probe) tcp() *TCPProbe {
	if p.TCP == nil {
		p.TCP = &TCPProbe{}
	}
	return p.TCP
}

func (p *Probe) http() *HTTPProbe {
	if p.HTTP == nil {
		p.HTTP = &HTTPProbe{Method: "GET"}
	}
	return p.HTTP
}

func (p *Probe) zookeeper() *ZooKeeperProbe {
	if p.ZooKeeper == nil {
		p.ZooKeeper = &ZooKeeperProbe{Canary: "/vigil"}
	}
	return p.ZooKeeper
}

const (
	maxThreshold = 1000
	// unsaid is a start period until settle: a service that is slow to open its
	// port must not be ended for it again and again.
	unsaid = -1
)

func probeRows() []row {
	return []row{
		textRow("name", "required", "Name of the probe, for events, rules about threads and `ready.probe`.", func(t *target) *string { return &t.probe.Name }),
		listRow("exec", "", "Program and arguments, run as the service's user, with its environment and in its directory. Status 0 is a success.",
			func(t *target) *[]string { return &t.probe.Exec }),
		tableRow("tcp", "A connection. It proves that the kernel listens, not that anybody accepts.", []row{
			textRow("address", "required", "HOST:PORT.", func(t *target) *string { return &t.probe.tcp().Address }),
		}),
		tableRow("http", "A page. Redirects are not followed; 64 KiB of the body are looked at.", httpRows()),
		tableRow("zookeeper", "A write and a read through this server and its whole pipeline, a read in a session that never writes, and its role by `srvr`.", []row{
			textRow("address", "required", "HOST:PORT of this one server.", func(t *target) *string { return &t.probe.zookeeper().Address }),
			textRow("canary", "/vigil", "Node below which the probe keeps one node of its own.", func(t *target) *string { return &t.probe.zookeeper().Canary }),
		}),
		durationRow("period", `"10s"`, "From the beginning of one attempt to the next. Attempts never overlap.", 10*time.Millisecond, func(t *target) *time.Duration { return &t.probe.Period }),
		durationRow("timeout", `"2s"`, "Most time of one attempt, then it has failed.", 10*time.Millisecond, func(t *target) *time.Duration { return &t.probe.Timeout }),
		durationRow("start_period", "", "After the service is up, time in which failures do not count, until the first success. While they do not count, it is asked twice a second.", 0,
			func(t *target) *time.Duration { return &t.probe.StartPeriod }).withUnset("start_timeout"),
		intRow("failure_threshold", "3", "Failures in a row that make it fail.", 1, maxThreshold, func(t *target) *int { return &t.probe.FailureThreshold }),
		intRow("success_threshold", "1", "Successes in a row that make it succeed again.", 1, maxThreshold, func(t *target) *int { return &t.probe.SuccessThreshold }),
		choiceRow("use", "liveness: a failure ends the service, see scope. readiness: it only decides whether the service is called ready.",
			func(t *target) *string { return &t.probe.Use }, UseLiveness, UseReadiness),
		leaf(row{name: "scope", takes: takesString, unset: "cluster for zookeeper, else local", enum: []string{ScopeLocal, ScopeCluster},
			doc: "What a failure proves. local: this service is broken, it is captured and started again. cluster: perhaps another one is; it is told, and ends the service only together with local evidence, a thread that is lost or stuck."},
			func(t *target) *string { return &t.probe.Scope },
			func(d *decoder, r row, n *node) string { return d.oneOf(n, r.enum) }),
	}
}

func httpRows() []row {
	return []row{
		textRow("url", "required", "http:// or https://.", func(t *target) *string { return &t.probe.http().URL }),
		textRow("unix", "the URL's host", "Path of a unix socket to connect to.", func(t *target) *string { return &t.probe.http().Unix }),
		textRow("method", "GET", "Method of the request.", func(t *target) *string { return &t.probe.http().Method }),
		leaf(row{name: "headers", takes: takesText, doc: "Headers to send."},
			func(t *target) *map[string]string { return &t.probe.http().Headers },
			func(d *decoder, _ row, n *node) map[string]string { return d.texts(n) }),
		leaf(row{name: "status", takes: takesIntegers, unset: "200 to 399", doc: "Status codes that are a success."},
			func(t *target) *[]int { return &t.probe.http().Status },
			func(d *decoder, _ row, n *node) []int { return d.integers(n, 100, 599) }),
		patternRow("body", "Regular expression (RE2) that the body must match.", func(t *target) *string { return &t.probe.http().Body }),
		leaf(row{name: "header", takes: takesText, doc: "Headers of the answer, each with a regular expression (RE2) that its value must match."},
			func(t *target) *map[string]string { return &t.probe.http().Header },
			func(d *decoder, _ row, n *node) map[string]string { return d.patterns(n) }),
		boolRow("insecure", "false", "Whether any certificate is taken.", func(t *target) *bool { return &t.probe.http().Insecure }),
		textRow("ca", "the system's", "File of certificates (PEM) to trust.", func(t *target) *string { return &t.probe.http().CA }),
		textRow("server_name", "the URL's host", "Name that the certificate must be of.", func(t *target) *string { return &t.probe.http().ServerName }),
	}
}

// patternRow takes a regular expression.
func patternRow(name, doc string, field func(*target) *string) row {
	return leaf(row{name: name, takes: takesString, doc: doc}, field, func(d *decoder, _ row, n *node) string { return d.pattern(n) })
}

func (d *decoder) pattern(n *node) string {
	v := d.text(n)
	if _, err := regexp.Compile(v); err != nil {
		d.fail(n.at, "%q is not a regular expression (RE2): %s", v, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return v
}

func (s *Service) settleProbes(d *decoder) {
	names := map[string]bool{}
	for i := range s.Probes {
		p := &s.Probes[i]
		if p.StartPeriod == unsaid {
			p.StartPeriod = s.StartTimeout
		}
		p.settle(d)
		if names[p.Name] {
			d.fail(p.seen.place("probe.name"), "there is another probe %q", p.Name)
		}
		names[p.Name] = true
	}
	if p := s.Ready.Probe; p != "" && !names[p] && s.seen.sound("ready.probe", "probe") {
		d.fail(s.seen.place("ready.probe"), "there is no probe %q%s", p, suggest(p, s.probeNames()))
	}
}

func (s *Service) probeNames() []string {
	var names []string
	for _, p := range s.Probes {
		names = append(names, p.Name)
	}
	return names
}

func (p *Probe) settle(d *decoder) {
	if !validName(p.Name) && p.seen.sound("probe.name") {
		d.fail(p.seen.place("probe.name"), "a probe needs a name: 1 to 64 of A-Z a-z 0-9 . _ @ -, the first a letter or digit")
	}
	ways := 0
	for _, set := range []bool{p.Exec != nil, p.TCP != nil, p.HTTP != nil, p.ZooKeeper != nil} {
		if set {
			ways++
		}
	}
	if ways != 1 && p.seen.sound("probe.exec", "probe.tcp", "probe.http", "probe.zookeeper") {
		d.fail(p.seen.place(""), "probe %q asks in one way: exec, tcp, http or zookeeper", p.Name)
	}
	if p.Scope == "" {
		p.Scope = ScopeLocal
		if p.ZooKeeper != nil {
			p.Scope = ScopeCluster
		}
	}
	switch {
	case ways != 1:
	case p.Exec != nil && (len(p.Exec) == 0 || p.Exec[0] == ""):
		d.fail(p.seen.place("probe.exec"), "the command of probe %q is empty", p.Name)
	case p.TCP != nil:
		p.address(d, "probe.tcp.address", p.TCP.Address)
	case p.ZooKeeper != nil:
		p.address(d, "probe.zookeeper.address", p.ZooKeeper.Address)
		if c := p.ZooKeeper.Canary; !validNode(c) && p.seen.sound("probe.zookeeper.canary") {
			d.fail(p.seen.place("probe.zookeeper.canary"), "%q is not the path of a node, like \"/vigil\"", c)
		}
	case p.HTTP != nil:
		p.settleHTTP(d)
	}
}

func (p *Probe) settleHTTP(d *decoder) {
	u, err := url.Parse(p.HTTP.URL)
	switch {
	case !p.seen.sound("probe.http.url"):
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		d.fail(p.seen.place("probe.http.url"), "%q is not a URL like \"http://127.0.0.1:8080/health\"", p.HTTP.URL)
	}
	if !token.MatchString(p.HTTP.Method) && p.seen.sound("probe.http.method") {
		d.fail(p.seen.place("probe.http.method"), "%q is not a method", p.HTTP.Method)
	}
}

// token is what a method is, RFC 9110 section 5.6.2.
var token = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func (p *Probe) address(d *decoder, key, address string) {
	if !p.seen.sound(key) {
		return
	}
	_, port, err := net.SplitHostPort(address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
		d.fail(p.seen.place(key), "%q is not an address like \"127.0.0.1:2181\"", address)
	}
}

// validNode is what ZooKeeper takes as an absolute path that is not the root.
func validNode(path string) bool {
	if len(path) > 200 || !strings.HasPrefix(path, "/") {
		return false
	}
	for _, part := range strings.Split(path[1:], "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
			return false
		}
	}
	return true
}

// words is what a probe asks, for the plan.
func (p Probe) words() string {
	what := ""
	switch {
	case p.Exec != nil:
		what = commandLine(p.Exec)
	case p.TCP != nil:
		what = "tcp " + quoted(p.TCP.Address)
	case p.HTTP != nil:
		what = quoted(p.HTTP.Method + " " + p.HTTP.URL)
	case p.ZooKeeper != nil:
		what = "zookeeper " + quoted(p.ZooKeeper.Address)
	}
	return fmt.Sprintf("%s: %s, every %s, %s at most; %s (%s) after %d failures", p.Name, what, short(p.Period), short(p.Timeout), p.Use, p.Scope, p.FailureThreshold)
}
