package relation

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// HoneyWord is a made-up patient's own word that it is one, signed under
// wire.Honey by a managing key of its log (PROTOCOL.md#honey). Without it one
// managing key of an organisation could call a real patient made up, and have
// everybody suspended who treats that patient.
type HoneyWord struct {
	V            uint8          `cbor:"1,keyasint"`
	Patient      abaton.ActorID `cbor:"2,keyasint"`
	Organisation abaton.ActorID `cbor:"3,keyasint"`
	Key          abaton.KeyID   `cbor:"4,keyasint"`
	Until        int64          `cbor:"5,keyasint"` // unix seconds: of the entries it is in, at most
}

// MakeHoney is the entry that tells of a made-up patient, with its word signed
// by a managing key of its own.
func MakeHoney(patientKey *key.Signing, patient, organisation abaton.ActorID, from, until int64) Entry {
	w := HoneyWord{V: wire.Version, Patient: patient, Organisation: organisation, Key: patientKey.ID(), Until: until}
	word := wire.Marshal(patientKey.Seal(wire.Honey, wire.Marshal(w)))
	return Entry{Patient: patient, Kind: Honey, From: from, Until: until, Word: word}
}

// WordKey is the key of the patient that signed the entry's word; zero where it
// has none. Parse has verified the signature; whether the key is live is the
// keeper's question.
func (e *Entry) WordKey() abaton.KeyID {
	var s wire.Signed
	var w HoneyWord
	if len(e.Word) == 0 || wire.Unmarshal(e.Word, &s) != nil || wire.Unmarshal(s.Body, &w) != nil {
		return abaton.KeyID{}
	}
	return w.Key
}

func readWord(organisation abaton.ActorID, e *Entry) (HoneyWord, error) {
	var s wire.Signed
	var w HoneyWord
	if wire.Unmarshal(e.Word, &s) != nil || wire.Unmarshal(s.Body, &w) != nil || w.V != wire.Version {
		return w, abaton.Refuse(abaton.ReasonMalformed)
	}
	if w.Patient != e.Patient || w.Organisation != organisation || w.Key == (abaton.KeyID{}) || e.Until > w.Until {
		return w, abaton.Refuse(abaton.ReasonMalformed)
	}
	if !key.Verify(w.Key, wire.Honey, s.Body, s.Sig) {
		return w, abaton.Refuse(abaton.ReasonSignature)
	}
	return w, nil
}
