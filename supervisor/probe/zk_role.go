package probe

import (
	"context"
	"io"
	"net"
	"strings"
	"time"
)

// Bounds of the question for the role.
const (
	maxReport = 64 << 10
	roleTime  = time.Second
)

// notServing is what a server without a role answers: it looks for a leader.
const notServing = "the server is not currently serving requests"

// askRole asks for the server's report by srvr, the one command of four letters
// that a server allows whatever its whitelist is (seen with 3.8.0). It returns
// the role, or why that is unknown.
func askRole(ctx context.Context, address string) (role, why string) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, roleTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", dialText(ctx, began, address, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	var report []byte
	if _, err = io.WriteString(conn, "srvr"); err == nil {
		report, err = io.ReadAll(io.LimitReader(conn, maxReport))
	}
	if role, why = roleOf(string(report)); role != "" || err == nil {
		return role, why
	}
	if ctx.Err() != nil {
		return "", "srvr: " + silence(ctx, began)
	}
	return "", "srvr: " + cause(err).Error()
}

// roleOf finds the role in a report.
func roleOf(report string) (role, why string) {
	for l := range strings.Lines(report) {
		mode, ok := strings.CutPrefix(strings.TrimSpace(l), "Mode: ")
		if !ok {
			continue
		}
		switch mode {
		case "leader", "follower", "observer", "standalone":
			return mode, ""
		}
		return "", "the server's mode is " + head(mode, 40)
	}
	switch {
	case strings.Contains(report, "not in the whitelist"):
		return "", "srvr is not in the server's whitelist"
	case strings.Contains(report, "not currently serving requests"):
		return "", notServing
	case report == "":
		return "", "srvr: no answer, the connection was closed"
	}
	return "", "srvr: the answer names no mode"
}
