// Package custodytest is a network of real keepers in one process, for tests:
// real custody, real ledgers, stores in memory, no sockets.
//
//	n := custodytest.New(t, 5)
//	org := n.Organisation(t)
//	receipt, err := n.Keepers[1].Call(ctx, keeper.RouteDeposit, body)
//
// It protects nothing and is linked by no binary.
package custodytest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// RelyingParty is where the test network's passkeys are used.
var RelyingParty = key.RelyingParty{ID: "localhost", Origins: []string{"https://localhost"}}

// Wait is how long recoveries wait here: within a lease, so that a test may set
// the keepers' clocks past it.
const Wait = 30 * time.Second

// Network is n keepers that have heard each other.
type Network struct {
	Set      *actor.Set
	Keepers  map[abaton.KeeperIndex]*Keeper
	Notes    [][]byte // checkpoints for those who sign in; nil: all keepers' newest
	admitted []abaton.ActorID
	budget   custody.Budget
}

// Keeper is one keeper of the network. Down makes every call fail as if its
// machine were off.
type Keeper struct {
	*custody.Keeper
	Identity Identity
	Records  *store.Memory
	Keys     *store.Memory
	Store    *store.Store
	table    *keeper.Table
	mu       sync.Mutex
	stop     context.CancelFunc
	ahead    *atomic.Int64 // how far this keeper's clock is ahead, in nanoseconds
	gone     sync.WaitGroup
	down     bool
	before   func(route string, body []byte) ([]byte, error)
}

// Identity is a keeper's keys.
type Identity struct {
	Key         *key.Signing
	Box         *key.Box
	Incarnation [16]byte
	log         []actor.SignedEvent // of the set, as this keeper's operator has it
}

// Log is the keeper set's log as this keeper's operator has it.
func (id Identity) Log() []actor.SignedEvent { return id.log }

// New starts n keepers (5 unless a test needs other shapes) that admit the
// organisations given, and waits until each serves.
func New(t testing.TB, n int, admitted ...abaton.ActorID) *Network {
	t.Helper()
	set, ids := NewSet(t, n)
	return Start(t, set, ids, admitted...)
}

// NewSet makes keys for n keepers and the set they all sign.
func NewSet(t testing.TB, n int) (*actor.Set, []Identity) {
	t.Helper()
	d := actor.Document{V: wire.Version, N: uint8(n), K: 3, T: 3, W: uint8(n - 1), F: 1, RelyingParty: RelyingParty, Wait: uint32(Wait / time.Second)}
	ids := make([]Identity, n)
	for i := range ids {
		ids[i] = Identity{Key: key.NewSigning(), Box: key.NewBox()}
		e := actor.Keeper{
			X: abaton.KeeperIndex(i + 1), Key: ids[i].Key.ID(), Box: ids[i].Box.Public().Bytes(),
			URL: fmt.Sprintf("https://keeper%d.test:1", i+1), Operator: fmt.Sprintf("operator %d", i+1),
			SPKI: sha256.Sum256([]byte{byte(i)}), Origin: fmt.Sprintf("keeper%d.test/ledger", i+1),
		}
		rand.Read(e.Incarnation[:])
		ids[i].Incarnation = e.Incarnation
		d.Keepers = append(d.Keepers, e)
	}
	in := &actor.Inception{Kind: actor.KeeperSet, Document: d.Marshal()}
	rand.Read(in.Nonce[:])
	event := actor.NewInception(time.Now().Unix(), in)
	var proofs []actor.Proof
	for _, id := range ids {
		proofs = append(proofs, actor.ByKey(id.Key, event))
	}
	log := []actor.SignedEvent{actor.Signed(event, proofs...)}
	set, err := actor.ParseSet(actor.MarshalSet(log))
	if err != nil {
		t.Fatalf("make keeper set: %v", err)
	}
	for i := range ids {
		ids[i].log = log
	}
	return set, ids
}

// Start runs the keepers of a set.
func Start(t testing.TB, set *actor.Set, ids []Identity, admitted ...abaton.ActorID) *Network {
	t.Helper()
	return StartWith(t, custody.Budget{PatientsPerHour: 1000, PatientsPerDay: 2000}, set, ids, admitted...)
}

// StartWith is Start with another budget.
func StartWith(t testing.TB, b custody.Budget, set *actor.Set, ids []Identity, admitted ...abaton.ActorID) *Network {
	t.Helper()
	n := &Network{Set: set, Keepers: make(map[abaton.KeeperIndex]*Keeper), admitted: admitted, budget: b}
	for i, id := range ids {
		k := &Keeper{Identity: id, Records: store.NewMemory(), Keys: store.NewMemory(), ahead: new(atomic.Int64)}
		k.open(t, n, abaton.KeeperIndex(i+1))
		n.Keepers[abaton.KeeperIndex(i+1)] = k
	}
	for x := range n.Keepers {
		n.converse(x)
	}
	t.Cleanup(n.Close)
	n.await(t)
	return n
}

