package snapshot

import (
	"path"
	"strings"
)

// Mask stands in the place of a value that is not shown.
const Mask = "***"

// LooksSecret reports whether a value of that name (an environment variable, an
// option, a Go variable or field, a map key) should not be shown. It ignores
// case, '_', '-' and '.', and looks for: password, passwd, passphrase, pwd,
// secret, token, credential, apikey, accesskey, privatekey, signingkey,
// encryptionkey, authkey, authorization, bearer, cookie, sessionid, jwt, dsn,
// connectionstring anywhere; and for the names "auth", "key" and "pass", alone
// or as the last word ("API_KEY", "basicAuth"). It errs towards masking.
func LooksSecret(name string) bool {
	flat := strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "").Replace(name))
	for _, part := range [...]string{"password", "passwd", "passphrase", "pwd", "secret", "token", "credential",
		"apikey", "accesskey", "privatekey", "signingkey", "encryptionkey", "authkey", "authorization", "bearer",
		"cookie", "sessionid", "jwt", "dsn", "connectionstring"} {
		if strings.Contains(flat, part) && name != "PWD" && name != "OLDPWD" {
			return true
		}
	}
	switch last := lastWord(name); last {
	case "auth", "key", "pass":
		return true
	}
	return false
}

// lastWord is the last word of a name in snake, kebab or camel case, lower case.
func lastWord(name string) string {
	if i := strings.LastIndexAny(name, "_-. "); i >= 0 {
		name = name[i+1:]
	}
	for i := len(name) - 1; i > 0; i-- {
		if isUpper(name[i]) && !isUpper(name[i-1]) {
			return strings.ToLower(name[i:])
		}
	}
	return strings.ToLower(name)
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// MaskArguments returns a copy of a command line with the values of secret
// options masked: --password=x, -password x, PASSWORD=x; and what looks secret by
// itself, see MaskText.
func MaskArguments(args []string) []string {
	out, _ := ReportArguments(args)
	return out
}

// ReportArguments masks as MaskArguments does, and reports what.
func ReportArguments(args []string) (out []string, masked []Masked) {
	out = make([]string, len(args))
	next := false
	for i, a := range args {
		name, _, assigned := strings.Cut(a, "=")
		dashed := strings.HasPrefix(a, "-")
		secret := LooksSecret(strings.TrimLeft(name, "-"))
		switch {
		case next && !dashed:
			out[i] = Mask
			masked = AddMasked(masked, "command", args[i-1], RuleName)
		case assigned && secret:
			out[i] = name + "=" + Mask
			masked = AddMasked(masked, "command", name, RuleName)
		default:
			var rule string
			if out[i], rule = MaskText(a); rule != "" {
				masked = AddMasked(masked, "command", "", rule)
			}
		}
		next = dashed && !assigned && secret
	}
	return out, maskOptions(args, out, masked)
}

// options are those of well-known programs that take a secret and do not say so
// by their name.
var options = map[string]struct {
	names  []string
	joined bool // in the same word only
	user   bool // the value is user:password
}{
	"mysql": {names: []string{"-p"}, joined: true}, "mariadb": {names: []string{"-p"}, joined: true},
	"mysqldump": {names: []string{"-p"}, joined: true}, "mysqladmin": {names: []string{"-p"}, joined: true},
	"sshpass": {names: []string{"-p"}}, "redis-cli": {names: []string{"-a", "--pass"}}, "mongosh": {names: []string{"-p"}}, "ldapsearch": {names: []string{"-w"}},
	"curl": {names: []string{"-u", "--user", "-U", "--proxy-user"}, user: true},
}

func maskOptions(args, out []string, masked []Masked) []Masked {
	if len(args) == 0 {
		return masked
	}
	o, known := options[path.Base(args[0])]
	if !known {
		return masked
	}
	hide := func(i int, before, value string) {
		if o.user {
			user, _, two := strings.Cut(value, ":")
			if !two {
				return
			}
			before += user + ":"
		}
		out[i] = before + Mask
		masked = AddMasked(masked, "command", path.Base(args[0])+" option", RuleName)
	}
	for i := 1; i < len(args); i++ {
		for _, name := range o.names {
			switch {
			case o.joined && len(args[i]) > len(name) && strings.HasPrefix(args[i], name) && !strings.HasPrefix(args[i], "--"):
				hide(i, name, args[i][len(name):])
			case !o.joined && args[i] == name && i+1 < len(args):
				hide(i+1, "", args[i+1])
			}
		}
	}
	return masked
}

// MaskEnvironment returns a copy of NAME=value pairs with secret values masked.
func MaskEnvironment(env []string) []string {
	out, _ := ReportEnvironment(env)
	return out
}

// ReportEnvironment masks as MaskEnvironment does, and reports what.
func ReportEnvironment(env []string) (out []string, masked []Masked) {
	out = make([]string, len(env))
	for i, e := range env {
		name, value, ok := strings.Cut(e, "=")
		if !ok {
			name, value = "", e
		}
		shown, rule := MaskValue(name, value)
		if out[i] = shown; ok {
			out[i] = name + "=" + shown
		}
		if rule != "" {
			masked = AddMasked(masked, "environment", name, rule)
		}
	}
	return out, masked
}

// minUserToken is how long a user in a URL must be to be taken for a token: names
// are shorter.
const minUserToken = 20

// MaskURLs hides the password in every scheme://user:password@host of s, and the
// token in scheme://TOKEN@host. A scheme without either stays as it is.
func MaskURLs(s string) string {
	scheme := strings.Index(s, "://")
	if scheme < 0 {
		return s
	}
	rest := s[scheme+3:]
	end := strings.IndexAny(rest, "/?# \n")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@')
	colon := strings.IndexByte(rest[:end], ':')
	if at >= minUserToken && (colon < 0 || colon > at) {
		return s[:scheme+3] + Mask + rest[at:end] + MaskURLs(rest[end:])
	}
	if at < 0 || colon < 0 || colon > at {
		return s[:scheme+3] + rest[:end] + MaskURLs(rest[end:])
	}
	return s[:scheme+3] + rest[:colon+1] + Mask + rest[at:end] + MaskURLs(rest[end:])
}
