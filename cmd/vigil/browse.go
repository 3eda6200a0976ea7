package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vigil-supervisor/vigil/browser"
	"github.com/vigil-supervisor/vigil/internal/limited"
	"github.com/vigil-supervisor/vigil/snapshot/bundle"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

// browseFlags are the flags of `vigil browse`.
type browseFlags struct {
	listen, token, cert, key string
	readOnly                 bool
}

const (
	defaultListen = "127.0.0.1:0"
	minToken      = 16 // characters of a token of the user's own
	maxToken      = 4096
	browseEnd     = 5 * time.Second // for requests that are under way
	normalName    = "browser-normal.json"
)

func (a *app) browseCommand() *cobra.Command {
	var f browseFlags
	cmd := &cobra.Command{
		Use:   "browse [DIR|BUNDLE]...",
		Short: "Browse incidents, and the vigil that runs, in a web browser",
		Long: "Browse incidents, and the vigil that runs, in a web browser. Without arguments the\n" +
			"stores of all instances are shown, as by vigil incidents; DIR is a state directory\n" +
			"or a store, BUNDLE what vigil incidents export wrote. The address that is printed has\n" +
			"a token and opens the page; it is valid until the command ends. INT or TERM ends it.\n\n" +
			"It listens on loopback, on a free port. --listen unix:PATH listens on a socket that\n" +
			"only its owner can open, as for ssh -L. Any other address needs --tls-cert, --tls-key\n" +
			"and a --token-file of at least 16 characters.",
		Example: "  vigil browse\n  vigil browse --listen 127.0.0.1:7070 --read-only\n  vigil browse incident.tar.zst\n" +
			"  ssh -L 7070:/run/user/1000/browse.sock host vigil browse --listen unix:/run/user/1000/browse.sock",
		RunE: a.do(func(_ *cobra.Command, args []string) error { return a.browse(args, f) }),
	}
	cmd.Flags().StringVar(&f.listen, "listen", defaultListen, "HOST:PORT or unix:PATH; port 0 is a free one")
	cmd.Flags().StringVar(&f.token, "token-file", "", "file with a token of your own, readable only by you")
	cmd.Flags().StringVar(&f.cert, "tls-cert", "", "certificate, PEM")
	cmd.Flags().StringVar(&f.key, "tls-key", "", "key of the certificate, PEM")
	cmd.Flags().BoolVar(&f.readOnly, "read-only", false, "no actions: services cannot be started or stopped from the page")
	return cmd
}

// browse serves until a signal ends it.
func (a *app) browse(args []string, f browseFlags) error {
	sources, err := a.sources(args)
	if err != nil {
		return err
	}
	defer func() {
		for _, src := range sources {
			if src.Close != nil {
				_ = src.Close() // a temporary directory
			}
		}
	}()
	where, err := f.check()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := where.open()
	if err != nil {
		return system(err)
	}
	defer l.Close()
	o := browser.Options{
		Version: thisBuild().Version, Token: where.token, Hosts: where.hosts(l), Secure: where.tls != nil, Sources: sources, MayAct: !f.readOnly,
		NormalFile: a.normalFile(),
	}
	if len(args) == 0 {
		if one, err := a.one(); err == nil {
			one.Close()
			o.Control = func() (browser.Control, error) {
				one, err := a.one()
				if err != nil {
					return nil, err
				}
				return one.Client, nil
			}
		}
	}
	s, err := browser.New(o)
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintln(a.out, where.address(l))
	if where.token != "" && f.token == "" {
		a.note("this address has the token: who has it can see all incidents%s", map[bool]string{true: "", false: ", and stop services"}[f.readOnly])
	}
	return a.serve(ctx, l, s, where.tls)
}

