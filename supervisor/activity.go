package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/vigil-supervisor/vigil/heartbeat/wire"
	"github.com/vigil-supervisor/vigil/internal/clock"
	"github.com/vigil-supervisor/vigil/keeper/protocol"
	"github.com/vigil-supervisor/vigil/supervisor/watchdog"
)

// pageFile is the name under which the keeper keeps the page of activities of a
// service, to give it to the next instance and to the next supervisor.
func pageFile(service string) string { return "heartbeat/" + service }

// givePage makes a page for the instance that is about to start. One that cannot
// be had costs the signs, not the service.
func (v *service) givePage(start *protocol.Start) {
	v.dropPage()
	if v.cfg.Heartbeat.Activities == 0 {
		return
	}
	f, err := watchdog.NewPage(v.cfg.Heartbeat.Activities)
	if err == nil {
		v.page, err = watchdog.MapPage(f)
		if err == nil {
			v.s.check(v.s.keeper.send(protocol.TPutFile, protocol.Name{Name: pageFile(v.cfg.Name)}, []*os.File{f}, nil))
		}
		f.Close()
	}
	if err != nil {
		v.s.event(v.cfg.Name, "alert", "no activities can be watched: "+err.Error())
		return
	}
	start.Env = append(start.Env, fmt.Sprintf("%s=%d", wire.HeartbeatFD, firstExtra+start.Passed+len(start.Files)))
	start.Files = append(start.Files, pageFile(v.cfg.Name))
	start.Wipe = append(start.Wipe, protocol.Wipe{Name: pageFile(v.cfg.Name), From: wire.HeaderSize})
}

// recoverPage takes over the page that the keeper has kept, or, where that keeper
// is gone too, the one that the program has mapped.
func (v *service) recoverPage(f *os.File, pid int) {
	if f == nil {
		if f = v.recoverMapped(pid, watchdog.PageName, pageFile(v.cfg.Name), v.cfg.Heartbeat.Activities > 0); f == nil {
			return
		}
	}
	defer f.Close()
	page, err := watchdog.MapPage(f)
	if err != nil {
		v.s.event(v.cfg.Name, "alert", "its activities are not watched: "+err.Error())
		return
	}
	v.page = page
}

func (v *service) dropPage() {
	if v.page == nil {
		return
	}
	v.watch.remove(v.activities)
	v.activities = nil
	_ = v.page.Close()
	v.page = nil
}

// armActivities begins to judge them.
func (v *service) armActivities() {
	if v.page == nil || v.activities != nil || !v.isUp() {
		return
	}
	v.activities = watchdog.NewActivities(v.page, watchdog.ActivityOptions{
		Timeout: v.cfg.Heartbeat.Timeout, Stop: v.cfg.StopTimeout, Share: v.suspectShare(), Who: v.whoIs,
	})
	v.watch.others = append(v.watch.others, v.activities)
	v.onVerdicts(v.activities.Check(clock.Boot()))
}

// suspectShare is the first threshold as a share of the second.
func (v *service) suspectShare() float64 {
	h := v.cfg.Heartbeat
	if h.Timeout <= 0 || h.Suspect <= 0 {
		return 0
	}
	return float64(h.Suspect) / float64(h.Timeout)
}

// whoIs names a thread of the service, and tells when its process has ended. A
// service in a pid namespace of its own counts otherwise than we do: of such a
// one nothing is known.
func (v *service) whoIs(pid, tid uint32) (comm string, ended bool) {
	dir := filepath.Join("/proc", strconv.FormatUint(uint64(pid), 10))
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return "", samePIDs(v.started.PID)
	}
	if m := v.members().Load(); m == nil {
		return "", false
	} else if ok, _ := m.Belongs(int(pid), -1); !ok {
		return "", false
	}
	text, err := readShort(filepath.Join(dir, "task", strconv.FormatUint(uint64(tid), 10), "comm"))
	if err != nil {
		return "", false
	}
	return string(bytes.TrimSuffix(text, []byte{'\n'})), false
}

// samePIDs reports whether a process lives in our pid namespace,
// pid_namespaces(7).
func samePIDs(pid int) bool {
	theirs, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns", "pid"))
	ours, own := os.Readlink("/proc/self/ns/pid")
	return err == nil && own == nil && theirs == ours
}
