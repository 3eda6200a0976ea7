package config

// maxKept bounds the errors of one document that are kept, so that a file of
// nothing but mistakes costs neither time nor memory. MaxErrors are shown.
const maxKept = 200

// mistakes collects errors.
type mistakes struct {
	errs  Errors
	count int // also those over maxKept
}

// fail adds an error at a place.
func (m *mistakes) fail(at place, format string, args ...any) {
	m.count++
	if !m.full() {
		m.errs = append(m.errs, at.error(format, args...))
	}
}

// full reports whether what comes is only counted.
func (m *mistakes) full() bool { return m.count > maxKept }

// take adds the errors of another.
func (m *mistakes) take(o mistakes) {
	m.count += o.count
	m.errs = append(m.errs, o.errs...)
}