// serve answers until ctx ends, and then lets what is under way end.
func (a *app) serve(ctx context.Context, l net.Listener, s *browser.Server, secure *tls.Config) error {
	server := browser.HTTPServer(s.Handler())
	server.ErrorLog = nil
	failed := make(chan error, 1)
	go func() {
		if secure != nil {
			server.TLSConfig = secure
			failed <- server.ServeTLS(l, "", "")
			return
		}
		failed <- server.Serve(l)
	}()
	select {
	case err := <-failed:
		return system(fmt.Errorf("cannot serve the browser: %w", err))
	case <-ctx.Done():
	}
	s.Close() // streams end
	late, cancel := context.WithTimeout(context.Background(), browseEnd)
	defer cancel()
	if err := server.Shutdown(late); err != nil {
		_ = server.Close() // who still reads has had its time
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// sources are the places that incidents are read from.
func (a *app) sources(args []string) ([]browser.Source, error) {
	if len(args) == 0 {
		stores, err := a.stores()
		if err != nil {
			return nil, err
		}
		var list []browser.Source
		for _, s := range stores {
			list = append(list, storeSource(s.Root(), s))
		}
		return unique(list), nil
	}
	var list []browser.Source
	for _, arg := range args {
		src, err := openSource(arg)
		if err != nil {
			return nil, err
		}
		list = append(list, src)
	}
	return unique(list), nil
}

func storeSource(root string, r store.Reader) browser.Source {
	name := filepath.Base(root)
	if name == storeName {
		name = filepath.Base(filepath.Dir(root))
	}
	return browser.Source{Name: name, Path: root, Kind: "store", Reader: r}
}

// openSource opens a state directory, a store, or a bundle.
func openSource(arg string) (browser.Source, error) {
	path, err := filepath.Abs(arg)
	if err != nil {
		return browser.Source{}, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return browser.Source{}, nothingf("there is no %s", arg)
	}
	if err != nil {
		return browser.Source{}, fmt.Errorf("cannot look at %s: %w", arg, err)
	}
	if !info.IsDir() {
		return openBundle(path)
	}
	if inner := filepath.Join(path, storeName); isDir(inner) {
		path = inner
	}
	s, err := store.OpenRead(path)
	if err != nil {
		return browser.Source{}, err
	}
	return storeSource(path, s), nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// unique gives sources of the same name different ones.
func unique(list []browser.Source) []browser.Source {
	seen := map[string]int{}
	for i := range list {
		name := list[i].Name
		seen[name]++
		if n := seen[name]; n > 1 {
			list[i].Name = fmt.Sprintf("%s-%d", name, n)
		}
	}
	return list
}

// normalFile is where it is remembered what is normal for a service: it is the
// user's, not the store's, which may be somebody else's.
func (a *app) normalFile() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	dir = filepath.Join(dir, "vigil")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		a.note("what you mark as normal is forgotten at the end: %v", err)
		return ""
	}
	return filepath.Join(dir, normalName)
}

// listening is where the browser is served, and to whom.
type listening struct {
	network, listenTo string
	token             string // "": none is needed
	tls               *tls.Config
	loopback          bool
}

// check refuses what would be open to strangers.
func (f browseFlags) check() (w listening, err error) {
	if f.token != "" {
		if w.token, err = readToken(f.token); err != nil {
			return w, err
		}
	}
	if (f.cert == "") != (f.key == "") {
		return w, usagef("--tls-cert and --tls-key go together")
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return w, fmt.Errorf("cannot use the certificate %s: %w", f.cert, err)
		}
		w.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	if path, ok := strings.CutPrefix(f.listen, "unix:"); ok {
		w.network, w.listenTo = "unix", path
		if path == "" {
			return w, usagef("--listen unix: needs a path, as unix:/run/user/1000/browse.sock")
		}
		return w, nil
	}
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return w, usagef("cannot listen on %q: it is HOST:PORT or unix:PATH", f.listen)
	}
	w.network, w.listenTo = "tcp", f.listen
	ip := net.ParseIP(host)
	w.loopback = host == "localhost" || (ip != nil && ip.IsLoopback())
	if !w.loopback && (w.tls == nil || f.token == "") {
		return w, usagef("%s can be reached by others: it needs --tls-cert, --tls-key and --token-file; or listen on 127.0.0.1:0 and use ssh -L", f.listen)
	}
	if w.token == "" {
		w.token = rand.Text()
	}
	return w, nil
}

// readToken reads a token of the user's own.
func readToken(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("cannot use the token in %s: others may read it (mode %#o); run chmod 600 %s", path, info.Mode().Perm(), path)
	}
	text, err := limited.ReadFile(path, maxToken)
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("cannot use the token in %s: it must be one word of at least %d characters", path, minToken)
	}
	return token, nil
}

func (w listening) open() (net.Listener, error) {
	if w.network != "unix" {
		l, err := net.Listen(w.network, w.listenTo)
		if err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", w.listenTo, err)
		}
		return l, nil
	}
	if err := removeDeadSocket(w.listenTo); err != nil {
		return nil, err
	}
	old := syscall.Umask(0o177) // from its first moment only the owner may connect
	l, err := net.Listen("unix", w.listenTo)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", w.listenTo, err)
	}
	return l, nil
}

// removeDeadSocket removes a socket that nobody listens on any more.
func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return nil // the listening tells
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("cannot listen on %s: somebody listens there already", path)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return nil
}

// hosts are the names by which the pages may be asked for.
func (w listening) hosts(l net.Listener) []string {
	local := []string{"localhost", "127.0.0.1", "[::1]"}
	if w.network == "unix" {
		return append(local, "vigil") // by whatever port it was forwarded to
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return local
	}
	if w.loopback {
		list := []string{net.JoinHostPort(host, port)}
		for _, name := range local {
			list = append(list, strings.Trim(name, "[]"))
			list[len(list)-1] = net.JoinHostPort(list[len(list)-1], port)
		}
		return list
	}
	// A name of the certificate, or the address itself.
	list := []string{net.JoinHostPort(host, port)}
	if asked, _, err := net.SplitHostPort(w.listenTo); err == nil && asked != "" {
		list = append(list, net.JoinHostPort(asked, port))
	}
	if leaf := w.tls.Certificates[0].Leaf; leaf != nil {
		for _, name := range leaf.DNSNames {
			list = append(list, net.JoinHostPort(name, port))
		}
		for _, ip := range leaf.IPAddresses {
			list = append(list, net.JoinHostPort(ip.String(), port))
		}
	}
	return list
}

// address is what opens the page. The token is in the fragment, which a browser
// sends to nobody.
func (w listening) address(l net.Listener) string {
	if w.network == "unix" {
		return "unix:" + w.listenTo
	}
	scheme := "http"
	if w.tls != nil {
		scheme = "https"
	}
	address := fmt.Sprintf("%s://%s/", scheme, l.Addr())
	if w.token != "" {
		address += "#token=" + w.token
	}
	return address
}

// openBundle opens what vigil incidents export wrote.
func openBundle(path string) (browser.Source, error) {
	b, err := bundle.Open(path)
	if err != nil {
		return browser.Source{}, err
	}
	name := strings.TrimSuffix(filepath.Base(path), ".tar.zst")
	return browser.Source{Name: name, Path: path, Kind: "bundle", Reader: b, Close: b.Close}, nil
}
