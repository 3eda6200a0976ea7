package supervisor

import (
	"testing"
	"time"

	"github.com/vigil-supervisor/vigil/snapshot/store"
	"github.com/vigil-supervisor/vigil/supervisor/config"
)

// TestRetention: every bound of the configuration reaches the store.
func TestRetention(t *testing.T) {
	s := &Supervisor{config: &config.Config{}}
	s.config.Incidents = config.Incidents{
		MaxBytes: 1 << 20, MaxAge: time.Hour, MinFree: config.Free{Bytes: 5, Percent: 10}, MinFreeInodes: 2.5, MaxPerFingerprint: 7,
	}
	want := store.Policy{
		MaxBytes: 1 << 20, MaxAge: time.Hour, MinFree: store.Floor{Least: 5, Percent: 10}, MinFreeInodes: store.Floor{Percent: 2.5}, MaxPerFingerprint: 7,
	}
	if got := s.retention(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
