package actor

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

// State is what one key log says: the reduction of its events and
// certificates. The zero State knows no log. It depends only on which events
// and certificates it was given, not on their order, and it does no
// cryptography. It is not safe for concurrent use.
//
// What an event gives holds once the event is certified (or a certified merge
// covers it); what an event takes away holds from the moment the event is
// applied, on any branch, and never ends.
type State struct {
	actor     abaton.ActorID
	inception *Inception
	knots     map[Hash]*knot
	slots     map[uint64]*knot // at each place the certified event, else one of those known
	heads     []*knot
	forked    bool
	open      []*knot // not certified, in order of arrival
	tip       *knot   // the highest certified event

	keys        map[abaton.KeyID]*entry[Rights]
	credentials map[key.Credential]*entry[Class]
	lines       map[abaton.Line]*lineEntry
	grants      map[abaton.GrantID]*entry[*grant.Grant]
	escrows     map[abaton.GrantID]*entry[*Escrow]
	recoveries  map[Hash]*recovery
	vetoes      map[Hash]struct{}
	bars        map[abaton.ActorID][]barring
	erased      map[abaton.BatchName]uint64
	urgent      []urgentRevoke
	origins     []origins
	members     map[abaton.ActorID]*entry[*Member]
	teams       map[abaton.ActorID]*entry[*Team]
	duties      map[post]*entry[*Duty]
	onwards     map[abaton.GrantID]*entry[*Onward]
	stopped     bool
	policies    []gift[*Policy]
	watches     []gift[*Watch]
	lifts       map[[32]byte][]*knot // by verdict, or bar
	registrars  map[abaton.ActorID]*entry[*Registrar]
	findings    map[Hash]finding
	set         *Set
}

// entry is one thing that events may give and take away.
type entry[T any] struct {
	given   []gift[T]
	removed []*knot // any one of them takes it away for ever
}

type gift[T any] struct {
	value T
	by    *knot
}

type urgentRevoke struct {
	grant abaton.GrantID
	by    *knot
}

type origins struct {
	rp key.RelyingParty
	by *knot
}

// Actor is whose log this is; zero when none is known.
func (s *State) Actor() abaton.ActorID { return s.actor }

// Kind is what the actor is; zero when no log is known.
func (s *State) Kind() Kind {
	if s.inception == nil {
		return 0
	}
	return s.inception.Kind
}

// Organisation is the actor's sponsor; zero for organisations and sets.
func (s *State) Organisation() abaton.ActorID {
	if s.inception == nil {
		return abaton.ActorID{}
	}
	return s.inception.Organisation
}

// SetID is the keeper set the actor chose in its inception.
func (s *State) SetID() abaton.ActorID {
	if s.inception == nil {
		return abaton.ActorID{}
	}
	if s.inception.Kind == KeeperSet {
		return s.actor
	}
	return s.inception.Set
}

// Live reports whether the log counts: its inception is certified.
func (s *State) Live() bool { return s.tip != nil }

// Box is the actor's box key, once the log is live; key.ErrKey otherwise.
func (s *State) Box() (key.BoxPublic, error) {
	if !s.Live() {
		return key.BoxPublic{}, key.ErrKey
	}
	return key.ParseBoxPublic(s.inception.Box)
}

// Certified is the highest certified place; false when there is none.
func (s *State) Certified() (Place, bool) {
	if s.tip == nil {
		return Place{}, false
	}
	return s.tip.place(), true
}

// Heads are the places no known event continues, sorted by place and hash.
// More than one is a split that a merge should close.
func (s *State) Heads() []Place {
	places := make([]Place, len(s.heads))
	for i, n := range ordered(s.heads) {
		places[i] = n.place()
	}
	return places
}

// Knows reports whether the event is part of this log copy.
func (s *State) Knows(h Hash) bool { return s.knots[h] != nil }

// IsCertified reports whether the event itself counts by certificate, its own
// or that of an event that continues it.
func (s *State) IsCertified(h Hash) bool {
	n := s.knots[h]
	return n != nil && n.certified
}

// KeyRights is what a signing key may do now; zero when it is not live.
func (s *State) KeyRights(id abaton.KeyID) Rights {
	if s.stopped {
		return 0
	}
	rights, _ := s.keys[id].now()
	return rights
}

// CredentialClass is the class of a live passkey; zero when it is not live.
func (s *State) CredentialClass(c key.Credential) Class {
	if s.stopped {
		return 0
	}
	class, _ := s.credentials[c].now()
	return class
}

