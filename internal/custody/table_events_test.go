package custody_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// records is where events are told: a patient with a kit, an organisation, a
// clinician, a device and the keeper set, each with a key that it removed.
type records struct {
	*kept
	spare      *custodytest.Person // a device that nobody sits at
	gone       map[*custodytest.Person]*key.Signing
	before     map[*custodytest.Person]custodytest.Person // each as it was before its newest event
	stranger   *custodytest.Person                        // known, and nobody's business
	policies   uint64
	thresholds uint64
	main       map[*custodytest.Person][]byte // that event
	branch     *actor.SignedEvent             // a second end of the patient's log
}

func newRecords(t *testing.T) *records {
	t.Helper()
	w := &records{kept: newKept(t), gone: make(map[*custodytest.Person]*key.Signing), main: make(map[*custodytest.Person][]byte), before: make(map[*custodytest.Person]custodytest.Person)}
	w.spare, w.stranger = custodytest.NewDevice(t, w.Set, w.org), w.helpers[0]
	w.Publish(t, w.spare.Inception, w.registry.Inception)
	w.Enrol(t, w.doctor)
	w.appoints(t)
	w.Publish(t, w.ana.Event(w.names()))
	for _, p := range []*custodytest.Person{w.ana, w.org, w.doctor, w.spare} {
		w.gone[p] = key.NewSigning()
		add := p.Event(&actor.KeyAdd{Key: actor.Key{ID: w.gone[p].ID(), Rights: actor.Manage}})
		add.Proofs = append(add.Proofs, actor.ByKey(w.gone[p], add.Event))
		w.Publish(t, add, p.Event(&actor.KeyRemove{ID: w.gone[p].ID()}))
		w.before[p] = *p
		newest := adds(p, key.NewSigning())
		w.Publish(t, newest)
		w.main[p] = newest.Event
	}
	return w
}

// names lets the registry state, with the doctor, that the patient cannot decide.
func (w *records) names() *actor.Registrar {
	return &actor.Registrar{Registrar: w.registry.ID, May: actor.SaysNarrow | actor.SaysIncapacity, With: []abaton.ActorID{w.doctor.ID}}
}

// told is one kind of event.
type told struct {
	kind  actor.EventKind
	owner *custodytest.Person
	body  func(t *testing.T) actor.Body
	also  func(actor.Body) []*key.Signing // who else must prove it
	by    *key.Signing                    // who proves it; nil: the owner's manager
	over  func(t *testing.T) actor.Body   // the same, its own time over; may be nil
	cells map[defect]cell
}

