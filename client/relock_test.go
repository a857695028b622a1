package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// seedOf is what the patient's device knows: every epoch of both lines.
func (w *world) seedOf(line abaton.Line, epoch uint32) (grant.Seed, bool) {
	for _, c := range []abaton.Category{general, psychiatric} {
		if w.root.Line(c) == line {
			return w.seed(c, epoch), true
		}
	}
	return grant.Seed{}, false
}

func (w *world) relocking() client.RelockConfig {
	return client.RelockConfig{
		Patient: w.patient.id, Locker: w.patient.signing, Seed: w.seedOf,
		SignIn: func(context.Context) (*client.Reader, error) { return w.net.NewReader(w.login(w.patient)) },
	}
}

// relock opens a new epoch of the general line and locks it anew.
func (w *world) relock(revoke ...abaton.GrantID) *client.Relocked {
	w.t.Helper()
	done, err := w.net.Relock(w.t.Context(), client.Ending{
		Hand: w.patient.hand(), Revoke: revoke, Lines: []abaton.Line{w.root.Line(general)}, Urgent: true,
	}, w.relocking())
	if err != nil {
		w.t.Fatalf("re-lock: got %+v, %v, want nil", done, err)
	}
	return done
}

// everything reads the general line as the patient, with seeds of two epochs.
func (w *world) everything() (*client.Got, error) {
	w.t.Helper()
	r, a := w.own()
	r.AddSeeds(session.Bundle{Patient: w.patient.id, Seeds: []grant.Seed{w.seed(general, 2), w.seed(general, 3)}})
	l, err := r.List(w.t.Context(), a)
	if err != nil {
		return nil, err
	}
	var rows []client.Row
	for i := range l.Batches {
		if row := l.Batches[i].Rows(); row.Records != 0 {
			rows = append(rows, row)
		}
	}
	return r.Get(w.t.Context(), a, rows...)
}

// tally tells what came of a Get without telling what a record says.
func tally(got *client.Got, err error) string {
	if got == nil {
		return fmt.Sprint(err)
	}
	text := fmt.Sprintf("%d records, %d faults, %v", len(got.Records), len(got.Faults), err)
	for _, m := range got.Missing {
		text += fmt.Sprintf(", missing: %v", m.Err)
	}
	return text
}

func (w *world) wantAll(count int) {
	w.t.Helper()
	got, err := w.everything()
	if err != nil || len(got.Records) != count || len(got.Missing) != 0 || len(got.Faults) != 0 {
		w.t.Fatalf("read all: got %s, want %d records", tally(got, err), count)
	}
}

// TestRelock: revoke, new epoch and re-lock are one call; afterwards everything
// opens with the new seed and nothing with the old.
func TestRelock(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	w.put(wr, w.writes(general, "a", 7))
	w.put(wr, w.writes(general, "b", 1))
	w.put(wr, w.writes(psychiatric, "c", 2))
	var stages []client.Stage
	var heard []client.Relocked
	c := w.relocking()
	c.Progress = func(at client.Relocked) { heard = append(heard, at) }
	done, err := w.net.Relock(t.Context(), client.Ending{
		Hand: w.patient.hand(), Revoke: []abaton.GrantID{w.grant}, Urgent: true, Stage: func(s client.Stage) { stages = append(stages, s) },
	}, c)
	if err != nil || done.Done != 8 || done.Of != 8 || done.Batches != 2 || !done.Complete() || done.Behind != 0 {
		t.Fatalf("re-lock: got %+v, %v, want 8 of 8 records in 2 batches", done, err)
	}
	if len(stages) != 2 || stages[0].Grant != w.grant || stages[1].Line != w.root.Line(general) || !stages[0].InForce || !stages[1].InForce {
		t.Errorf("stages: got %+v, want a revocation and an epoch in force", stages)
	}
	if len(heard) < 2 || heard[0].Done != 0 || heard[0].Of != 8 {
		t.Errorf("progress: got %+v, want it to begin with 0 of 8", heard)
	}
	w.wantAll(10)
	old, a := w.own() // a session with the seeds of the first epochs only
	l, err := old.List(t.Context(), a)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	for _, b := range l.Batches {
		got, err := old.Get(t.Context(), a, b.Rows())
		if err != nil {
			t.Fatalf("get: %v", err)
		}
		if b.Line == w.root.Line(general) && (len(got.Records) != 0 || !errors.Is(got.Missing[0].Err, client.ErrNoSeed)) {
			t.Errorf("old seed: got %d records, want ErrNoSeed", len(got.Records))
		}
		if b.Line == w.root.Line(psychiatric) && len(got.Records) != 2 {
			t.Errorf("other line: got %d records, want 2", len(got.Records))
		}
	}
	again, err := (w.relocker(w.relocking())).Run(t.Context())
	if err != nil || again.Done != 10 || again.Of != 10 {
		t.Errorf("again: got %+v, %v, want 10 of 10 and nothing to do", again, err)
	}
	w.put(wr, w.writes(general, "d", 3))
	w.wantAll(13)
}

