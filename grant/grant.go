// Package grant says who may do what with whose records, and why: the Grant a
// patient signs into the key log, the rule that decides an access, and the
// sealed seeds that travel with a grant.
//
//	g, err := grant.Parse(bytes)
//	d := grant.Decide(grant.Facts{Grant: g}, access, now)
//	if !d.Permit { return abaton.Refuse(d.Reason) }
//
// It protects nothing alone: that a grant is signed, certified and not
// revoked is the key log's word (package actor), and whoever asks is the
// session's (package session). The zero Decision refuses. The form is frozen
// with protocol version 1 (PROTOCOL.md#grant).
package grant

import (
	"bytes"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Action is a set of things a grant allows, one bit each.
type Action uint8

// The actions of version 1; any other bit refuses the grant.
const (
	Read    Action = 1 << iota // open records
	Deposit                    // write records
)

const actionsKnown = Read | Deposit

// NonceBytes is the length of the nonces in grants, statements and requests.
const NonceBytes = 16

// Grant allows one actor some actions on some lines of one patient for a
// time (PROTOCOL.md#grant). In an inception, where the patient's own name
// does not exist yet, Patient is zero and means "the log this stands in".
type Grant struct {
	V         uint64           `cbor:"1,keyasint"`
	Patient   abaton.ActorID   `cbor:"2,keyasint"`
	Grantee   abaton.ActorID   `cbor:"3,keyasint"`
	Actions   Action           `cbor:"4,keyasint"`
	Lines     []abaton.Line    `cbor:"5,keyasint"` // sorted, unique, 1 to GrantLinesMax
	Purposes  []abaton.Purpose `cbor:"6,keyasint"` // sorted, unique, 1 to PurposesMax
	NotBefore int64            `cbor:"7,keyasint"` // unix seconds, inclusive
	Expires   int64            `cbor:"8,keyasint"` // unix seconds, exclusive
	Quota     uint32           `cbor:"9,keyasint"` // records; zero refuses
	Nonce     [NonceBytes]byte `cbor:"10,keyasint"`
	// Onward is where the grantee may hand the grant on: to people and teams
	// of this organisation, or to this team and its members. Absent for the
	// usual grant, which goes nowhere (PROTOCOL.md#onward).
	Onward abaton.ActorID `cbor:"11,keyasint,omitzero"`
	When   Case           `cbor:"12,keyasint,omitempty"` // zero: as long as the patient decides
}

// Marshal is the grant's one encoding.
func (g *Grant) Marshal() []byte { return wire.Marshal(g) }

// ID names the grant by its bytes.
func (g *Grant) ID() abaton.GrantID { return IDOf(g.Marshal()) }

// IDOf names a grant by its bytes as received.
func IDOf(bytes []byte) abaton.GrantID { return wire.Hash(wire.Grant, bytes) }

// Parse reads a grant strictly; ReasonMalformed or ReasonTooLarge if it is
// not the one form of a valid grant.
func Parse(data []byte) (*Grant, error) {
	var g Grant
	if err := wire.Unmarshal(data, &g); err != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return &g, nil
}

// Validate reports whether every field is one that version 1 understands.
func (g *Grant) Validate() error {
	if len(g.Lines) > abaton.GrantLinesMax || len(g.Purposes) > abaton.PurposesMax {
		return abaton.Refuse(abaton.ReasonTooLarge)
	}
	if !g.understood() {
		return abaton.Refuse(abaton.ReasonMalformed)
	}
	return nil
}

func (g *Grant) understood() bool {
	return g.V == wire.Version &&
		g.Grantee != (abaton.ActorID{}) && g.Grantee != g.Patient &&
		g.Actions != 0 && g.Actions&^actionsKnown == 0 &&
		(g.Onward == (abaton.ActorID{}) || g.Onward != g.Patient && g.Actions&Read != 0) &&
		sortedLines(g.Lines) && sortedPurposes(g.Purposes) &&
		g.whenValid() && g.lifeValid() && g.Quota > 0
}

func (g *Grant) lifeValid() bool {
	most := abaton.GrantLifeMax
	if g.When != Always {
		most = abaton.DormantLifeMax
	}
	return g.NotBefore >= 0 && g.Expires > g.NotBefore &&
		g.Expires-g.NotBefore <= int64(most/time.Second)
}

func sortedLines(lines []abaton.Line) bool {
	for i := 1; i < len(lines); i++ {
		if bytes.Compare(lines[i-1][:], lines[i][:]) >= 0 {
			return false
		}
	}
	return len(lines) > 0 && lines[0] != (abaton.Line{})
}

func sortedPurposes(purposes []abaton.Purpose) bool {
	for i, p := range purposes {
		if !p.Valid() || p == abaton.Legal || i > 0 && purposes[i-1] >= p {
			return false
		}
	}
	return len(purposes) > 0
}

// Covers reports whether the grant names line.
func (g *Grant) Covers(line abaton.Line) bool { return slices.Contains(g.Lines, line) }

// Sort puts lines and purposes into the order the form asks for and drops
// doubles. Whoever writes a grant calls it once before Marshal.
func (g *Grant) Sort() {
	slices.SortFunc(g.Lines, func(a, b abaton.Line) int { return bytes.Compare(a[:], b[:]) })
	g.Lines = slices.Compact(g.Lines)
	slices.Sort(g.Purposes)
	g.Purposes = slices.Compact(g.Purposes)
}
