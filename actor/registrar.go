package actor

import (
	"bytes"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
)

// EventRegistrar is the kind of Registrar.
const EventRegistrar EventKind = 24

// Bounds of registrars.
const (
	// RegistrarsMax is how many registrars one log may name.
	RegistrarsMax = 4
	// CosignersMax is how many physicians or organisations one may state with.
	CosignersMax = 8
	// CourtBarMax bounds a registrar's bar: an order is confirmed again each year.
	CourtBarMax = 366 * 24 * time.Hour
)

// Says is what a registrar may say about a patient, one bit each.
type Says uint8

// What a registrar may say in version 1; any other bit refuses.
const (
	SaysNarrow     Says = 1 << iota // take a grant back, bar a person for a time
	SaysIncapacity                  // state, with a physician, that the patient cannot decide
	SaysDeath                       // state, with a physician, that the patient has died
)

const saysKnown = SaysNarrow | SaysIncapacity | SaysDeath

// Registrar names an organisation that keeps the register of what the patient
// cannot say: who has custody of a child, who cannot decide, who has died
// (PROTOCOL.md#registrar). It gives the registrar nothing to read. The newest
// event about a registrar holds; a bar of the registrar ends its word at once.
type Registrar struct {
	Registrar abaton.ActorID   `cbor:"1,keyasint"`
	May       Says             `cbor:"2,keyasint"` // zero: nothing any more
	With      []abaton.ActorID `cbor:"3,keyasint"` // physicians, or organisations whose physicians, state with it; ascending
}

// EventKind of Registrar (Body).
func (*Registrar) EventKind() EventKind { return EventRegistrar }

func (b *Registrar) validate() error {
	if len(b.With) > CosignersMax {
		return tooLarge()
	}
	for i, with := range b.With {
		if with == (abaton.ActorID{}) || with == b.Registrar || i > 0 && bytes.Compare(b.With[i-1][:], with[:]) >= 0 {
			return malformed()
		}
	}
	states := b.May&(SaysIncapacity|SaysDeath) != 0
	return valid(b.Registrar != (abaton.ActorID{}) && b.May&^saysKnown == 0 && states == (len(b.With) > 0))
}

// admitRegistrar: nobody registers the own life, and few registers are enough.
func (s *State) admitRegistrar(b *Registrar) error {
	if b.Registrar == s.actor || slices.Contains(b.With, s.actor) {
		return abaton.Refuse(abaton.ReasonActor)
	}
	if s.registrars[b.Registrar] == nil && len(s.registrars) >= RegistrarsMax {
		return tooLarge()
	}
	return nil
}

// Registrar is what this log lets an organisation say now; nil for nothing.
func (s *State) Registrar(id abaton.ActorID, now time.Time) *Registrar {
	b, by := s.registrars[id].newest()
	if by == nil || b.May == 0 || s.Barred(id, now) {
		return nil
	}
	return b
}

// Registrars are those that this log lets say something now, by name.
func (s *State) Registrars(now time.Time) (all []*Registrar) {
	for id := range s.registrars {
		if b := s.Registrar(id, now); b != nil {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b *Registrar) int { return bytes.Compare(a.Registrar[:], b.Registrar[:]) })
	return all
}

// registers is the log of an organisation that this operator admitted; nil for
// any other.
func (d Door) registers(id abaton.ActorID) *State {
	if d.Admitted == nil || d.Log == nil || !d.Admitted(id) {
		return nil
	}
	st := d.Log(id)
	if st == nil || !st.Live() || st.actor != id || st.Kind() != Organisation {
		return nil
	}
	return st
}

// managersAmong counts the provers that manage this organisation's log now.
func (s *State) managersAmong(by provers) (n int) {
	for _, k := range by.keys {
		if s.KeyRights(k)&Manage != 0 {
			n++
		}
	}
	return n
}

// admitOrder: a registrar takes a grant back, or bars somebody for a time. One
// of its managers will do, as for whatever narrows. It cannot end an escrow, the
// patient's way back in, nor bar for ever.
func (s *State) admitOrder(a *Authentic, door Door, now time.Time) error {
	if !s.ordered(a.by, door, now) {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	switch b := a.body.(type) {
	case *Revoke:
		if s.grants[b.Grant] == nil {
			return abaton.Refuse(abaton.ReasonGrant)
		}
	case *Bar:
		if last := now.Add(CourtBarMax + abaton.ClockSkewMax).Unix(); b.Until == 0 || b.Until > last {
			return tooLarge()
		}
	}
	return nil
}

// ordered reports whether a manager of a registrar that may narrow is among by.
func (s *State) ordered(by provers, door Door, now time.Time) bool {
	for _, r := range s.Registrars(now) {
		if st := door.registers(r.Registrar); r.May&SaysNarrow != 0 && st != nil && st.managersAmong(by) > 0 {
			return true
		}
	}
	return false
}

// isOrder reports whether a registrar may say such an event where the log's own
// keys did not.
func isOrder(b Body) bool {
	switch b.(type) {
	case *Revoke, *Bar:
		return true
	}
	return false
}

// vouchedOrder: which of a registrar's keys spoke a log alone cannot judge. That
// it names one on this branch that may narrow is all it can tell; what more than
// f keepers tell, one of them has judged.
func (s *State) vouchedOrder(parents []*knot) error {
	for _, e := range s.registrars {
		for _, g := range e.given {
			if g.value.May&SaysNarrow != 0 && s.within(g.by, parents) {
				return nil
			}
		}
	}
	return abaton.Refuse(abaton.ReasonCredential)
}
