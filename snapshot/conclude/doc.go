// Package conclude draws the files of an incident directory together into its
// manifest: what the capture did, what is missing, the sentence, the
// fingerprint. A supervisor does so for its services, the command line for a
// process that no vigil keeps.
package conclude
