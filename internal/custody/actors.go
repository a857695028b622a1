package custody

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// statesMax bounds the key logs held in memory; others are read again from
// the store when needed.
const statesMax = 4096

// actors are the key logs this keeper knows, each reduced to its state, and
// how this keeper voted in them.
type actors struct {
	store *store.Store
	own   abaton.KeeperIndex
	floor *floor // nil for a keeper that never lost anything
	logs  map[abaton.ActorID]*keyLog
}

// keyLog is one log as held in memory.
type keyLog struct {
	state  *actor.State
	ballot *actor.Ballot
	open   []openEvent // came without a certificate; some may have one by now
	born   int64       // time of the inception, unix seconds
	moved  bool        // certified without this keeper since it recovered
}

type openEvent struct {
	hash   actor.Hash
	signer string
}

// Bounds of the events of one log that are not certified: each further one is
// weighed against all of them while the log is split. A thief of one key may
// fill its own part, and leaves the owner's other keys theirs.
const (
	openMax       = 320 // beyond it one signer has openPerSigner
	openPerSigner = 64
	openEnd       = 2 * openMax
)

// opened notes an event that has no certificate yet.
func (l *keyLog) opened(a *actor.Authentic) {
	l.open = append(l.open, openEvent{hash: a.Hash(), signer: l.signerOf(a)})
}

// crowds reports whether the event is one too many. The first that continues
// the certified log never is, so that a full log can always move on.
func (l *keyLog) crowds(a *actor.Authentic) bool {
	if len(l.open) < openMax {
		return false
	}
	l.open = slices.DeleteFunc(l.open, func(o openEvent) bool { return l.state.IsCertified(o.hash) })
	e, signer, own := a.Event(), l.signerOf(a), 0
	for _, o := range l.open {
		if o.signer == signer {
			own++
		}
	}
	tip, _ := l.state.Certified()
	_, voted := l.ballot.At(e.Seq)
	next := !voted && len(e.Prev) == 1 && e.Prev[0] == tip.Hash
	return len(l.open) >= openMax && !next &&
		(own >= openPerSigner || len(l.open) >= openEnd)
}

// signerOf is the first key or passkey of the log behind an event; proofs by
// strangers may stand beside it.
func (l *keyLog) signerOf(a *actor.Authentic) string {
	for _, p := range a.Signed().Proofs {
		k, passkey := proverOf(p)
		if l.state.KeyRights(k) != 0 || l.state.CredentialClass(passkey) != 0 {
			return string(k[:]) + string(passkey[:])
		}
	}
	return ""
}

// proverOf reads whose proof it is: a key's or a passkey's, the other is zero.
func proverOf(p actor.Proof) (id abaton.KeyID, passkey key.Credential) {
	var k struct {
		Key abaton.KeyID `cbor:"1,keyasint"`
		Sig []byte       `cbor:"2,keyasint"`
	}
	var a key.Assertion
	if wire.Unmarshal(p.Body, &k) == nil {
		return k.Key, passkey
	}
	if wire.Unmarshal(p.Body, &a) == nil {
		passkey = a.Credential()
	}
	return id, passkey
}

func newKeyLog() *keyLog { return &keyLog{state: new(actor.State), ballot: new(actor.Ballot)} }

func newActors(s *store.Store, own abaton.KeeperIndex) *actors {
	return &actors{store: s, own: own, logs: make(map[abaton.ActorID]*keyLog)}
}

// trim is called between groups, so that no state with undurable events is
// dropped.
func (a *actors) trim() {
	for id := range a.logs {
		if len(a.logs) <= statesMax {
			return
		}
		delete(a.logs, id)
	}
}

// forget drops a log whose state is ahead of the store; it is read anew.
func (a *actors) forget(id abaton.ActorID) { delete(a.logs, id) }

// get returns an actor's state; nil if no event of it is known.
func (a *actors) get(id abaton.ActorID) (*actor.State, error) {
	l, err := a.log(id)
	if err != nil || l == nil {
		return nil, err
	}
	return l.state, nil
}

