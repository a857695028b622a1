package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is the text of a signed tree head (c2sp.org/tlog-checkpoint). A
// Checkpoint says nothing until its signature was verified by
// VerifyCheckpoint.
type Checkpoint struct {
	Origin string
	Size   uint64 // number of entries
	Root   tlog.Hash
}

// Text is the three lines that are signed.
func (c Checkpoint) Text() []byte {
	b := make([]byte, 0, len(c.Origin)+72)
	b = append(b, c.Origin...)
	b = append(b, '\n')
	b = strconv.AppendUint(b, c.Size, 10)
	b = append(b, '\n')
	b = base64.StdEncoding.AppendEncode(b, c.Root[:])
	return append(b, '\n')
}

// String is the text on one line, for people who compare two of them.
func (c Checkpoint) String() string {
	return strings.ReplaceAll(strings.TrimSuffix(string(c.Text()), "\n"), "\n", " ")
}

// ParseCheckpoint reads the text of a checkpoint, without signatures. It is
// stricter than C2SP: extension lines are refused, because nobody audits
// them.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	rest, ok := bytes.CutSuffix(text, []byte{'\n'})
	lines := strings.Split(string(rest), "\n")
	if !ok || len(lines) != 3 {
		return Checkpoint{}, refuse("checkpoint", "lines")
	}
	if !validOrigin(lines[0]) {
		return Checkpoint{}, refuse("checkpoint", "origin")
	}
	size, ok := parseSize(lines[1])
	if !ok {
		return Checkpoint{}, refuse("checkpoint", "size")
	}
	root, ok := parseHash(lines[2])
	if !ok {
		return Checkpoint{}, refuse("checkpoint", "root")
	}
	if size == 0 && root != emptyRoot() {
		return Checkpoint{}, refuse("checkpoint", "empty-root")
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// VerifyCheckpoint reads a signed checkpoint and verifies the signature of
// its ledger. Signatures of keys other than v's are ignored; one of v's key
// that does not verify refuses the whole note (c2sp.org/signed-note).
func VerifyCheckpoint(signed []byte, origin string, v note.Verifier) (Checkpoint, error) {
	c, _, err := openNote(signed, v)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != origin {
		return Checkpoint{}, refuse("checkpoint", "other-origin")
	}
	return c, nil
}

// openNote verifies that at least one of vs signed, and none of them badly.
func openNote(signed []byte, vs ...note.Verifier) (Checkpoint, *note.Note, error) {
	if len(signed) > NoteBytesMax {
		return Checkpoint{}, nil, refuse("checkpoint", "length")
	}
	n, err := note.Open(signed, note.VerifierList(vs...))
	if err != nil {
		return Checkpoint{}, nil, noteError(err)
	}
	c, err := ParseCheckpoint([]byte(n.Text))
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return c, n, nil
}

func noteError(err error) error {
	if _, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return refuse("checkpoint", "unsigned")
	}
	if _, ok := errors.AsType[*note.InvalidSignatureError](err); ok {
		return refuse("checkpoint", "signature")
	}
	return refuse("checkpoint", "note")
}

// peek reads the text of a signed note without verifying anything.
func peek(signed []byte) (Checkpoint, error) {
	_, _, err := openNote(signed)
	if c, ok := errors.AsType[*CheckError](err); !ok || c.Check != "unsigned" {
		return Checkpoint{}, err
	}
	text := signed[:bytes.LastIndex(signed, []byte("\n\n"))+1]
	return ParseCheckpoint(text)
}

// validOrigin allows what a key name may be (c2sp.org/signed-note), since key
// name and origin are the same here, and nothing that could be taken for the
// first line of a cosigned message.
func validOrigin(s string) bool {
	return s != "" && len(s) <= OriginBytesMax && utf8.ValidString(s) &&
		!strings.HasPrefix(s, "cosignature/") &&
		strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' }) < 0
}

// parseSize reads a decimal number without sign or leading zeroes.
func parseSize(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > SizeMax || strconv.FormatUint(n, 10) != s {
		return 0, false
	}
	return n, true
}

// parseHash reads the one base64 form of 32 bytes.
func parseHash(s string) (h tlog.Hash, ok bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(h) || len(s) != 44 {
		return h, false
	}
	return tlog.Hash(b), true
}
