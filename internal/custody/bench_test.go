package custody_test

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/policy"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// benchWorld is a hospital with its policy in force, a physician at a vouched
// device, and enough grants that requests do not wait for each other's quota.
type benchWorld struct {
	*world
	grants []*grant.Grant
	sealed *seal.Sealed
}

// benchGrants is how many requests are under way: one a grant, for quotas are
// counted one after the other.
const benchGrants = 64

func newBenchWorld(b *testing.B) *benchWorld {
	b.Helper()
	set, ids := custodytest.NewSet(b, 5)
	w := &benchWorld{world: &world{org: custodytest.NewOrganisation(b, set)}}
	w.doctor = custodytest.NewClinician(b, set, w.org)
	w.ana = custodytest.NewPatient(b, set, w.org, 1)
	w.Network = custodytest.Start(b, set, ids, w.org.ID)
	w.Publish(b, w.org.Inception, w.doctor.Inception, w.ana.Inception)
	w.Enrol(b, w.doctor)
	text, err := policy.Shipped("hospital")
	if err != nil {
		b.Fatal(err)
	}
	w.appoints(b)
	w.Publish(b, w.org.Event(policyOf(1, string(text))))
	for range benchGrants {
		g := w.ana.Grant(w.doctor.ID, grant.Read, 1<<31)
		w.Publish(b, w.ana.Event(&actor.Granted{Grant: g.Marshal()}))
		w.grants = append(w.grants, g)
	}
	w.sealed = benchDeposit(b, w.world)
	return w
}

// asks is the i-th request of a session.
func (w *benchWorld) asks(s *custodytest.Session, i int) []byte {
	q := session.Request{
		V: wire.Version, Session: s.ID, Patient: w.ana.ID, Grant: w.grants[i%benchGrants].ID(), Mode: session.Release,
		Purpose: abaton.Treatment, Rows: []session.Row{{Batch: w.sealed.Name, Bits: 1}}, Time: time.Now().Unix(),
	}
	binary.BigEndian.PutUint64(q.Nonce[:], uint64(i)+1)
	return q.Sign(s.Key)
}

// warm is a session that keeper 1 has open, and n requests of it.
func (w *benchWorld) warm(b *testing.B, n int) [][]byte {
	b.Helper()
	s := w.SignIn(b, w.doctor)
	if _, err := w.Keepers[1].Call(b.Context(), keeper.RouteSession, s.Signed); err != nil {
		b.Fatal(err)
	}
	requests := make([][]byte, n)
	for i := range requests {
		requests[i] = w.asks(s, i)
	}
	return requests
}

// each does b.N things, benchGrants at a time, and reports the CPU time of one.
func each(b *testing.B, do func(i int) error) {
	b.Helper()
	b.ResetTimer()
	before := cpuTime(b)
	var wg sync.WaitGroup
	for worker := range benchGrants {
		wg.Go(func() {
			for i := worker; i < b.N; i += benchGrants {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// BenchmarkRelease is one keeper's whole answer to a warm session: signature,
// decision with the hospital's policy, ledger entry, piece, signed and sealed
// reply. The metric that counts is CPU time; 64 requests are under way, so that
// one commit serves many. The store is in memory: the disk is measured by itself.
func BenchmarkRelease(b *testing.B) {
	w := newBenchWorld(b)
	requests := w.warm(b, b.N)
	each(b, func(i int) error {
		_, err := w.Keepers[1].Call(b.Context(), keeper.RouteRequest, requests[i])
		return err
	})
}

// BenchmarkDecision is BenchmarkRelease without its answer: canonical form,
// signature, replay, standing, grant, policy, budget, ledger entry.
func BenchmarkDecision(b *testing.B) {
	w := newBenchWorld(b)
	requests := w.warm(b, b.N)
	each(b, func(i int) error { return w.Keepers[1].Decide(b.Context(), requests[i]) })
}

// BenchmarkFirstContact is what a session costs before its first request is
// decided: passkey, device, posture and checkpoints verified, the channel to its
// reply key opened and answered; then one decision.
func BenchmarkFirstContact(b *testing.B) {
	w := newBenchWorld(b)
	type first struct{ statement, request []byte }
	sessions := make([]first, b.N)
	for i := range sessions {
		s := w.SignIn(b, w.doctor)
		sessions[i] = first{s.Signed, w.asks(s, i)}
	}
	each(b, func(i int) error {
		if _, err := w.Keepers[1].Call(b.Context(), keeper.RouteSession, sessions[i].statement); err != nil {
			return err
		}
		return w.Keepers[1].Decide(b.Context(), sessions[i].request)
	})
}

func benchDeposit(b *testing.B, w *world) *seal.Sealed {
	b.Helper()
	line := w.ana.Root.Line(custodytest.General)
	content := make([]byte, 1800)
	rand.Read(content)
	s, err := seal.Seal(seal.Batch{
		Patient: w.ana.ID, Line: line, Segment: w.ana.Root.Segment(custodytest.General, 1).Public(), Set: w.Set.ID(),
		Shape: spread.FiveKeepers(), Writer: w.org.Writer, Seq: 1, Hour: uint32(time.Now().Unix() / 3600),
		Author: seal.Author{Actor: w.org.ID, Key: w.org.Writer},
		Records: []seal.Record{{
			Envelope: seal.Envelope{Patient: w.ana.ID, Line: line, Kind: seal.KindResource, Type: "Basic", ID: "a", VersionID: "1", LastUpdated: 1},
			Content:  content,
		}},
	})
	if err != nil {
		b.Fatal(err)
	}
	box, err := w.Set.BoxOf(1)
	if err != nil {
		b.Fatal(err)
	}
	upload, err := spread.SealUpload(s.Uploads[0], w.Set.ID(), box)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.Keepers[1].Call(b.Context(), keeper.RouteDeposit, wire.Marshal(keeper.Deposits{V: 1, Uploads: [][]byte{upload}})); err != nil {
		b.Fatal(err)
	}
	return s
}

// cpuTime is what this process has used, user and system.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
