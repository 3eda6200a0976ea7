// Package browser serves incidents, and the vigil that runs, to the pages of
// `vigil browse`: the JSON API of package api, and the pages themselves.
//
// Who may ask is decided in one place, guard: the Host that was asked for, where
// the request comes from, and a token or the session that was opened with it.
// Behind it no handler changes anything by GET.
package browser
