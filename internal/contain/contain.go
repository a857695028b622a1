// Package contain says who is held back now, and how far: from a keeper's own
// findings and from what other keepers signed (docs/adr/0031-the-watch.md).
//
//	l := contain.NewLadder(own)
//	took, err := l.Hear(heard, now)
//	held := l.At(now, lifted, contain.Person(who), contain.Session(id))
//
// It does not look at what anybody reads: package detect does, and a verdict
// never says it. It does not stop a keeper that does not ask it, and three of
// five that lie together stop whom they like, as they can anyway.
package contain

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/detect"
)

// Kind says what a subject is. Zero is no kind.
type Kind uint8

// The kinds of subjects of version 1 (PROTOCOL.md#verdict).
const (
	KindSession Kind = iota + 1
	KindPerson
	KindDevice
	KindOrganisation
)

// String is the word for k in screens and reports.
func (k Kind) String() string {
	switch k {
	case KindSession:
		return "session"
	case KindPerson:
		return "person"
	case KindDevice:
		return "device"
	case KindOrganisation:
		return "organisation"
	}
	return "unknown"
}

// Subject is whom a verdict is about.
type Subject struct {
	_    struct{} `cbor:",toarray"`
	Kind Kind
	ID   [32]byte
}

// Session is a session as a subject.
func Session(id abaton.SessionID) Subject { return Subject{Kind: KindSession, ID: id} }

// Person is whoever acts, a person or a program, as a subject.
func Person(id abaton.ActorID) Subject { return Subject{Kind: KindPerson, ID: id} }

// Device is a device as a subject.
func Device(id abaton.ActorID) Subject { return Subject{Kind: KindDevice, ID: id} }

// Organisation is an organisation as a subject.
func Organisation(id abaton.ActorID) Subject { return Subject{Kind: KindOrganisation, ID: id} }

func (s Subject) valid() bool {
	return s.Kind >= KindSession && s.Kind <= KindOrganisation && s.ID != [32]byte{}
}

// Fits reports whether a level can be said of this kind of subject: what
// suspends says what it suspends.
func (s Subject) Fits(l detect.Level) bool {
	switch l {
	case detect.SuspendSession:
		return s.Kind == KindSession
	case detect.SuspendPerson:
		return s.Kind == KindPerson
	case detect.Quarantine:
		return s.Kind == KindDevice || s.Kind == KindOrganisation
	case detect.StepUp, detect.Throttle:
		return s.valid()
	}
	return false
}

// Name names a verdict: the hash of its signed body. A lift names it.
type Name [32]byte

// Holding is how far somebody is held back now. The zero Holding holds nobody.
type Holding struct {
	Level detect.Level
	Rules detect.Rules         // of all who say so
	By    []abaton.KeeperIndex // who says so, ascending; the own index among them
	Proof bool                 // at least one of them came with proof
	Since int64                // unix seconds: the oldest of them
	Until int64                // unix seconds, exclusive: when the last of them ends
	Names []Name               // of the verdicts, for a lift
}

func (h *Holding) add(x abaton.KeeperIndex, v *standing) {
	h.Rules |= v.Rules
	h.Proof = h.Proof || v.Proof
	h.Names = append(h.Names, v.Name)
	if h.Since == 0 || v.Time < h.Since {
		h.Since = v.Time
	}
	h.Until = max(h.Until, v.Until)
	if at, found := slices.BinarySearch(h.By, x); !found {
		h.By = slices.Insert(h.By, at, x)
	}
}
