package custody_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// world is a network with one organisation, clinician and patient.
type world struct {
	*custodytest.Network
	org, doctor, ana *custodytest.Person
	registry         *custodytest.Person // admitted; its first event is a test's to publish
	grant            *grant.Grant
}

func newWorld(t *testing.T, level uint8) *world {
	t.Helper()
	set, ids := custodytest.NewSet(t, 5)
	w := &world{org: custodytest.NewOrganisation(t, set)}
	w.doctor = custodytest.NewClinician(t, set, w.org)
	w.ana = custodytest.NewPatient(t, set, w.org, level)
	w.registry = custodytest.NewOrganisation(t, set)
	w.Network = custodytest.Start(t, set, ids, w.org.ID, w.registry.ID)
	w.Publish(t, w.org.Inception, w.doctor.Inception, w.ana.Inception)
	w.grant = w.ana.Grant(w.doctor.ID, grant.Read, 100)
	w.Publish(t, w.ana.Event(&actor.Granted{Grant: w.grant.Marshal()}))
	return w
}

// seals n records of the patient; the writer is the organisation's.
func (w *world) seals(t *testing.T, seq uint64, n int) *seal.Sealed {
	t.Helper()
	line := w.ana.Root.Line(custodytest.General)
	b := seal.Batch{
		Patient: w.ana.ID, Line: line, Segment: w.ana.Root.Segment(custodytest.General, 1).Public(), Set: w.Set.ID(),
		Shape: spread.FiveKeepers(), Writer: w.org.Writer, Seq: seq, Hour: uint32(time.Now().Unix() / 3600),
		Author: seal.Author{Actor: w.org.ID, Key: w.org.Writer},
	}
	for range n {
		b.Records = append(b.Records, seal.Record{
			Envelope: seal.Envelope{Patient: w.ana.ID, Line: line, Kind: seal.KindResource, Type: "Basic", ID: "a", VersionID: "1", LastUpdated: 1},
			Content:  []byte(`{"resourceType":"Basic"}`),
		})
	}
	s, err := seal.Seal(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// deposits a sealed batch at every keeper and returns what each answered.
func (w *world) deposits(t *testing.T, s *seal.Sealed) map[abaton.KeeperIndex]keeper.Result {
	t.Helper()
	out := make(map[abaton.KeeperIndex]keeper.Result)
	for i, u := range s.Uploads {
		x := abaton.KeeperIndex(i + 1)
		box, err := w.Set.BoxOf(x)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := spread.SealUpload(u, w.Set.ID(), box)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := w.Keepers[x].Call(t.Context(), keeper.RouteDeposit, wire.Marshal(keeper.Deposits{V: 1, Uploads: [][]byte{sealed}}))
		if err != nil {
			t.Fatal(err)
		}
		var r keeper.Results
		if err := wire.Unmarshal(answer, &r); err != nil {
			t.Fatal(err)
		}
		out[x] = r.Results[0]
	}
	return out
}

func (w *world) mustDeposit(t *testing.T, s *seal.Sealed) {
	t.Helper()
	for x, r := range w.deposits(t, s) {
		if r.Reason != "" {
			t.Fatalf("keeper %d: deposit refused: %s", x, r.Reason)
		}
	}
}

func (w *world) release(s *seal.Sealed, bits uint64) session.Request {
	return session.Request{
		Patient: w.ana.ID, Grant: w.grant.ID(), Mode: session.Release, Purpose: abaton.Treatment,
		Rows: []session.Row{{Batch: s.Name, Bits: bits}},
	}
}

func reasonOf(err error) abaton.Reason {
	if e, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return e.Reason
	}
	return ""
}

func TestDepositReleaseOpen(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 3)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	g, err := spread.NewGather(sealed.Name, 0b1111, spread.FiveKeepers(), w.Set.ID(), func(*spread.Head, *spread.Lock) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for x := abaton.KeeperIndex(1); x <= 3; x++ {
		r, err := w.Ask(t.Context(), s, x, w.release(sealed, 0b1111))
		if err != nil {
			t.Fatalf("keeper %d: %v", x, err)
		}
		if r.Outcome != keeper.Permitted || len(r.Pieces) != 1 {
			t.Fatalf("keeper %d: got outcome %d, reason %q, %d pieces; want permitted with 1", x, r.Outcome, r.Reason, len(r.Pieces))
		}
		if err := g.Add(x, r.Pieces[0]); err != nil {
			t.Fatalf("keeper %d: piece: %v", x, err)
		}
	}
	opened, err := seal.Open(w.ana.Root.Segment(custodytest.General, 1), g.Result(), func(abaton.ActorID) []abaton.KeyID { return []abaton.KeyID{w.org.Writer.ID()} })
	if err != nil {
		t.Fatal(err)
	}
	if len(opened) != 4 {
		t.Fatalf("got %d records, want 4 (3 and the index)", len(opened))
	}
	for _, o := range opened {
		if o.Err != nil {
			t.Errorf("record %d: %v", o.Name.Index, o.Err)
		}
	}
}

func TestEveryOutcomeIsLedgered(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	ask := w.release(sealed, 1)
	w.mustAsk(t, s, 1, ask, keeper.Permitted, "")
	ask.Grant[0] ^= 1
	w.mustAsk(t, s, 1, ask, keeper.Refused, abaton.ReasonNotFound)
	own := w.SignIn(t, w.ana)
	r := w.mustAsk(t, own, 1, session.Request{Patient: w.ana.ID, Mode: session.History, Purpose: abaton.PatientAccess}, keeper.Permitted, "")
	var got []ledger.Outcome
	for _, d := range r.Disclosures {
		e, err := ledger.ParseEntry(d.Entry)
		if err != nil {
			t.Fatal(err)
		}
		if e.Op == ledger.OpRelease {
			got = append(got, e.Outcome)
			if e.Actor != w.doctor.ID || e.Rows[0].Batch != sealed.Name {
				t.Errorf("release entry names another actor or batch")
			}
		}
	}
	if len(got) != 2 || got[0] != ledger.Permitted || got[1] != ledger.Refused {
		t.Errorf("got outcomes %v, want permitted and refused", got)
	}
}

func (w *world) mustAsk(t *testing.T, s *custodytest.Session, x abaton.KeeperIndex, q session.Request, want keeper.Outcome, why abaton.Reason) *keeper.Reply {
	t.Helper()
	r, err := w.Ask(t.Context(), s, x, q)
	if err != nil {
		t.Fatalf("ask keeper %d: %v", x, err)
	}
	if r.Outcome != want || r.Reason != why {
		t.Fatalf("ask keeper %d: got outcome %d, reason %q; want %d, %q", x, r.Outcome, r.Reason, want, why)
	}
	return r
}

func TestRevokedRefusesAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	w.mustAsk(t, s, 1, w.release(sealed, 1), keeper.Permitted, "")
	w.Publish(t, w.ana.Event(&actor.Revoke{Grant: w.grant.ID()}))
	for x := range w.Keepers {
		w.mustAsk(t, s, x, w.release(sealed, 1), keeper.Refused, abaton.ReasonRevoked)
	}
}

