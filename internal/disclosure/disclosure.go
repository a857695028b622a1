// Package disclosure writes a patient's list of disclosures in the forms that
// others read: NEN 7513 as JSON, OCSF as JSON, and sentences for people. FHIR is
// internal/fhir/view's.
//
//	v := disclosure.View{History: h, Patient: id, KeeperSet: set, Who: who, Part: part}
//	body := disclosure.NEN7513(v)
//
// It looks nothing up and decides nothing about who may see what: it writes what
// its caller passes in, and leaves a pseudonym where the caller knows no name. A
// rendering proves nothing; the ledgers do (PROTOCOL.md#ledger-history). What it
// writes is about a patient: it belongs in no log. docs/DISCLOSURES.md has the
// fields, and which of them no keeper holds.
package disclosure

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/bits"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// Kind is what an actor is. The zero Kind is not known.
type Kind uint8

// The kinds of actors that lists tell apart.
const (
	Unknown      Kind = iota
	Person            // a clinician
	Patient           // a patient, or who acts for one
	Program           // software with its own key
	Organisation      // a house
)

// Party is who an actor is, as far as the viewer may say.
type Party struct {
	Kind Kind
	Name string // empty: the pseudonym is shown
}

// View is a history and what its viewer knows besides.
type View struct {
	History   *ledger.History
	Patient   abaton.ActorID
	KeeperSet abaton.ActorID
	Who       func(abaton.ActorID) Party // nil: nobody is known
	Part      func(abaton.Line) string   // the part of the record a line is; nil or empty: not known
}

func (v *View) party(id abaton.ActorID) Party {
	if id == v.Patient {
		p := Party{Kind: Patient}
		if v.Who != nil {
			p.Name = v.Who(id).Name
		}
		return p
	}
	if v.Who == nil {
		return Party{}
	}
	return v.Who(id)
}

// name is how somebody is shown.
func (v *View) name(id abaton.ActorID) string {
	if p := v.party(id); p.Name != "" {
		return p.Name
	}
	return id.String()
}

// PartsOf are the parts of the record that a line touched, as far as known: those
// its ledger entry names, else those that Places says of its batches.
func (v *View) PartsOf(l *ledger.Line, lines map[abaton.BatchName]abaton.Line) (out []string) {
	if v.Part == nil {
		return nil
	}
	touched := slices.Clone(l.Lines)
	for _, r := range l.Rows {
		if line, ok := lines[r.Batch]; ok && len(l.Lines) == 0 {
			touched = append(touched, line)
		}
	}
	for _, line := range touched {
		if part := v.Part(line); part != "" && !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	slices.Sort(out)
	return out
}

// Places is which line each batch lies in, as the deposits of this history say.
func (v *View) Places() map[abaton.BatchName]abaton.Line {
	out := make(map[abaton.BatchName]abaton.Line)
	for i := range v.History.Lines {
		l := &v.History.Lines[i]
		if l.Op != ledger.OpDeposit && l.Op != ledger.OpRepair || len(l.Lines) != 1 {
			continue
		}
		for _, r := range l.Rows {
			out[r.Batch] = l.Lines[0]
		}
	}
	return out
}

// byPerson reports whether a person opened or asked; all else a system
// processed. What nobody knows to be a program counts as a person, so that no
// look hides among machines.
func (v *View) byPerson(l *ledger.Line) bool {
	switch l.Op {
	case ledger.OpDeposit, ledger.OpRepair, ledger.OpEvent, ledger.OpAdmin, ledger.OpRecover, ledger.OpRelock, ledger.OpContain, ledger.OpLift:
		return false
	}
	k := v.party(l.Actor).Kind
	return k != Program && k != Organisation
}

// counts are the records of a line that at least one ledger says were released,
// and those refused.
func counts(l *ledger.Line) (released, refused int) {
	for _, r := range l.Rows {
		released += bits.OnesCount64(r.Released)
		refused += bits.OnesCount64(r.Refused &^ r.Released)
	}
	return released, refused
}

// answered is how a line ended, as the rows of all ledgers together say.
func answered(l *ledger.Line) ledger.Outcome {
	switch released, refused := counts(l); {
	case released > 0 && refused > 0:
		return ledger.Partly
	case released > 0:
		return ledger.Permitted
	case refused > 0:
		return ledger.Refused
	}
	return l.Outcome()
}

// numbers are keepers as JSON writes numbers: a list of small ones would be
// taken for bytes.
func numbers(xs []abaton.KeeperIndex) []int {
	out := make([]int, len(xs))
	for i, x := range xs {
		out[i] = int(x)
	}
	return out
}

func requestName(l *ledger.Line) string { return hex.EncodeToString(l.Request[:]) }

func instant(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// text is JSON without the escapes that are for web pages. Its parts are strings
// and numbers, so it cannot fail.
func text(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("disclosure: strings and numbers did not encode: " + err.Error())
	}
	return b.Bytes()
}
