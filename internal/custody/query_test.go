package custody_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// tells asks keeper x for key logs, page by page, and gives back the pages.
func (w *world) tells(t *testing.T, x abaton.KeeperIndex, between func(), ids ...abaton.ActorID) (pages [][][]byte) {
	t.Helper()
	for from := uint64(0); ; {
		q := keeper.Query{V: wire.Version, Kind: keeper.QueryLog, Actors: ids, From: from, Time: uint64(time.Now().Unix()), Key: w.org.Manage.ID()}
		answer, err := w.Keepers[x].Call(t.Context(), keeper.RouteQuery, wire.Marshal(w.org.Manage.Seal(wire.Query, wire.Marshal(q))))
		if err != nil {
			t.Fatal(err)
		}
		var signed keeper.Signed
		var s keeper.Statements
		if wire.Unmarshal(answer, &signed) != nil || wire.Unmarshal(signed.Body, &s) != nil {
			t.Fatal("not an answer")
		}
		pages = append(pages, s.Statements)
		if s.Next == 0 {
			return pages
		}
		if s.Next <= from || len(pages) > 1000 {
			t.Fatalf("pages do not move on: %d after %d", s.Next, from)
		}
		from = s.Next
		between()
	}
}

// named asks keeper x for the checkpoint that goes into a session statement.
func (w *world) named(t *testing.T, x abaton.KeeperIndex) []byte {
	t.Helper()
	q := keeper.Query{V: wire.Version, Kind: keeper.QueryLog, Time: uint64(time.Now().Unix()), Key: w.org.Manage.ID()}
	answer, err := w.Keepers[x].Call(t.Context(), keeper.RouteQuery, wire.Marshal(w.org.Manage.Seal(wire.Query, wire.Marshal(q))))
	if err != nil {
		t.Fatal(err)
	}
	var signed keeper.Signed
	var s keeper.Statements
	if wire.Unmarshal(answer, &signed) != nil || wire.Unmarshal(signed.Body, &s) != nil {
		t.Fatal("not an answer")
	}
	return s.Checkpoint
}

// TestSessionWithoutOwnCheckpoint: a keeper that was too slow to be asked when
// somebody signed in knows the checkpoints of the others, though their ledgers
// have grown since it cosigned them.
func TestSessionWithoutOwnCheckpoint(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t, 1)
	w.Enrol(t, w.doctor)
	for x := range w.Keepers {
		w.AwaitCosigned(t, x)
	}
	for i := range 3 {
		w.Publish(t, w.ana.Event(&actor.Bar{Actor: abaton.ActorID{1, byte(i)}}))
		w.Notes = nil
		for x := abaton.KeeperIndex(2); int(x) <= len(w.Keepers); x++ {
			w.Notes = append(w.Notes, w.named(t, x))
		}
		if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteSession, w.SignIn(t, w.doctor).Signed); err != nil {
			t.Errorf("sign-in %d, without keeper 1's checkpoint: got %v, want opened", i, err)
		}
	}
}

// TestLongLogsComeInPages: several logs, told in pages as small as they come,
// are told whole, also while they grow.
func TestLongLogsComeInPages(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t, 1)
	for i := range 20 {
		w.Publish(t, w.ana.Event(&actor.Bar{Actor: abaton.ActorID{1, byte(i)}}))
	}
	ids := []abaton.ActorID{w.doctor.ID, w.ana.ID, {9}, w.org.ID}
	whole := w.tells(t, 1, func() {}, ids...)
	if len(whole) != 1 {
		t.Fatalf("got %d pages, want one", len(whole))
	}
	for _, size := range []int{1, 2000, 5000} {
		w.Keepers[1].PageMax(size)
		grown := 0
		pages := w.tells(t, 1, func() {
			if grown++; grown%5 == 0 {
				w.Publish(t, w.ana.Event(&actor.Bar{Actor: abaton.ActorID{2, byte(grown), byte(size)}}))
			}
		}, ids...)
		told := make(map[string]bool)
		for _, page := range pages {
			bytes := 0
			for _, s := range page {
				told[string(s)] = true
				bytes += len(s)
			}
			if bytes > size && len(page) > 1 {
				t.Errorf("pages of %d bytes: got one of %d", size, bytes)
			}
		}
		for _, s := range whole[0] {
			if !told[string(s)] {
				t.Fatalf("pages of %d bytes: a statement is left out", size)
			}
		}
	}
}
