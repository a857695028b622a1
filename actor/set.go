package actor

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Set is a keeper set as its log has it now: the document, with every
// certified change applied. Its name never changes. A Set is not changed
// after it is made.
type Set struct {
	Document
	id     abaton.ActorID
	seq    uint64
	head   Hash
	voters [][]abaton.KeyID // by X-1: every key that ever voted there
	begun  []Begun          // by X-1
	former [][]Keeper       // by X-1: the entries before this one
	names  map[string]bool  // every ledger and incarnation there ever was
}

// Begun says since when a keeper has the ledger it has. The zero Begun is a
// ledger that the set began with.
type Begun struct {
	At   int64  // unix seconds, of the change that named the ledger
	Last []byte // newest known checkpoint of the ledger before, or empty
}

// Former are the entries that the keeper at x had before, oldest first.
func (s *Set) Former(x abaton.KeeperIndex) []Keeper {
	if s.Keeper(x) == nil {
		return nil
	}
	return s.former[x-1]
}

// Begun of the keeper at x; zero also when the set has none.
func (s *Set) Begun(x abaton.KeeperIndex) Begun {
	if s.Keeper(x) == nil {
		return Begun{}
	}
	return s.begun[x-1]
}

// SetChangesMax is how many changes one set file may hold.
const SetChangesMax = 1024