// known reports whether any event of an actor is known, without reducing its
// log.
func (a *actors) known(id abaton.ActorID) (found bool, err error) {
	if a.logs[id] != nil {
		return true, nil
	}
	err = a.store.Statements(id, 0, func(store.Statement) bool { found = true; return false })
	return found, err
}

// log is get with this keeper's votes.
func (a *actors) log(id abaton.ActorID) (*keyLog, error) {
	if l := a.logs[id]; l != nil {
		return l, nil
	}
	l, err := a.load(id)
	if err != nil || l == nil {
		return nil, err
	}
	a.logs[id] = l
	return l, nil
}

// load reduces an actor's log anew. What lies in the store was verified before
// it was stored.
func (a *actors) load(id abaton.ActorID) (*keyLog, error) {
	s := a.store
	var items []store.Statement
	err := s.Statements(id, 0, func(item store.Statement) bool {
		items = append(items, item)
		return true
	})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	l := newKeyLog()
	// In the order of arrival, so that every parent is known before its child.
	sort.Slice(items, func(i, j int) bool { return items[i].Index < items[j].Index })
	for _, item := range items {
		if err := l.replay(item, a); err != nil {
			return nil, fmt.Errorf("read key log: %w", err)
		}
		vote, err := s.Vote(id, item.Seq)
		if err == nil && len(vote) == len(actor.Hash{}) {
			l.ballot.Restore(item.Seq, actor.Hash(vote))
		} else if err != nil && !errors.Is(err, store.ErrAbsent) {
			return nil, fmt.Errorf("read votes: %w", err)
		}
	}
	return l, nil
}

func (l *keyLog) replay(item store.Statement, in *actors) error {
	var s keeper.Statement
	if err := wire.Unmarshal(item.Bytes, &s); err != nil {
		return err
	}
	signed, err := actor.ParseSigned(s.Event)
	if err != nil {
		return err
	}
	a, err := actor.Reopen(signed)
	if err != nil {
		return err
	}
	if err := l.state.Apply(a); err != nil {
		return err
	}
	if a.Inception() != nil {
		l.born = a.Event().Time
	}
	if len(s.Certificate) == 0 {
		l.opened(a)
		return nil
	}
	cert, err := actor.ParseCertificate(s.Certificate)
	if err != nil {
		return err
	}
	since := in.floor != nil && item.Index >= in.floor.Arrived
	l.moved = l.moved || since && !cert.VotedBy(in.own)
	return l.state.Certify(cert.Reopen())
}

// Indexes kept beside the logs: which actor a key belongs to, and which
// patients named an actor in a grant.
func keyName(id abaton.KeyID) string { return "key/" + string(id[:]) }

func granteeCount(id abaton.ActorID) string { return "grantee/" + string(id[:]) }

func granteeAt(id abaton.ActorID, n uint64) string {
	return "grantee/" + string(id[:]) + "/" + string(wire.U64(n))
}

func granteeOf(id, patient abaton.ActorID) string {
	return "granted/" + string(id[:]) + string(patient[:])
}

// keyOwner is the actor whose log announced a signing key; zero if none did. The
// first that the key itself proved, else the first.
func (c *Core) keyOwner(id abaton.KeyID) (owner abaton.ActorID, err error) {
	b, err := c.store.Meta(keyName(id))
	if errors.Is(err, store.ErrAbsent) {
		return owner, nil
	}
	copy(owner[:], b)
	return owner, err
}

// index notes the keys and grantees that an event brings.
func (c *Core) index(t *tx, a *actor.Authentic) error {
	switch b := a.Body().(type) {
	case *actor.Inception:
		for _, k := range b.Keys {
			if err := c.indexKey(t, k.ID, a); err != nil {
				return err
			}
		}
		return c.indexGrants(t, a.Actor(), b.Grants)
	case *actor.KeyAdd:
		return c.indexKey(t, b.Key.ID, a)
	case *actor.Granted:
		return c.indexGrants(t, a.Actor(), []actor.Granted{*b})
	case *actor.Onward: // whoever it is to finds the log of who hands on
		return c.indexGrants(t, a.Actor(), []actor.Granted{{Grant: b.Terms}})
	}
	return nil
}

