// Package relation is what an organisation tells keepers of why its people may
// open whose record: appointments, admissions, referrals, orders, hand-overs;
// and of whose record nobody opens lightly: the own one, kin, colleagues, who is
// in the news, and made-up patients whom nobody has a reason to open
// (PROTOCOL.md#relations).
//
//	message := relation.Sign(key, organisation, now, entries)
//	told, err := relation.Parse(message)
//
// A relation gives no access: grants do. It says only how an access looks to
// the watch (docs/adr/0031-the-watch.md), and whoever holds a writer key of an
// organisation can invent the expected kinds.
package relation

import (
	"bytes"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Kind says why. The zero Kind is none.
type Kind uint8

// The kinds. The first five make a read expected; the next four make it
// delicate; honey is a patient who does not exist; duty is about no patient.
const (
	Appointment Kind = 1
	Admission   Kind = 2
	Referral    Kind = 3
	Order       Kind = 4
	HandOver    Kind = 5  // of a shift's patients to the next
	Own         Kind = 6  // Whom is the patient, as one of the staff
	Kin         Kind = 7  // Whom is a relative of the patient
	Colleague   Kind = 8  // the patient works with Whom; zero: with everybody of the organisation
	Raised      Kind = 9  // everybody's reads are looked at more closely
	Honey       Kind = 10 // no such patient: nobody has a reason
	Duty        Kind = 11 // Patient is one of the staff, and on the roster or on call
)

// Expected reports whether the kind gives a reason to open the record.
func (k Kind) Expected() bool { return k >= Appointment && k <= HandOver }

// Delicate reports whether the kind makes a read delicate.
func (k Kind) Delicate() bool { return k >= Own && k <= Raised }

// SaidBy reports whether a key of the organisation with these rights may say it:
// the gateway's what is expected and rosters, who manages all.
func (k Kind) SaidBy(rights actor.Rights) bool {
	switch {
	case k.Expected() || k == Duty:
		return rights&(actor.Write|actor.Manage) != 0
	case k.Delicate() || k == Honey:
		return rights&actor.Manage != 0
	}
	return false
}

// Life is the longest that one entry of the kind may run, from From to Until;
// zero for no kind. Longer ones are told again.
func (k Kind) Life() time.Duration {
	const day = 24 * time.Hour
	switch k {
	case Appointment:
		return 7 * day
	case Admission:
		return 45 * day
	case Referral:
		return 90 * day
	case Order:
		return 30 * day
	case HandOver, Duty:
		return day
	case Own, Kin, Colleague, Raised, Honey:
		return DelicateLife
	}
	return 0
}

// Limits of a statement and of what a keeper keeps of them.
const (
	// EntriesMax is how many entries one statement may have: the patients of a
	// large ward's hand-over to each of its staff, or a minute of a hospital.
	EntriesMax = 512
	// HoneyMax is how many of them may be honey: each has a signature to verify.
	HoneyMax = 64
	// SignedBytesMax is the largest signed statement, in bytes.
	SignedBytesMax = 256 << 10
	// AheadMax is how far ahead From may lie: appointments are made long before.
	AheadMax = 400 * 24 * time.Hour
	// DelicateLife is the longest that a delicate kind and honey run.
	DelicateLife = 400 * 24 * time.Hour
	// StandingMax is how many entries of one organisation a keeper keeps: ten
	// for each of 100,000 patients.
	StandingMax = 1 << 20
	// PatientMax is how many of them may be about one patient: it bounds what
	// one request reads.
	PatientMax = 256
	// DelicateMax is how many more about one patient, and DelicateRoom how many
	// more of one organisation, may be delicate or honey: whoever holds a
	// gateway's key must not leave no room for what only who manages may say.
	DelicateMax  = 32
	DelicateRoom = 1 << 16
)

// Entry is one relation. Told again with the same Patient, Whom, Kind and From,
// the newest statement holds; one whose Until is its From takes it back.
type Entry struct {
	Patient abaton.ActorID `cbor:"1,keyasint"`
	// Whom is a person or a team of the organisation. Zero for Raised and
	// Honey, which are about everybody, and for Duty; Colleague may have it zero.
	Whom  abaton.ActorID `cbor:"2,keyasint"`
	Kind  Kind           `cbor:"3,keyasint"`
	From  int64          `cbor:"4,keyasint"` // unix seconds, inclusive
	Until int64          `cbor:"5,keyasint"` // unix seconds, exclusive, at most Kind.Life later
	// Word is the patient's own signed HoneyWord, for Honey alone and not where
	// it is taken back: nobody can call a patient made up whose keys they lack.
	Word []byte `cbor:"6,keyasint"`
}

func (e *Entry) valid() bool {
	life := int64(e.Kind.Life() / time.Second)
	if e.Patient == (abaton.ActorID{}) || life == 0 || e.From < 0 || e.Until < e.From || e.Until-e.From > life {
		return false
	}
	nobody := e.Whom == abaton.ActorID{}
	word := len(e.Word) > 0
	switch e.Kind {
	case Honey:
		return nobody && word == (e.Until > e.From)
	case Raised, Duty:
		return nobody && !word
	case Colleague:
		return !word
	}
	return !nobody && !word
}

// Relations is the statement, signed under wire.Relations by a live key of the
// organisation (PROTOCOL.md#relations).
type Relations struct {
	V            uint8          `cbor:"1,keyasint"`
	Organisation abaton.ActorID `cbor:"2,keyasint"`
	Key          abaton.KeyID   `cbor:"3,keyasint"`
	Time         int64          `cbor:"4,keyasint"` // unix seconds
	Entries      []Entry        `cbor:"5,keyasint"` // 1 to EntriesMax, in the order of Compare, unique
}

// Compare orders entries by what they are about: patient, whom, kind, from.
func Compare(a, b Entry) int {
	if c := bytes.Compare(a.Patient[:], b.Patient[:]); c != 0 {
		return c
	}
	if c := bytes.Compare(a.Whom[:], b.Whom[:]); c != 0 {
		return c
	}
	if a.Kind != b.Kind {
		return int(a.Kind) - int(b.Kind)
	}
	switch {
	case a.From < b.From:
		return -1
	case a.From > b.From:
		return 1
	}
	return 0
}

// Sign makes the message that every keeper gets, from 1 to EntriesMax entries
// with one about each thing. It refuses what Parse would.
func Sign(k *key.Signing, organisation abaton.ActorID, now time.Time, entries []Entry) ([]byte, error) {
	r := Relations{V: wire.Version, Organisation: organisation, Key: k.ID(), Time: now.Unix(), Entries: slices.Clone(entries)}
	slices.SortFunc(r.Entries, Compare)
	if err := r.validate(); err != nil {
		return nil, err
	}
	return wire.Marshal(k.Seal(wire.Relations, wire.Marshal(r))), nil
}

// Parse reads a signed statement strictly and verifies its signature, and the
// patients' words in it, each under the key it names: ReasonMalformed,
// ReasonTooLarge, ReasonSignature. Whether the keys are live, and the time, are
// the keeper's question.
func Parse(message []byte) (*Relations, error) {
	if len(message) > SignedBytesMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	var s wire.Signed
	r := new(Relations)
	if wire.Unmarshal(message, &s) != nil || wire.Unmarshal(s.Body, r) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	if !key.Verify(r.Key, wire.Relations, s.Body, s.Sig) {
		return nil, abaton.Refuse(abaton.ReasonSignature)
	}
	for i := range r.Entries {
		if e := &r.Entries[i]; len(e.Word) > 0 {
			if _, err := readWord(r.Organisation, e); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

func (r *Relations) validate() error {
	if len(r.Entries) > EntriesMax {
		return abaton.Refuse(abaton.ReasonTooLarge)
	}
	honey := 0
	ok := r.V == wire.Version && r.Organisation != (abaton.ActorID{}) && r.Key != (abaton.KeyID{}) && r.Time >= 0 && len(r.Entries) > 0
	for i := range r.Entries {
		e := &r.Entries[i]
		ok = ok && e.valid() && e.From-r.Time <= int64(AheadMax/time.Second) && (i == 0 || Compare(r.Entries[i-1], *e) < 0)
		if e.Kind == Honey {
			honey++
		}
	}
	switch {
	case !ok:
		return abaton.Refuse(abaton.ReasonMalformed)
	case honey > HoneyMax:
		return abaton.Refuse(abaton.ReasonTooLarge)
	}
	return nil
}

// SaidBy reports whether a key with these rights may say all of it.
func (r *Relations) SaidBy(rights actor.Rights) bool {
	for i := range r.Entries {
		if !r.Entries[i].Kind.SaidBy(rights) {
			return false
		}
	}
	return len(r.Entries) > 0
}

// InTime reports whether the statement was made about now: ReasonTime.
func (r *Relations) InTime(now time.Time) error {
	skew := time.Duration(now.Unix()-r.Time) * time.Second
	if skew > abaton.ClockSkewMax || skew < -abaton.ClockSkewMax {
		return abaton.Refuse(abaton.ReasonTime)
	}
	return nil
}