// Grant is a grant of this log with its patient filled in, and whether it was
// taken back. Nil when the log does not (yet) give it.
func (s *State) Grant(id abaton.GrantID) (g *grant.Grant, revoked bool) {
	e := s.grants[id]
	if e == nil {
		return nil, false
	}
	g, _ = e.first()
	return g, len(e.removed) > 0
}

// Grants lists the grants that are given and not taken back, by name.
func (s *State) Grants() map[abaton.GrantID]*grant.Grant {
	live := make(map[abaton.GrantID]*grant.Grant)
	for id, e := range s.grants {
		if g, ok := e.now(); ok {
			live[id] = g
		}
	}
	return live
}

// EverGranted are the names of all grants this log has given, those taken back
// too, in no order.
func (s *State) EverGranted() (ids []abaton.GrantID) {
	for id := range s.grants {
		if g, _ := s.Grant(id); g != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// Barred reports whether this log bars the actor now.
func (s *State) Barred(a abaton.ActorID, now time.Time) bool {
	return now.Unix() < s.barredUntil(a)
}

// BarredUntil is until when this log bars the actor: zero when it does not,
// or not any more; for ever is the largest time.
func (s *State) BarredUntil(a abaton.ActorID, now time.Time) int64 {
	if until := s.barredUntil(a); now.Unix() < until {
		return until
	}
	return 0
}

// Erased is the bitmap of erased records of a batch.
func (s *State) Erased(b abaton.BatchName) uint64 { return s.erased[b] }

// RelyingParty is where an organisation's staff use their passkeys; false
// when its log names none.
func (s *State) RelyingParty() (rp key.RelyingParty, ok bool) {
	var best *knot
	for _, o := range s.origins {
		if o.by.effective() && (best == nil || best.before(o.by)) {
			best, rp, ok = o.by, o.rp, true
		}
	}
	return rp, ok
}

// Set is the keeper set of a keeper set's log, nil for every other.
func (s *State) Set() *Set { return s.set }

// Asker is who asks, as a patient's log sees it.
type Asker struct {
	Actor        abaton.ActorID
	Organisation abaton.ActorID // zero for patients
	Behalf       abaton.ActorID // in whose place; zero normally
}

// Facts is what Decide needs of this patient's log for an access to a line under
// a grant; a zero grant id asks as the owner. One bar of whoever takes part is
// enough. Whether the asker acts for a team is the organisation's log's word, and
// whether it is a person its own.
func (s *State) Facts(who Asker, id abaton.GrantID, line abaton.Line, used uint64, now time.Time) grant.Facts {
	f := grant.Facts{Used: used, Level: s.Level(line), Barred: s.Barred(who.Actor, now) || s.Barred(who.Organisation, now) || s.Barred(who.Behalf, now)}
	f.Frozen, f.Stated = s.Frozen(), s.Stated(now)
	if id == (abaton.GrantID{}) {
		f.Owner = s.Live() && who.Actor == s.actor
		return f
	}
	f.Grant, f.Revoked = s.Grant(id)
	return f
}

// now is the value in force: given by an event that counts, not removed.
func (e *entry[T]) now() (value T, ok bool) {
	if e == nil || len(e.removed) > 0 {
		return value, false
	}
	return e.first()
}

// first is the value of the first giver that counts, in the one order that
// does not depend on arrival.
func (e *entry[T]) first() (value T, ok bool) {
	var best *knot
	for _, g := range e.given {
		if g.by.effective() && (best == nil || g.by.precedes(best)) {
			best, value, ok = g.by, g.value, true
		}
	}
	return value, ok
}

// firstKnot is the event that first gives it; nil when none that counts does.
func (e *entry[T]) firstKnot() (best *knot) {
	for _, g := range e.given {
		if g.by.effective() && (best == nil || g.by.precedes(best)) {
			best = g.by
		}
	}
	return best
}

func give[K comparable, T any](m *map[K]*entry[T], k K, value T, by *knot) {
	e := at(m, k)
	e.given = append(e.given, gift[T]{value: value, by: by})
}

func remove[K comparable, T any](m *map[K]*entry[T], k K, by *knot) {
	e := at(m, k)
	e.removed = append(e.removed, by)
}

func at[K comparable, T any](m *map[K]*entry[T], k K) *entry[T] {
	if *m == nil {
		*m = make(map[K]*entry[T])
	}
	e := (*m)[k]
	if e == nil {
		e = new(entry[T])
		(*m)[k] = e
	}
	return e
}

// unix is an event's time as a time.Time.
func unix(seconds int64) time.Time { return time.Unix(seconds, 0) }
