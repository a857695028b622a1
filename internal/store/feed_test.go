package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
)

func TestDisclosures(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		var c store.Change
		for i := range uint64(300) {
			if err := errors.Join(s.PutDisclosure(&c, ana, i, 2*i), s.PutDisclosure(&c, ben, i, 2*i+1)); err != nil {
				t.Fatal(err)
			}
		}
		commit(t, s, &c)
		next := uint64(40)
		err := s.Disclosures(ana, next, func(seq, index uint64) bool {
			if seq != next || index != 2*seq {
				t.Errorf("got %d at %d, want %d at %d", seq, index, next, 2*next)
			}
			next++
			return true
		})
		if err != nil || next != 300 {
			t.Errorf("Disclosures: got up to %d, %v, want 300", next, err)
		}
	})
}

func TestNonces(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		start := time.Unix(1_800_000_000, 0).UTC()
		var c store.Change
		for i := range 10 {
			n := store.Nonce{Expiry: start.Add(time.Duration(i) * time.Second), Value: []byte{byte(i)}}
			if err := s.PutNonce(&c, [32]byte{byte(i)}, n); err != nil {
				t.Fatal(err)
			}
		}
		commit(t, s, &c)
		n, err := s.Nonce([32]byte{4})
		if err != nil || !n.Expiry.Equal(start.Add(4*time.Second)) || !bytes.Equal(n.Value, []byte{4}) {
			t.Errorf("Nonce: got %v, %v", n, err)
		}
		var d store.Change
		if n, err := s.ExpireNonces(&d, start.Add(4*time.Second)); err != nil || n != 5 {
			t.Errorf("ExpireNonces: got %d, %v, want 5", n, err)
		}
		commit(t, s, &d)
		for i := range 10 {
			if _, err := s.Nonce([32]byte{byte(i)}); errors.Is(err, store.ErrAbsent) != (i <= 4) {
				t.Errorf("nonce %d after expiry: got %v", i, err)
			}
		}
		var e store.Change
		if n, err := s.ExpireNonces(&e, start.Add(4*time.Second)); err != nil || n != 0 || e.Len() != 0 {
			t.Errorf("ExpireNonces again: got %d, %v, want 0", n, err)
		}
	})
}

func TestStatements(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		put := func(actor abaton.ActorID, seq uint64, text string) {
			t.Helper()
			var c store.Change
			for range 2 { // the second is a repeat in one change
				if err := s.PutStatement(&c, actor, seq, sha256.Sum256([]byte(text)), []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			commit(t, s, &c)
		}
		put(ana, 0, "a0")
		put(ben, 0, "b0")
		put(ana, 1, "a1")
		put(ana, 0, "a0") // a repeat keeps its place
		put(ana, 2, "a2")
		var feed []string
		err := s.Feed(1, func(st store.Statement) bool {
			feed = append(feed, fmt.Sprintf("%d %s", st.Index, st.Bytes))
			return true
		})
		if want := []string{"1 b0", "2 a1", "3 a2"}; err != nil || !slices.Equal(feed, want) || s.FeedHead() != 4 {
			t.Errorf("Feed: got %q, head %d, %v, want %q, 4", feed, s.FeedHead(), err, want)
		}
		var log []string
		err = s.Statements(ana, 1, func(st store.Statement) bool {
			if st.Actor != ana || st.Hash != sha256.Sum256(st.Bytes) {
				t.Error("statement under another name")
			}
			log = append(log, fmt.Sprintf("%d %s", st.Seq, st.Bytes))
			return true
		})
		if want := []string{"1 a1", "2 a2"}; err != nil || !slices.Equal(log, want) {
			t.Errorf("Statements: got %q, %v, want %q", log, err, want)
		}
		st, err := s.Statement(ben, 0, sha256.Sum256([]byte("b0")))
		if err != nil || st.Index != 1 || string(st.Bytes) != "b0" {
			t.Errorf("Statement: got %v, %v", st, err)
		}
	})
}

// TestFeedOrder: a peer that read up to the head has missed nothing, whatever
// commits run at once.
func TestFeedOrder(t *testing.T) {
	overBoth(t, func(t *testing.T, s *store.Store) {
		const writers, each = 8, 20
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range uint64(each) {
					var c store.Change
					err := s.PutStatement(&c, abaton.ActorID{byte(w)}, i, [32]byte{}, []byte("x"))
					if err := errors.Join(err, s.Commit(&c)); err != nil {
						t.Error(err)
					}
					head, n := s.FeedHead(), uint64(0)
					err = s.Feed(0, func(st store.Statement) bool {
						if st.Index != n {
							t.Errorf("feed: got %d at place %d", st.Index, n)
						}
						n++
						return true
					})
					if err != nil || n < head {
						t.Errorf("feed: got %d below head %d, %v", n, head, err)
					}
				}
			})
		}
		wg.Wait()
		if got := s.FeedHead(); got != writers*each {
			t.Errorf("FeedHead: got %d, want %d", got, writers*each)
		}
	})
}