func TestRevocationReachesAKeeperThatWasDown(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	w.Keepers[5].Down(true)
	w.Publish(t, w.ana.Event(&actor.Revoke{Grant: w.grant.ID()}))
	w.Keepers[5].Down(false)
	s := w.SignIn(t, w.doctor)
	// Its peers' feeds bring it within one interval.
	deadline := time.Now().Add(4 * abaton.FeedInterval)
	for {
		r, err := w.Ask(t.Context(), s, 5, w.release(sealed, 1))
		if err == nil && r.Reason == abaton.ReasonRevoked {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("keeper 5 never heard of the revocation: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestRepeatHasNoSecondEffect(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	q := w.release(sealed, 1)
	q.V, q.Session, q.Time, q.Nonce = wire.Version, s.ID, time.Now().Unix(), [16]byte{1}
	request := q.Sign(s.Key)
	first, err := w.AskBytes(t.Context(), s, 1, request)
	if err != nil {
		t.Fatal(err)
	}
	size := w.Keepers[1].LedgerSize()
	again, err := w.AskBytes(t.Context(), s, 1, request)
	if err != nil {
		t.Fatal(err)
	}
	if again.Entry != first.Entry || w.Keepers[1].LedgerSize() != size {
		t.Errorf("repeat: got entry %d and %d entries, want %d and %d", again.Entry, w.Keepers[1].LedgerSize(), first.Entry, size)
	}
	w.Publish(t, w.ana.Event(&actor.Revoke{Grant: w.grant.ID()}))
	size = w.Keepers[1].LedgerSize()
	for range 3 {
		r, err := w.AskBytes(t.Context(), s, 1, request)
		if reasonOf(err) != abaton.ReasonRevoked && (err != nil || r.Reason != abaton.ReasonRevoked || len(r.Pieces) != 0) {
			t.Fatalf("repeat after revocation: got %v, want a refusal", err)
		}
	}
	if got := w.Keepers[1].LedgerSize(); got != size+1 {
		t.Errorf("refused repeats: got %d new entries, want 1", got-size)
	}
}

func TestQuotaIsRecords(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 3)
	w.mustDeposit(t, sealed)
	w.grant = w.ana.Grant(w.doctor.ID, grant.Read, 3)
	w.Publish(t, w.ana.Event(&actor.Granted{Grant: w.grant.Marshal()}))
	s := w.SignIn(t, w.doctor)
	w.mustAsk(t, s, 1, w.release(sealed, 0b0011), keeper.Permitted, "")
	w.mustAsk(t, s, 1, w.release(sealed, 0b0011), keeper.Refused, abaton.ReasonQuota)
	w.mustAsk(t, s, 1, w.release(sealed, 0b0001), keeper.Permitted, "")
}

// TestPermitsCostQuota: a permit is free for what the same session opened or was
// permitted before, and for nothing else.
func TestPermitsCostQuota(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 3)
	w.mustDeposit(t, sealed)
	w.grant = w.ana.Grant(w.doctor.ID, grant.Read, 4)
	w.Publish(t, w.ana.Event(&actor.Granted{Grant: w.grant.Marshal()}))
	permit := func(bits uint64) session.Request {
		q := w.release(sealed, bits)
		q.Mode = session.Permit
		return q
	}
	s, other := w.SignIn(t, w.doctor), w.SignIn(t, w.doctor)
	w.mustAsk(t, s, 1, w.release(sealed, 0b0001), keeper.Permitted, "") // 1 of 4
	for range 5 {
		w.mustAsk(t, s, 1, permit(0b0001), keeper.Permitted, "")
	}
	w.mustAsk(t, s, 1, permit(0b0011), keeper.Permitted, "") // 2: one of the two is new
	w.mustAsk(t, s, 1, permit(0b0011), keeper.Permitted, "")
	w.mustAsk(t, other, 1, permit(0b0011), keeper.Permitted, "") // 4: another session renews nothing
	w.mustAsk(t, other, 1, permit(0b0100), keeper.Refused, abaton.ReasonQuota)
	w.mustAsk(t, other, 1, permit(0b0011), keeper.Permitted, "")
	w.mustAsk(t, s, 1, permit(0b0011), keeper.Permitted, "")
	w.mustAsk(t, s, 1, w.release(sealed, 0b0001), keeper.Refused, abaton.ReasonQuota)
}

func TestDepositsRefused(t *testing.T) {
	w := newWorld(t, 1)
	first := w.seals(t, 1, 1)
	w.mustDeposit(t, first)
	old := w.deposits(t, first)
	for x, r := range w.deposits(t, first) {
		if !bytes.Equal(r.OK, old[x].OK) || len(r.OK) == 0 {
			t.Errorf("keeper %d: the same batch again: got another receipt", x)
		}
	}
	for x, r := range w.deposits(t, w.seals(t, 1, 1)) {
		if r.Reason != abaton.ReasonEquivocation {
			t.Errorf("keeper %d: sequence number used twice: got %q, want %q", x, r.Reason, abaton.ReasonEquivocation)
		}
		if got := w.found(t, x, abaton.ReasonEquivocation); got != 1 {
			t.Errorf("keeper %d: got %d findings, want 1", x, got)
		}
	}
	honest := w.org.Writer
	w.org.Writer = key.NewSigning()
	for x, r := range w.deposits(t, w.seals(t, 2, 1)) {
		if r.Reason != abaton.ReasonWriter {
			t.Errorf("keeper %d: unknown writer: got %q, want %q", x, r.Reason, abaton.ReasonWriter)
		}
	}
	w.org.Writer = honest
}

func TestErasedRecordNeverComesBack(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 3)
	w.mustDeposit(t, sealed)
	w.Publish(t, w.ana.Event(&actor.Erase{Rows: []actor.Row{{Batch: sealed.Name, Bits: 0b0010}}}))
	s := w.SignIn(t, w.doctor)
	r := w.mustAsk(t, s, 2, w.release(sealed, 0b1111), keeper.Permitted, "")
	p, err := spread.ParsePiece(r.Pieces[0])
	if err != nil {
		t.Fatal(err)
	}
	for j, row := range p.Rows {
		if want := map[bool]spread.RowState{true: spread.RowErased, false: spread.RowReleased}[j == 1]; row.State != want {
			t.Errorf("record %d: got state %d, want %d", j, row.State, want)
		}
	}
	w.mustDeposit(t, sealed) // answered with the old receipt
	r = w.mustAsk(t, s, 2, w.release(sealed, 0b0010), keeper.Permitted, "")
	if p, err = spread.ParsePiece(r.Pieces[0]); err != nil || p.Rows[0].State != spread.RowErased {
		t.Errorf("after a retried deposit the erased record is back (%v)", err)
	}
}