func (w *world) relocker(c client.RelockConfig) *client.Relocker {
	w.t.Helper()
	r, err := w.net.NewRelocker(c)
	if err != nil {
		w.t.Fatalf("new relocker: %v", err)
	}
	return r
}

// TestRelockTwice: a second epoch follows the first.
func TestRelockTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	w.put(w.writer(t.TempDir()), w.writes(general, "a", 65))
	w.relock()
	if done := w.relock(); done.Done != 66 {
		t.Errorf("second re-lock: got %+v, want 65 records and the record of their transaction", done)
	}
	w.wantAll(66)
}

// TestRelockManyBatches: more batches than one commit takes.
func TestRelockManyBatches(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	many := abaton.RequestRowsMax + 3
	for i := range many {
		w.put(wr, w.writes(general, fmt.Sprint("m", i), 1))
	}
	if done := w.relock(); done.Done != many || done.Batches != many {
		t.Errorf("re-lock: got %+v, want %d records in as many batches", done, many)
	}
	w.wantAll(many)
}

// TestRelockRetriedUpload: a writer that lost the answer gets its old receipt.
func TestRelockRetriedUpload(t *testing.T) {
	w := newWorld(t)
	w.cut(5)
	wr := w.writer(t.TempDir())
	w.put(wr, w.writes(general, "a", 2))
	if _, err := w.net.Relock(t.Context(), client.Ending{Hand: w.patient.hand(), Lines: []abaton.Line{w.root.Line(general)}}, w.relocking()); err != nil {
		t.Fatalf("re-lock without keeper 5: %v", err)
	}
	w.wantAll(2)
	w.mend(5)
}

// TestReadersDuringRelock: a reader with both seeds never fails while records
// are locked anew, with a keeper down, and neither does a writer.
func TestReadersDuringRelock(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	for i := range 6 {
		w.put(wr, w.writes(general, string(rune('a'+i)), 3))
	}
	w.cut(2)
	r, a := w.own()
	r.AddSeeds(session.Bundle{Patient: w.patient.id, Seeds: []grant.Seed{w.seed(general, 2)}})
	l, err := r.List(t.Context(), a)
	if err != nil || len(l.Batches) != 6 {
		t.Fatalf("list: got %v, %v, want 6 batches", l, err)
	}
	var rows []client.Row
	for i := range l.Batches {
		rows = append(rows, l.Batches[i].Rows())
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := r.Get(t.Context(), a, rows...)
				if err != nil || len(got.Records) != 18 || len(got.Faults) != 0 {
					t.Errorf("read during the re-lock: got %s, want 18 records", tally(got, err))
					return
				}
			}
		})
	}
	w.relock()
	close(stop)
	readers.Wait()
	w.wantAll(18)
}

// TestRelockHalfCommitted: commits that reach two keepers of four leave
// readers the new lock beside the old one at the others, and the next run ends
// it, keeper 5 included.
func TestRelockHalfCommitted(t *testing.T) {
	w := newWorld(t)
	w.put(w.writer(t.TempDir()), w.writes(general, "a", 3))
	w.cut(5)
	for _, x := range []abaton.KeeperIndex{3, 4} {
		w.refuse(x, keeper.RouteCommit)
	}
	done, err := w.net.Relock(t.Context(), client.Ending{Hand: w.patient.hand(), Lines: []abaton.Line{w.root.Line(general)}}, w.relocking())
	if err == nil || done.Done != 0 || done.Complete() {
		t.Fatalf("half committed: got %+v, %v, want an error", done, err)
	}
	w.wantAll(3)
	w.mend(3, 4, 5)
	again, err := w.relocker(w.relocking()).Run(t.Context())
	for range 100 { // until keeper 5 has heard of the epoch from the others
		if err != nil || again.Done != 3 {
			t.Fatalf("resumed: got %+v, %v, want 3 of 3", again, err)
		}
		if again.Behind == 0 {
			break
		}
		again, err = w.relocker(w.relocking()).Run(t.Context())
	}
	if again.Behind != 0 {
		t.Fatalf("resumed: got %+v, want nobody behind", again)
	}
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		w.cut(1+x%5, 1+(x+1)%5)
		w.wantAllSoon(3)
		w.mend(1+x%5, 1+(x+1)%5)
	}
}

// wantAllSoon is wantAll where no keeper is to spare: one that has not heard two
// others within its lease, on a busy machine, refuses until it has.
func (w *world) wantAllSoon(count int) {
	w.t.Helper()
	for range 20 {
		if got, err := w.everything(); err == nil && len(got.Records) == count && len(got.Missing) == 0 {
			break
		}
	}
	w.wantAll(count)
}

