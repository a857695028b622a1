package actor

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
)

// WaysNeeded is how many ways back in a patient's log must hold before keepers
// take its first record: who has one phone and loses it has lost everything.
const WaysNeeded = 2

// Ways are the independent ways in which a log's owner gets in (again).
type Ways struct {
	Synced   bool // a passkey that a cloud keeps
	Bound    bool // a passkey of one device
	Kit      bool
	Trustees bool // helpers
	Custody  bool // the care team keeps the record
}

// Count is how many there are. Two passkeys of one class count once: they are
// lost together.
func (w Ways) Count() (n int) {
	for _, has := range []bool{w.Synced, w.Bound, w.Kit, w.Trustees, w.Custody} {
		if has {
			n++
		}
	}
	return n
}

// Enough reports whether a record may begin: two ways in, or a care team, of
// which no lost device takes the whole.
func (w Ways) Enough() bool { return w.Custody || w.Count() >= WaysNeeded }

// Ways are those of this log now.
func (s *State) Ways() (w Ways) {
	for _, class := range s.LiveCredentials() {
		w.Synced = w.Synced || class == Synced
		w.Bound = w.Bound || class == Bound
	}
	for _, e := range s.Escrows() {
		switch e.Kind {
		case EscrowKit:
			w.Kit = true
		case EscrowTrustees:
			w.Trustees = true
		case EscrowCustody:
			w.Custody = true
		}
	}
	return w
}

// LiveCredentials are the passkeys in force, with their classes.
func (s *State) LiveCredentials() map[key.Credential]Class {
	live := make(map[key.Credential]Class)
	for c, e := range s.credentials {
		if class, ok := e.now(); ok {
			live[c] = class
		}
	}
	return live
}

// LiveKeys are the signing keys in force, with their rights.
func (s *State) LiveKeys() map[abaton.KeyID]Rights {
	live := make(map[abaton.KeyID]Rights)
	for id, e := range s.keys {
		if rights, ok := e.now(); ok {
			live[id] = rights
		}
	}
	return live
}

// Awaits reports whether an event of this copy adds the passkey and does not
// count yet: its certificate is on the way, or too few keepers have voted.
func (s *State) Awaits(c key.Credential) bool {
	e := s.credentials[c]
	if e == nil || len(e.removed) > 0 {
		return false
	}
	_, live := e.first()
	return !live && len(e.given) > 0
}
