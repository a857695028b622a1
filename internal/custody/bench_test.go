package custody_test

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"

	"github.com/abaton-health/abaton/actor"
)

// BenchmarkRelease is one keeper's whole answer to a warm session: signature,
// decision, ledger entry, piece, signed and sealed reply. The metric that
// counts is CPU time; 64 requests are under way, so that one commit serves
// many. The store is in memory: the disk is measured by itself.
func BenchmarkRelease(b *testing.B) {
	set, ids := custodytest.NewSet(b, 5)
	w := &world{org: custodytest.NewOrganisation(b, set)}
	w.doctor = custodytest.NewClinician(b, set, w.org)
	w.ana = custodytest.NewPatient(b, set, w.org, 1)
	w.Network = custodytest.Start(b, set, ids, w.org.ID)
	w.Publish(b, w.org.Inception, w.doctor.Inception, w.ana.Inception)
	const grants = 64 // one in flight per grant: quotas are counted one after the other
	var given []*grant.Grant
	for range grants {
		g := w.ana.Grant(w.doctor.ID, grant.Read, 1<<31)
		w.Publish(b, w.ana.Event(&actor.Granted{Grant: g.Marshal()}))
		given = append(given, g)
	}
	sealed := benchDeposit(b, w)
	s := w.SignIn(b, w.doctor)
	if _, err := w.Keepers[1].Call(b.Context(), keeper.RouteSession, s.Signed); err != nil {
		b.Fatal(err)
	}
	requests := make([][]byte, b.N)
	for i := range requests {
		q := session.Request{
			V: wire.Version, Session: s.ID, Patient: w.ana.ID, Grant: given[i%grants].ID(), Mode: session.Release,
			Purpose: abaton.Treatment, Rows: []session.Row{{Batch: sealed.Name, Bits: 1}}, Time: time.Now().Unix(),
		}
		binary.BigEndian.PutUint64(q.Nonce[:], uint64(i)+1)
		requests[i] = q.Sign(s.Key)
	}
	b.ResetTimer()
	before := cpuTime(b)
	var wg sync.WaitGroup
	for worker := range grants {
		wg.Go(func() {
			for i := worker; i < len(requests); i += grants {
				if _, err := w.Keepers[1].Call(b.Context(), keeper.RouteRequest, requests[i]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
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
