package snapshot

import (
	"strings"
	"testing"
)

func TestMaskValue(t *testing.T) {
	long := strings.Repeat("aB3", 20)
	for _, tt := range []struct{ name, value, want, rule string }{
		{"HOME", "/root", "/root", ""},
		{"DB_PASSWORD", "x", Mask, RuleName},
		{"DB_PASSWORD", "", "", ""},
		{"X", "postgres://u:p@h/db", "postgres://u:***@h/db", RuleURL},
		{"X", "AKIAIOSFODNN7EXAMPLE", Mask, RuleShape},
		{"X", "before ghp_" + strings.Repeat("a1", 18) + " after", "before *** after", RuleShape},
		{"X", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_1", Mask, RuleShape},
		{"X", "Authorization: Bearer abcdefghijklmnop1234", "Authorization: ***", RuleShape},
		{"X", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", Mask, RuleShape},
		{"X", "xoxb-123456789012-abcdef", Mask, RuleShape},
		{"X", "sk_live_" + long[:24], Mask, RuleShape},
		{"X", "$6$saltsalt$" + long, Mask, RuleShape},
		// What must stay: digests, ids, paths, addresses.
		{"X", "9c81348976100179b98a6e6e0dcc727c6dec4473", "9c81348976100179b98a6e6e0dcc727c6dec4473", ""},
		{"X", "550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000", ""},
		{"X", "sha256:" + strings.Repeat("0f", 32), "sha256:" + strings.Repeat("0f", 32), ""},
		{"X", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6", ""},
		{"X", "basic auth is used", "basic auth is used", ""},
	} {
		if got, rule := MaskValue(tt.name, tt.value); got != tt.want || rule != tt.rule {
			t.Errorf("MaskValue(%q, %q) = %q, %q; want %q, %q", tt.name, tt.value, got, rule, tt.want, tt.rule)
		}
	}
}

func FuzzMaskText(f *testing.F) {
	f.Add("Bearer abcdefghijklmnop1234 a://u:p@h AKIAIOSFODNN7EXAMPLE")
	f.Fuzz(func(t *testing.T, s string) {
		once, _ := MaskText(s)
		if twice, _ := MaskText(once); twice != once {
			t.Errorf("%q becomes %q, then %q", s, once, twice)
		}
	})
}

func TestAddMasked(t *testing.T) {
	var list []Masked
	for range 3 {
		list = AddMasked(list, "environment", "A", RuleName)
	}
	for range 2 * MaxMasked {
		list = AddMasked(list, "variables", strings.Repeat("x", len(list)), RuleShape)
	}
	if list[0].Count != 3 || len(list) != MaxMasked {
		t.Errorf("%+v", list)
	}
}
