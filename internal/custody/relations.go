package custody

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// What organisations told of who has a reason to open whose record
// (PROTOCOL.md#relations). It gives no access and takes none: detection reads
// it.

// Relation is what this keeper knows of why somebody opens a patient's record.
type Relation struct {
	// Related: a grant or a hand-on names the person, it is the own record, or
	// a relation stands now for the person or for a team the person is in now.
	Related bool
	// Delicate: the own, a relative's or a colleague's record, or a raised one.
	Delicate bool
	// Honey: no such patient; nobody has a reason.
	Honey bool
	// Kind is the first expected kind that stands, else the delicate one; zero
	// where neither does. A relation of one person says more than a team's, but
	// not here.
	Kind relation.Kind
}

// opener is who opens a record, as relations know people.
type opener struct {
	organisation abaton.ActorID // whose people's acts it counts for; zero for patients
	actor        abaton.ActorID
	behalf       abaton.ActorID // in whose place; zero: in the own
	named        bool           // a grant or a hand-on names the person
}

// opener says who asks, for relation. Call it after grant.
func (v *verdict) opener() opener {
	st, q := v.r.Session.Statement(), v.r.Asked
	o := opener{organisation: st.Organisation, actor: st.Actor, behalf: st.Behalf}
	if v.handed != nil {
		o.named = v.handed.Terms != nil && v.handed.Terms.Grantee == st.Actor
		return o
	}
	if v.patient != nil {
		g, _ := v.patient.Grant(q.Grant)
		o.named = g != nil && g.Grantee == st.Actor
	}
	return o
}

// relation is what is known of who and patient now, with at most one read of
// the store. A relation told in this very group is not seen yet. It counts only
// while the key that told it is live: what a thief of a removed key told is gone
// with it.
func (c *Core) relation(t *tx, who opener, patient abaton.ActorID) (Relation, error) {
	r := Relation{Related: who.named || who.actor == patient}
	if !c.admitted[who.organisation] {
		return r, nil
	}
	all, err := c.relationsOf(patient, who.organisation)
	if err != nil || len(all) == 0 {
		return r, err
	}
	org, err := c.actors.get(who.organisation)
	if err != nil || org == nil {
		return r, err
	}
	now := t.now.Unix()
	for i := range all {
		s := &all[i]
		if now < s.from || now >= s.until || !s.kind.SaidBy(org.KeyRights(s.key)) {
			continue
		}
		if err := c.weigh(t, &r, s, who, org); err != nil {
			return Relation{}, err
		}
	}
	return r, nil
}

// weigh adds one standing relation to what is known.
func (c *Core) weigh(t *tx, r *Relation, s *standingRelation, who opener, org *actor.State) error {
	if s.kind == relation.Honey {
		r.Honey = true
		return nil
	}
	concerned := s.whom == abaton.ActorID{}
	if !concerned {
		var err error
		if concerned, err = c.concerns(t, s.whom, who, org); err != nil {
			return err
		}
	}
	switch {
	case !concerned:
	case s.kind.Expected():
		if r.Related = true; !r.Kind.Expected() {
			r.Kind = s.kind
		}
	case s.kind.Delicate():
		if r.Delicate = true; r.Kind == 0 {
			r.Kind = s.kind
		}
	}
	return nil
}

// concerns reports whether a relation about whom is about who opens: the person,
// a team the person is in now, or the colleague whose place is taken for a
// shift.
func (c *Core) concerns(t *tx, whom abaton.ActorID, who opener, org *actor.State) (bool, error) {
	if whom == who.actor {
		return true, nil
	}
	colleague, err := c.colleague(who.behalf)
	if err != nil {
		return false, err
	}
	if org.Team(whom) != nil {
		return org.ActsFor(whom, who.actor, who.behalf, colleague, t.now), nil
	}
	if colleague == nil || whom != who.behalf {
		return false, nil
	}
	for _, d := range colleague.Duties(t.now) {
		if d.To == who.actor && org.ActsFor(d.Team, who.actor, who.behalf, colleague, t.now) {
			return true, nil
		}
	}
	return false, nil
}

// relationSpace holds what organisations told: patient, organisation, kind,
// whom and from as the key; until, when it was told and by which key as the
// value.
const relationSpace = 'r'

// standingRelation is one entry as it is kept.
type standingRelation struct {
	kind        relation.Kind
	whom        abaton.ActorID
	from, until int64 // unix seconds
	told        int64 // Time of the statement
	key         abaton.KeyID
}

const relationKeyBytes, relationValueBytes = 3*32 + 1 + 8, 2*8 + 32

func relationPrefix(patient, organisation abaton.ActorID) []byte {
	return append(append(make([]byte, 0, relationKeyBytes), patient[:]...), organisation[:]...)
}

// relationsEnd is beyond every entry of the pair: no kind is 0xff.
func relationsEnd(patient, organisation abaton.ActorID) []byte {
	return append(relationPrefix(patient, organisation), 0xff)
}

