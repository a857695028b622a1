package report_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
)

// memory is a ledger's storage; a batch shows when committed.
type memory map[string][]byte

func (m memory) Get(k []byte) ([]byte, error) { return m[string(k)], nil }

type batch map[string][]byte

func (b batch) Put(k, v []byte) { b[string(k)] = bytes.Clone(v) }

func testKey(name string) *key.Signing {
	return key.SigningFromSeed(key.Secret(sha256.Sum256([]byte("abaton-test-only " + name))))
}

func id(words ...any) [32]byte { return sha256.Sum256([]byte(fmt.Sprint(words...))) }

const start = 1_780_000_000 // 28 May 2026

// world is five keepers' ledgers, and a clock.
type world struct {
	logs  [5]*ledger.Log
	store [5]memory
	trust report.Trust
	now   int64
	org   abaton.ActorID
	sign  *key.Signing
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{now: start, org: id("org"), sign: testKey("manager"),
		trust: report.Trust{Keepers: make(map[abaton.KeeperIndex]report.Keeper), Shape: ledger.Shape{Keepers: 5, Threshold: 3, Faulty: 1}}}
	for i := range w.logs {
		k := testKey(fmt.Sprint("keeper ", i+1))
		origin := fmt.Sprintf("keeper%d.example/ledger", i+1)
		s, err := ledger.NewSigner(origin, k)
		if err != nil {
			t.Fatal(err)
		}
		w.store[i] = memory{}
		b := batch{}
		l, g, err := ledger.Create(ledger.Config{Origin: origin, Keeper: abaton.KeeperIndex(i + 1), Signer: s, Verifier: s.Verifier(), Cosigner: s.Cosigner()},
			w.store[i], b, time.Unix(w.now, 0))
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(w.store[i], b)
		g.Commit()
		w.logs[i] = l
		w.trust.Keepers[abaton.KeeperIndex(i+1)] = report.Keeper{Origin: origin, Key: k.ID()}
	}
	return w
}

// enter adds one entry at some keepers.
func (w *world) enter(t testing.TB, e ledger.Entry, at ...int) {
	t.Helper()
	w.now++
	for _, x := range at {
		b := batch{}
		g, err := w.logs[x-1].Append(b, []ledger.Entry{e}, time.Unix(w.now, 0))
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(w.store[x-1], b)
		g.Commit()
	}
}

// read is a request for records of a patient in a session of the organisation.
func (w *world) read(patient, session string, n int, released, refused uint64) ledger.Entry {
	e := ledger.Entry{Request: id("request", patient, session, n), Op: ledger.OpRelease, Actor: id("nurse"), Organisation: w.org, Role: "nurse",
		Session: id("session", session), Patient: id("patient", patient), Lines: []abaton.Line{lineOf(patient, "general")}, Purpose: abaton.Treatment, Grant: id("grant", patient),
		Rows: []ledger.Row{{Batch: id("batch", patient), Released: released, Refused: refused}}}
	switch {
	case refused == 0:
		e.Outcome = ledger.Permitted
	case released == 0:
		e.Outcome, e.Reason = ledger.Refused, abaton.ReasonGrant
	default:
		e.Outcome, e.Reason = ledger.Partly, abaton.ReasonGrant
	}
	return e
}

// theft is the story: a stolen session opens three patients' records, is stopped
// half way through a fourth, and asks in vain for a fifth; others read too.
func (w *world) theft(t testing.TB) {
	w.enter(t, w.read("other", "honest", 1, 0xff, 0), 1, 2, 3)
	directory := w.read("own", "stolen", 12, 3, 0)
	directory.Patient = w.org
	w.enter(t, directory, 1, 2, 3)
	for n, patient := range []string{"a", "b", "c"} {
		w.enter(t, w.read(patient, "stolen", n, 7, 0), 1+n%3, 2+n%3, 3+n%3)
	}
	w.enter(t, w.read("d", "stolen", 9, 3, 0), 1)
	w.enter(t, w.read("d", "stolen", 9, 0, 3), 2, 3, 4, 5)
	w.enter(t, w.read("e", "stolen", 10, 0, 1), 1, 2, 3, 4, 5)
	foreign := w.read("a", "stolen", 11, 7, 0)
	foreign.Organisation = id("another house")
	w.enter(t, foreign, 1, 2, 3)
}

// ask puts the question for the stolen session to some keepers.
func (w *world) ask(t testing.TB, keepers ...int) (*ledger.Touched, *report.Proofs, *report.Asked) {
	t.Helper()
	asked := report.Ask(w.sign.ID(), ledger.Look{Organisation: w.org, Session: id("session", "stolen"), Since: start - 60, Until: w.now + 3600})
	e := asked.Look.Entry(w.org)
	all := []int{1, 2, 3, 4, 5}
	own := make(map[int]uint64)
	for _, x := range all {
		own[x] = w.logs[x-1].Size()
	}
	w.enter(t, e, all...)
	survey, proofs := ledger.NewSurvey(asked.Look, w.trust.Shape), new(report.Proofs)
	for _, x := range keepers {
		for from := uint64(0); ; {
			page, err := w.logs[x-1].Select(&asked.Look, own[x], from, 3, 100)
			if err != nil {
				t.Fatal(err)
			}
			k := w.trust.Keepers[abaton.KeeperIndex(x)]
			v, err := ledger.NewVerifier(k.Origin, k.Key)
			if err != nil || page.VerifyPaths(k.Origin, v) != nil {
				t.Fatal("a page does not verify")
			}
			if err := survey.Take(abaton.KeeperIndex(x), &page); err != nil {
				t.Fatal(err)
			}
			proofs.Add(abaton.KeeperIndex(x), &page)
			if from = page.Next; from == 0 {
				break
			}
		}
		survey.Done(abaton.KeeperIndex(x), 0)
	}
	return survey.Touched(), proofs, &asked
}

// facts are what people say in this story.
func (w *world) facts() *report.Facts {
	return &report.Facts{Vector: report.StolenSession, Found: "a keeper's finding: many patients in a short time", Contained: w.now,
		Measures: []report.Measure{{At: w.now, What: "the session was ended at every keeper"}}}
}

func settings() *report.Settings {
	return &report.Settings{Name: "Test Clinic", Address: "1 Example Street, Exampletown", Country: "NL", Identifier: "00000000", Sector: "health care: clinic",
		DPO: report.Contact{Name: "D. Officer", Phone: "+31 000 0001"}, Reporter: report.Contact{Name: "S. Officer", Function: "security officer", Phone: "+31 000 0002"},
		Patients: report.Contact{Phone: "+31 000 0003", Hours: "every day, day and night"}, Support: report.Contact{Name: "the support desk", Phone: "+31 000 0004"},
		Authority: "the Dutch Data Protection Authority", Person: "Dr Example", CrossBorder: "no", Groups: "patients of the clinic", Kinds: "medical records",
		Identity: "yes", Safeguards: []string{"each record sealed, cut and spread over five keepers"}, Planned: []string{"shorter sessions"}, Training: "yes, in the last year"}
}
