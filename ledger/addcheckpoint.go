package ledger

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// AddCheckpoint is the body of an add-checkpoint request
// (c2sp.org/tlog-witness).
type AddCheckpoint struct {
	Old        uint64      // size of the checkpoint the witness cosigned last
	Proof      []tlog.Hash // consistency from Old to the checkpoint's size
	Checkpoint []byte      // signed note
}

// Marshal is the request body.
func (a AddCheckpoint) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString("old " + strconv.FormatUint(a.Old, 10) + "\n")
	writeHashes(&b, a.Proof)
	b.WriteByte('\n')
	b.Write(a.Checkpoint)
	return b.Bytes()
}

// ParseAddCheckpoint reads a request body. Nothing in it is verified.
func ParseAddCheckpoint(body []byte) (AddCheckpoint, error) {
	if len(body) > NoteBytesMax+50*ProofLinesMax+100 {
		return AddCheckpoint{}, refuse("add-checkpoint", "length")
	}
	headText, signed, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return AddCheckpoint{}, refuse("add-checkpoint", "lines")
	}
	lines := strings.Split(string(headText), "\n")
	old, ok := strings.CutPrefix(lines[0], "old ")
	if !ok {
		return AddCheckpoint{}, refuse("add-checkpoint", "old")
	}
	a := AddCheckpoint{Checkpoint: signed}
	if a.Old, ok = parseSize(old); !ok {
		return AddCheckpoint{}, refuse("add-checkpoint", "old")
	}
	if a.Proof, ok = parseHashes(lines[1:]); !ok {
		return AddCheckpoint{}, refuse("add-checkpoint", "proof")
	}
	if _, err := peek(signed); err != nil {
		return AddCheckpoint{}, err
	}
	return a, nil
}

// AddCheckpoint is the request that brings a witness from size old to the
// newest checkpoint. abaton.ErrNotFound if the witness claims more than there
// is.
func (l *Log) AddCheckpoint(old uint64) (AddCheckpoint, error) {
	c, signed := l.Checkpoint()
	p, err := l.Consistency(old, c.Size)
	if err != nil {
		return AddCheckpoint{}, err
	}
	return AddCheckpoint{Old: old, Proof: p, Checkpoint: signed}, nil
}

// FormatSize is the body of a 409 answer, of type text/x.tlog.size.
func FormatSize(size uint64) []byte { return append(strconv.AppendUint(nil, size, 10), '\n') }

// ParseSize reads the body of a 409 answer.
func ParseSize(body []byte) (uint64, error) {
	s, ok := strings.CutSuffix(string(body), "\n")
	if !ok {
		return 0, refuse("size", "form")
	}
	n, ok := parseSize(s)
	if !ok {
		return 0, refuse("size", "form")
	}
	return n, nil
}
