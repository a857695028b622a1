package custody_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// eventRows are the rows of every kind of event.
func eventRows(t *testing.T) (*custodytest.Network, []row) {
	w := newRecords(t)
	var rows []row
	for _, k := range w.events(t) {
		rows = append(rows, w.row(k))
	}
	return w.Network, append(rows, w.merge(t), w.inception(t), w.invitation(t), w.setChange(t), w.vote(t))
}

// newcomer is a patient who asks to come in by an invitation.
func (w *records) newcomer(t *testing.T, invitation []byte, change func(*actor.Event, *actor.Inception)) *said {
	t.Helper()
	p := custodytest.NewPatient(t, w.Set, w.org, 1)
	var e actor.Event
	var in actor.Inception
	if wire.Unmarshal(p.Inception.Event, &e) != nil || wire.Unmarshal(e.Body, &in) != nil {
		t.Fatal("an inception that was just made is well formed")
	}
	if invitation != nil {
		in.Invitation = invitation
	}
	if change != nil {
		change(&e, &in)
	}
	e.Body = wire.Marshal(in)
	s := w.says(told{owner: p}, p, &in, func(own *actor.Event) { *own = e })
	return s
}

// invites is an invitation for one patient, which change may spoil before the
// organisation signs.
func (w *records) invites(by *key.Signing, change func(*actor.Invitation)) []byte {
	v := actor.Invitation{Organisation: w.org.ID, Kind: actor.Patient, Expires: time.Now().Add(time.Hour).Unix()}
	rand.Read(v.Nonce[:])
	if change != nil {
		change(&v)
	}
	return v.Sign(by)
}

// inception is the row of the first event of a log.
func (w *records) inception(t *testing.T) row {
	used := w.invites(w.org.Manage, nil)
	first := w.newcomer(t, used, nil)
	e, err := actor.ParseSigned(first.right())
	if err != nil {
		t.Fatal(err)
	}
	w.Publish(t, e)
	once := func(s *said) func(*testing.T) []try { return func(*testing.T) []try { return rightly(s) } }
	return row{
		name: "event 1", is: []string{"event 1"}, zero: actor.Event{},
		say: func(t *testing.T, after time.Duration) *said {
			return w.newcomer(t, nil, func(e *actor.Event, _ *actor.Inception) { e.Time += int64(after / time.Second) })
		},
		cells: map[defect]cell{
			forged: refuses(abaton.ReasonSignature), foreign: refuses(abaton.ReasonCredential),
			replayed: {same: true}, forked: refuses(abaton.ReasonInvitation).by(func(t *testing.T) []try {
				return rightly(w.newcomer(t, used, nil)) // another actor under the same invitation
			}),
			reordered: refuses(abaton.ReasonInvitation).by(func(t *testing.T) []try { // before the organisation it names
				org := custodytest.NewOrganisation(t, w.Set)
				return rightly(w.newcomer(t, org.Invite(actor.Patient), func(_ *actor.Event, in *actor.Inception) { in.Organisation = org.ID }))
			}),
			expired: refuses(abaton.ReasonInvitation).by(once(w.newcomer(t, w.invites(w.org.Manage, func(v *actor.Invitation) { v.Expires -= 7200 }), nil))),
			early:   refuses(abaton.ReasonTime),
			removed: refuses(abaton.ReasonInvitation).by(once(w.newcomer(t, w.invites(w.gone[w.org], nil), nil))),
			unknown: refuses(abaton.ReasonInvitation).by(func(t *testing.T) []try { // of an organisation that is not admitted
				org := custodytest.NewOrganisation(t, w.Set)
				e := actor.Signed(org.Inception.Event, org.Inception.Proofs...)
				return []try{func(x abaton.KeeperIndex) abaton.Reason { return w.posts(x, e.Marshal()) }}
			}),
			truncated: refuses(abaton.ReasonMalformed), oversized: refuses(abaton.ReasonTooLarge),
			loose: refuses(abaton.ReasonMalformed), unforeseen: refuses(abaton.ReasonMalformed), zeroValue: refuses(abaton.ReasonMalformed),
		},
	}
}

