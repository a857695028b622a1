package custody_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// talk is a session that is open at all five keepers.
type talk struct {
	*custodytest.Session
	channels map[abaton.KeeperIndex]*session.Channel
}

// ward5 is where requests are made: a shift in which everybody has signed in.
type ward5 struct {
	*shift
	sealed                    *seal.Sealed
	doctors, anas, bens, eves *talk
	left                      *talk // of a clinician whose passkey was removed since
	leaver                    *custodytest.Person
	opening                   [32]byte // Ben's, at all five
}

func (w *world) opens5(t *testing.T, s *custodytest.Session) *talk {
	t.Helper()
	k := &talk{Session: s, channels: make(map[abaton.KeeperIndex]*session.Channel)}
	for _, x := range five {
		answer, err := w.Keepers[x].Call(t.Context(), keeper.RouteSession, s.Signed)
		if err != nil {
			t.Fatalf("keeper %d: open a session: %v", x, err)
		}
		var signed wire.Signed
		var opened keeper.Opened
		if wire.Unmarshal(answer, &signed) != nil || wire.Unmarshal(signed.Body, &opened) != nil {
			t.Fatal("not an answer")
		}
		if k.channels[x], err = session.AcceptChannel(s.Reply, s.ID, x, opened.Enc); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// asks sends a request's bytes and gives the refusal, whether ledgered or not.
func (w *world) asks(k *talk, x abaton.KeeperIndex, request []byte) abaton.Reason {
	answer, err := w.Keepers[x].Call(context.Background(), keeper.RouteRequest, request)
	if err != nil {
		return whyNot(err)
	}
	var asked, signed wire.Signed
	var sealed keeper.SealedReply
	var r keeper.Reply
	if wire.Unmarshal(request, &asked) != nil || wire.Unmarshal(answer, &sealed) != nil {
		return "not an answer"
	}
	plain, err := k.channels[x].OpenReply(sha256.Sum256(asked.Body), session.Sealed{Salt: sealed.Salt, Ciphertext: sealed.Sealed})
	if err != nil || wire.Unmarshal(plain, &signed) != nil || wire.Unmarshal(signed.Body, &r) != nil {
		return "not a reply"
	}
	return r.Reason
}

// complete fills what every request has.
func complete(q session.Request, k *talk, at time.Time) session.Request {
	q.V, q.Session, q.Time = wire.Version, k.ID, at.Unix()
	rand.Read(q.Nonce[:])
	return q
}

func newWard5(t *testing.T) *ward5 {
	t.Helper()
	w := &ward5{shift: newShift(t)}
	w.sealed = w.seals(t, 1, 3)
	w.mustDeposit(t, w.sealed)
	w.doctors, w.anas = w.opens5(t, w.signIn(t, w.doctor)), w.opens5(t, w.signIn(t, w.ana))
	for _, p := range []*custodytest.Person{w.ben, w.eve} { // their passkeys count
		p.Passkey = p.Passkey.WithCount(5)
	}
	w.bens, w.eves = w.opens5(t, w.signIn(t, w.ben)), w.opens5(t, w.signIn(t, w.eve))
	for _, p := range []*custodytest.Person{w.ben, w.eve} {
		p.Passkey = p.Passkey.WithCount(6)
	}
	w.leaver = custodytest.NewClinician(t, w.Set, w.org)
	w.Publish(t, w.leaver.Inception)
	w.employ(t, w.leaver)
	w.left = w.opens5(t, w.signIn(t, w.leaver))
	w.Publish(t, w.leaver.Event(&actor.CredentialRemove{Name: w.leaver.Passkey.Credential()}))
	body := wire.Marshal(complete(w.shift.opens(t, w.bens.Session, w.setID, nil), w.bens, w.clock()))
	w.opening = sha256.Sum256(body)
	for _, x := range five {
		if r := w.asks(w.bens, x, wire.Marshal(w.bens.Key.Seal(wire.Request, body))); r != "" {
			t.Fatalf("keeper %d: open in an emergency: %s", x, r)
		}
	}
	return w
}

// question is a right request of one mode, by whom.
func (w *ward5) question(t *testing.T, m session.Mode) (session.Request, *talk) {
	t.Helper()
	q := w.release(w.sealed, 0b0111)
	q.Mode = m
	switch m {
	case session.Release, session.Permit, session.Locks:
		return q, w.doctors
	case session.Index:
		q.Rows[0].Bits = 1
		return q, w.doctors
	case session.List, session.Parts:
		q.Rows, q.Lines = nil, []abaton.Line{w.ana.Root.Line(custodytest.General)}
		return q, w.doctors
	case session.History:
		return session.Request{Patient: w.ana.ID, Mode: m, Purpose: abaton.PatientAccess}, w.anas
	case session.Unseal:
		return w.shift.opens(t, w.bens.Session, w.setID, nil), w.bens
	case session.Confirm:
		return w.confirms(t, w.eve, w.eves.Session, w.opening, session.Right), w.eves
	}
	t.Fatalf("mode %d: no right request of it is known", m)
	return q, nil
}

// modes are the modes that a request may have, found by asking.
func modes() (all []session.Mode) {
	probe := key.NewSigning()
	for m := session.Mode(1); m != 0; m++ {
		q := session.Request{V: wire.Version, Session: [32]byte{1}, Patient: [32]byte{1}, Grant: [32]byte{1}, Mode: m,
			Purpose: abaton.Treatment, Nonce: [16]byte{1}}
		rows, lines, word := q, q, q
		rows.Rows, lines.Lines = []session.Row{{Batch: [32]byte{1}, Bits: 1}}, []abaton.Line{{1}}
		word.Approval = (&session.SignedApproval{Approval: session.Approval{V: 1, Verdict: session.Right, Nonce: [16]byte{1}}}).Marshal()
		for _, form := range []session.Request{q, rows, lines, word} {
			if _, err := session.ParseRequest(form.Sign(probe)); err == nil {
				all = append(all, m)
				break
			}
		}
	}
	return all
}

// requestRow is the row of one mode.
func (w *ward5) requestRow(m session.Mode) row {
	ask := func(t *testing.T, change func(*session.Request), by *talk) *said {
		q, k := w.question(t, m)
		if by != nil {
			k = by
		}
		q = complete(q, k, w.clock())
		if change != nil {
			change(&q)
		}
		return &said{body: wire.Marshal(q), seal: signedBy(wire.Request, k.Key, w.left.Key), max: session.RequestBytesMax,
			send: func(x abaton.KeeperIndex, message []byte) abaton.Reason { return w.asks(k, x, message) }}
	}
	return row{
		name: fmt.Sprintf("request, mode %d", m), is: []string{fmt.Sprintf("mode %d", m), "label " + string(wire.Request)}, zero: session.Request{},
		say: func(t *testing.T, after time.Duration) *said {
			return ask(t, func(q *session.Request) { q.Time += int64(after / time.Second) }, nil)
		},
		cells: map[defect]cell{
			forged: refuses(abaton.ReasonSignature), foreign: refuses(abaton.ReasonSignature),
			replayed: {same: true}, // once ledgered, a repeat costs nothing: TestRepeatHasNoSecondEffect
			reordered: refuses(abaton.ReasonNoSession).by(func(t *testing.T) []try { // before its session's statement
				return rightly(ask(t, nil, &talk{Session: w.signIn(t, w.doctor)}))
			}),
			forked:  cannot("requests form no chain: each is named by its own hash, and two of one nonce are two requests"),
			expired: refuses(abaton.ReasonTime), early: refuses(abaton.ReasonTime),
			removed: refuses(abaton.ReasonCredential).by(func(t *testing.T) []try { return rightly(ask(t, nil, w.left)) }),
			unknown: ledgers(abaton.ReasonGrant).by(func(t *testing.T) []try {
				return rightly(ask(t, func(q *session.Request) { q.Patient = abaton.ActorID{9} }, nil)) // one: several would be an enumeration
			}),
			truncated: refuses(abaton.ReasonMalformed), oversized: refuses(abaton.ReasonTooLarge),
			loose: refuses(abaton.ReasonMalformed), unforeseen: refuses(abaton.ReasonMalformed), zeroValue: refuses(abaton.ReasonMalformed),
		},
	}
}

// touch is the row of an emergency statement, which a request carries.
func (w *ward5) touch() row {
	say := func(t *testing.T, change func(*session.Emergency), by *key.Passkey) *said {
		m := session.Emergency{V: wire.Version, Session: w.bens.ID, Patient: w.ana.ID, Escrow: w.setID, Purpose: abaton.Emergency,
			Urgency: session.CannotSpeak, Time: w.clock().Unix()}
		rand.Read(m.Nonce[:])
		if change != nil {
			change(&m)
		}
		return &said{body: wire.Marshal(m), seal: assertedBy(t, wire.Emergency, by, w.eve.Passkey), max: session.RequestBytesMax,
			send: func(x abaton.KeeperIndex, message []byte) abaton.Reason {
				q := session.Request{Patient: w.ana.ID, Grant: w.setID, Mode: session.Unseal, Purpose: abaton.Emergency, Emergency: message}
				q = complete(q, w.bens, w.clock())
				return w.asks(w.bens, x, q.Sign(w.bens.Key))
			}}
	}
	with := func(change func(*session.Emergency)) func(*testing.T) []try {
		return func(t *testing.T) []try { return rightly(say(t, change, w.ben.Passkey)) }
	}
	copied := func(count uint32) cell {
		return ledgers(abaton.ReasonCloned).finds(abaton.ReasonCloned).by(func(t *testing.T) []try {
			return rightly(say(t, nil, w.ben.Passkey.WithCount(count)))
		})
	}
	no := ledgers(abaton.ReasonStepUp)
	return row{
		name: "emergency statement", is: []string{"label " + string(wire.Emergency)}, zero: session.Emergency{},
		say: func(t *testing.T, after time.Duration) *said {
			return say(t, func(m *session.Emergency) { m.Time += int64(after / time.Second) }, w.ben.Passkey)
		},
		cells: map[defect]cell{
			forged: no, foreign: no, expired: no, early: no,
			replayed:  no.by(with(func(m *session.Emergency) { m.Session = w.doctors.ID })), // of another session
			reordered: copied(4),                                                            // it counts behind the session
			forked:    copied(5),                                                            // two hold the passkey
			removed: refuses(abaton.ReasonCredential).by(func(t *testing.T) []try {
				return w.gone(t, func(q *session.Request) { q.Emergency = say(t, nil, w.leaver.Passkey).right() })
			}),
			unknown:   no.by(with(func(m *session.Emergency) { rand.Read(m.Patient[:]) })),
			truncated: refuses(abaton.ReasonMalformed).by(cut(func(t *testing.T) *said { return say(t, nil, w.ben.Passkey) })),
			oversized: refuses(abaton.ReasonTooLarge),
			loose:     refuses(abaton.ReasonMalformed), unforeseen: refuses(abaton.ReasonMalformed), zeroValue: refuses(abaton.ReasonMalformed),
		},
	}
}

// cut sends what is said without its last byte, and without its second half.
func cut(say func(*testing.T) *said) func(*testing.T) []try {
	return func(t *testing.T) []try {
		s := say(t)
		m := s.right()
		return []try{
			func(x abaton.KeeperIndex) abaton.Reason { return s.send(x, m[:len(m)-1]) },
			func(x abaton.KeeperIndex) abaton.Reason { return s.send(x, m[:len(m)/2]) },
		}
	}
}

// gone asks in the session of a clinician whose passkey was removed.
func (w *ward5) gone(t *testing.T, change func(*session.Request)) []try {
	q, _ := w.question(t, session.Unseal)
	change(&q)
	q = complete(q, w.left, w.clock())
	message := q.Sign(w.left.Key)
	return []try{func(x abaton.KeeperIndex) abaton.Reason { return w.asks(w.left, x, message) }}
}

// word is the row of a second clinician's approval beforehand.
func (w *ward5) word() row {
	say := func(t *testing.T, change func(*session.Approval), by *key.Passkey) *said {
		p := session.Approval{V: wire.Version, Session: w.eves.ID, Patient: w.ana.ID, Escrow: w.wideID, Opener: w.ben.ID,
			Verdict: session.Right, Time: w.clock().Unix()}
		rand.Read(p.Nonce[:])
		if change != nil {
			change(&p)
		}
		return &said{body: wire.Marshal(p), seal: assertedBy(t, wire.Approval, by, w.ben.Passkey), max: session.RequestBytesMax,
			send: func(x abaton.KeeperIndex, message []byte) abaton.Reason {
				q := complete(w.shift.opens(t, w.bens.Session, w.wideID, nil), w.bens, w.clock())
				q.Approval = message
				return w.asks(w.bens, x, q.Sign(w.bens.Key))
			}}
	}
	with := func(change func(*session.Approval), by *key.Passkey) func(*testing.T) []try {
		return func(t *testing.T) []try { return rightly(say(t, change, by)) }
	}
	no := ledgers(abaton.ReasonSecond)
	return row{
		name: "second clinician's approval", is: []string{"label " + string(wire.Approval)}, zero: session.Approval{},
		say: func(t *testing.T, after time.Duration) *said {
			return say(t, func(p *session.Approval) { p.Time += int64(after / time.Second) }, w.eve.Passkey)
		},
		cells: map[defect]cell{
			forged: no, foreign: no, expired: no, early: no,
			replayed:  no.by(with(func(p *session.Approval) { p.Escrow = w.setID }, w.eve.Passkey)),                      // about another opening
			reordered: no.by(with(func(p *session.Approval) { rand.Read(p.Session[:]) }, w.eve.Passkey)),                 // before her session
			forked:    ledgers(abaton.ReasonCloned).finds(abaton.ReasonCloned).by(with(nil, w.eve.Passkey.WithCount(5))), // two hold the passkey
			removed:   no.by(with(func(p *session.Approval) { p.Session = w.left.ID }, w.leaver.Passkey)),
			unknown:   no.by(with(func(p *session.Approval) { rand.Read(p.Opener[:]) }, w.eve.Passkey)),
			truncated: refuses(abaton.ReasonMalformed).by(cut(func(t *testing.T) *said { return say(t, nil, w.eve.Passkey) })),
			oversized: refuses(abaton.ReasonTooLarge),
			loose:     refuses(abaton.ReasonMalformed), unforeseen: refuses(abaton.ReasonMalformed), zeroValue: refuses(abaton.ReasonMalformed),
		},
	}
}

func requestRows(t *testing.T) (*custodytest.Network, []row) {
	w := newWard5(t)
	var rows []row
	for _, m := range modes() {
		rows = append(rows, w.requestRow(m))
	}
	return w.Network, append(rows, w.touch(), w.word())
}
