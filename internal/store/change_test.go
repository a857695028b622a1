package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
)

// once is one kind of slot that may be taken once.
type once struct {
	name string
	put  func(s *store.Store, c *store.Change, value byte) error
}

var onces = []once{
	{"sequence", func(s *store.Store, c *store.Change, v byte) error {
		return s.PutSequence(c, store.Slot{Patient: ana, Line: line, Seq: 7}, abaton.BatchName{v})
	}},
	{"vote", func(s *store.Store, c *store.Change, v byte) error { return s.PutVote(c, ana, 3, []byte{v}) }},
	{"disclosure", func(s *store.Store, c *store.Change, v byte) error { return s.PutDisclosure(c, ana, 5, uint64(v)) }},
	{"nonce", func(s *store.Store, c *store.Change, v byte) error {
		return s.PutNonce(c, [32]byte{8}, store.Nonce{Expiry: time.Unix(100, 0), Value: []byte{v}})
	}},
}

func TestOnce(t *testing.T) {
	for _, o := range onces {
		t.Run(o.name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, s *store.Store) {
				var early, mine store.Change
				if err := errors.Join(o.put(s, &early, 2), o.put(s, &mine, 1), o.put(s, &mine, 1)); err != nil {
					t.Fatalf("first puts: got %v, want nil", err)
				}
				if err := o.put(s, &mine, 2); !errors.Is(err, store.ErrConflict) {
					t.Errorf("another value in one change: got %v, want ErrConflict", err)
				}
				commit(t, s, &mine)
				s.PutMeta(&early, "early", []byte{1})
				if err := s.Commit(&early); !errors.Is(err, store.ErrConflict) {
					t.Errorf("a change decided before: got %v, want ErrConflict", err)
				}
				if _, err := s.Meta("early"); !errors.Is(err, store.ErrAbsent) {
					t.Errorf("rest of a refused change: got %v, want ErrAbsent", err)
				}
				var late store.Change
				if err := o.put(s, &late, 2); !errors.Is(err, store.ErrConflict) {
					t.Errorf("another value later: got %v, want ErrConflict", err)
				}
				if err := o.put(s, &late, 1); err != nil {
					t.Errorf("the same value later: got %v, want nil", err)
				}
				commit(t, s, &late)
			})
		})
	}
}

// TestOnceRace: many at once, and exactly one wins.
func TestOnceRace(t *testing.T) {
	for _, o := range onces {
		overBoth(t, func(t *testing.T, s *store.Store) {
			var wg sync.WaitGroup
			var mu sync.Mutex
			won := 0
			for v := range byte(16) {
				wg.Go(func() {
					var c store.Change
					err := o.put(s, &c, v)
					if err == nil {
						err = s.Commit(&c)
					}
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						won++
					} else if !errors.Is(err, store.ErrConflict) {
						t.Errorf("%s: got %v, want nil or ErrConflict", o.name, err)
					}
				})
			}
			wg.Wait()
			if won != 1 {
				t.Errorf("%s: %d won, want 1", o.name, won)
			}
		})
	}
}

func TestChangeIsUsedOnce(t *testing.T) {
	s := newMemoryStore(t)
	var c store.Change
	s.PutMeta(&c, "a", nil)
	commit(t, s, &c)
	if err := s.Commit(&c); err == nil {
		t.Error("second Commit: got nil, want an error")
	}
}

func TestAppend(t *testing.T) {
	s := newMemoryStore(t)
	var group store.Change
	p, q := parcelOf(1, 3), parcelOf(2, 2)
	for i, parcel := range []store.Parcel{p, q} {
		var c store.Change
		if _, err := s.PutParcel(&c, ana, parcel); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(onces[0].put(s, &c, 1), s.PutStatement(&c, ana, uint64(i), [32]byte{}, []byte("s"))); err != nil {
			t.Fatal(err)
		}
		if err := group.Append(&c); (err != nil) != (i == 1) || err != nil && !errors.Is(err, store.ErrConflict) {
			t.Errorf("Append %d: got %v, want a conflict for the second", i, err)
		}
	}
	commit(t, s, &group)
	wantRecords(t, s, ana, p, 7)
	if _, err := s.Notice(ana, q.Batch); !errors.Is(err, store.ErrAbsent) || s.FeedHead() != 1 {
		t.Errorf("the refused part: got %v, feed head %d, want ErrAbsent, 1", err, s.FeedHead())
	}
}
