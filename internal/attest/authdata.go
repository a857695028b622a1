package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/abaton-health/abaton/key"
)

// Authenticator data (WebAuthn Level 3, section 6.1): the hash of the RP ID,
// flags, counter, then model, credential id and COSE key.
const (
	flagsAt    = 32
	modelAt    = 37
	idLengthAt = modelAt + 16
	idAt       = idLengthAt + 2
	idMax      = 1023

	userPresent    = 1 << 0
	userVerified   = 1 << 2
	backupEligible = 1 << 3
	backedUp       = 1 << 4
	attested       = 1 << 6
	extensions     = 1 << 7
)

func readAuthData(b []byte, rpID string) (*Made, error) {
	rp := sha256.Sum256([]byte(rpID))
	if len(b) < idAt || rpID == "" || !bytes.Equal(b[:flagsAt], rp[:]) {
		return nil, refuse("relying party")
	}
	const need = userPresent | userVerified | attested
	if b[flagsAt]&need != need {
		return nil, refuse("user verification")
	}
	if b[flagsAt]&(backupEligible|backedUp) != 0 {
		return nil, refuse("synced")
	}
	n := int(binary.BigEndian.Uint16(b[idLengthAt:]))
	if n == 0 || n > idMax || len(b) < idAt+n {
		return nil, refuse("credential id")
	}
	made := &Made{CredentialID: bytes.Clone(b[idAt : idAt+n])}
	copy(made.Model[:], b[modelAt:])
	public, rest, ok := readKey(b[idAt+n:])
	if !ok || !public.Valid() {
		return nil, refuse("public key")
	}
	if (len(rest) > 0) != (b[flagsAt]&extensions != 0) {
		return nil, refuse("authenticator data")
	}
	made.Public = public
	return made, nil
}

// readKey reads a COSE key in its one CTAP2 form, which has a fixed frame for
// each algorithm (RFC 9053, sections 7.1 and 7.2; RFC 8230, section 4).
func readKey(b []byte) (public key.Public, rest []byte, ok bool) {
	if after, found := bytes.CutPrefix(b, []byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}); found && len(after) >= 67 &&
		bytes.Equal(after[32:35], []byte{0x22, 0x58, 32}) {
		public = append(key.Public{key.AlgorithmES256, 4}, after[:32]...)
		return append(public, after[35:67]...), after[67:], true
	}
	if after, found := bytes.CutPrefix(b, []byte{0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32}); found && len(after) >= 32 {
		return append(key.Public{key.AlgorithmEdDSA}, after[:32]...), after[32:], true
	}
	if after, found := bytes.CutPrefix(b, []byte{0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59}); found && len(after) >= 2 {
		n := int(binary.BigEndian.Uint16(after))
		end := []byte{0x21, 0x43, 1, 0, 1} // e = 65537
		if after = after[2:]; len(after) >= n+len(end) && bytes.Equal(after[n:n+len(end)], end) {
			return append(key.Public{key.AlgorithmRS256}, after[:n]...), after[n+len(end):], true
		}
	}
	return nil, nil, false
}
