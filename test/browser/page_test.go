package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"golang.org/x/sys/unix"
)

// served is a running `vigil browse`.
type served struct {
	address string // without the token
	token   string
	cmd     *exec.Cmd
}

// serve starts `vigil browse` and ends it with the test.
func serve(t *testing.T, args ...string) *served {
	t.Helper()
	cmd := exec.Command("vigil", append([]string{"browse"}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		t.Fatalf("vigil browse did not begin: %v: %s", err, &said)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("vigil browse ended with %v: %s", err, &said)
		}
	})
	address, token, _ := strings.Cut(strings.TrimSpace(line), "#token=")
	return &served{address: address, token: token, cmd: cmd}
}

// page is one tab of a real Chromium. What it complains of fails the test.
type page struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	forgiven   []string
}

// chromium finds the browser, or says what to do.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("this test needs a real Chromium: as root, run scripts/install-test-deps.sh (Debian package chromium)")
	return ""
}

// open starts a browser with one tab.
func newPage(t *testing.T, width, height int) *page {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(width, height),
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("lang", "en"))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	ctx, endAllocator := chromedp.NewExecAllocator(ctx, options...)
	ctx, endTab := chromedp.NewContext(ctx)
	p := &page{t: t, ctx: ctx}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), int64(height))); err != nil {
		t.Fatalf("cannot start Chromium: %v", err)
	}
	done := make(chan struct{})
	console := chromedp.Console(ctx)
	go func() {
		defer close(done)
		for m, err := range console {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == "error" {
				p.mu.Lock()
				p.complaints = append(p.complaints, m.String())
				p.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		if t.Failed() {
			p.shot("failed-" + strings.ReplaceAll(t.Name(), "/", "-"))
		}
		_ = chromedp.Cancel(ctx) // waits for the end of the browser
		endTab()
		endAllocator()
		<-done
		for _, c := range p.unforgiven() {
			t.Errorf("the page complains: %s", c)
		}
	})
	return p
}

// forgive is for complaints that a test provokes: they come when they come.
func (p *page) forgive(words string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgiven = append(p.forgiven, words)
}

// unforgiven are those that nobody provoked.
func (p *page) unforgiven() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(p.complaints, func(c string) bool {
		return slices.ContainsFunc(p.forgiven, func(words string) bool { return strings.Contains(c, words) })
	})
}

// to opens an address.
func (p *page) to(url string) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, chromedp.Navigate(url)); err != nil {
		p.t.Fatalf("cannot open %s: %v", url, err)
	}
}

// login opens the pages with the token.
func (p *page) login(s *served) {
	p.t.Helper()
	p.to(s.address + "#token=" + s.token)
	p.see("h1")
	if hash := eval[string](p, "location.href"); strings.Contains(hash, s.token) {
		p.t.Errorf("the token is still in the address: %s", hash)
	}
}

// at goes to another view of the page that is open.
func (p *page) at(hash string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf("(location.hash = %q, true)", hash))
}

func eval[T any](p *page, js string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		p.t.Fatalf("cannot run %s: %v", js, err)
	}
	return v
}

// until waits until an expression is true. The page may be another one by then.
func (p *page) until(js string) {
	p.t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](fmt.Sprintf("!!(%s)", js)))
		if ok && err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			p.t.Fatalf("waited in vain for %s: %v\nthe page says:\n%s", js, err, p.text("body"))
		}
	}
}

// see waits for an element that is in the page.
func (p *page) see(selector string) {
	p.t.Helper()
	p.until(fmt.Sprintf("document.querySelector(%q)", selector))
}

// says waits for a text in an element.
func (p *page) says(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("[...document.querySelectorAll(%q)].some(e => e.textContent.includes(%q))", selector, text))
}

func (p *page) text(selector string) string {
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](fmt.Sprintf("(document.querySelector(%q) || {innerText: ''}).innerText", selector)))
	if err != nil {
		return err.Error()
	}
	return v
}

func (p *page) count(selector string) int {
	p.t.Helper()
	return eval[int](p, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// click clicks the first element with that text, once a mouse would reach it:
// it is in sight, and nothing is before it. Both happen in one step of the page,
// so that nothing can move in between.
func (p *page) click(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`(() => {
		const e = [...document.querySelectorAll(%q)].find(e => e.textContent.includes(%q) && !e.disabled);
		if (!e) return false;
		e.scrollIntoView({block: 'center'});
		const r = e.getBoundingClientRect();
		const at = document.elementFromPoint(r.x + Math.min(r.width / 2, 60), r.y + r.height / 2);
		if (!at || !(e.contains(at) || at.contains(e))) return false;
		if (e.click) e.click(); else e.dispatchEvent(new MouseEvent('click', {bubbles: true}));
		return true;
	})()`, selector, text))
}

