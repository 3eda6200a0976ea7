// Package restart decides whether and when a service is started again.
//
// It is pure: no clock, no randomness, no process. The caller passes the
// policy, what happened before, how the service ended and what time it is, and
// gets a decision and the new history back.
//
// The rules, in the order in which they are asked:
//
//   - An end that somebody asked for (an operator, a changed configuration) is
//     not ours to repair. It wipes the history: who acts by hand begins anew.
//   - An end that nobody asked for is a failure whatever its status, because a
//     server whose main loop ran into the end leaves with status 0 too. Only
//     the mode "on-failure" lets status 0 pass.
//   - Every such end uses up one start of the limit. When the window holds as
//     many of them as the limit allows, the service has failed for good. Only
//     an operator clears that.
//   - The first retry is immediate: most deaths are single. Then the delay
//     grows from Min by Factor up to Max, with jitter, so that services that
//     died together do not come back together.
//   - A service that was healthy for ResetAfter begins again at the first rung.
//     A service that never became ready does not count as healthy, however long
//     it tried: otherwise a start timeout would reset the very delay it causes.
//
// Times are CLOCK_BOOTTIME (see internal/clock), so a history can be handed to
// a successor process. A history from before a reboot holds times in the
// future; they are dropped.
package restart