// invitation is the row of what an inception carries.
func (w *records) invitation(t *testing.T) row {
	no := refuses(abaton.ReasonInvitation)
	body := func(after time.Duration) []byte {
		v := actor.Invitation{V: wire.Version, Organisation: w.org.ID, Kind: actor.Patient, Expires: time.Now().Add(time.Hour + after).Unix(), Signers: []abaton.KeyID{w.org.Manage.ID()}}
		rand.Read(v.Nonce[:])
		return wire.Marshal(v)
	}
	seal := func(body []byte, by hand) []byte {
		k := w.org.Manage
		if by == strange {
			k = w.stranger.Manage
		}
		sig := k.Sign(wire.Invitation, body)
		if by == forging {
			sig[0] ^= 1
		}
		return wire.Marshal([]any{body, [][]byte{sig}})
	}
	send := func(x abaton.KeeperIndex, invitation []byte) abaton.Reason {
		if len(invitation) == 0 {
			invitation = []byte{}
		}
		return w.posts(x, w.newcomer(t, invitation, nil).right())
	}
	with := func(message []byte) func(*testing.T) []try {
		return func(t *testing.T) []try {
			return []try{func(x abaton.KeeperIndex) abaton.Reason { return send(x, message) }}
		}
	}
	var used []byte
	return row{
		name: "invitation", is: []string{"label " + string(wire.Invitation)}, zero: actor.Invitation{},
		say: func(_ *testing.T, after time.Duration) *said { return &said{body: body(after), seal: seal, send: send} },
		cells: map[defect]cell{
			forged: no, foreign: no, truncated: no, loose: no, unforeseen: no, zeroValue: no,
			expired: no.by(func(*testing.T) []try { return rightly(&said{body: body(-2 * time.Hour), seal: seal, send: send}) }),
			early: no.by(func(*testing.T) []try {
				return rightly(&said{body: body(actor.InvitationLifeMax), seal: seal, send: send})
			}),
			oversized: refuses(abaton.ReasonTooLarge).by(with(make([]byte, abaton.EventBytesMax))),
			removed:   no.by(with(w.invites(w.gone[w.org], nil))),
			unknown:   no.by(with(w.invites(w.org.Manage, func(v *actor.Invitation) { rand.Read(v.Organisation[:]) }))),
			reordered: cannot("an invitation continues nothing; before its organisation is known: event 1, reordered"),
			replayed: no.by(func(t *testing.T) []try { // every newcomer is another actor
				used = seal(body(0), 0)
				e, err := actor.ParseSigned(w.newcomer(t, used, nil).right())
				if err != nil {
					t.Fatal(err)
				}
				w.Publish(t, e)
				return with(used)(t)
			}),
			forked: cannot("two invitations of one nonce are two bytes of one right: the second newcomer is refused (replayed)"),
		},
	}
}

// setChange is the row of what changes the keeper set.
func (w *records) setChange(t *testing.T) row {
	var e actor.SignedEvent
	for _, k := range w.Keepers {
		e = k.Identity.Log()[0]
	}
	w.Publish(t, e)
	fresh := func(after time.Duration, change func(*actor.Event)) *said {
		entry := *w.Set.Keeper(1)
		rand.Read(entry.Incarnation[:])
		seq, at := w.Set.Head()
		event := actor.Event{V: wire.Version, Actor: w.Set.ID(), Seq: seq + 1, Prev: []actor.Hash{at}, Kind: actor.EventSetChange,
			Time: time.Now().Add(after).Unix(), Body: wire.Marshal(&actor.SetChange{Keeper: entry})}
		if change != nil {
			change(&event)
		}
		return w.provenByKeepers(event)
	}
	one := func(f func(*actor.Event)) func(*testing.T) []try {
		return func(*testing.T) []try { return rightly(fresh(0, f)) }
	}
	return row{
		name: "event 12", is: []string{"event 12"}, zero: actor.Event{},
		say: func(_ *testing.T, after time.Duration) *said { return fresh(after, nil) },
		cells: map[defect]cell{
			forged: refuses(abaton.ReasonSignature), foreign: refuses(abaton.ReasonCredential),
			reordered: refuses(abaton.ReasonParent).by(one(func(e *actor.Event) { rand.Read(e.Prev[0][:]) })),
			expired:   refuses(abaton.ReasonTime), early: refuses(abaton.ReasonTime),
			removed: refuses(abaton.ReasonCredential).by(func(*testing.T) []try { // three of it, and one that is no keeper's
				s := fresh(0, nil)
				return []try{func(x abaton.KeeperIndex) abaton.Reason { return s.send(x, s.seal(s.body, strange)) }}
			}),
			unknown:   refuses(abaton.ReasonActor).by(one(func(e *actor.Event) { rand.Read(e.Actor[:]) })),
			truncated: refuses(abaton.ReasonMalformed), oversized: refuses(abaton.ReasonTooLarge),
			loose: refuses(abaton.ReasonMalformed), unforeseen: refuses(abaton.ReasonMalformed), zeroValue: refuses(abaton.ReasonMalformed),
			replayed: {same: true}, forked: refuses(abaton.ReasonSlot).by(one(nil)),
		},
	}
}