// refuse makes a keeper unreachable on one route.
func (w *world) refuse(x abaton.KeeperIndex, route string) {
	w.wires[x].set(func(c *cable) {
		c.tap = func(r string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
			if r == route {
				return nil, errors.New("connection reset")
			}
			return next(body)
		}
	})
}

// TestRelockNotCommittedBelowFour: with two keepers that do not prepare,
// nothing is destroyed anywhere.
func TestRelockNotCommittedBelowFour(t *testing.T) {
	w := newWorld(t)
	w.put(w.writer(t.TempDir()), w.writes(general, "a", 3))
	w.refuse(4, keeper.RoutePrepare)
	w.refuse(5, keeper.RoutePrepare)
	if done, err := w.net.Relock(t.Context(), client.Ending{Hand: w.patient.hand(), Lines: []abaton.Line{w.root.Line(general)}}, w.relocking()); err == nil {
		t.Fatalf("re-lock at three keepers: got %+v, want an error", done)
	}
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		if n := w.wires[x].count(keeper.RouteCommit); n != 0 {
			t.Errorf("keeper %d: got %d commits, want none", x, n)
		}
	}
	w.mend(4, 5)
	r, a := w.own() // the seeds of the first epoch still open everything
	l, err := r.List(t.Context(), a)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	if got, err := r.Get(t.Context(), a, l.Batches[0].Rows()); err != nil || len(got.Records) != 3 {
		t.Errorf("old lock: got %s, want 3 records", tally(got, err))
	}
	done, err := w.relocker(w.relocking()).Run(t.Context())
	if err != nil || done.Done != 3 {
		t.Errorf("resumed: got %+v, %v, want 3 records", done, err)
	}
	w.wantAll(3)
}

// TestRelockKeepsErasures: what was erased stays so, before and between the
// phases.
func TestRelockKeepsErasures(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	out := w.put(w.writer(t.TempDir()), w.writes(general, "a", 5))
	gone := func(i int) client.Row { return client.Row{Batch: out.Batches[0], Records: 1 << out.Names[i].Index} }
	if _, err := w.net.Erase(t.Context(), w.patient.hand(), gone(0)); err != nil {
		t.Fatalf("erase: %v", err)
	}
	for _, x := range []abaton.KeeperIndex{1, 2, 3, 4, 5} {
		w.refuse(x, keeper.RouteCommit) // prepared everywhere, in force nowhere
	}
	if _, err := w.net.Relock(t.Context(), client.Ending{Hand: w.patient.hand(), Lines: []abaton.Line{w.root.Line(general)}}, w.relocking()); err == nil {
		t.Fatal("re-lock without commits: got nil, want an error")
	}
	if _, err := w.net.Erase(t.Context(), w.patient.hand(), gone(1)); err != nil {
		t.Fatalf("erase between the phases: %v", err)
	}
	w.wantAll(3)
	w.mend(1, 2, 3, 4, 5)
	done, err := w.relocker(w.relocking()).Run(t.Context())
	if err != nil || done.Done != 3 || done.Of != 3 {
		t.Fatalf("resumed: got %+v, %v, want 3 of 3", done, err)
	}
	w.wantAll(3)
	if _, err := w.net.Erase(t.Context(), w.patient.hand(), gone(2)); err != nil {
		t.Fatalf("erase after: %v", err)
	}
	w.wantAll(2)
}

// TestRelockByStranger: a key that the patient's log does not name prepares
// nothing.
func TestRelockByStranger(t *testing.T) {
	w := newWorld(t)
	w.put(w.writer(t.TempDir()), w.writes(general, "a", 2))
	if _, err := w.net.NewEpoch(t.Context(), w.patient.hand(), w.root.Line(general), true, w.seedOf); err != nil {
		t.Fatalf("new epoch: %v", err)
	}
	c := w.relocking()
	c.Locker = w.doctor.signing
	done, err := w.relocker(c).Run(t.Context())
	if err == nil || done.Failed[string(abaton.ReasonWriter)] != 1 {
		t.Errorf("stranger: got %+v, %v, want reason writer", done, err)
	}
	w.wantAll(2)
}

// TestRelockLiar: a keeper that gives a receipt and did not prepare is found
// when the lock is read back.
func TestRelockLiar(t *testing.T) {
	w := newWorld(t)
	w.put(w.writer(t.TempDir()), w.writes(general, "a", 2))
	w.cut(5)
	liar := w.wires[1]
	liar.set(func(c *cable) {
		c.tap = func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
			if route != keeper.RoutePrepare {
				return next(body)
			}
			var m keeper.Prepares
			if err := wire.Unmarshal(body, &m); err != nil {
				return nil, err
			}
			return nil, errors.New("never mind")
		}
	})
	done, err := w.net.Relock(t.Context(), client.Ending{Hand: w.patient.hand(), Lines: []abaton.Line{w.root.Line(general)}}, w.relocking())
	if err == nil || done.Complete() {
		t.Fatalf("got %+v, %v, want too few keepers", done, err)
	}
	w.wantAll(2)
}
