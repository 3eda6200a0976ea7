package control

// RouteReopen is where log files are opened anew: POST Reopen -> Reopened.
const RouteReopen = "/v1/reopen"

// Reopen asks for log files to be opened anew. It may be asked again and again,
// and by several clients at a time.
type Reopen struct {
	Services []string `json:"services"` // none: all of them
}

// Reopened is what came of it. It is good when no service has an error and no
// descriptor is stale.
type Reopened struct {
	Services []ReopenedService `json:"services"`
	Stale    []Stale           `json:"stale"`           // descriptors that still point at rotated or deleted files
	Error    string            `json:"error,omitempty"` // about vigil's own log
	Seconds  float64           `json:"seconds"`         // that it took
}

// ReopenedService is one service.
type ReopenedService struct {
	Service string `json:"service"`
	Output  string `json:"output,omitempty"` // file of its output, which is open anew
	Signal  string `json:"signal,omitempty"` // that the service was sent
	PID     int    `json:"pid,omitempty"`    // to this process
	Note    string `json:"note,omitempty"`   // why its own files could not be asked for or looked at
	Error   string `json:"error,omitempty"`
}

// Stale is a descriptor of a file that was rotated or deleted.
type Stale struct {
	Service string `json:"service"` // "" for vigil itself
	Process string `json:"process"` // its comm
	PID     int    `json:"pid"`
	FD      int    `json:"fd"`
	Path    string `json:"path"` // its present name, or its last one
	Deleted bool   `json:"deleted"`
}

// Good reports whether every file is open anew.
func (r Reopened) Good() bool {
	for _, s := range r.Services {
		if s.Error != "" {
			return false
		}
	}
	return r.Error == "" && len(r.Stale) == 0
}

// Reopener is the part of a Backend that opens files anew. The error wraps
// ErrNotFound for an unknown name; then nothing was done.
type Reopener interface {
	Reopen(ctx Context, r Reopen) (Reopened, error)
}
