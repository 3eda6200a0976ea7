package snapshot

import (
	"path"
	"regexp"
	"strings"
	"sync"
)

// assigned finds NAME=value, NAME: value and "NAME": "value" in a text, where the
// name has a word of a secret in it; also in JSON within JSON, whose quotes are
// escaped. A colon needs a space or a quote beside it: "token.go:14" is a place.
var assigned = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)([a-z0-9_.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|auth[_-]?key|cookie|jwt|session[_-]?id)[a-z0-9_-]*)` +
		`(\\?["']?\s?=\s?|\\?["']\s?:\s?|:\s+)` +
		`(\\"[^"\\]*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'&,;)}\]\\]+)`)
})

// header finds what an Authorization header has, whatever scheme it names.
var header = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(\b(?:proxy-)?authorization\\?["']?\s?[:=]\s?\\?["']?)((?:[a-z-]+ )?[^\s"'\\,]+)`)
})

// hints are what a text must have for either to be looked for: most have none.
var hints = []string{"passw", "passphrase", "pwd", "secret", "token", "credential", "cookie", "jwt", "session", "authorization",
	"api_key", "apikey", "api-key", "access_key", "accesskey", "access-key", "private_key", "privatekey", "private-key",
	"signing_key", "signingkey", "signing-key", "auth_key", "authkey", "auth-key"}

// maskAssigned masks values by the names that stand before them in a text. Only
// lines that can have one are looked at closely.
func maskAssigned(text string) string {
	if !hinted(text) {
		return text
	}
	if !strings.Contains(text, "\n") {
		return maskLine(text)
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if hinted(line) {
			line = maskLine(line)
		}
		b.WriteString(line)
	}
	return b.String()
}

func hinted(text string) bool {
	lower := strings.ToLower(text)
	for _, h := range hints {
		if strings.Contains(lower, h) {
			return true
		}
	}
	return false
}

func maskLine(text string) string {
	text = header().ReplaceAllString(text, "${1}"+Mask)
	return assigned().ReplaceAllStringFunc(text, func(found string) string {
		m := assigned().FindStringSubmatch(found)
		name, between, value := m[1], m[2], m[3]
		if harmless(name, value) {
			return found
		}
		quote := ""
		for _, q := range []string{`\"`, `"`, `'`} {
			if len(value) >= 2*len(q) && strings.HasPrefix(value, q) && strings.HasSuffix(value, q) {
				quote = q
				break
			}
		}
		return name + between + quote + Mask + quote
	})
}

// harmless knows names that have a secret's word in them and tell none.
func harmless(name, value string) bool {
	lower := strings.ToLower(name)
	switch bare := strings.Trim(value, `"'\`); {
	case bare == "" || bare == Mask:
		return true
	case (lower == "pwd" || lower == "oldpwd") && strings.HasPrefix(bare, "/"):
		return true
	case strings.HasSuffix(lower, "tokens") && strings.Trim(bare, "0123456789.") == "":
		return true // how many
	case path.Ext(lower) == ".go" || path.Ext(lower) == ".java" || path.Ext(lower) == ".py":
		return true // a file
	}
	return false
}

// LineMasker masks a text that comes line by line: a key in PEM has many. Its zero
// value is at the beginning of a text.
type LineMasker struct {
	key int // lines of a key that may still come
}

// maxKeyLines bounds how long a key is taken for one whose end is missing.
const maxKeyLines = 200

// Line masks the next line, and names the rule as MaskText does.
func (m *LineMasker) Line(text string) (shown, rule string) {
	if m.key > 0 {
		m.key--
		if strings.Contains(text, "-----END ") {
			m.key = 0
		}
		return Mask, RuleShape
	}
	begin := strings.LastIndex(text, "-----BEGIN ")
	if begin >= 0 && strings.Contains(text[begin:], "PRIVATE KEY-----") && !strings.Contains(text[begin:], "-----END ") {
		m.key = maxKeyLines
	}
	return MaskText(text)
}
