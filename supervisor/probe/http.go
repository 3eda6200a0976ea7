package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"regexp"
	"slices"
	"time"
)

// HTTP makes one request on a connection of its own. A redirection is an answer
// like any other; it is not followed.
type HTTP struct {
	URL     string            // http or https
	Unix    string            // path of a socket to connect to; "": the URL's host
	Method  string            // "": GET
	Headers map[string]string // sent; "Host" too
	// What the answer must be.
	Status []int             // one of these; empty: 200 to 399
	Body   string            // RE2 that matches within the first 64 KiB, of a body that ends in time or is longer; "": any body, which is not read
	Header map[string]string // name -> RE2 that matches one of its values
	// TLS.
	Insecure   bool   // any certificate will do
	CA         string // file of certificates (PEM) to trust; "": the system's
	ServerName string // that the certificate must be for; "": the URL's host
}

// Bounds of what is read.
const (
	maxBody        = 64 << 10
	maxHeaderBytes = 64 << 10
	maxCA          = 4 << 20
)

type httpRunner struct {
	HTTP
	body   *regexp.Regexp // nil: any
	header map[string]*regexp.Regexp
	client *http.Client
}

// NewHTTP returns the runner of a request. The error is a mistake in h, or a CA
// file that cannot be used.
func NewHTTP(h HTTP) (Runner, error) {
	r := &httpRunner{HTTP: h, header: map[string]*regexp.Regexp{}}
	u, err := url.Parse(h.URL)
	if err != nil {
		return nil, fmt.Errorf("cannot use the URL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("cannot use the URL %q: its scheme must be http or https, with a host", h.URL)
	}
	if h.Body != "" {
		if r.body, err = regexp.Compile(h.Body); err != nil {
			return nil, fmt.Errorf("cannot use the pattern of the body: %w", err)
		}
	}
	for name, pattern := range h.Header {
		if r.header[name], err = regexp.Compile(pattern); err != nil {
			return nil, fmt.Errorf("cannot use the pattern of header %s: %w", name, err)
		}
	}
	if _, err := r.request(context.Background()); err != nil {
		return nil, err
	}
	pool, err := certificates(h.CA)
	if err != nil {
		return nil, err
	}
	r.client = &http.Client{
		Transport: &http.Transport{
			DialContext:            r.dial,
			DisableKeepAlives:      true,
			DisableCompression:     true, // a small answer must not become a large one
			MaxResponseHeaderBytes: maxHeaderBytes,
			TLSClientConfig:        &tls.Config{InsecureSkipVerify: h.Insecure, RootCAs: pool, ServerName: h.ServerName},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r, nil
}

// certificates reads a file of them; nil stands for the system's.
func certificates(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificates: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCA))
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("cannot use %s: no certificate (PEM) in its first %d MiB", file, maxCA>>20)
	}
	return pool, nil
}

func (r *httpRunner) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if r.Unix != "" {
		network, address = "unix", r.Unix
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (r *httpRunner) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot make a request: %w", err)
	}
	req.Header.Set("User-Agent", "vigil")
	for name, value := range r.Headers {
		if http.CanonicalHeaderKey(name) == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	return req, nil
}

func (r *httpRunner) Attempt(ctx context.Context, sent func()) Result {
	began := time.Now()
	n := &notice{sent: sent}
	defer n.end()
	// The request ends with the attempt, also where the answer was not read.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := r.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err == nil {
				n.tell()
			}
		},
	}))
	if err != nil {
		return bad("%v", err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return bad("%s", r.failure(ctx, began, err))
	}
	defer resp.Body.Close()
	if why := r.mismatch(resp); why != "" {
		return bad("status %d, %s", resp.StatusCode, why)
	}
	if r.body != nil {
		if why := r.bodyMismatch(ctx, began, resp.Body); why != "" {
			return bad("status %d, but %s", resp.StatusCode, why)
		}
	}
	return good("status %d after %s", resp.StatusCode, took(began))
}

func (r *httpRunner) Close() error {
	r.client.CloseIdleConnections()
	return nil
}

// mismatch says what is wrong with the head of an answer.
func (r *httpRunner) mismatch(resp *http.Response) string {
	code := resp.StatusCode
	if len(r.Status) == 0 && (code < 200 || code > 399) {
		return "not one of 200 to 399"
	}
	if len(r.Status) > 0 && !slices.Contains(r.Status, code) {
		return fmt.Sprintf("not one of %v", r.Status)
	}
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		values := resp.Header.Values(name)
		if len(values) == 0 {
			return fmt.Sprintf("but there is no header %s", name)
		}
		if !slices.ContainsFunc(values, r.header[name].MatchString) {
			return fmt.Sprintf("but header %s is %q and does not match %q", name, head(values[0], 60), head(r.Header[name], 60))
		}
	}
	return ""
}

// bodyMismatch says what is wrong with the body, which must end in time or be
// longer than what is looked at.
func (r *httpRunner) bodyMismatch(ctx context.Context, began time.Time, body io.Reader) string {
	text, err := io.ReadAll(io.LimitReader(body, maxBody))
	switch {
	case err != nil && timedOut(ctx, err):
		return "the body does not end: " + silence(ctx, began)
	case err != nil:
		return fmt.Sprintf("the body breaks off: %v", cause(err))
	case !r.body.Match(text):
		return fmt.Sprintf("the body does not match %q in its first %d KiB", head(r.Body, 100), maxBody>>10)
	}
	return ""
}

// failure says why there is no answer.
func (r *httpRunner) failure(ctx context.Context, began time.Time, err error) string {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	if why := certificateText(err); why != "" {
		return why
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		address := r.Unix
		if address == "" && op.Addr != nil {
			address = op.Addr.String()
		}
		if address == "" {
			address = r.URL
		}
		return dialText(ctx, began, address, err)
	}
	switch {
	case timedOut(ctx, err):
		return silence(ctx, began)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without an answer"
	}
	return err.Error()
}

// certificateText says what is wrong with TLS, "" for other errors.
func certificateText(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	switch {
	case errors.As(err, &unknown):
		return "certificate: signed by an authority that is not trusted"
	case errors.As(err, &host):
		return "certificate: " + host.Error()
	case errors.As(err, &invalid):
		return "certificate: " + invalid.Error()
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "TLS: the answer is not TLS: does the port speak plain HTTP?"
	case errors.As(err, &alert):
		return "TLS: the server refuses: " + alert.Error()
	}
	return ""
}
