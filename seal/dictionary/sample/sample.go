// Package sample makes training samples that look like what package seal
// compresses: an envelope before the resource. It exists apart from the
// generator so that seal itself need not be built to train its dictionary.
//
//	record, kind, err := sample.Record(resourceJSON)
//
// Its envelopes name nobody: all their names are random.
package sample

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// envelope has the layout of seal.Envelope (PROTOCOL.md#envelope).
type envelope struct {
	Patient     abaton.ActorID `cbor:"1,keyasint"`
	Line        abaton.Line    `cbor:"2,keyasint"`
	Kind        uint8          `cbor:"3,keyasint"`
	Type        string         `cbor:"4,keyasint"`
	ID          string         `cbor:"5,keyasint"`
	VersionID   string         `cbor:"6,keyasint"`
	LastUpdated uint64         `cbor:"7,keyasint"`
	Parents     []string       `cbor:"8,keyasint"`
	Person      abaton.ActorID `cbor:"9,keyasint"`
	Transaction []byte         `cbor:"10,keyasint"`
	Source      []byte         `cbor:"11,keyasint"`
	Deleted     bool           `cbor:"12,keyasint"`
}

// Record is resource behind an envelope, and what it is an example of: its
// type with its first code.
func Record(resource []byte) (record []byte, name string, err error) {
	var r struct {
		ResourceType string
		Code         json.RawMessage
		Vaccine      json.RawMessage `json:"vaccineCode"`
		Medication   json.RawMessage `json:"medicationCodeableConcept"`
	}
	if err := json.Unmarshal(resource, &r); err != nil {
		return nil, "", fmt.Errorf("read resource: %w", err)
	}
	e := envelope{Kind: 1, Type: r.ResourceType, LastUpdated: 1_700_000_000_000, Transaction: make([]byte, 16)}
	for _, field := range [][]byte{e.Patient[:], e.Line[:], e.Person[:], e.Transaction} {
		rand.Read(field)
	}
	e.ID = uuid()
	e.VersionID = strings.ToLower(rand.Text())
	name = r.ResourceType
	for _, code := range []json.RawMessage{r.Code, r.Vaccine, r.Medication} {
		var c struct {
			Coding []struct{ Code string }
		}
		// What is no CodeableConcept in this type adds nothing to the name.
		if len(code) > 0 && json.Unmarshal(code, &c) == nil && len(c.Coding) > 0 {
			name += " " + c.Coding[0].Code
		}
	}
	return append(wire.Marshal(&e), resource...), name, nil
}

func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
