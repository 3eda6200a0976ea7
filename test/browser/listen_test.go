package browser

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask sends one request and returns the status and the body.
func ask(t *testing.T, c *http.Client, url, bearer string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	reply, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(text)
}

// A socket is its owner's alone, needs no token, and is gone at the end.
func TestUnixSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "incidents")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "browse.sock")
	t.Run("served", func(t *testing.T) {
		s := serve(t, "--listen", "unix:"+path, dir)
		if s.token != "" || s.address != "unix:"+path {
			t.Errorf("%+v", s)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}}
		if status, text := ask(t, c, "http://localhost:7070/api/v1/about", ""); status != http.StatusOK {
			t.Errorf("%d %s", status, text)
		}
		if status, text := ask(t, c, "http://evil.example/api/v1/about", ""); status != http.StatusMisdirectedRequest {
			t.Errorf("another host: %d %s", status, text)
		}
	})
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// An address that others can reach needs TLS and a token of the user's own.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	incidents, token := filepath.Join(dir, "incidents"), filepath.Join(dir, "token")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vigil"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	err = errors.Join(os.Mkdir(incidents, 0o700), os.WriteFile(token, []byte("a-token-of-our-own-42\n"), 0o600), os.WriteFile(filepath.Join(dir, "cert"), cert, 0o600),
		os.WriteFile(filepath.Join(dir, "key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--listen", "127.0.0.1:0", "--tls-cert", filepath.Join(dir, "cert"), "--tls-key", filepath.Join(dir, "key"), "--token-file", token, incidents)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	if !strings.HasPrefix(s.address, "https://127.0.0.1:") {
		t.Errorf("%+v", s)
	}
	if status, text := ask(t, c, s.address+"api/v1/about", "a-token-of-our-own-42"); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := ask(t, c, s.address+"api/v1/about", ""); status != http.StatusUnauthorized {
		t.Errorf("without the token: %d", status)
	}
}

// Dark colours have enough contrast too.
func TestDark(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	p := newPage(t, 1400, 900)
	p.login(s)
	p.see(".issue")
	p.choose("Colours", "dark")
	p.accessible("the list, dark")
	p.shot("dark-list")
	for _, view := range []string{"stacks", "waits", "timeline"} {
		p.at("#/incident/" + h.incidents["wedge"].ID + "/" + view)
		p.see("#tab-" + view + "[aria-selected=true]")
		p.until("!document.querySelector('#panel').textContent.includes('Loading')")
		p.shot("dark-" + view)
		p.accessible(view + ", dark")
	}
}
