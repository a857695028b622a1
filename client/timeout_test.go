package client_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// mute is a keeper that never answers. votes makes it answer events only.
type mute struct {
	votes func(body []byte) []byte
	calls atomic.Int64
}

func (m *mute) Call(ctx context.Context, route string, body []byte) ([]byte, error) {
	m.calls.Add(1)
	if m.votes != nil && (route == keeper.RouteEvents || route == keeper.RouteCertify) {
		return m.votes(body), nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestSilentKeepersTimeOut: keepers that never answer end a question and an
// event in bounded time, with the right error, and nothing is left behind
// (synctest fails on goroutines that are).
func TestSilentKeepersTimeOut(t *testing.T) {
	set, ids := custodytest.NewSet(t, 5)
	org := newPerson(t)
	event := org.sign(org.inception(actor.Organisation, set.ID()))
	se, err := actor.ParseSigned(event)
	if err != nil {
		t.Fatalf("parse event: %v", err)
	}
	place := actor.Place{Actor: org.id, Hash: actor.HashOf(se.Event)}
	tests := []struct {
		name string
		vote int
		want error
		most time.Duration
	}{
		{"nobody answers", 0, abaton.ErrPending, 30 * time.Second},
		{"three vote", 3, abaton.ErrPending, 30 * time.Second},
		{"four vote, one is silent", 4, nil, time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keepers := make(map[abaton.KeeperIndex]client.Keeper)
				for i, id := range ids {
					m, x := &mute{}, abaton.KeeperIndex(i+1)
					if i < test.vote {
						m.votes = func(body []byte) []byte {
							vote := wire.Marshal(actor.SignVote(set.ID(), x, id.Key, place))
							return wire.Marshal(keeper.Results{V: wire.Version, Results: []keeper.Result{{OK: vote}}})
						}
					}
					keepers[x] = m
				}
				n, err := client.New(client.Config{Set: set, Keepers: keepers, Asker: org.signing})
				if err != nil {
					t.Fatalf("new network: %v", err)
				}
				defer n.Close()
				start := time.Now()
				out, err := n.Publish(t.Context(), event)
				if !errors.Is(err, test.want) || len(out) != 1 {
					t.Errorf("publish: got %v, want %v", err, test.want)
				}
				if took := time.Since(start); took > test.most {
					t.Errorf("publish: took %v, want at most %v", took, test.most)
				}
				start = time.Now()
				if _, err := n.Log(t.Context(), org.id); !errors.Is(err, abaton.ErrUnavailable) {
					t.Errorf("log: got %v, want too few keepers", err)
				}
				if took := time.Since(start); took > 30*time.Second {
					t.Errorf("log: took %v, want the patience of one question", took)
				}
			})
		})
	}
}

// TestSilentKeeperIsAskedRarely: a keeper that is down for an hour costs a
// bounded number of messages.
func TestSilentKeeperIsAskedRarely(t *testing.T) {
	set, _ := custodytest.NewSet(t, 5)
	org := newPerson(t)
	event := org.sign(org.inception(actor.Organisation, set.ID()))
	synctest.Test(t, func(t *testing.T) {
		all := make(map[abaton.KeeperIndex]*mute)
		keepers := make(map[abaton.KeeperIndex]client.Keeper)
		for x := abaton.KeeperIndex(1); x <= 5; x++ {
			all[x] = &mute{}
			keepers[x] = all[x]
		}
		n, err := client.New(client.Config{Set: set, Keepers: keepers})
		if err != nil {
			t.Fatalf("new network: %v", err)
		}
		if _, err := n.Publish(t.Context(), event); !errors.Is(err, abaton.ErrPending) {
			t.Errorf("publish: got %v, want pending", err)
		}
		time.Sleep(time.Hour) // the bubble's clock
		n.Close()
		for x, m := range all {
			if got := m.calls.Load(); got > 80 || got < 10 {
				t.Errorf("keeper %d: got %d messages in an hour, want about one a minute", x, got)
			}
		}
	})
}
