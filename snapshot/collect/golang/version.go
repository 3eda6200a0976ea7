package golang

import (
	"fmt"

	"github.com/go-delve/delve/pkg/goversion"
	"github.com/go-delve/delve/service/api"
)

// unknownVersion says what a version of Go means for a reading, "" when it is
// one that Delve knows.
func unknownVersion(v goversion.GoVersion) string {
	switch {
	case v.IsOldDevel() || v.Major == 0:
		return "the version of Go that built the program is unknown to this reader: variables and waiting can be read wrongly"
	case v.Major > goversion.MaxSupportedVersionOfGoMajor || v.Major == goversion.MaxSupportedVersionOfGoMajor && v.Minor > goversion.MaxSupportedVersionOfGoMinor:
		return fmt.Sprintf("Go %d.%d is unknown to this reader, which knows Go up to %d.%d: variables can be read wrongly",
			v.Major, v.Minor, goversion.MaxSupportedVersionOfGoMajor, goversion.MaxSupportedVersionOfGoMinor)
	}
	return ""
}

// atLeast reports whether the program was built by Go 1.minor or a later one.
func (r *reading) atLeast(minor int) bool {
	return r.version.IsOldDevel() || r.version.Major > 1 || r.version.Major == 1 && r.version.Minor >= minor
}

// maxReasons bounds the reasons of waiting; Go 1.26 has 45.
const maxReasons = 256

// readReasons reads the runtime's own words for what a goroutine waits for, so
// that they are right for any version.
func (r *reading) readReasons() {
	r.safely("the words for waiting", func() {
		v, err := r.eval("runtime.waitReasonStrings")
		if err != nil || v.Addr == 0 || v.Len <= 0 || v.Len > maxReasons {
			return
		}
		for i := range uint64(v.Len) {
			r.reasons = append(r.reasons, r.mem.text(v.Addr+16*i, 64))
		}
	})
}

// waitReason words one: as the program does, else as Delve knows it of that
// version, else by its number.
func (r *reading) waitReason(n uint64) string {
	switch {
	case n < uint64(len(r.reasons)) && r.reasons[n] != "":
		return r.reasons[n]
	case n == 0:
		return ""
	case unknownVersion(r.version) == "":
		return api.WaitReasonString(&r.version, int64(n))
	}
	return fmt.Sprintf("reason %d", n)
}
