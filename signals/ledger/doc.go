// Package ledger is the record of every signal and of what came of it: a ring of
// entries in memory, and behind it two files of bounded size.
//
// Nothing here may stop the keeper: a call changes memory only, and one
// goroutine writes what has changed. A disk that is full, slow or hung costs
// lines in the file, and Stats says so. Nor can a storm fill a disk: signals that
// are merged change an entry, whose new state is written at most once a second
// and with its outcome, and a file that has its size is rotated, one old one is
// kept. The files are not synced: they outlive the keeper, and not always the
// machine.
package ledger
