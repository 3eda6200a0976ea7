package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot"
	"github.com/vigil-supervisor/vigil/snapshot/store"
)

const manyIncidents = 10_000

// many makes incidents with a fingerprint each: one by the store, the others
// after its pattern, since the store makes each of them safe on the disk.
func many(t *testing.T) (dir string) {
	t.Helper()
	st, dir := newStore(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	w, err := st.Begin(store.Subject{Service: "many", Instance: 1, PID: 42, Cause: snapshot.CauseHang}, now)
	if err != nil {
		t.Fatal(err)
	}
	i, err := w.Complete(snapshot.Incident{Schema: snapshot.SchemaVersion, Service: "many", Instance: 1, PID: 42, Time: now, Cause: snapshot.CauseHang, Sentence: "row 0", Fingerprint: "v2:0"})
	if err != nil {
		t.Fatal(err)
	}
	const idTime = "20060102T150405.000000Z"
	rest := i.ID[len(idTime):]
	for n := 1; n < manyIncidents; n++ {
		i.Time = now.Add(-time.Duration(n) * time.Minute)
		i.ID, i.Sentence, i.Fingerprint = i.Time.Format(idTime)+rest, fmt.Sprintf("row %d", n), fmt.Sprintf("v2:%d", n)
		text, err := json.Marshal(i)
		if err == nil {
			err = errors.Join(os.Mkdir(filepath.Join(dir, i.ID), 0o700), os.WriteFile(filepath.Join(dir, i.ID, snapshot.FileIncident), text, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The list has its whole length from the beginning, wherever one scrolls the rows
// come, and only those in sight are in the page.
func TestManyIncidents(t *testing.T) {
	s := serve(t, many(t))
	p := newPage(t, 1400, 900)
	p.login(s)
	p.says(".issue .sentence", "row 0")
	p.says("[role=status]", fmt.Sprintf("%d,000 incidents", manyIncidents/1000))
	p.until(fmt.Sprintf("document.querySelector('.rows [role=listitem]').ariaSetSize === '%d'", manyIncidents))
	// Each frame moves on by some rows; the time of a frame is what a reader feels.
	eval[bool](p, `(() => {
		const box = document.querySelector(".rows"), times = [];
		let last = performance.now(), most = 0;
		const step = (now) => {
			times.push(now - last);
			last = now;
			most = Math.max(most, box.firstChild.childElementCount);
			box.scrollTop += 640;
			if (times.length < 100) return requestAnimationFrame(step);
			times.sort((a, b) => a - b);
			window.took = { middle: times[50], worst: times[99], rows: most, at: box.scrollTop };
		};
		requestAnimationFrame(step);
		return true;
	})()`)
	p.until("window.took")
	took := eval[map[string]float64](p, "window.took")
	t.Logf("100 frames of ten rows: %.1f ms in the middle, %.1f ms the worst", took["middle"], took["worst"])
	if took["rows"] > 100 || took["at"] < 60_000 {
		t.Errorf("after scrolling: %v", took)
	}
	for _, n := range []int{9_999, 5_000, 3, 7_654} {
		eval[bool](p, fmt.Sprintf("(document.querySelector('.rows').scrollTop = %d * 64, true)", n))
		p.until(fmt.Sprintf("[...document.querySelectorAll('.rows [aria-posinset=\"%d\"] .sentence')].some((e) => e.textContent.trim() === 'row %d')", n+1, n))
	}
	p.press("j")
	p.until("document.activeElement.closest('.issue')")
	// The focus goes through rows that were not in the page when it began.
	first := eval[float64](p, "Number(document.activeElement.closest('[role=listitem]').ariaPosInSet)")
	for range 60 {
		p.press("j")
	}
	p.until(fmt.Sprintf("Number(document.activeElement.closest('[role=listitem]')?.ariaPosInSet) === %v", first+60))
	p.accessible("a long list")
}
