package ledger

import (
	"bytes"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Entry is one disclosure: what one keeper was asked and what it answered
// (PROTOCOL.md#ledger-entry). It holds names that are hashes, never a fact
// about a patient.
//
// Append sets Version, Keeper, Time, PatientSeq and Prev; the caller sets the
// rest.
type Entry struct {
	Version      uint64             `cbor:"1,keyasint"`
	Keeper       abaton.KeeperIndex `cbor:"2,keyasint"`  // who writes this ledger
	Time         int64              `cbor:"3,keyasint"`  // unix seconds, the keeper's clock
	Request      [32]byte           `cbor:"4,keyasint"`  // hash of the signed request
	Op           Op                 `cbor:"5,keyasint"`  // what was asked
	Outcome      Outcome            `cbor:"6,keyasint"`  // what was answered
	Reason       abaton.Reason      `cbor:"7,keyasint"`  // empty if and only if permitted
	Actor        abaton.ActorID     `cbor:"8,keyasint"`  // who asked
	Organisation abaton.ActorID     `cbor:"9,keyasint"`  // for whom; zero for a patient
	Session      abaton.SessionID   `cbor:"10,keyasint"` // under which session
	Patient      abaton.ActorID     `cbor:"11,keyasint"` // about whom; zero for acts about nobody
	PatientSeq   uint64             `cbor:"12,keyasint"` // counts this keeper's entries about Patient, from 0
	Prev         [32]byte           `cbor:"13,keyasint"` // Tie of the entry before; zero at PatientSeq 0
	Rows         []Row              `cbor:"14,keyasint"` // ascending by batch, at most abaton.RequestRowsMax
	Purpose      abaton.Purpose     `cbor:"15,keyasint"` // why
	Grant        abaton.GrantID     `cbor:"16,keyasint"` // under which grant; zero for none
	Lines        []abaton.Line      `cbor:"17,keyasint"` // ascending, at most abaton.LinesMax
	FoldsInto    uint64             `cbor:"18,keyasint"` // 1 + index of the opening this permit renews; 0 for none
	Device       abaton.ActorID     `cbor:"19,keyasint"` // where the clinician sat; zero for none
	Role         string             `cbor:"20,keyasint"` // in which role; empty for a patient
	Behalf       abaton.ActorID     `cbor:"21,keyasint"` // in whose place, for a shift; zero normally
	// What an emergency opening says besides; all zero for other operations.
	Urgency uint8          `cbor:"22,keyasint"` // why; for OpConfirm the verdict
	Loud    bool           `cbor:"23,keyasint"` // a bar did not hold, because no other clinician was there
	Words   []byte         `cbor:"24,keyasint"` // the reason in own words, sealed to the patient
	Second  abaton.ActorID `cbor:"25,keyasint"` // who agreed beforehand; for OpConfirm who opened
	Opening [32]byte       `cbor:"26,keyasint"` // OpConfirm: Request of the opening's entry
	// Onward is by which hand-on of Grant it was asked; absent normally.
	Onward abaton.Handed `cbor:"27,keyasint,omitzero"`
	// Policy is the version of Organisation's policy in force here; 0 for the
	// shipped one, and for a patient.
	Policy uint64 `cbor:"28,keyasint,omitzero"`
	// Watch is what this keeper's detection said; absent where it said nothing.
	Watch Watch `cbor:"29,keyasint,omitzero"`
	// Basis is what detection went by, one bit each: 1 related, 2 delicate, 4
	// honey, 8 off shift, 16 stepped up, 32 renewed.
	Basis uint8 `cbor:"30,keyasint,omitzero"`
	// Word is which other keeper's verdict an OpContain goes by; absent for the
	// own, and in other entries.
	Word abaton.KeeperIndex `cbor:"31,keyasint,omitzero"`
}

// Row is one batch of an entry and which of its records were released and
// refused, one bit a record.
type Row struct {
	_        struct{} `cbor:",toarray"`
	Batch    abaton.BatchName
	Released uint64
	Refused  uint64
}

// SortRows puts rows in the one order an entry allows.
func SortRows(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Batch[:], b.Batch[:]) })
}

// SortLines puts lines in the one order an entry allows.
func SortLines(lines []abaton.Line) {
	slices.SortFunc(lines, func(a, b abaton.Line) int { return bytes.Compare(a[:], b[:]) })
}

// Fold is the value of FoldsInto that names the entry at index.
func Fold(index uint64) uint64 { return index + 1 }

// Folded is the index of the entry that e folds into, if there is one.
func (e *Entry) Folded() (index uint64, folds bool) { return e.FoldsInto - 1, e.FoldsInto != 0 }

// Marshal is the canonical form of e; a CheckError if e breaks a rule.
func (e *Entry) Marshal() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	b := wire.Marshal(e)
	if len(b) > EntryBytesMax {
		return nil, refuse("entry", "length")
	}
	return b, nil
}