func (n *Network) converse(x abaton.KeeperIndex) {
	k := n.Keepers[x]
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	running := k.Keeper
	k.gone.Go(func() { running.Converse(ctx, n.peersOf(x)) })
}

func (k *Keeper) open(t testing.TB, n *Network, x abaton.KeeperIndex) {
	t.Helper()
	var err error
	if k.Store, err = store.New(k.Records, k.Keys); err != nil {
		t.Fatalf("open store: %v", err)
	}
	k.Keeper, err = custody.Open(custody.Config{
		Set: n.Set, Index: x, Incarnation: k.Identity.Incarnation, Key: k.Identity.Key, Box: k.Identity.Box, Store: k.Store,
		Admitted: n.admitted, Budget: n.budget,
		Now: func() time.Time { return time.Now().Add(time.Duration(k.ahead.Load())) },
	})
	if err != nil {
		t.Fatalf("open keeper %d: %v", x, err)
	}
	if k.table, err = k.Table(); err != nil {
		t.Fatalf("keeper %d: %v", x, err)
	}
}

func (n *Network) peersOf(x abaton.KeeperIndex) map[abaton.KeeperIndex]custody.Peer {
	peers := make(map[abaton.KeeperIndex]custody.Peer)
	for y, k := range n.Keepers {
		if y != x {
			peers[y] = k
		}
	}
	return peers
}

// await waits until every keeper has heard two peers.
func (n *Network) await(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for _, k := range n.Keepers {
		for k.Mode() != custody.Serving {
			if time.Now().After(deadline) {
				t.Fatal("keepers do not hear each other")
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// Close ends the conversations and the keepers.
func (n *Network) Close() {
	for _, k := range n.Keepers {
		k.stop()
	}
	for _, k := range n.Keepers {
		k.gone.Wait()
		k.Close()
	}
}

// Call answers as the keeper would over its network.
func (k *Keeper) Call(ctx context.Context, route string, body []byte) ([]byte, error) {
	k.mu.Lock()
	down, before, table := k.down, k.before, k.table
	k.mu.Unlock()
	if down {
		return nil, fmt.Errorf("call keeper: connection refused")
	}
	if before != nil {
		if answer, err := before(route, body); answer != nil || err != nil {
			return answer, err
		}
	}
	return table.Call(ctx, route, body)
}

// Down switches the keeper's network off or on.
func (k *Keeper) Down(down bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = down
}

// Ahead sets how far the keeper's clock runs ahead of the others'.
func (k *Keeper) Ahead(d time.Duration) { k.ahead.Store(int64(d)) }

// Intercept lets a test answer in the keeper's place: what f returns is the
// answer, and nil, nil lets the keeper answer itself.
func (k *Keeper) Intercept(f func(route string, body []byte) ([]byte, error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.before = f
}

// AwaitCosigned waits until three peers remember the keeper's newest tree.
func (n *Network) AwaitCosigned(t testing.TB, x abaton.KeeperIndex) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		if names, err := n.Keepers[x].Cosigners(); err == nil && len(names) >= 3 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("peers do not cosign")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Restart stops a keeper, lets f change its disk, and starts it again.
func (n *Network) Restart(t testing.TB, x abaton.KeeperIndex, f func()) {
	t.Helper()
	old := n.Keepers[x]
	old.Down(true)
	old.stop()
	old.gone.Wait()
	old.Close()
	f() // may change old.Identity, Records and Keys too
	k := &Keeper{Identity: old.Identity, Records: old.Records, Keys: old.Keys, ahead: old.ahead}
	k.open(t, n, x)
	old.mu.Lock()
	old.Keeper, old.Store, old.table, old.down = k.Keeper, k.Store, k.table, false
	old.mu.Unlock()
	n.converse(x)
}

// AwaitClock waits until the keeper thinks so of its clock.
func (k *Keeper) AwaitClock(t testing.TB, want custody.ClockHealth) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for k.Clock().Health != want {
		if time.Now().After(deadline) {
			t.Fatalf("keeper's clock: got %s, want %s", k.Clock().Health, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// AwaitMode waits until the keeper has left the starting mode and says which
// it is in.
func (k *Keeper) AwaitMode(t testing.TB) string {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for k.Mode() == custody.Starting {
		if time.Now().After(deadline) {
			t.Fatal("keeper does not leave the starting mode")
		}
		time.Sleep(5 * time.Millisecond)
	}
	return k.Mode().String()
}
