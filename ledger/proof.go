package ledger

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// proofHeader is the first line of a proof file (c2sp.org/tlog-proof@v1).
const proofHeader = "c2sp.org/tlog-proof@v1"

// Proof is a receipt: that a leaf is in a ledger, to be checked without
// asking anybody (c2sp.org/tlog-proof).
type Proof struct {
	Extra      []byte // not authenticated; empty means no extra line
	Index      uint64
	Path       []tlog.Hash
	Checkpoint []byte // signed note
}

// Marshal is the text form, for a file named *.tlog-proof.
func (p Proof) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString(proofHeader + "\n")
	if len(p.Extra) > 0 {
		b.WriteString("extra " + base64.StdEncoding.EncodeToString(p.Extra) + "\n")
	}
	b.WriteString("index " + strconv.FormatUint(p.Index, 10) + "\n")
	writeHashes(&b, p.Path)
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseProof reads the text form. Nothing in it is verified.
func ParseProof(text []byte) (Proof, error) {
	if len(text) > NoteBytesMax+2*ExtraBytesMax+50*ProofLinesMax+100 {
		return Proof{}, refuse("proof", "length")
	}
	headText, signed, ok := bytes.Cut(text, []byte("\n\n"))
	if !ok {
		return Proof{}, refuse("proof", "lines")
	}
	lines := strings.Split(string(headText), "\n")
	if lines[0] != proofHeader {
		return Proof{}, refuse("proof", "header")
	}
	p := Proof{Checkpoint: signed}
	lines, err := p.parseExtra(lines[1:])
	if err != nil {
		return Proof{}, err
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return Proof{}, refuse("proof", "index")
	}
	if p.Index, ok = parseSize(lines[0][len("index "):]); !ok {
		return Proof{}, refuse("proof", "index")
	}
	if p.Path, ok = parseHashes(lines[1:]); !ok {
		return Proof{}, refuse("proof", "path")
	}
	if _, err := peek(signed); err != nil {
		return Proof{}, err
	}
	return p, nil
}

func (p *Proof) parseExtra(lines []string) ([]string, error) {
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "extra ") {
		return lines, nil
	}
	text := lines[0][len("extra "):]
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) == 0 || len(b) > ExtraBytesMax || base64.StdEncoding.EncodeToString(b) != text {
		return nil, refuse("proof", "extra")
	}
	p.Extra = b
	return lines[1:], nil
}

// Verify checks the ledger's signature and that the leaf is in its tree. How
// many peers cosigned, and when, is for Cosigners and CosignedAt.
func (p Proof) Verify(leaf Leaf, origin string, v note.Verifier) (Checkpoint, error) {
	c, err := VerifyCheckpoint(p.Checkpoint, origin, v)
	if err != nil {
		return Checkpoint{}, err
	}
	return c, VerifyInclusion(c, p.Index, leaf, p.Path)
}

func writeHashes(b *bytes.Buffer, hs []tlog.Hash) {
	for _, h := range hs {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]))
		b.WriteByte('\n')
	}
}

func parseHashes(lines []string) ([]tlog.Hash, bool) {
	if len(lines) > ProofLinesMax {
		return nil, false
	}
	var out []tlog.Hash
	for _, s := range lines {
		h, ok := parseHash(s)
		if !ok {
			return nil, false
		}
		out = append(out, h)
	}
	return out, true
}
