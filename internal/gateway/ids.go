package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// A FHIR id that this gateway assigns is the tag of its patient, a dash, and
// 26 characters: so a read finds the patient without a search, and an id
// tells nothing to whoever lacks the organisation's key
// (docs/protocol/gateway.md#gateway-ids).
const (
	tagChars  = 8
	bodyChars = 26
	idChars   = tagChars + 1 + bodyChars
)

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ids makes and reads FHIR ids under the organisation's key.
type ids struct{ secret key.Secret }

func (i ids) mac(parts ...[]byte) []byte {
	m := hmac.New(sha256.New, i.secret[:])
	m.Write([]byte(wire.FHIRID))
	for _, p := range parts {
		sum := sha256.Sum256(p) // fixed length, so that parts cannot run into each other
		m.Write(sum[:])
	}
	return m.Sum(nil)
}

// tag names a patient in FHIR ids of this organisation.
func (i ids) tag(patient abaton.ActorID) string {
	return idEncoding.EncodeToString(i.mac([]byte("tag"), patient[:]))[:tagChars]
}

// fresh is a new id in a patient's chart.
func (i ids) fresh(patient abaton.ActorID) string {
	var b [17]byte
	rand.Read(b[:])
	return i.tag(patient) + "-" + idEncoding.EncodeToString(b[:])[:bodyChars]
}

// imported is the id of an entry of an import: the same for the same source,
// so that importing again adds nothing (RULINGS 26).
func (i ids) imported(patient abaton.ActorID, fullURL string, content []byte) (id string, source []byte) {
	source = i.mac([]byte("import"), patient[:], []byte(fullURL), content)
	return i.tag(patient) + "-" + idEncoding.EncodeToString(source)[:bodyChars], source
}

// tagOf is the patient's tag in an id of ours; false for any other id.
func tagOf(id string) (tag string, ok bool) {
	if len(id) != idChars || id[tagChars] != '-' {
		return "", false
	}
	for n := range len(id) {
		if b := id[n]; n != tagChars && (b < 'a' || b > 'z') && (b < '2' || b > '7') {
			return "", false
		}
	}
	return id[:tagChars], true
}
