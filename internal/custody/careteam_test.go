package custody_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
)

// practice is a patient whose record a care team keeps.
type practice struct {
	*shift
	team   *actor.Team
	seed   key.Secret
	kept   *actor.Escrow
	keptID abaton.GrantID
}

func newPractice(t *testing.T) *practice {
	t.Helper()
	p := &practice{shift: newYoungShift(t), seed: key.NewSecret()}
	p.team = &actor.Team{Epoch: 1, Public: key.BoxFromSeed(p.seed).Public().Bytes()}
	rand.Read(p.team.Nonce[:])
	p.team.Team = actor.TeamID(p.org.ID, p.team.Nonce)
	sealed, err := actor.SealTeamSeed(p.eve.Box.Public(), p.team.Team, p.seed)
	if err != nil {
		t.Fatal(err)
	}
	p.team.Seats = []actor.Seat{{Actor: p.eve.ID, Sealed: sealed}}
	half := key.NewSecret()
	p.kept, err = escrow.Make(p.Set, p.ana.ID, escrow.Custody(escrow.Holder{ID: p.team.Team, Box: key.BoxFromSeed(p.seed).Public()}), half, escrow.Payload{Root: planted})
	if err != nil {
		t.Fatal(err)
	}
	event := p.ana.Event(p.kept)
	p.Publish(t, p.org.Event(p.team), event)
	p.keptID = abaton.GrantID(actor.HashOf(event.Event))
	return p
}

func (p *practice) unseal() session.Request {
	return session.Request{Patient: p.ana.ID, Grant: p.keptID, Mode: session.Unseal, Purpose: abaton.Treatment, Time: p.clock().Unix()}
}

func (p *practice) readsKept(s *seal.Sealed) session.Request {
	return session.Request{Patient: p.ana.ID, Grant: p.keptID, Mode: session.Release, Purpose: abaton.Treatment,
		Time: p.clock().Unix(), Rows: []session.Row{{Batch: s.Name, Bits: 1}}}
}

// TestCareTeamKeeps: a member of the team opens the root and reads; nobody
// else does, whatever their role, and neither lock alone opens anything.
func TestCareTeamKeeps(t *testing.T) {
	p := newPractice(t)
	rec := p.record(t, custodytest.EmergencySet)
	s := p.signIn(t, p.eve)
	var shares []spread.Share
	for _, x := range []abaton.KeeperIndex{1, 2, 3} {
		r := p.mustAsk(t, s, x, p.unseal(), keeper.Permitted, "")
		if len(r.Released) != 0 {
			t.Error("custody: a keeper speaks to an authority")
		}
		shares = append(shares, spread.Share{X: x, Y: [32]byte(r.Share)})
	}
	b, err := spread.Combine(shares)
	if err != nil {
		t.Fatal(err)
	}
	box, err := actor.OpenTeamSeed(p.eve.Box, p.team.Team, p.team.Public, p.team.Seats[0].Sealed)
	if err != nil {
		t.Fatal(err)
	}
	a, err := p.kept.OpenWrap(p.ana.ID, p.kept.Wraps[0], box)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := escrow.Open(p.ana.ID, p.kept, a, b); err != nil || !got.Root.Equal(planted) {
		t.Errorf("open: got %v, want the root", err)
	}
	for name, half := range map[string][2]key.Secret{"the team's half alone": {a, a}, "the keepers' half alone": {b, b}} {
		if _, err := escrow.Open(p.ana.ID, p.kept, half[0], half[1]); err == nil {
			t.Errorf("%s: got opened, want refused", name)
		}
	}
	p.mustAsk(t, s, 1, p.readsKept(rec), keeper.Permitted, "")
	if told := p.entries(t, 1, ledger.OpUnseal); len(told) != 1 || told[0].Actor != p.eve.ID || told[0].Grant != p.keptID {
		t.Errorf("history: got %d openings of the root, want one by name", len(told))
	}
	ben := p.signIn(t, p.ben)
	p.mustAsk(t, ben, 1, p.unseal(), keeper.Refused, abaton.ReasonGrant)
	p.mustAsk(t, ben, 1, p.readsKept(rec), keeper.Refused, abaton.ReasonNotFound)
	for _, why := range []abaton.Purpose{abaton.Research, abaton.Legal} { // a complaint opens duty copies alone
		wrong := p.unseal()
		wrong.Purpose = why
		p.mustAsk(t, s, 1, wrong, keeper.Refused, abaton.ReasonPurpose)
	}
	urgent := p.opensBy(t, p.eve, s, p.keptID, nil)
	p.mustAsk(t, s, 1, urgent, keeper.Refused, abaton.ReasonGrant)
}

// TestCustodyEnds: the patient bars one of the team, a member leaves, and the
// patient takes the record over: each at once.
func TestCustodyEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	p := newPractice(t)
	rec := p.record(t, custodytest.EmergencySet)
	s := p.signIn(t, p.eve)
	p.mustAsk(t, s, 1, p.unseal(), keeper.Permitted, "")
	p.Publish(t, p.ana.Event(&actor.Bar{Actor: p.eve.ID, Until: time.Now().Unix() + 3}))
	p.mustAsk(t, s, 1, p.unseal(), keeper.Refused, abaton.ReasonBarred)
	p.mustAsk(t, s, 1, p.readsKept(rec), keeper.Refused, abaton.ReasonBarred)
	p.pass(5 * time.Second)
	p.mustAsk(t, s, 1, p.unseal(), keeper.Permitted, "")
	p.Publish(t, p.ana.Event(&actor.Revoke{Grant: p.keptID}))
	p.mustAsk(t, s, 1, p.unseal(), keeper.Refused, abaton.ReasonRevoked)
	p.mustAsk(t, s, 1, p.readsKept(rec), keeper.Refused, abaton.ReasonRevoked)
}

// TestWhoLeavesTheTeam: live membership, as for a grant to a team.
func TestWhoLeavesTheTeam(t *testing.T) {
	p := newPractice(t)
	s := p.signIn(t, p.eve)
	p.mustAsk(t, s, 1, p.unseal(), keeper.Permitted, "")
	next := *p.team
	next.Epoch, next.Public, next.Seats = 2, key.NewBox().Public().Bytes(), nil
	p.Publish(t, p.org.Event(&next))
	p.mustAsk(t, s, 1, p.unseal(), keeper.Refused, abaton.ReasonGrant)
}

// TestCustodyBudgets: what a team member in a thief's hands opens in a day is
// bounded at each keeper, also over a restart.
func TestCustodyBudgets(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	p := newPractice(t)
	s := p.signIn(t, p.eve)
	for i := range abaton.CustodyPersonMax {
		if r := p.reason(t, s, 1, p.unseal()); r != "" {
			t.Fatalf("opening %d: refused: %s", i+1, r)
		}
	}
	p.mustAsk(t, s, 1, p.unseal(), keeper.Refused, abaton.ReasonBudget)
	p.Restart(t, 1, func() {})
	p.Keepers[1].AwaitMode(t)
	p.mustAsk(t, s, 1, p.unseal(), keeper.Refused, abaton.ReasonBudget)
	p.mustAsk(t, s, 2, p.unseal(), keeper.Permitted, "")
}