func (s *standingRelation) keyOf(patient, organisation abaton.ActorID) []byte {
	k := append(append(relationPrefix(patient, organisation), byte(s.kind)), s.whom[:]...)
	return binary.BigEndian.AppendUint64(k, uint64(s.from))
}

func (s *standingRelation) value() []byte {
	v := binary.BigEndian.AppendUint64(nil, uint64(s.until))
	return append(binary.BigEndian.AppendUint64(v, uint64(s.told)), s.key[:]...)
}

func readRelation(key, value []byte) (s standingRelation, err error) {
	if len(key) != relationKeyBytes || len(value) != relationValueBytes {
		return s, errors.New("relation is damaged")
	}
	s.kind = relation.Kind(key[64])
	copy(s.whom[:], key[65:])
	s.from = int64(binary.BigEndian.Uint64(key[97:]))
	s.until, s.told = int64(binary.BigEndian.Uint64(value)), int64(binary.BigEndian.Uint64(value[8:]))
	copy(s.key[:], value[16:])
	return s, nil
}

// over reports whether an entry says nothing any more: it has ended, and no
// earlier statement about the same thing can come in time.
func (s *standingRelation) over(now int64) bool {
	until := s.until
	if s.kind == relation.Duty && until > s.from {
		until += int64(rosterKept / time.Second)
	}
	return now >= until && now-s.told > int64(2*abaton.ClockSkewMax.Seconds())
}

// toldRelations is what lies in memory of the store, by patient and
// organisation.
type toldRelations struct {
	of    map[[2]abaton.ActorID][]standingRelation
	swept []byte // where the sweep goes on
	most  uint64 // entries of one organisation
}

// pairsMax bounds the pairs in memory; others are read again.
const pairsMax = 4096

func newToldRelations() *toldRelations {
	return &toldRelations{of: make(map[[2]abaton.ActorID][]standingRelation), most: relation.StandingMax}
}

func (k *toldRelations) trim() {
	for pair := range k.of {
		if len(k.of) <= pairsMax {
			return
		}
		delete(k.of, pair)
	}
}

// forget drops a pair from memory once the group is durable.
func (k *toldRelations) forget(t *tx, patient, organisation abaton.ActorID) {
	t.after = append(t.after, func(*ledger.Group) { delete(k.of, [2]abaton.ActorID{patient, organisation}) })
}

// relationsOf are the entries kept of one patient and organisation, those that
// are over too. They are not to be changed.
func (c *Core) relationsOf(patient, organisation abaton.ActorID) ([]standingRelation, error) {
	pair := [2]abaton.ActorID{patient, organisation}
	if all, ok := c.told.of[pair]; ok {
		return all, nil
	}
	var all []standingRelation
	var bad error
	prefix := relationPrefix(patient, organisation)
	err := c.store.Raw(relationSpace).Scan(prefix, relationsEnd(patient, organisation), func(key, value []byte) bool {
		var s standingRelation
		s, bad = readRelation(key, value)
		all = append(all, s)
		return bad == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("read relations: %w", err)
	}
	c.told.of[pair] = all
	return all, nil
}

// relationsName counts what is kept of an organisation.
func relationsName(organisation abaton.ActorID) string {
	return "relations/" + string(organisation[:])
}

func (c *Core) relationCount(t *tx, organisation abaton.ActorID) (uint64, error) {
	b, err := c.noted(t, relationsName(organisation))
	if err != nil || len(b) == 0 {
		return 0, err
	}
	if len(b) != 8 {
		return 0, errDamaged(true)
	}
	return binary.BigEndian.Uint64(b), nil
}

// sweepRelationsMax is how many entries one tick looks at: a million in an hour
// and a half.
const sweepRelationsMax = 1024

// sweepRelations forgets what is over, and what was told by a key that may not
// say it any more: a part of the store at each tick.
func (c *Core) sweepRelations(t *tx) error {
	space, seen := c.store.Raw(relationSpace), 0
	gone := make(map[abaton.ActorID]uint64)
	var last []byte
	var bad error
	err := space.Scan(c.told.swept, nil, func(key, value []byte) bool {
		var s standingRelation
		if s, bad = readRelation(key, value); bad != nil {
			return false
		}
		last = append(append(last[:0], key...), 0)
		var org *actor.State
		if org, bad = c.actors.get(abaton.ActorID(key[32:64])); bad != nil {
			return false
		}
		if s.over(t.now.Unix()) || org != nil && !s.kind.SaidBy(org.KeyRights(s.key)) {
			space.Into(&t.change).Delete(key)
			gone[abaton.ActorID(key[32:64])]++
			c.told.forget(t, abaton.ActorID(key[:32]), abaton.ActorID(key[32:64]))
		}
		seen++
		return seen < sweepRelationsMax
	})
	if err = errors.Join(err, bad); err != nil {
		return fmt.Errorf("sweep relations: %w", err)
	}
	if c.told.swept = last; seen < sweepRelationsMax {
		c.told.swept = nil
	}
	for organisation, n := range gone {
		count, err := c.relationCount(t, organisation)
		if err != nil {
			return err
		}
		c.jot(t, relationsName(organisation), wire.U64(count-min(n, count)))
	}
	return nil
}
