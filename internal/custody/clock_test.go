package custody_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// off sets a keeper's clock and has it started anew, and waits until it has
// judged it.
func (w *world) off(t *testing.T, x abaton.KeeperIndex, by time.Duration, want custody.ClockHealth) {
	t.Helper()
	k := w.Keepers[x]
	w.Restart(t, x, func() { k.Ahead(by) })
	k.AwaitClock(t, want)
	if ahead := k.Clock().Ahead - by; ahead.Abs() > 3*time.Second {
		t.Fatalf("clock: got %v ahead, want about %v", k.Clock().Ahead, by)
	}
}

func (w *world) found(t *testing.T, x abaton.KeeperIndex, r abaton.Reason) uint64 {
	t.Helper()
	all, err := w.Keepers[x].Findings()
	if err != nil {
		t.Fatal(err)
	}
	return all[r]
}

// TestDoubtedClock: a clock off by more than ClockDoubtMax opens no session and
// widens nothing; what needs no good clock goes on.
func TestDoubtedClock(t *testing.T) {
	for _, by := range []time.Duration{abaton.ClockDoubtMax + 10*time.Second, -abaton.ClockDoubtMax - 10*time.Second} {
		w := newWorld(t, 1)
		sealed := w.seals(t, 1, 1)
		w.mustDeposit(t, sealed)
		w.off(t, 5, by, custody.ClockDoubted)
		s := w.SignIn(t, w.doctor)
		if _, err := w.Keepers[5].Call(t.Context(), keeper.RouteSession, s.Signed); reasonOf(err) != abaton.ReasonClock {
			t.Errorf("a session at a keeper %v ahead: got %v, want %q", by, err, abaton.ReasonClock)
		}
		wider := w.ana.Event(&actor.Granted{Grant: w.ana.Grant(w.org.ID, grant.Read, 5).Marshal()})
		if r := w.sends(t, 5, wider); r.Reason != abaton.ReasonClock {
			t.Errorf("a grant at a keeper %v ahead: got %q, want %q", by, r.Reason, abaton.ReasonClock)
		}
		if got := w.found(t, 5, abaton.ReasonClock); got != 1 {
			t.Errorf("findings: got %d, want 1", got)
		}
		if by > 0 { // to the other the events and the grant lie in the future
			if r := w.deposits(t, w.seals(t, 2, 1))[5]; r.Reason != "" {
				t.Errorf("a deposit at a keeper %v ahead: got %q, want it kept", by, r.Reason)
			}
			revoke := w.ana.Event(&actor.Bar{Actor: abaton.ActorID{9}})
			w.sends(t, 5, wider)
			if r := w.sends(t, 5, revoke); r.Reason == abaton.ReasonClock {
				t.Error("a bar was refused for the clock: what narrows holds at once")
			}
		}
	}
}

// TestDoubtedClockAndLevelThree: a session that was opened before the clock went
// wrong goes on, but not to lines of assurance level 3, nor for their owner.
func TestDoubtedClockAndLevelThree(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	for _, level := range []uint8{1, 3} {
		t.Run(fmt.Sprintf("level %d", level), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, level)
			sealed := w.seals(t, 1, 1)
			w.mustDeposit(t, sealed)
			s := w.SignIn(t, w.ana)
			own := w.release(sealed, 1)
			own.Grant, own.Purpose = abaton.GrantID{}, abaton.PatientAccess
			w.mustAsk(t, s, 5, own, keeper.Permitted, "")
			w.Keepers[5].Ahead(abaton.ClockDoubtMax + 10*time.Second)
			w.Keepers[5].AwaitClock(t, custody.ClockDoubted)
			w.heard(t, s, 5, own)
			if level == 3 {
				w.mustAsk(t, s, 5, own, keeper.Refused, abaton.ReasonClock)
			} else {
				w.mustAsk(t, s, 5, own, keeper.Permitted, "")
			}
			w.Keepers[5].Ahead(0)
			w.Keepers[5].AwaitClock(t, custody.ClockHealthy)
			w.heard(t, s, 5, own)
			w.mustAsk(t, s, 5, own, keeper.Permitted, "")
		})
	}
}

// heard waits until a keeper whose clock was set has a lease by it.
func (w *world) heard(t *testing.T, s *custodytest.Session, x abaton.KeeperIndex, q session.Request) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if r, err := w.Ask(t.Context(), s, x, q); err == nil && r.Reason != abaton.ReasonLease {
			return
		}
	}
	t.Fatalf("keeper %d has no lease", x)
}

