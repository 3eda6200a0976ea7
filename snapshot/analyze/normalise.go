package analyze

import (
	"regexp"
	"strings"
)

// maxName bounds the length of a function's name in a fingerprint, in bytes.
const maxName = 512

// A spelling is a part of a function's name that differs between two builds of
// the same code, or two starts of the same build.
type spelling struct {
	pattern *regexp.Regexp
	with    string
}

func spell(pattern, with string) spelling { return spelling{regexp.MustCompile(pattern), with} }

// spellings are taken out in this order.
var spellings = []spelling{
	// Go: vendored paths, the version of a module in its path, closures and
	// wrappers, which are numbered in the order of the source.
	spell(`^.*/vendor/|^vendor/`, ""),
	spell(`/v[0-9]+([./])`, "$1"),
	spell(`(%2e|\.)v[0-9]+\.`, "."),
	spell(`-fm$|-range[0-9]+`, ""),
	spell(`\.(func|gowrap|deferwrap)[0-9]+(\.[0-9]+)*`, ".func"),
	spell(`(\.func)+`, ".func"),
	spell(`\.init\.[0-9]+$`, ".init"),
	// JVM: modules and loaders, lambdas, proxies, generated and anonymous classes.
	spell(`^[A-Za-z0-9._-]*(@[^/]*)?/+([a-z][A-Za-z0-9_]*\.)`, "$2"),
	spell(`\$\$Lambda[$/0-9a-fx.]*[0-9a-f]`, "$$$$Lambda"),
	spell(`(LambdaForm\$[A-Z]+)[/.0-9a-fx]+[0-9a-f]`, "$1"),
	spell(`(lambda\$[A-Za-z0-9_]+)\$[0-9]+`, "$1"),
	spell(`(\$Proxy|(?:Method|Constructor|Serialization\w*)Accessor|access\$)[0-9]+`, "$1"),
	spell(`(\$\$[A-Za-z]+By[A-Za-z]+)\$\$[0-9a-f]+`, "$1"),
	spell(`\$[0-9]+`, "$$"),
	spell(`/0x[0-9a-f]+`, ""),
	// Native: offsets, versions, clones that an optimiser made, hashes.
	spell(`\+0x[0-9a-f]+.*$|@.*$`, ""),
	spell(`\.(constprop|part|isra|cold|lto_priv|llvm)(\.[0-9]+)*`, ""),
	spell(`::h[0-9a-f]{16}$`, ""),
	spell(`#[0-9]+`, "#"),
	spell(`^C\.`, ""),
}

// normal is a function's name as it stands in a fingerprint: the same for the
// same code in another build.
func normal(function string) string {
	if len(function) > maxName {
		function = function[:maxName]
	}
	function = withoutBrackets(function)
	// The loaders' rule must not take an import path of Go for a module.
	jvm := strings.Contains(function, "@") || strings.Contains(function, "//")
	for i, s := range spellings {
		if i == loaderRule && !jvm {
			continue
		}
		function = s.pattern.ReplaceAllString(function, s.with)
	}
	// The arguments of a C++ function; Go has its parentheses further left.
	if strings.HasSuffix(function, ")") || strings.HasSuffix(function, ") const") {
		if i := strings.IndexByte(function, '('); i > 0 {
			function = function[:i]
		}
	}
	return function
}

// loaderRule is the index of the rule about modules of a JVM.
const loaderRule = 7

// withoutBrackets takes out what stands in square brackets, however nested: the
// shapes of Go's generics, tags of C++.
func withoutBrackets(s string) string {
	if !strings.ContainsRune(s, '[') {
		return s
	}
	var b strings.Builder
	depth := 0
	for _, r := range s {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth = max(0, depth-1)
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return b.String()
}
