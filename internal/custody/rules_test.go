package custody_test

import (
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// fires asks keeper 1 and holds the answer and the rule in its ledger against
// what is wanted.
func (w *clinic) fires(t *testing.T, rule detect.Rule, s *custodytest.Session, q session.Request, want abaton.Reason) {
	t.Helper()
	if got := w.asks(t, s, 1, q); got != want {
		t.Fatalf("%v: got %q, want %q", rule, got, want)
	}
	if e := w.lastEntry(t, 1, ledger.OpRelease); !detect.Rules(e.Watch.Fired).Has(rule) {
		t.Fatalf("%v: got entry with %v, want it named", rule, detect.Rules(e.Watch.Fired))
	}
}

// opensAll opens so many charts at keeper 1, each with a touch where step is set.
func (w *clinic) opensAll(t *testing.T, p *custodytest.Person, s *custodytest.Session, charts []chart, step bool) {
	t.Helper()
	for i := range charts {
		q := charts[i].release()
		if step {
			q = w.steps(t, p, s, &charts[i])
		}
		if got := w.asks(t, s, 1, q); got != "" {
			t.Fatalf("patient %d: got %q, want released", i+1, got)
		}
	}
}

// TestRulesSpeakAtKeepers: what a request is and who asks reaches the rules, for
// those that a few minutes can show; package detect has stories for all.
func TestRulesSpeakAtKeepers(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newStaffed(t, 22, 5)
	all := w.charts

	fast := w.others[0]
	var reasons []relation.Entry
	for i := range all {
		reasons = append(reasons, stands(relation.Appointment, all[i].patient.ID, fast.ID))
	}
	slices.SortFunc(reasons, relation.Compare)
	w.relates(t, w.org.Writer, reasons...)
	s := w.SignIn(t, fast)
	w.opensAll(t, fast, s, all[:10], false)
	w.fires(t, detect.D0, s, all[10].release(), abaton.ReasonStepUp) // a throttle asks for a touch as well
	w.opensAll(t, fast, s, all[10:21], true)
	w.fires(t, detect.D1, s, w.steps(t, fast, s, &all[21]), "")

	many := w.others[1]
	s = w.SignIn(t, many)
	w.opensAll(t, many, s, all[:5], false)
	w.fires(t, detect.D2, s, all[5].release(), abaton.ReasonStepUp)

	s = w.SignIn(t, w.others[2])
	for i := range 5 {
		q := all[i].release()
		q.Grant = abaton.GrantID{byte(i), 1}
		if got := w.asks(t, s, 1, q); got == "" {
			t.Fatal("a grant that nobody gave: got released")
		}
	}
	w.fires(t, detect.D5, s, all[6].release(), abaton.ReasonSuspended)

	roams := w.others[3]
	w.opensAll(t, roams, w.SignIn(t, roams), all[:1], false)
	roams.Device = w.eve.Device
	w.fires(t, detect.D7, w.SignInAt(t, roams, time.Now().Add(time.Second)), all[8].release(), abaton.ReasonStepUp)

	for _, who := range []*custodytest.Person{w.others[4], w.thief} { // the third and fourth at this one without a reason
		w.opensAll(t, who, w.SignIn(t, who), all[:1], false)
	}
	w.fires(t, detect.D12, w.SignIn(t, w.eve), all[0].release(), abaton.ReasonStepUp)
}
