package ledger

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// CosignedAt is the time at which v's key cosigned the checkpoint. It is how
// the age of a checkpoint is read; the caller compares it with its clock.
func CosignedAt(signed []byte, v note.Verifier) (Checkpoint, time.Time, error) {
	c, n, err := openNote(signed, v)
	if err != nil {
		return Checkpoint{}, time.Time{}, err
	}
	raw, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || len(raw) < 4 {
		return Checkpoint{}, time.Time{}, refuse("cosignature", "form")
	}
	unix, ok := cosignatureTime(raw[4:])
	if !ok {
		return Checkpoint{}, time.Time{}, refuse("cosignature", "form")
	}
	return c, time.Unix(int64(unix), 0), nil
}

// Cosigners lists the names among vs whose signature the checkpoint carries,
// in the order of the note. One bad signature of a known key refuses all.
func Cosigners(signed []byte, vs ...note.Verifier) (Checkpoint, []string, error) {
	c, n, err := openNote(signed, vs...)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	var names []string
	for _, s := range n.Sigs {
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return c, names, nil
}

// Countersign appends to a signed checkpoint the lines of a witness's answer
// that verify under one of vs. Lines of unknown keys are dropped; a bad line
// of a known key, and an answer without any good one, are refused.
func Countersign(signed, lines []byte, vs ...note.Verifier) ([]byte, error) {
	if len(signed)+len(lines) > NoteBytesMax || len(lines) == 0 {
		return nil, refuse("cosignature", "length")
	}
	if _, err := peek(signed); err != nil {
		return nil, err
	}
	_, n, err := openNote(append(textOf(signed), append([]byte{'\n'}, lines...)...), vs...)
	if err != nil {
		return nil, err
	}
	out := signed
	for _, s := range n.Sigs {
		out = append(without(out, s), "— "+s.Name+" "+s.Base64+"\n"...)
	}
	if len(out) > NoteBytesMax {
		return nil, refuse("cosignature", "length")
	}
	return out, nil
}

// textOf copies the text of a note, up to the line before the empty one.
func textOf(signed []byte) []byte {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	return bytes.Clone(signed[:i+1])
}

// without copies a signed note, leaving out the lines of the key that made s:
// a newer cosignature takes the place of the older one.
func without(signed []byte, s note.Signature) []byte {
	text := textOf(signed)
	out := append(text, '\n')
	for line := range bytes.Lines(signed[len(text)+1:]) {
		name, b64, _ := bytes.Cut(bytes.TrimPrefix(bytes.TrimSuffix(line, []byte{'\n'}), []byte("— ")), []byte{' '})
		raw, err := base64.StdEncoding.DecodeString(string(b64))
		if err == nil && len(raw) >= 4 && string(name) == s.Name && binary.BigEndian.Uint32(raw) == s.Hash {
			continue
		}
		out = append(out, line...)
	}
	return out
}
