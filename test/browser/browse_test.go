package browser

import (
	"strings"
	"testing"
)

var sizes = map[string][2]int{"narrow": {400, 800}, "wide": {1400, 900}, "huge": {3840, 2160}}

// Every view of every incident, at three sizes, without a complaint of the
// browser or of axe.
func TestEveryView(t *testing.T) {
	h := open(t)
	s := serve(t, h.flags...)
	for size, wh := range sizes {
		t.Run(size, func(t *testing.T) {
			p := newPage(t, wh[0], wh[1])
			p.login(s)
			p.see(".issue")
			p.shot(size + "-list")
			p.fits("the list")
			p.accessible("the list")
			for service, i := range h.incidents {
				for _, view := range []string{"stacks", "waits", "flame", "timeline", "world", "output", "collectors", "share"} {
					if size == "huge" && (service != "wedge" || view != "stacks" && view != "timeline") || size == "narrow" && service != "wedge" {
						continue // the same, larger
					}
					p.at("#/incident/" + i.ID + "/" + view)
					p.see("#tab-" + view + "[aria-selected=true]")
					p.until("!document.querySelector('#panel').textContent.includes('Loading')")
					p.shot(size + "-" + service + "-" + view)
					p.fits(service + " " + view)
					if service == "wedge" && size != "huge" || size == "wide" && (view == "world" || view == "stacks") {
						p.accessible(size + " " + service + " " + view)
					}
					if text := p.text("main"); strings.Contains(text, "undefined") || strings.Contains(text, "NaN") || strings.Contains(text, "[object") {
						t.Errorf("%s %s shows nonsense:\n%s", service, view, text)
					}
				}
			}
			p.at("#/now")
			p.says("h3", "wedge")
			p.shot(size + "-now")
			p.fits("now")
			p.accessible("now")
		})
	}
}
