package ledger

import "github.com/abaton-health/abaton"

// LevelMax is the highest rung of the ladder (docs/adr/0031-the-watch.md): 1
// log, 2 notify, 3 step up, 4 throttle, 5 suspend the session, 6 suspend the
// person, 7 quarantine.
const LevelMax = 7

const (
	suspended = 5  // from this level on a second clinician may have agreed
	basisMax  = 63 // all bits of Entry.Basis
)

// Watch is what one keeper's detection said of a request, or of whom an
// OpContain is about. The zero Watch says nothing was found.
type Watch struct {
	Rules uint32 `cbor:"1,keyasint"` // version of the thresholds it went by, from 1
	Level uint8  `cbor:"2,keyasint"` // rung of the ladder, at most LevelMax
	Fired uint32 `cbor:"3,keyasint"` // the rules that say so: bit i is rule Di
}

// IsZero reports whether nothing was found; such a Watch is absent on the wire.
func (w Watch) IsZero() bool { return w == Watch{} }

// checkWatch: a finding names the thresholds it was made by, and a policy the
// organisation it is of.
func (e *Entry) checkWatch(opRule) error {
	switch {
	case e.Policy != 0 && e.Organisation == (abaton.ActorID{}):
		return refuse("entry", "policy")
	case e.Basis > basisMax:
		return refuse("entry", "basis")
	case e.Word != 0 && (e.Op != OpContain || e.Word == e.Keeper), e.Word > abaton.KeepersMax:
		return refuse("entry", "word")
	case e.Watch.Level > LevelMax, e.Watch.Rules == 0 && !e.Watch.IsZero():
		return refuse("entry", "watch")
	}
	return nil
}
