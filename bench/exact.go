package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
)

// exactGroup is how many entries one ledger group has here.
const exactGroup = 1024

// heap is a ledger's storage in memory.
type heap map[string][]byte

func (h heap) Get(k []byte) ([]byte, error) { return h[string(k)], nil }
func (h heap) Put(k, v []byte)              { h[string(k)] = append([]byte(nil), v...) }

// exact measures how long an exact list takes: of so many patients, each read
// once by one thief at three of five keepers, beside as many reads of another
// organisation. Ledgers are made one after the other, so that one machine holds
// them; only reading, verifying and merging counts. Real keepers do the first
// of the three at the same time.
func exact(ctx context.Context, b *bench) error {
	look := ledger.Look{Organisation: abaton.ActorID{1}, Person: abaton.ActorID{2}, Since: 1, Until: 1 << 40}
	rand.Read(look.Name[:])
	survey := ledger.NewSurvey(look, ledger.Shape{Keepers: 5, Threshold: 3, Faulty: 1})
	var took time.Duration
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		l, v, own, err := b.exactLedger(ctx, x, &look)
		if err != nil {
			return err
		}
		began := time.Now()
		for from := uint64(0); ; {
			page, err := l.Select(&look, own, from, abaton.DisclosuresMax, 16384)
			if err != nil {
				return err
			}
			if err := page.Verify(l.Origin(), v); err != nil {
				return err
			}
			if err := survey.Take(x, &page); err != nil {
				return err
			}
			if from = page.Next; from == 0 {
				break
			}
		}
		survey.Done(x, 0)
		took += time.Since(began)
	}
	began := time.Now()
	touched := survey.Touched()
	took += time.Since(began)
	exactly := 0
	for i := range touched.Patients {
		if opened, near, asked := touched.Patients[i].Counts(); opened == 1 && near+asked == 0 {
			exactly++
		}
	}
	if len(touched.Patients) != b.patients || exactly != b.patients || touched.Verdict != ledger.Complete {
		return fmt.Errorf("exact list: %d patients, %d exactly, %v; want all %d", len(touched.Patients), exactly, touched.String(), b.patients)
	}
	b.add(row{Name: fmt.Sprintf("exact list of %d patients, five ledgers", b.patients), Value: took.Seconds(), Unit: "s", Budget: "<= 300 s for 1,000,000",
		Detail: "read, prove, verify and merge, one after the other in one process; precision and recall 1"})
	return nil
}

// exactLedger is one keeper's ledger: it released to the thief what it was
// asked, three of five for each patient.
func (b *bench) exactLedger(ctx context.Context, x abaton.KeeperIndex, look *ledger.Look) (*ledger.Log, note.Verifier, uint64, error) {
	s, err := ledger.NewSigner(fmt.Sprintf("keeper%d.example/ledger", x), key.NewSigning())
	if err != nil {
		return nil, nil, 0, err
	}
	h, now := make(heap), time.Unix(1_780_000_000, 0)
	l, g, err := ledger.Create(ledger.Config{Origin: s.Name(), Keeper: x, Signer: s, Verifier: s.Verifier(), Cosigner: s.Cosigner()}, h, h, now)
	if err != nil {
		return nil, nil, 0, err
	}
	g.Commit()
	var waiting []ledger.Entry
	flush := func() error {
		g, err := l.Append(h, waiting, now)
		if err != nil {
			return err
		}
		g.Commit()
		waiting, now = waiting[:0], now.Add(time.Second)
		return ctx.Err()
	}
	for n := range b.patients {
		if (n+int(x))%5 >= 3 {
			continue
		}
		e := ledger.Entry{Op: ledger.OpRelease, Outcome: ledger.Permitted, Actor: look.Person, Organisation: look.Organisation, Role: "nurse",
			Session: abaton.SessionID{3}, Purpose: abaton.Treatment, Rows: []ledger.Row{{Batch: abaton.BatchName{4}, Released: 1}}}
		binary.BigEndian.PutUint64(e.Request[8:], uint64(n)+1)
		binary.BigEndian.PutUint64(e.Patient[8:], uint64(n)+1)
		binary.BigEndian.PutUint64(e.Rows[0].Batch[8:], uint64(n)+1)
		other := e
		other.Organisation, other.Actor = abaton.ActorID{9}, abaton.ActorID{8}
		other.Request[0] = 1
		if waiting = append(waiting, e, other); len(waiting) >= exactGroup {
			if err := flush(); err != nil {
				return nil, nil, 0, err
			}
		}
	}
	waiting = append(waiting, look.Entry(look.Organisation))
	if err := flush(); err != nil {
		return nil, nil, 0, err
	}
	return l, s.Verifier(), l.Size() - 1, nil
}
