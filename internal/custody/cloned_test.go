package custody_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
)

// TestClonedPasskey: of two statements of one passkey the later one counts
// higher, in whatever order a keeper meets them; else somebody holds a copy.
func TestClonedPasskey(t *testing.T) {
	w := newWorld(t, 1)
	plain := w.doctor.Passkey
	begin := time.Now()
	statement := func(count uint32, at time.Duration) *custodytest.Session {
		w.doctor.Passkey = plain.WithCount(count)
		return w.SignInAt(t, w.doctor, begin.Add(at))
	}
	try := func(x abaton.KeeperIndex, s *custodytest.Session) abaton.Reason {
		_, err := w.Keepers[x].Call(t.Context(), keeper.RouteSession, s.Signed)
		return reasonOf(err)
	}
	first, later, newest := statement(5, 0), statement(6, 10*time.Second), statement(7, 20*time.Second)
	steps := []struct {
		name string
		x    abaton.KeeperIndex
		s    *custodytest.Session
		want abaton.Reason
	}{
		{"first", 1, first, ""},
		{"later", 1, later, ""},
		{"later, again", 1, later, ""},
		{"a copy that counts behind", 1, statement(6, 30*time.Second), abaton.ReasonCloned},
		{"a copy that stopped counting", 1, statement(0, 30*time.Second), abaton.ReasonCloned},
		{"a copy in the same second with the same count", 1, statement(6, 10*time.Second), abaton.ReasonCloned},
		{"the owner goes on", 1, newest, ""},
		{"the newest first", 2, newest, ""},
		{"an older one met late", 2, first, ""},
		{"an older one that counted higher", 2, statement(9, 10*time.Second), abaton.ReasonCloned},
		{"an older one that counted as high", 2, statement(7, 10*time.Second), abaton.ReasonCloned},
		{"a passkey that does not count", 3, statement(0, 0), ""},
		{"and again", 3, statement(0, time.Second), ""},
		{"and earlier", 3, statement(0, -time.Second), ""},
		{"then counts", 3, statement(1, 2*time.Second), ""},
		{"then does not", 3, statement(0, 3*time.Second), abaton.ReasonCloned},
		{"the owner", 4, first, ""},
		{"a copy within the second", 4, statement(6, 0), ""},
		{"the owner's next touch, which counts as high", 4, later, abaton.ReasonCloned},
	}
	for _, step := range steps {
		if got := try(step.x, step.s); got != step.want {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
}