// events are the kinds that a keeper's table of who may sign knows, but for
// the first of a log and those of the keeper set.
func (w *records) events(t *testing.T) []told {
	random := func() (b [32]byte) { rand.Read(b[:]); return b }
	var added *key.Signing
	grantFor := func(change func(*grant.Grant)) func(*testing.T) actor.Body {
		return func(*testing.T) actor.Body {
			g := w.ana.Grant(w.doctor.ID, grant.Read, 9)
			change(g)
			return &actor.Granted{Grant: g.Marshal()}
		}
	}
	memberFor := func(change func(*actor.Member)) func(*testing.T) actor.Body {
		return func(*testing.T) actor.Body {
			m := w.org.Member(random(), abaton.RoleNurse)
			change(m)
			return m
		}
	}
	policyFor := func(shift int64) func(*testing.T) actor.Body {
		return func(*testing.T) actor.Body {
			now := time.Now().Unix() + shift
			return &actor.Policy{Version: w.policies + 1, NotBefore: now - 60, Expires: now + 3600, Text: []byte(permitAll), Simulation: random()}
		}
	}
	onwardFor := func(shift int64) func(*testing.T) actor.Body {
		return func(*testing.T) actor.Body {
			g := w.ana.Grant(random(), grant.Read, 9)
			g.NotBefore, g.Expires = g.NotBefore+shift, g.Expires+shift
			return &actor.Onward{Parent: random(), Terms: g.Marshal(), Wrap: make([]byte, key.BoxOverhead)}
		}
	}
	findingFor := func(life time.Duration) func(*testing.T) actor.Body {
		return func(*testing.T) actor.Body {
			r := random()
			return &actor.Finding{Case: grant.Incapacity, Registrar: w.registry.ID, Physician: w.doctor.ID, House: w.org.ID,
				Until: time.Now().Add(life).Unix(), Nonce: [16]byte(r[:])}
		}
	}
	return []told{
		{kind: actor.EventKeyAdd, owner: w.ana, body: func(*testing.T) actor.Body {
			added = key.NewSigning()
			return &actor.KeyAdd{Key: actor.Key{ID: added.ID(), Rights: actor.Write}}
		}, also: func(actor.Body) []*key.Signing { return []*key.Signing{added} }},
		{kind: actor.EventKeyRemove, owner: w.ana, body: func(t *testing.T) actor.Body {
			k := key.NewSigning()
			w.Publish(t, adds(w.ana, k))
			return &actor.KeyRemove{ID: k.ID()}
		}},
		{kind: actor.EventCredentialAdd, owner: w.ana, body: func(t *testing.T) actor.Body {
			return &actor.CredentialAdd{Credential: custodytest.Spare(t)}
		}},
		{kind: actor.EventCredentialRemove, owner: w.ana, body: func(t *testing.T) actor.Body {
			c := custodytest.Spare(t)
			w.Publish(t, w.ana.Event(&actor.CredentialAdd{Credential: c}))
			return &actor.CredentialRemove{Name: c.Public.Credential()}
		}},
		{kind: actor.EventEpoch, owner: w.ana, body: func(*testing.T) actor.Body {
			r := random()
			return w.ana.Line(abaton.Category(r[:16]), 1)
		}},
		{kind: actor.EventGrant, owner: w.ana, body: grantFor(func(*grant.Grant) {}),
			over: grantFor(func(g *grant.Grant) { g.NotBefore, g.Expires = g.NotBefore-7200, g.Expires-7200 })},
		{kind: actor.EventRevoke, owner: w.ana, body: func(*testing.T) actor.Body { return &actor.Revoke{Grant: random()} }},
		{kind: actor.EventBar, owner: w.ana, body: func(*testing.T) actor.Body { return &actor.Bar{Actor: random()} }},
		{kind: actor.EventErase, owner: w.ana, body: func(*testing.T) actor.Body {
			return &actor.Erase{Rows: []actor.Row{{Batch: random(), Bits: 1}}}
		}},
		{kind: actor.EventOrigins, owner: w.org, body: func(*testing.T) actor.Body { return &actor.Origins{RelyingParty: w.Set.RelyingParty} }},
		{kind: actor.EventMember, owner: w.org, body: memberFor(func(*actor.Member) {}),
			over: memberFor(func(m *actor.Member) { m.NotBefore, m.Expires = m.NotBefore-7200, m.Expires-7200 })},
		{kind: actor.EventTeam, owner: w.org, body: func(*testing.T) actor.Body {
			team, r := w.org.Team(1, w.doctor.ID), random()
			team.Nonce = [16]byte(r[:])
			team.Team, team.Public = actor.TeamID(w.org.ID, team.Nonce), key.NewBox().Public().Bytes()
			return team
		}, cells: map[defect]cell{unknown: refuses(abaton.ReasonMalformed)}}, // a team's name is its organisation's
		{kind: actor.EventPolicy, owner: w.org, body: policyFor(0), over: policyFor(-7200)},
		{kind: actor.EventWatch, owner: w.org, body: func(*testing.T) actor.Body {
			return &actor.Watch{Version: w.thresholds + 1, Thresholds: detect.Default().Encode()}
		}},
		{kind: actor.EventLift, owner: w.org, body: func(*testing.T) actor.Body {
			r := random()
			return &actor.Lift{Verdicts: [][32]byte{r}, Why: actor.Mistaken}
		}},
		{kind: actor.EventDuty, owner: w.doctor, body: func(*testing.T) actor.Body {
			now := time.Now().Unix()
			return &actor.Duty{To: random(), Team: random(), From: now, Until: now + 3600, Sealed: make([]byte, key.BoxOverhead+len(key.Secret{}))}
		}},
		{kind: actor.EventOnward, owner: w.doctor, body: onwardFor(0), over: onwardFor(-7200)},
		{kind: actor.EventRegistrar, owner: w.ana, body: func(*testing.T) actor.Body { return w.names() }},
		{kind: actor.EventFinding, owner: w.ana, by: w.registry.Manage, body: findingFor(24 * time.Hour), over: findingFor(-time.Hour),
			also: func(actor.Body) []*key.Signing { return []*key.Signing{w.doctor.Manage} }},
		{kind: actor.EventStop, owner: w.spare, body: func(*testing.T) actor.Body { return new(actor.Stop) }},
		{kind: actor.EventEscrow, owner: w.ana, body: func(t *testing.T) actor.Body {
			code := escrow.NewCode()
			e, err := escrow.Make(w.Set, w.ana.ID, escrow.Kit(w.ana.ID, code, custodytest.Wait), code.Half(w.ana.ID), escrow.Payload{Root: planted})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}, cells: map[defect]cell{unknown: refuses(abaton.ReasonShare)}}, // each keeper opens its share first: it is of another log
		{kind: actor.EventRecover, owner: w.ana, by: w.code.Prover(w.ana.ID), body: func(t *testing.T) actor.Body {
			p, err := key.NewPasskey(w.Set.RelyingParty)
			if err != nil {
				t.Fatal(err)
			}
			return &actor.Recover{Escrow: w.kitID, Box: key.NewBox().Public().Bytes(),
				Credential: actor.Credential{Public: p.Public(), Class: actor.Bound}, Nonce: [16]byte{1}}
		}},
		{kind: actor.EventVeto, owner: w.ana, body: func(*testing.T) actor.Body { return &actor.Veto{Recover: random()} }},
	}
}

