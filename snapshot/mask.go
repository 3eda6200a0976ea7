package snapshot

import (
	"regexp"
	"strings"
	"sync"
)

// Rules of masking, as a report names them.
const (
	RuleName  = "name"  // the name of a value looks secret
	RuleURL   = "url"   // a URL with a password
	RuleShape = "shape" // the value looks like a token or key of a known kind
)

// shapes are secrets that can be told by how they look, whatever they are called.
// Each has a prefix or a form that nothing else has; long random texts alone are
// not masked, since build ids, digests and trace ids look the same.
var shapes = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(strings.Join(shapeList, "|")) })

// shapeHints is what a line must have for a shape to be in it. Most lines have
// none, and a regular expression is slow.
var shapeHints = []string{"eyJ", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "k_live_", "k_test_",
	"AIza", "SG.", "sk-", "earer ", "EARER ", "asic ", "ASIC ", "$2", "$5$", "$6$", "$argon2"}

// pem is a private key, RFC 7468, to its end or that of the text.
var pem = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?s:.*?)-----END [A-Z ]*PRIVATE KEY-----|(?s:.*))`)
})

var shapeList = []string{
	`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`, // JSON web token, RFC 7519
	`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`,                              // AWS access key id
	`\bgh[pousr]_[A-Za-z0-9]{36,255}\b`,                          // GitHub
	`\bgithub_pat_[A-Za-z0-9_]{22,255}\b`,                        // GitHub, fine-grained
	`\bglpat-[A-Za-z0-9_-]{20,}`,                                 // GitLab
	`\bxox[abeoprs]-[A-Za-z0-9-]{10,}`,                           // Slack
	`\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}\b`,                   // Stripe
	`\bAIza[A-Za-z0-9_-]{35}`,                                    // Google API key
	`\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}`,               // SendGrid
	`\bsk-[A-Za-z0-9_-]{32,}`,                                    // keys of language models
	`\b(?i:bearer|basic) [A-Za-z0-9._~+/=-]{16,}`,                // headers, RFC 6750 and 7617
	`\$(?:2[aby]|5|6|argon2id?)\$[./A-Za-z0-9$,=+]{20,}`,         // hashes of passwords, crypt(5)
}

// MaskValue returns what of a value of that name may be shown, and the rule by
// which it was masked, "" when it was not. The name may be "".
func MaskValue(name, value string) (shown, rule string) {
	if value == "" {
		return value, ""
	}
	if LooksSecret(name) {
		return Mask, RuleName
	}
	return MaskText(value)
}

// MaskText masks in a text, as a line of output, what looks secret by itself, and
// names the last rule that it used, "" when it used none. Done twice it is as
// done once.
func MaskText(text string) (shown, rule string) {
	if s := MaskURLs(text); s != text {
		text, rule = s, RuleURL
	}
	if s := maskShapes(text); s != text {
		text, rule = s, RuleShape
	}
	if s := maskAssigned(text); s != text {
		text, rule = s, RuleName
	}
	return text, rule
}

func maskShapes(text string) string {
	if strings.Contains(text, "-----BEGIN ") {
		text = pem().ReplaceAllString(text, Mask)
	}
	return eachLine(text, shapeHints, func(line string) string { return shapes().ReplaceAllString(line, Mask) })
}

// eachLine changes the lines that have one of the hints.
func eachLine(text string, hints []string, change func(string) string) string {
	has := func(t string) bool {
		for _, h := range hints {
			if strings.Contains(t, h) {
				return true
			}
		}
		return false
	}
	if !has(text) {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if has(line) {
			line = change(line)
		}
		b.WriteString(line)
	}
	return b.String()
}

// Masked is one kind of value that was masked. Values are never in it.
type Masked struct {
	Where string `json:"where"` // "environment", "command", "variables", "output"
	Name  string `json:"name,omitempty"`
	Rule  string `json:"rule"`
	Count int    `json:"count"`
}

// MaxMasked bounds the report of what was masked.
const MaxMasked = 256

// AddMasked counts one value.
func AddMasked(list []Masked, where, name, rule string) []Masked {
	for i := range list {
		if list[i].Where == where && list[i].Name == name && list[i].Rule == rule {
			list[i].Count++
			return list
		}
	}
	if len(list) < MaxMasked {
		list = append(list, Masked{where, name, rule, 1})
	}
	return list
}