// provenByKeepers is an event of the set's log with four keepers' proofs.
func (w *records) provenByKeepers(e actor.Event) *said {
	prove := func(event []byte, by hand) []byte {
		var proofs []actor.Proof
		for x := abaton.KeeperIndex(2); x <= 5; x++ {
			k := w.Keepers[x].Identity.Key
			if x == 5 && by == strange {
				k = w.stranger.Manage
			}
			proofs = append(proofs, actor.ByKey(k, event))
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
	return &said{body: wire.Marshal(e), seal: prove, send: w.posts,
		big:  func() []byte { return with(make([]byte, abaton.EventBytesMax)) },
		deep: func(change func([]byte) []byte) []byte { return with(change(e.Body)) }}
}

// vote is the row of keepers' votes, as they come in a certificate.
func (w *records) vote(t *testing.T) row {
	no := refuses(abaton.ReasonCertificate)
	event := func() actor.SignedEvent { return w.next(w.ana) }
	certified := func(e actor.SignedEvent, place actor.Place, spoil func(*actor.Vote)) []byte {
		var votes []actor.Vote
		for x := abaton.KeeperIndex(1); x <= 4; x++ {
			v := actor.SignVote(w.Set.ID(), x, w.Keepers[x].Identity.Key, place)
			if x == 4 && spoil != nil {
				spoil(&v)
			}
			votes = append(votes, v)
		}
		return wire.Marshal(keeper.Statement{Event: e.Marshal(), Certificate: actor.NewCertificate(place, votes).Marshal()})
	}
	placeOf := func(e actor.SignedEvent) actor.Place {
		a, err := actor.Authenticate(e, w.Set.RelyingParty)
		if err != nil {
			t.Fatal(err)
		}
		return actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()}
	}
	send := func(x abaton.KeeperIndex, m []byte) abaton.Reason {
		return w.item(x, keeper.RouteCertify, wire.Marshal(keeper.Certificates{V: wire.Version, Statements: [][]byte{m}}))
	}
	spoilt := func(spoil func(*actor.Vote)) func(*testing.T) []try {
		return func(*testing.T) []try {
			e := event()
			m := certified(e, placeOf(e), spoil)
			return []try{func(x abaton.KeeperIndex) abaton.Reason { return send(x, m) }}
		}
	}
	by := func(k *key.Signing) func(*testing.T) []try {
		return func(*testing.T) []try {
			e := event()
			place := placeOf(e)
			return spoilt(func(v *actor.Vote) { *v = actor.SignVote(w.Set.ID(), v.X, k, place) })(t)
		}
	}
	certificate := func(change func([]byte) []byte) func(*testing.T) []try {
		return func(*testing.T) []try {
			e := event()
			var s keeper.Statement
			if wire.Unmarshal(certified(e, placeOf(e), nil), &s) != nil {
				t.Fatal("a statement that was just made is well formed")
			}
			s.Certificate = change(s.Certificate)
			m := wire.Marshal(s)
			return []try{func(x abaton.KeeperIndex) abaton.Reason { return send(x, m) }}
		}
	}
	form := refuses(abaton.ReasonMalformed)
	return row{
		name: "vote, in a certificate", is: []string{"label " + string(wire.Vote)},
		cells: map[defect]cell{
			forged: no.by(spoilt(func(v *actor.Vote) { v.Sig[0] ^= 1 })), foreign: no.by(by(w.stranger.Manage)), removed: no.by(by(w.gone[w.ana])),
			unknown: no.by(spoilt(func(v *actor.Vote) { v.X = 6 })),
			reordered: refuses(abaton.ReasonParent).by(func(t *testing.T) []try {
				later := *w.ana
				later.Event(&actor.Bar{Actor: abaton.ActorID{1}})
				e := w.next(&later)
				m := certified(e, placeOf(e), nil)
				return []try{func(x abaton.KeeperIndex) abaton.Reason { return send(x, m) }}
			}),
			replayed: no.by(func(*testing.T) []try { // the votes for one event beside another
				e := event()
				m := certified(w.next(w.ana), placeOf(e), nil)
				return []try{func(x abaton.KeeperIndex) abaton.Reason { return send(x, m) }}
			}),
			expired:   cannot("a vote has no time: it holds for ever, whichever key the keeper has since"),
			early:     cannot("a vote has no time"),
			truncated: form.by(certificate(func(c []byte) []byte { return c[:len(c)-1] })),
			oversized: refuses(abaton.ReasonTooLarge).by(func(*testing.T) []try {
				return []try{func(x abaton.KeeperIndex) abaton.Reason {
					return w.item(x, keeper.RouteCertify, make([]byte, abaton.DepositBodyMax+1))
				}}
			}),
			loose: form.by(certificate(loosened)), unforeseen: form.by(certificate(widened)),
			zeroValue: form.by(certificate(func([]byte) []byte { return wire.Marshal(actor.Certificate{}) })),
			forked: no.finds(abaton.ReasonEquivocation).by(func(t *testing.T) []try { // more keepers lie than the set bears
				was := w.before[w.ana]
				e := w.next(&was)
				m := certified(e, placeOf(e), nil)
				return []try{func(x abaton.KeeperIndex) abaton.Reason { return send(x, m) }}
			}),
		},
	}
}

// next is a fresh event on the end of a log, which does not move.
func (w *records) next(p *custodytest.Person) actor.SignedEvent {
	var someone abaton.ActorID
	rand.Read(someone[:])
	event := p.Unsigned(&actor.Granted{Grant: w.ana.Grant(someone, 1, 9).Marshal()})
	return actor.Signed(event, actor.ByKey(p.Manage, event))
}
