package session

import (
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// BundlesMax is how many grants one session may be handed the seeds of.
const BundlesMax = 1024

// Bundle is the seeds of one grant, handed to a session.
type Bundle struct {
	Patient abaton.ActorID
	Grant   abaton.GrantID // zero for the patient's own session
	Onward  abaton.Handed  // by which hand-on of Grant; zero normally
	Seeds   []grant.Seed
}

type bundleForm struct {
	Patient abaton.ActorID `cbor:"1,keyasint"`
	Grant   abaton.GrantID `cbor:"2,keyasint"`
	Seeds   []byte         `cbor:"3,keyasint"`
	Onward  abaton.Handed  `cbor:"4,keyasint,omitzero"`
}

// SealSeeds seals, on the person's device, the seeds a session may hold, to
// the session's reply key (RULINGS 1; PROTOCOL.md#session-seeds). They open
// only for this session.
func SealSeeds(reply key.BoxPublic, id abaton.SessionID, bundles []Bundle) ([]byte, error) {
	forms := make([]bundleForm, len(bundles))
	for i, b := range bundles {
		forms[i] = bundleForm{Patient: b.Patient, Grant: b.Grant, Onward: b.Onward, Seeds: grant.MarshalSeeds(b.Seeds)}
	}
	sealed, err := reply.SealTo(wire.SessionSeeds, id[:], wire.Marshal(forms))
	if err != nil {
		return nil, fmt.Errorf("seal session seeds: %w", err)
	}
	return sealed, nil
}

// OpenSeeds is the other end of SealSeeds: key.ErrBox, ReasonMalformed,
// ReasonTooLarge.
func OpenSeeds(reply *key.Box, id abaton.SessionID, sealed []byte) ([]Bundle, error) {
	payload, err := reply.OpenFrom(wire.SessionSeeds, id[:], sealed)
	if err != nil {
		return nil, fmt.Errorf("open session seeds: %w", err)
	}
	return parseBundles(payload)
}

func parseBundles(payload []byte) ([]Bundle, error) {
	var forms []bundleForm
	if wire.Unmarshal(payload, &forms) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if len(forms) > BundlesMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	bundles := make([]Bundle, len(forms))
	for i, f := range forms {
		seeds, err := grant.ParseSeeds(f.Seeds)
		if err != nil {
			return nil, err
		}
		if f.Patient == (abaton.ActorID{}) || !f.Onward.Valid() || f.Grant == (abaton.GrantID{}) && !f.Onward.IsZero() {
			return nil, abaton.Refuse(abaton.ReasonMalformed)
		}
		bundles[i] = Bundle{Patient: f.Patient, Grant: f.Grant, Onward: f.Onward, Seeds: seeds}
	}
	return bundles, nil
}