func TestStepUpForStrictLines(t *testing.T) {
	w := newWorld(t, 3)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	w.mustAsk(t, s, 1, w.release(sealed, 1), keeper.Refused, abaton.ReasonStepUp)
	up := session.StepUp{
		V: 1, Session: s.ID, Patient: w.ana.ID, Lines: []abaton.Line{w.ana.Root.Line(custodytest.General)},
		Purpose: abaton.Treatment, Time: time.Now().Unix(),
	}
	a, err := w.doctor.Passkey.Assert(up.Challenge())
	if err != nil {
		t.Fatal(err)
	}
	q := w.release(sealed, 1)
	q.StepUp = (&session.SignedStepUp{StepUp: up, Assertion: *a}).Marshal()
	w.mustAsk(t, s, 1, q, keeper.Permitted, "")
}

func TestUncountedRequestsAreNotLedgered(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	size := w.Keepers[1].LedgerSize()
	for name, spoil := range map[string]func(*session.Request) *key.Signing{
		"old":     func(q *session.Request) *key.Signing { q.Time = time.Now().Add(-time.Hour).Unix(); return s.Key },
		"future":  func(q *session.Request) *key.Signing { q.Time = time.Now().Add(time.Hour).Unix(); return s.Key },
		"foreign": func(*session.Request) *key.Signing { return key.NewSigning() },
	} {
		q := w.release(sealed, 1)
		q.V, q.Session, q.Time, q.Nonce = wire.Version, s.ID, time.Now().Unix(), [16]byte{7}
		by := spoil(&q)
		if _, err := w.AskBytes(t.Context(), s, 1, q.Sign(by)); reasonOf(err) == "" {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	if got := w.Keepers[1].LedgerSize(); got != size {
		t.Errorf("got %d entries for requests that prove nothing, want 0", got-size)
	}
}

func TestRolledBackKeeperIsQuarantined(t *testing.T) {
	w := newWorld(t, 1)
	k := w.Keepers[3]
	yesterday, keys := k.Records.Snapshot(), k.Keys.Snapshot()
	w.mustDeposit(t, w.seals(t, 1, 1))
	w.AwaitCosigned(t, 3)
	w.Restart(t, 3, func() { k.Records.Restore(yesterday); k.Keys.Restore(keys) })
	if got := w.Keepers[3].AwaitMode(t); got != "quarantined" {
		t.Fatalf("restored keeper: got mode %q, want quarantined", got)
	}
	r := w.deposits(t, w.seals(t, 2, 1))
	if r[3].Reason != abaton.ReasonQuarantine || r[1].Reason != "" {
		t.Errorf("deposit: got %q at the restored keeper and %q at another, want quarantine and none", r[3].Reason, r[1].Reason)
	}
	if _, err := w.Keepers[3].Call(context.Background(), keeper.RouteSession, w.SignIn(t, w.doctor).Signed); reasonOf(err) != abaton.ReasonQuarantine {
		t.Errorf("session: got %v, want quarantine", err)
	}
}

func TestStorageFailureStopsTheKeeper(t *testing.T) {
	w := newWorld(t, 1)
	w.Keepers[2].Records.Fail(errors.New("no space left on device"))
	r := w.deposits(t, w.seals(t, 1, 1))
	if r[2].Reason != abaton.ReasonStorage {
		t.Errorf("deposit on a full disk: got %q, want %q", r[2].Reason, abaton.ReasonStorage)
	}
	w.Keepers[2].Records.Fail(nil)
	if r := w.deposits(t, w.seals(t, 2, 1)); r[2].Reason != abaton.ReasonStorage {
		t.Errorf("after a failed write: got %q, want the keeper stopped", r[2].Reason)
	}
}