// row of one kind of event.
func (w *records) row(k told) row {
	say := func(t *testing.T, after time.Duration) *said {
		return w.says(k, k.owner, k.body(t), func(e *actor.Event) { e.Time += int64(after / time.Second) })
	}
	narrows := actor.Narrows(k.kind)
	cells := map[defect]cell{
		forged: refuses(abaton.ReasonSignature), foreign: refuses(abaton.ReasonCredential),
		removed: refuses(abaton.ReasonCredential).by(func(t *testing.T) []try {
			gone := k
			gone.by = w.gone[k.owner]
			return rightly(w.says(gone, k.owner, k.body(t), nil))
		}),
		reordered: refuses(abaton.ReasonParent).by(func(t *testing.T) []try {
			next := *k.owner
			next.Event(&actor.Bar{Actor: abaton.ActorID{1}}) // never told to anybody
			return rightly(w.says(k, &next, k.body(t), nil))
		}),
		forked: {want: abaton.ReasonSlot, moves: narrows, tries: func(t *testing.T) []try {
			was := w.before[k.owner]
			return rightly(w.says(k, &was, k.body(t), nil))
		}},
		replayed: {same: true, tries: func(t *testing.T) []try {
			s := say(t, 0)
			w.takes(t, k.owner, s.right())
			if k.kind == actor.EventPolicy {
				w.policies++
			}
			if k.kind == actor.EventWatch {
				w.thresholds++
			}
			return rightly(s)
		}},
		expired: refuses(abaton.ReasonTime), early: refuses(abaton.ReasonTime), unknown: refuses(abaton.ReasonActor),
		truncated: refuses(abaton.ReasonMalformed), oversized: refuses(abaton.ReasonTooLarge),
		loose: refuses(abaton.ReasonMalformed), unforeseen: refuses(abaton.ReasonMalformed),
		zeroValue: refuses(abaton.ReasonMalformed).by(func(t *testing.T) []try {
			tries := rightly(&said{seal: say(t, 0).seal, body: wire.Marshal(actor.Event{}), send: w.posts})
			if empty := reflect.New(reflect.TypeOf(k.body(t)).Elem()); empty.Elem().NumField() > 0 {
				tries = append(tries, rightly(w.says(k, k.owner, empty.Interface().(actor.Body), nil))...)
			}
			return tries
		}),
	}
	if k.over != nil {
		cells[expired] = refuses(abaton.ReasonExpired).by(func(t *testing.T) []try { return rightly(w.says(k, k.owner, k.over(t), nil)) })
	}
	cells = over(cells, k.cells)
	if c := cells[unknown]; c.tries == nil {
		c.tries = func(t *testing.T) []try {
			return rightly(w.says(k, k.owner, k.body(t), func(e *actor.Event) { rand.Read(e.Actor[:]) }))
		}
		cells[unknown] = c
	}
	return row{name: fmt.Sprintf("event %d", k.kind), is: []string{fmt.Sprintf("event %d", k.kind), "label " + string(wire.Event)},
		say: say, zero: actor.Event{}, cells: cells}
}

// rightly sends what is said as it is.
func rightly(s *said) []try {
	m := s.right()
	return []try{func(x abaton.KeeperIndex) abaton.Reason { return s.send(x, m) }}
}

