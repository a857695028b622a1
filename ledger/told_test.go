package ledger_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

// TestEachLedgerTellsItsOwn: what keepers judged by may differ; it makes no
// dispute, and each keeper's is shown as its own.
func TestEachLedgerTellsItsOwn(t *testing.T) {
	ks := fiveKeepers(t)
	told := func(outcome ledger.Outcome, reason abaton.Reason, policy uint64, watch ledger.Watch) ledger.Entry {
		e := release("r1", "doctor", "ana", row("b1", 1, 0))
		if outcome == ledger.Refused {
			e.Rows = []ledger.Row{row("b1", 0, 1)}
		}
		e.Outcome, e.Reason, e.Policy, e.Watch = outcome, reason, policy, watch
		return e
	}
	ask(t, ks, 1, told(ledger.Permitted, "", 3, ledger.Watch{}), 1, 2)
	ask(t, ks, 2, told(ledger.Refused, abaton.ReasonPolicy, 4, ledger.Watch{Rules: 1, Level: 3, Fired: 2}), 3)
	h := merge(t, ks, 1, 2, 3, 4)
	if len(h.Lines) != 1 || h.Lines[0].Disputed {
		t.Fatalf("got %d lines, disputed %v; want one that is not", len(h.Lines), h.Lines[0].Disputed)
	}
	l := h.Lines[0]
	if len(l.Told) != 3 || l.Told[2].Keeper != 3 || l.Told[2].Policy != 4 || l.Told[2].Watch.Level != 3 || l.Told[2].Reason != abaton.ReasonPolicy {
		t.Errorf("got %+v, want what keeper 3 says last", l.Told)
	}
	if l.Policy() != 3 || l.Watch().Level != 3 || l.Outcome() != ledger.Permitted {
		t.Errorf("got policy %d, level %d, %v; want 3, 3, permitted", l.Policy(), l.Watch().Level, l.Outcome())
	}
	if got := l.Reasons(); len(got) != 1 || got[0] != abaton.ReasonPolicy {
		t.Errorf("got reasons %v, want policy", got)
	}
	none := ledger.Line{}
	if none.Outcome() != 0 || none.Policy() != 0 || !none.Watch().IsZero() || none.Urgency() != 0 {
		t.Error("a line that no ledger tells has an outcome, a policy or a finding")
	}
}

// TestPolicyFollowsMostLedgers: a liar's version counts for one.
func TestPolicyFollowsMostLedgers(t *testing.T) {
	for _, c := range []struct {
		told []uint64
		want uint64
	}{{[]uint64{3, 3, 9}, 3}, {[]uint64{3, 4}, 4}, {[]uint64{0, 0, 9}, 0}, {[]uint64{7}, 7}} {
		l := ledger.Line{}
		for i, v := range c.told {
			l.Told = append(l.Told, ledger.Told{Keeper: abaton.KeeperIndex(i + 1), Policy: v})
		}
		if got := l.Policy(); got != c.want {
			t.Errorf("%v: got %d, want %d", c.told, got, c.want)
		}
	}
}