// indexCertified notes what a certified event brings, and for a merge what the
// branches bring that it makes count.
func (c *Core) indexCertified(t *tx, a *actor.Authentic) error {
	if err := c.index(t, a); err != nil || a.Kind() != actor.EventMerge {
		return err
	}
	covered := t.reunited
	var bad error
	err := c.store.Statements(a.Actor(), 0, func(item store.Statement) bool {
		var s keeper.Statement
		var signed actor.SignedEvent
		var b *actor.Authentic
		if bad = wire.Unmarshal(item.Bytes, &s); bad == nil {
			signed, bad = actor.ParseSigned(s.Event)
		}
		if bad == nil {
			b, bad = actor.Reopen(signed)
		}
		covered = append(covered, b)
		return bad == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	for _, b := range covered {
		if err := c.index(t, b); err != nil {
			return err
		}
	}
	return nil
}

// indexKey notes whose key it is. The first log that announced it keeps it,
// unless the key itself proves that it is another's: a key's name is public, and
// whoever is invited can write it into the first event of a log of their own.
func (c *Core) indexKey(t *tx, id abaton.KeyID, a *actor.Authentic) error {
	proved := a.ProvedBy(id)
	name := keyName(id)
	held, err := c.store.Meta(name)
	switch {
	case err != nil && !errors.Is(err, store.ErrAbsent):
		return err
	case t.marked[name+provedMark]:
		return nil
	case !proved && (err == nil || t.marked[name]):
		return nil
	case proved && len(held) > len(abaton.ActorID{}):
		return nil
	}
	t.mark(name)
	owner := a.Actor()
	value := owner[:]
	if proved {
		t.mark(name + provedMark)
		value = append(value, provedMark...)
	}
	c.store.PutMeta(&t.change, name, value)
	return nil
}

// provedMark follows an owner that the key itself named.
const provedMark = "!"

func (c *Core) indexGrants(t *tx, patient abaton.ActorID, granted []actor.Granted) error {
	for _, g := range granted {
		parsed, err := grant.Parse(g.Grant)
		if err != nil {
			return err
		}
		grantee := parsed.Grantee
		mark := granteeOf(grantee, patient)
		if _, err := c.store.Meta(mark); err == nil || t.marked[mark] {
			continue
		} else if !errors.Is(err, store.ErrAbsent) {
			return err
		}
		n, err := c.granteeCount(t, grantee)
		if err != nil {
			return err
		}
		t.mark(mark)
		t.counts[grantee] = n + 1
		c.store.PutMeta(&t.change, mark, nil)
		c.store.PutMeta(&t.change, granteeAt(grantee, n), patient[:])
		c.store.PutMeta(&t.change, granteeCount(grantee), wire.U64(n+1))
	}
	return nil
}

// granteeCount is how many patients named the grantee, counting this group.
func (c *Core) granteeCount(t *tx, grantee abaton.ActorID) (uint64, error) {
	if n, ok := t.counts[grantee]; ok {
		return n, nil
	}
	return countAt(c.store, granteeCount(grantee))
}

func countAt(s *store.Store, name string) (uint64, error) {
	b, err := s.Meta(name)
	if errors.Is(err, store.ErrAbsent) {
		return 0, nil
	}
	if err != nil || len(b) != 8 {
		return 0, errors.Join(err, errors.New("counter is damaged"))
	}
	return binary.BigEndian.Uint64(b), nil
}

// patientsOf lists at most max patients that named the grantee, from the
// n'th on, and where to ask next (0: no more). Safe for concurrent use.
func patientsOf(s *store.Store, grantee abaton.ActorID, from uint64, max int) (out []abaton.ActorID, next uint64, err error) {
	total, err := countAt(s, granteeCount(grantee))
	if err != nil {
		return nil, 0, err
	}
	for n := from; n < total; n++ {
		if len(out) == max {
			return out, n, nil
		}
		b, err := s.Meta(granteeAt(grantee, n))
		if err != nil || len(b) != 32 {
			return nil, 0, errors.Join(err, errors.New("index of grantees is damaged"))
		}
		out = append(out, abaton.ActorID(b))
	}
	return out, 0, nil
}
