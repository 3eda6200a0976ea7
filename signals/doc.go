// Package signals says what signals are called, who sent one, what each means
// to vigil, and in which order demands made by signal are carried out. It is
// pure: it reads no clock and does no input or output. Package intake receives
// signals, package ledger keeps the record of them.
//
// Standard signals are a level and not a count: while one is pending the kernel
// drops further ones (signal(7)), so "at least one more arrived" is all that
// anybody can know. The rules of Inbox follow from that.
package signals
