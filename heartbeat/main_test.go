package heartbeat

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vigil-supervisor/vigil/heartbeat/clienttest"
	"github.com/vigil-supervisor/vigil/heartbeat/wire"
)

// The test binary plays a service that was given a page, or not.
func TestMain(m *testing.M) {
	if os.Getenv("HEARTBEAT_TEST_SERVICE") != "" {
		service()
		return
	}
	goleak.VerifyTestMain(m)
}

// service claims an activity twice and says what came of it.
func service() {
	first, err := Claim("first", time.Second)
	if err != nil {
		fmt.Println(err)
	}
	if _, err := Claim("second", 0); err != nil {
		fmt.Println("again:", err)
	}
	first.Busy()
	p, _ := Default()
	_, left := os.LookupEnv(wire.HeartbeatFD)
	_, err = unix.FcntlInt(3, unix.F_GETFD, 0)
	fmt.Printf("%d slots, variable left %v, descriptor open %v\n", p.Slots(), left, err == nil)
}

// newPage returns both sides of a page.
func newPage(t *testing.T, slots int) (*Page, *clienttest.Page) {
	t.Helper()
	vigil, err := clienttest.New(slots)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vigil.Close(); err != nil {
			t.Error(err)
		}
	})
	p, err := Attach(duplicate(t, vigil.File))
	if err != nil {
		t.Fatal(err)
	}
	return p, vigil
}

func duplicate(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
