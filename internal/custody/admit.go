package custody

import (
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// Admit begins a session whose assertion holds.
type Admit struct {
	Session *session.Session
}

func (Admit) slot() string { return "" }

func (a Admit) decide(c *Core, t *tx) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	if c.clock.doubted() { // it could not tell a session that has ended
		return refused(abaton.ReasonClock)
	}
	check, err := c.parties(a.Session, t.now)
	if err != nil {
		return t.fail(err)
	}
	check.Fresh = c.freshNotes
	if err := a.Session.Admit(check); err != nil && !c.overlooks(err) {
		return refusedBy(err)
	}
	return Output{}
}

// Again is a statement that was admitted here before: whose session ended since
// then hears it now. Who merely lost the standing hears that at a request, for
// a refusal of one is ledgered.
type Again struct {
	Session *session.Session
}

func (Again) slot() string { return "" }

func (a Again) decide(c *Core, t *tx) Output {
	if reason := c.live(t, a.Session); reason != "" && reason != abaton.ReasonStanding {
		return refused(reason)
	}
	return Output{}
}

// Party asks where an organisation's staff use their passkeys: the keeper
// set's relying party unless its log certifies another (RULINGS 4).
type Party struct {
	Organisation abaton.ActorID
	Into         *key.RelyingParty
}

func (Party) slot() string { return "" }

func (p Party) decide(c *Core, t *tx) Output {
	*p.Into = c.cfg.Set.RelyingParty
	if !c.admitted[p.Organisation] {
		return Output{}
	}
	org, err := c.actors.get(p.Organisation)
	if err != nil {
		return t.fail(err)
	}
	if org == nil {
		return Output{}
	}
	if rp, ok := org.RelyingParty(); ok {
		*p.Into = rp
	}
	return Output{}
}

// Evidence verifies one keeper's ledger: its name, the key that signs it and
// the key that dates it.
type Evidence struct {
	Origin string
	Ledger note.Verifier
	Dated  note.Verifier
}

// freshNotes judges the checkpoints of a session statement: this keeper's own
// at most ten minutes old when the session starts, or those of two others,
// each consistent with one this keeper has cosigned (RULINGS 21). What was
// signed before cannot contain them, so no assertion is made in advance.
func (c *Core) freshNotes(notes [][]byte, start time.Time) bool {
	others := make(map[abaton.KeeperIndex]bool)
	for _, signed := range notes {
		for x, e := range c.cfg.Evidence {
			point, ok := dated(signed, e, start)
			if !ok {
				continue
			}
			if x == c.cfg.Index {
				root, err := c.log.RootAt(point.Size)
				return err == nil && root == point.Root || len(others) >= peersNeeded
			}
			if c.witness.Vouches(point, nil) {
				others[x] = true
			}
		}
	}
	return len(others) >= peersNeeded
}

// dated is the checkpoint of a note that its own keeper signed and dated at
// most CheckpointAgeMax before start.
func dated(signed []byte, e Evidence, start time.Time) (ledger.Checkpoint, bool) {
	if _, err := ledger.VerifyCheckpoint(signed, e.Origin, e.Ledger); err != nil {
		return ledger.Checkpoint{}, false
	}
	point, at, err := ledger.CosignedAt(signed, e.Dated)
	if err != nil || point.Origin != e.Origin {
		return ledger.Checkpoint{}, false
	}
	age := start.Sub(at)
	return point, age <= abaton.CheckpointAgeMax && age >= -abaton.ClockSkewMax
}
