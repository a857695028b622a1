// Package patients holds the sample patients, so that a binary brings them
// along: five synthetic people and the directory resources they refer to (see
// README.md beside it).
//
//	f, err := patients.Files.Open("0-hospitals.json.gz")
//
// Nobody in it is real; it protects nothing.
package patients

import "embed"

// Files are the Bundles, each compressed with gzip.
//
//go:embed *.json.gz
var Files embed.FS