// ParseSet reads a set file: the canonical CBOR array of the set's signed
// events, inception first. The inception needs all n proofs, every change w
// of the set before it. ReasonMalformed, ReasonSignature, ReasonCredential or
// ReasonKeeperSet. The caller compares ID with the one it has pinned.
func ParseSet(data []byte) (*Set, error) {
	var events []SignedEvent
	if wire.Unmarshal(data, &events) != nil || len(events) == 0 {
		return nil, malformed()
	}
	if len(events) > 1+SetChangesMax {
		return nil, tooLarge()
	}
	var s *Set
	for _, se := range events {
		a, err := Authenticate(se, key.RelyingParty{})
		if err != nil {
			return nil, err
		}
		if s == nil {
			s, err = newSet(a)
		} else {
			s, err = s.next(a)
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// MarshalSet is the set file of these events.
func MarshalSet(events []SignedEvent) []byte { return wire.Marshal(events) }

func newSet(a *Authentic) (*Set, error) {
	if a.document == nil {
		return nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	s := &Set{Document: *a.document, id: a.actor, head: a.hash, voters: make([][]abaton.KeyID, a.document.N)}
	s.begun, s.former, s.names = make([]Begun, s.N), make([][]Keeper, s.N), make(map[string]bool)
	for i := range s.Keepers {
		s.voters[i] = []abaton.KeyID{s.Keepers[i].Key}
		s.Keepers[i].claim(s.names)
	}
	return s, nil
}

// next is the set after a change that w of its keepers proved.
func (s *Set) next(a *Authentic) (*Set, error) {
	change, ok := a.body.(*SetChange)
	if !ok || a.actor != s.id {
		return nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	if a.event.Seq != s.seq+1 || a.event.Prev[0] != s.head {
		return nil, abaton.Refuse(abaton.ReasonParent)
	}
	if err := s.checkProvers(a.by.keys, s.W); err != nil {
		return nil, err
	}
	d, err := s.with(change.Keeper)
	if err != nil {
		return nil, err
	}
	at := change.Keeper.X - 1
	begun, err := s.begins(change, a.event.Time)
	if err != nil {
		return nil, err
	}
	next := &Set{
		Document: *d, id: s.id, seq: a.event.Seq, head: a.hash, voters: slices.Clone(s.voters),
		begun: slices.Clone(s.begun), names: maps.Clone(s.names), former: slices.Clone(s.former),
	}
	next.former[at] = append(slices.Clone(s.former[at]), s.Keepers[at])
	next.begun[at] = begun
	change.Keeper.claim(next.names)
	if !slices.Contains(next.voters[at], change.Keeper.Key) {
		next.voters[at] = append(slices.Clone(next.voters[at]), change.Keeper.Key)
	}
	return next, nil
}

// claim notes what may name no keeper a second time, not even the same one:
// the ledger, which would go on from two ends, and the incarnation, by which a
// restored copy is told from the keeper.
func (k *Keeper) claim(names map[string]bool) {
	names["ledger "+k.Origin] = true
	names["incarnation "+string(k.Incarnation[:])] = true
}

// begins checks what a change says of the ledger: the same one goes on, or a
// new one names the end of the old.
func (s *Set) begins(c *SetChange, at int64) (Begun, error) {
	old := s.Keeper(c.Keeper.X)
	same := old.Origin == c.Keeper.Origin
	switch {
	case s.names["incarnation "+string(c.Keeper.Incarnation[:])],
		!same && s.names["ledger "+c.Keeper.Origin],
		same && (len(c.Last) > 0 || old.Key != c.Keeper.Key),
		len(c.Last) > 0 && !strings.HasPrefix(string(c.Last), old.Origin+"\n"):
		return Begun{}, abaton.Refuse(abaton.ReasonKeeperSet)
	case same:
		return s.Begun(c.Keeper.X), nil
	}
	return Begun{At: max(at, 1), Last: c.Last}, nil
}

// ID is the set's name: the hash of its inception, pinned everywhere.
func (s *Set) ID() abaton.ActorID { return s.id }

// Head is the sequence number and hash of the newest change.
func (s *Set) Head() (seq uint64, hash Hash) { return s.seq, s.head }

// Keeper is the entry at x, nil if the set has none.
func (s *Set) Keeper(x abaton.KeeperIndex) *Keeper {
	if x < 1 || int(x) > len(s.Keepers) {
		return nil
	}
	return &s.Keepers[x-1]
}

// KeeperOf is the entry of the keeper that signs with id now, nil if none.
func (s *Set) KeeperOf(id abaton.KeyID) *Keeper {
	for i := range s.Keepers {
		if s.Keepers[i].Key == id {
			return &s.Keepers[i]
		}
	}
	return nil
}

// Shape is n, k, t and the x-coordinates, for the record room.
func (s *Set) Shape() (n, k, t uint8, x []uint8) {
	x = make([]uint8, len(s.Keepers))
	for i := range s.Keepers {
		x[i] = uint8(s.Keepers[i].X)
	}
	return s.N, s.K, s.T, x
}

// BoxOf is the box key of the keeper at x; key.ErrKey if the set has none.
func (s *Set) BoxOf(x abaton.KeeperIndex) (key.BoxPublic, error) {
	k := s.Keeper(x)
	if k == nil {
		return key.BoxPublic{}, key.ErrKey
	}
	return key.ParseBoxPublic(k.Box)
}

// CompleteAnswers is how many ledgers' answers make a history complete:
// n-t+1+f (RULINGS 23).
func (s *Set) CompleteAnswers() int { return int(s.N) - int(s.T) + 1 + int(s.F) }

// ReadAnswers is how many answers let a listing meet every acknowledged
// write through an honest keeper: n+f+1-w.
func (s *Set) ReadAnswers() int { return int(s.N) + int(s.F) + 1 - int(s.W) }

// Text is the set for people to read and compare. It is not parsed back.
func (s *Set) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "keeper set %s (change %d)\n", s.id, s.seq)
	fmt.Fprintf(&b, "keepers %d, fragments %d, shares %d, quorum %d, bears %d dishonest\n", s.N, s.K, s.T, s.W, s.F)
	fmt.Fprintf(&b, "relying party %q, origins %q\n", s.RelyingParty.ID, s.RelyingParty.Origins)
	if s.Wait != 0 {
		fmt.Fprintf(&b, "TEST NETWORK: recoveries wait only %v\n", s.RecoveryWait())
	}
	for i := range s.Keepers {
		k := &s.Keepers[i]
		fmt.Fprintf(&b, "keeper %d\n  operator %q\n  url %s\n  key %s\n  ledger %q\n  incarnation %s\n  tls %s\n",
			k.X, k.Operator, k.URL, k.Key, k.Origin, hex.EncodeToString(k.Incarnation[:]), hex.EncodeToString(k.SPKI[:]))
	}
	return b.String()
}