// press presses keys, one after the other.
func (p *page) press(keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		if err := chromedp.Do(p.ctx, chromedp.KeyEvent(k)); err != nil {
			p.t.Fatalf("cannot press %q: %v", k, err)
		}
	}
}

// fill types into a field.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	p.see(selector)
	eval[bool](p, fmt.Sprintf("(document.querySelector(%q).focus(), document.querySelector(%q).select(), true)", selector, selector))
	p.press(strings.Split(text, "")...)
}

// choose chooses an option of a select.
func (p *page) choose(label, value string) {
	p.t.Helper()
	p.until(fmt.Sprintf("[...document.querySelectorAll('label')].some(l => l.textContent.startsWith(%q) && [...l.querySelectorAll('option')].some(o => o.value === %q))", label, value))
	eval[bool](p, fmt.Sprintf(`(() => { const s = [...document.querySelectorAll('label')].find(l => l.textContent.startsWith(%q)).querySelector('select');
		s.value = %q; s.dispatchEvent(new Event('change', {bubbles: true})); return true; })()`, label, value))
}

// pictures is where the screenshots of a run are kept.
func pictures(t *testing.T) string {
	dir := os.Getenv("VIGIL_SCREENSHOTS")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "vigil-screenshots")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatalf("cannot keep screenshots: %v", err)
	}
	return dir
}

// shot keeps a picture of the page.
func (p *page) shot(name string) {
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(pictures(p.t), name+".png"), png, 0o644)
	}
	if err != nil {
		p.t.Logf("no picture %s: %v", name, err)
	}
}

// accessible runs axe and reports what is serious.
func (p *page) accessible(what string) {
	p.t.Helper()
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		p.t.Fatal(err)
	}
	eval[bool](p, string(axe)+"\ntrue")
	result, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations
		.filter(v => v.impact === 'serious' || v.impact === 'critical')
		.map(v => ({id: v.id, help: v.help, at: v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + ' ' + (n.failureSummary || '').slice(0, 300))}))))`, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("cannot run axe on %s: %v", what, err)
	}
	var found []struct {
		ID, Help string
		At       []string
	}
	if err := json.Unmarshal([]byte(result), &found); err != nil {
		p.t.Fatal(err)
	}
	for _, f := range found {
		p.t.Errorf("%s: %s (%s): %s", what, f.Help, f.ID, strings.Join(f.At, " | "))
	}
}

// fits checks that the page does not have to be moved sideways.
func (p *page) fits(what string) {
	p.t.Helper()
	if wide := eval[[]int](p, "[document.documentElement.scrollWidth, innerWidth]"); wide[0] > wide[1] {
		p.t.Errorf("%s is %d wide in a window of %d: %s", what, wide[0], wide[1], eval[string](p, `[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, pre'))
			.slice(0, 5).map(e => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 40)).join(' | ')`))
	}
}

// drag presses the button over an element and moves on, in shares of its width.
func (p *page) drag(selector string, from, to float64) {
	p.t.Helper()
	box := eval[[]float64](p, fmt.Sprintf("(() => { const e = document.querySelector(%q); e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()", selector))
	y := box[1] + box[3]/2
	err := chromedp.Do(p.ctx, chromedp.DragAndDropXY(box[0]+from*box[2], y, box[0]+to*box[2], y))
	if err != nil {
		p.t.Fatalf("cannot drag over %s: %v", selector, err)
	}
}

// offline takes the network away.
func (p *page) offline() {
	p.t.Helper()
	conditions := network.OverrideNetworkStateParams{Offline: true}
	_, err := chromedp.Call(p.ctx, network.OverrideNetworkState, conditions)
	if err != nil {
		p.t.Fatalf("cannot take the network away: %v", err)
	}
}

// fetch writes what the server answers into a file.
func (s *served) fetch(t *testing.T, path, file string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	reply, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	data, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d %v %.200s", path, reply.StatusCode, err, data)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// patience is how long a page may take on a busy machine.
var patience = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("VIGIL_PATIENCE")); err == nil {
		return d
	}
	return most
}()
