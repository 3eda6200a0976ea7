package server

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/vigil-supervisor/vigil/control"
	"github.com/vigil-supervisor/vigil/internal/harmless"
	"github.com/vigil-supervisor/vigil/internal/proctree"
)

func (s *Server) signal(w http.ResponseWriter, r *http.Request) {
	ask, err := decodeSignal(r.Body)
	if err != nil {
		failDecode(w, err)
		return
	}
	unhurried(w)
	results, err := s.backend.Signal(r.Context(), caller(r), ask)
	if err != nil {
		failBackend(w, err)
		return
	}
	if results == nil {
		results = []control.SignalResult{}
	}
	reply(w, results)
}

func decodeSignal(body io.Reader) (control.SignalAsk, error) {
	ask, err := decodeStrictly[control.SignalAsk](body)
	switch {
	case err != nil:
	case ask.Signal == "":
		err = errors.New("no signal is named")
	case len(ask.Services) == 0:
		err = errors.New("no service is named")
	case len(ask.Services) > MaxServices:
		err = errTooMany
	}
	return ask, err
}

// caller is who made a request. guard has let it through, so the connection is
// known. The command is read while the caller waits for the answer.
func caller(r *http.Request) control.Caller {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok {
		return control.Caller{UID: -1}
	}
	who := control.Caller{PID: c.pid, UID: c.uid}
	if c.pid > 0 {
		who.Command = comm(c.pid)
		if p, err := proctree.Read(c.pid); err == nil && p.PPID > 0 {
			who.Parent, who.ParentCommand = p.PPID, comm(p.PPID)
		}
	}
	return who
}

// comm is the name of a process, "" when it is gone.
func comm(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return ""
	}
	return harmless.Text(strings.TrimSuffix(string(text), "\n"), nil)
}
