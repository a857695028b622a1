package client_test

import (
	"errors"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// misstate makes keeper x change its answers to looks and sign them anew.
func (w *world) misstate(x abaton.KeeperIndex, change func(*keeper.Statements)) {
	c := w.wires[x]
	c.set(func(c *cable) {
		c.tap = func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
			out, err := next(body)
			var signed keeper.Signed
			var s keeper.Statements
			if err != nil || route != keeper.RouteQuery || wire.Unmarshal(out, &signed) != nil || wire.Unmarshal(signed.Body, &s) != nil {
				return out, err
			}
			change(&s)
			return wire.Marshal(c.keeper.Identity.Key.Seal(wire.Feed, wire.Marshal(s))), nil
		}
	})
}

// TestTouched: the organisation learns exactly what its doctor opened, with one
// keeper away or lying, and whoever lies or is away is named.
func TestTouched(t *testing.T) {
	w := newWorld(t)
	tx := w.writes(general, "a", 4)
	w.put(w.writer(t.TempDir()), tx)
	r, _, ask := w.reader()
	if _, err := r.Chart(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	look := ledger.Look{Organisation: w.org.id, Person: w.doctor.id, Since: time.Now().Unix() - 3600, Until: time.Now().Unix() + 3600}
	net := w.network(w.org.signing)
	cut := func(x abaton.KeeperIndex) { w.cut(x) }
	for _, c := range []struct {
		name string
		do   func(abaton.KeeperIndex)
		want string
	}{
		{"all honest", func(abaton.KeeperIndex) {}, ""},
		{"away", cut, "no answer"},
		{"a forged entry", func(x abaton.KeeperIndex) {
			w.misstate(x, func(s *keeper.Statements) { s.Disclosures[0].Entry[40] ^= 1 })
		}, "proof"},
		{"nothing told", func(x abaton.KeeperIndex) {
			w.misstate(x, func(s *keeper.Statements) { s.Disclosures, s.Cover = nil, nil })
		}, "question not ledgered"},
		{"an entry left out", func(x abaton.KeeperIndex) {
			w.misstate(x, func(s *keeper.Statements) { s.Disclosures = s.Disclosures[1:] })
		}, "proof"},
		{"half a hash", func(x abaton.KeeperIndex) {
			w.misstate(x, func(s *keeper.Statements) { s.Cover = append(s.Cover, 1) })
		}, "proof"},
		{"without end", func(x abaton.KeeperIndex) { w.misstate(x, func(s *keeper.Statements) { s.Next = 1 }) }, "pages do not move on"},
	} {
		for x := abaton.KeeperIndex(1); x <= 5; x += 2 {
			c.do(x)
			got, err := net.Touched(t.Context(), look, nil)
			w.mend(x)
			if err != nil {
				t.Fatalf("%s, keeper %d: %v", c.name, x, err)
			}
			if got.Verdict != ledger.Complete || len(got.Patients) != 1 || got.Patients[0].Patient != w.patient.id {
				t.Errorf("%s, keeper %d: got %s, %d patients; want complete, the one", c.name, x, got.String(), len(got.Patients))
			}
			opened, near, asked := got.Patients[0].Counts()
			if opened+near == 0 || asked != 0 || c.want == "" && near != 0 {
				t.Errorf("%s, keeper %d: got %d opened, %d close, %d asked for; want what the chart has", c.name, x, opened, near, asked)
			}
			if (c.want == "") != (len(got.Faults) == 0) {
				t.Errorf("%s, keeper %d: got %v", c.name, x, got.Faults)
				continue
			}
			if c.want == "" {
				continue
			}
			if e, is := errors.AsType[*ledger.WithheldError](got.Faults[0]); !is || e.Keeper != x || e.Check != c.want || len(got.Faults) != 1 {
				t.Errorf("%s, keeper %d: got %v, want it named for %q", c.name, x, got.Faults, c.want)
			}
		}
	}
	if _, err := w.network(key.NewSigning()).Touched(t.Context(), look, nil); err == nil {
		t.Error("a stranger learns of it")
	}
	if _, err := w.network(w.doctor.signing).Touched(t.Context(), look, nil); err == nil {
		t.Error("the doctor learns of it")
	}
}