// says makes an event of a person's log, which change may alter before it is
// proved.
func (w *records) says(k told, p *custodytest.Person, body actor.Body, change func(*actor.Event)) *said {
	var e actor.Event
	if err := wire.Unmarshal(p.Unsigned(body), &e); err != nil {
		panic("an event that was just made is well formed")
	}
	if change != nil {
		change(&e)
	}
	prove := func(event []byte, by hand) []byte {
		own := k.by
		if own == nil {
			own = k.owner.Manage
		}
		if by == strange {
			own = w.stranger.Manage
		}
		proofs := []actor.Proof{actor.ByKey(own, event)}
		if k.also != nil {
			for _, other := range k.also(body) {
				proofs = append(proofs, actor.ByKey(other, event))
			}
		}
		if by == forging {
			b := proofs[0].Body
			b[len(b)-1] ^= 1
		}
		return actor.Signed(event, proofs...).Marshal()
	}
	with := func(inner []byte) []byte {
		other := e
		other.Body = inner
		return prove(wire.Marshal(other), 0)
	}
	return &said{
		body: wire.Marshal(e), seal: prove, send: w.posts,
		big:  func() []byte { return with(make([]byte, abaton.EventBytesMax)) },
		deep: func(change func([]byte) []byte) []byte { return with(change(e.Body)) },
	}
}

// posts one signed event's bytes for a vote.
func (w *records) posts(x abaton.KeeperIndex, message []byte) abaton.Reason {
	return w.item(x, keeper.RouteEvents, wire.Marshal(keeper.Events{V: wire.Version, Events: [][]byte{message}}))
}

// item calls a keeper with a message of one item and gives its refusal.
func (w *world) item(x abaton.KeeperIndex, route string, body []byte) abaton.Reason {
	answer, err := w.Keepers[x].Call(context.Background(), route, body)
	if err != nil {
		return whyNot(err)
	}
	var r keeper.Results
	if err := wire.Unmarshal(answer, &r); err != nil || len(r.Results) != 1 {
		return "not an answer"
	}
	return r.Results[0].Reason
}

// takes publishes a right event, and lets its log stand on it.
func (w *records) takes(t *testing.T, p *custodytest.Person, message []byte) {
	t.Helper()
	e, err := actor.ParseSigned(message)
	if err != nil {
		t.Fatal(err)
	}
	w.Publish(t, e)
	p.Stand(e)
}

// merge is the row of what closes a split.
func (w *records) merge(t *testing.T) row {
	t.Helper()
	was := w.before[w.ana]
	end := was.Event(&actor.Bar{Actor: abaton.ActorID{0x77}})
	for x := range w.Keepers {
		if r := w.Tell(t, x, end); r != "" {
			t.Fatalf("second end: keeper %d: %s", x, r)
		}
	}
	w.branch = &end
	k := told{kind: actor.EventMerge, owner: w.ana, body: func(*testing.T) actor.Body { return new(actor.Merge) }}
	r := w.row(k)
	named := func(k told, p *custodytest.Person, change func(*actor.Event)) *said {
		return w.says(k, p, new(actor.Merge), func(e *actor.Event) {
			e.Prev = append(e.Prev, actor.HashOf(w.branch.Event))
			if change != nil {
				change(e)
			}
			slices.SortFunc(e.Prev, func(a, b actor.Hash) int { return bytes.Compare(a[:], b[:]) })
		})
	}
	naming := func(p *custodytest.Person, change func(*actor.Event)) *said { return named(k, p, change) }
	right := func(change func(*actor.Event)) func(*testing.T) []try {
		return func(*testing.T) []try { return rightly(naming(w.ana, change)) }
	}
	r.say = func(_ *testing.T, after time.Duration) *said {
		return naming(w.ana, func(e *actor.Event) { e.Time += int64(after / time.Second) })
	}
	gone := k
	gone.by = w.gone[w.ana]
	r.cells = over(r.cells, map[defect]cell{
		reordered: refuses(abaton.ReasonParent).by(right(func(e *actor.Event) { rand.Read(e.Prev[1][:]) })),
		unknown:   refuses(abaton.ReasonActor).by(right(func(e *actor.Event) { rand.Read(e.Actor[:]) })),
		removed:   refuses(abaton.ReasonCredential).by(func(*testing.T) []try { return rightly(named(gone, w.ana, nil)) }),
		replayed: {same: true, tries: func(t *testing.T) []try {
			s := naming(w.ana, nil)
			w.takes(t, w.ana, s.right())
			return rightly(s)
		}},
		forked: refuses(abaton.ReasonSlot).by(func(*testing.T) []try {
			next := w.before[w.ana]
			next.Stand(actor.SignedEvent{Event: w.main[w.ana]})
			return rightly(naming(&next, nil))
		}),
	})
	return r
}