// ParseEntry reads the one canonical form of an entry; a CheckError for
// anything else.
func ParseEntry(b []byte) (Entry, error) {
	if len(b) > EntryBytesMax {
		return Entry{}, refuse("entry", "length")
	}
	var e Entry
	if !quickEntry(b, &e) {
		e = Entry{}
		if err := wire.Unmarshal(b, &e); err != nil {
			return Entry{}, refuse("entry", "form")
		}
	}
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	return e, nil
}

func (e *Entry) check() error {
	rule, known := e.Op.rule()
	switch {
	case e.Version != wire.Version:
		return refuse("entry", "version")
	case e.Keeper == 0 || e.Keeper > abaton.KeepersMax:
		return refuse("entry", "keeper")
	case e.Time <= 0:
		return refuse("entry", "time")
	case e.Request == [32]byte{}:
		return refuse("entry", "request")
	case !known:
		return refuse("entry", "op")
	case e.Actor == abaton.ActorID{}:
		return refuse("entry", "actor")
	case !e.Onward.Valid(), !e.Onward.IsZero() && e.Grant == (abaton.GrantID{}):
		return refuse("entry", "onward")
	case !roleForm(e.Role):
		return refuse("entry", "role")
	case e.FoldsInto != 0 && e.Op != OpPermit, e.FoldsInto > SizeMax:
		return refuse("entry", "folds-into")
	}
	for _, c := range []func(opRule) error{e.checkOutcome, e.checkPatient, e.checkRows, e.checkPurpose, e.checkLines, e.checkEmergency, e.checkWatch} {
		if err := c(rule); err != nil {
			return err
		}
	}
	return nil
}

// roleForm accepts a role's characters, or none.
func roleForm(role string) bool {
	const roleBytesMax = 32
	plain := func(r rune) bool { return r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }
	return len(role) <= roleBytesMax && !slices.ContainsFunc([]rune(role), func(r rune) bool { return !plain(r) })
}

func (e *Entry) checkOutcome(opRule) error {
	switch e.Outcome {
	case Permitted:
		if e.Reason != "" {
			return refuse("entry", "reason")
		}
	case Partly, Refused:
		if !knownReason(e.Reason) {
			return refuse("entry", "reason")
		}
	default:
		return refuse("entry", "outcome")
	}
	return nil
}

func (e *Entry) checkPatient(rule opRule) error {
	nobody := e.Patient == abaton.ActorID{}
	first := e.Prev == [32]byte{}
	switch {
	case nobody && rule.patient:
		return refuse("entry", "patient")
	case nobody && (e.PatientSeq != 0 || !first):
		return refuse("entry", "patient-seq")
	case first != (e.PatientSeq == 0), e.PatientSeq > SizeMax:
		return refuse("entry", "patient-seq")
	}
	return nil
}

func (e *Entry) checkRows(rule opRule) error {
	if rule.rows && len(e.Rows) == 0 || len(e.Rows) > abaton.RequestRowsMax {
		return refuse("entry", "rows")
	}
	var released, refused uint64
	for i := range e.Rows {
		r := &e.Rows[i]
		if i > 0 && bytes.Compare(e.Rows[i-1].Batch[:], r.Batch[:]) >= 0 {
			return refuse("entry", "row-order")
		}
		if r.Released&r.Refused != 0 || r.Released|r.Refused == 0 || r.Batch == (abaton.BatchName{}) {
			return refuse("entry", "row")
		}
		released |= r.Released
		refused |= r.Refused
	}
	if len(e.Rows) == 0 {
		return nil
	}
	if (released != 0) != (e.Outcome != Refused) || (refused != 0) != (e.Outcome != Permitted) {
		return refuse("entry", "row-outcome")
	}
	return nil
}

func (e *Entry) checkPurpose(rule opRule) error {
	if e.Purpose == "" && !rule.purpose {
		return nil
	}
	if !e.Purpose.Valid() {
		return refuse("entry", "purpose")
	}
	return nil
}

func (e *Entry) checkLines(opRule) error {
	if len(e.Lines) > linesMax {
		return refuse("entry", "lines")
	}
	for i := range e.Lines {
		if e.Lines[i] == (abaton.Line{}) {
			return refuse("entry", "lines")
		}
		if i > 0 && bytes.Compare(e.Lines[i-1][:], e.Lines[i][:]) >= 0 {
			return refuse("entry", "line-order")
		}
	}
	return nil
}

// checkEmergency: what belongs to an emergency stands in no other entry.
func (e *Entry) checkEmergency(opRule) error {
	const wordsBytesMax = 2 << 10
	opens, confirms := e.Op == OpEmergency, e.Op == OpConfirm
	switch {
	case (opens || confirms) != (e.Urgency != 0), confirms && e.Urgency > 2, opens && e.Urgency > 4:
		return refuse("entry", "urgency")
	case e.Loud && (!opens || e.Outcome != Permitted):
		return refuse("entry", "loud")
	case len(e.Words) > wordsBytesMax, len(e.Words) > 0 && !opens:
		return refuse("entry", "words")
	case e.Second != (abaton.ActorID{}) && !opens && !confirms && e.Watch.Level < suspended, confirms != (e.Opening != [32]byte{}):
		return refuse("entry", "second")
	}
	return nil
}
