package api

// Login trades the token of `vigil browse` for the session's cookie.
type Login struct {
	Token string `json:"token"`
}

// About is what is served.
type About struct {
	Version string   `json:"version"` // of vigil
	API     int      `json:"api"`
	Sources []Source `json:"sources"`
	Live    bool     `json:"live"`              // served by or beside a running vigil
	MayAct  bool     `json:"may_act"`           // this user may start, stop, restart, snapshot, reload
	Offline bool     `json:"offline,omitempty"` // an exported page: nothing can be asked for
}

// Source is a place that incidents come from.
type Source struct {
	Name    string `json:"name"` // short, unique
	Path    string `json:"path"`
	Kind    string `json:"kind"` // "store" or "bundle"
	Problem string `json:"problem,omitempty"`
}

// Error is the body of an answer that is not 2xx.
type Error struct {
	Code    string `json:"code"`  // from the table of codes of package control, or "unauthorized", "gone"
	Message string `json:"error"` // a sentence
}