// TestWrongClock: beyond ClockSkewMax a keeper answers nothing but its peers,
// says why, and serves again when its clock is right.
func TestWrongClock(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	for _, by := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		w.off(t, 5, by, custody.ClockWrong)
		size := w.Keepers[5].LedgerSize()
		if _, err := w.Keepers[5].Call(t.Context(), keeper.RouteSession, s.Signed); reasonOf(err) != abaton.ReasonClock {
			t.Errorf("session at a keeper %v ahead: got %v, want %q", by, err, abaton.ReasonClock)
		}
		q := w.release(sealed, 1)
		q.V, q.Session, q.Time, q.Nonce = wire.Version, s.ID, time.Now().Unix(), [16]byte{1}
		if _, err := w.Keepers[5].Call(t.Context(), keeper.RouteRequest, q.Sign(s.Key)); reasonOf(err) != abaton.ReasonClock {
			t.Errorf("request at a keeper %v ahead: got %v, want %q", by, err, abaton.ReasonClock)
		}
		if r := w.deposits(t, w.seals(t, uint64(100+by/time.Minute), 1))[5]; r.Reason != abaton.ReasonClock {
			t.Errorf("deposit at a keeper %v ahead: got %q, want %q", by, r.Reason, abaton.ReasonClock)
		}
		if got := w.Keepers[5].LedgerSize(); got != size {
			t.Errorf("a keeper %v ahead wrote %d entries with a wrong time", by, got-size)
		}
	}
	w.Restart(t, 5, func() { w.Keepers[5].Ahead(0) })
	w.Keepers[5].AwaitClock(t, custody.ClockHealthy)
	if got := w.Keepers[5].AwaitMode(t); got != "serving" {
		t.Fatalf("with its clock put right: got %s, want serving", got)
	}
	w.mustAsk(t, s, 5, w.release(sealed, 1), keeper.Permitted, "")
	if got := w.found(t, 5, abaton.ReasonClock); got != 2 {
		t.Errorf("findings: got %d, want 2", got)
	}
}

// TestClockMedian: what a lying peer says of the time stops nobody, and hides
// nothing while three others answer.
func TestClockMedian(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		said []time.Duration
		want custody.ClockHealth
	}{
		"one peer":                         {[]time.Duration{day}, 0},
		"two agree":                        {[]time.Duration{time.Second, 0}, custody.ClockHealthy},
		"one of two lies":                  {[]time.Duration{0, day}, custody.ClockHealthy},
		"both of two say it is off":        {[]time.Duration{day, day + time.Second}, custody.ClockWrong},
		"one of three lies":                {[]time.Duration{0, day, time.Second}, custody.ClockHealthy},
		"one of three hides it":            {[]time.Duration{day, 0, day}, custody.ClockWrong},
		"one of four lies":                 {[]time.Duration{0, -day, 0, time.Second}, custody.ClockHealthy},
		"one of four hides it":             {[]time.Duration{-day, 0, -day, -day}, custody.ClockWrong},
		"at the edge of doubt":             {[]time.Duration{abaton.ClockDoubtMax, abaton.ClockDoubtMax, abaton.ClockDoubtMax}, custody.ClockHealthy},
		"beyond it":                        {[]time.Duration{-abaton.ClockDoubtMax - 1, -abaton.ClockDoubtMax - 1}, custody.ClockDoubted},
		"at the edge of wrong":             {[]time.Duration{abaton.ClockSkewMax, abaton.ClockSkewMax}, custody.ClockDoubted},
		"beyond that":                      {[]time.Duration{abaton.ClockSkewMax + 1, abaton.ClockSkewMax + 1}, custody.ClockWrong},
		"two ahead, one behind, one right": {[]time.Duration{day, day, -day, 0}, custody.ClockHealthy},
	} {
		t.Run(name, func(t *testing.T) {
			w := newClockCore(t)
			for i, said := range c.said {
				w.Step(time.Unix(1_800_000_000, 0), []custody.Input{custody.Timed{Peer: abaton.KeeperIndex(i + 2), Ahead: said}})
			}
			if got := w.ClockNow().Health; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestClockStrangers: neither this keeper itself nor a stranger has a say.
func TestClockStrangers(t *testing.T) {
	w := newClockCore(t)
	for _, x := range []abaton.KeeperIndex{0, 1, 6, 200} {
		out := w.Step(time.Unix(1_800_000_000, 0), []custody.Input{custody.Timed{Peer: x, Ahead: time.Hour}})
		if e, ok := errors.AsType[*abaton.RefusedError](out[0].Err); !ok || e.Reason != abaton.ReasonPeer {
			t.Errorf("keeper %d: got %v, want %q", x, out[0].Err, abaton.ReasonPeer)
		}
	}
}

// TestOldTimesDoNotCount: what was heard longer than a lease ago does not.
func TestOldTimesDoNotCount(t *testing.T) {
	w := newClockCore(t)
	at := time.Unix(1_800_000_000, 0)
	w.Step(at, []custody.Input{custody.Timed{Peer: 2, Ahead: time.Hour}})
	w.Step(at.Add(abaton.LeaseMax+1), []custody.Input{custody.Timed{Peer: 3, Ahead: time.Hour}})
	if got := w.ClockNow().Health; got != 0 {
		t.Errorf("with one peer heard lately: got %s, want unknown", got)
	}
}

func newClockCore(t *testing.T) *custody.Core {
	t.Helper()
	s, err := store.New(store.NewMemory(), store.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	set, ids := custodytest.NewSet(t, 5)
	c, err := custody.CoreOf(custody.Config{Set: set, Index: 1, Incarnation: ids[0].Incarnation, Key: ids[0].Key, Box: ids[0].Box, Store: s,
		Mutation: custodytest.Mutation()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
