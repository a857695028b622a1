package actor_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

var (
	epochStart = time.Unix(1_800_000_000, 0)
	party      = key.RelyingParty{ID: "abaton.example", Origins: []string{"https://abaton.example"}}
)

// seed is a secret that is the same in every run: abaton-test-only keys.
func seed(name string) key.Secret {
	return wire.Hash("abaton-test-only", []byte(name))
}

func signing(name string) *key.Signing { return key.SigningFromSeed(seed(name)) }

// boxes keeps what is slow to make; the keys follow from their names.
var boxes sync.Map

func box(name string) *key.Box {
	if b, ok := boxes.Load(name); ok {
		return b.(*key.Box)
	}
	b := key.BoxFromSeed(seed(name))
	boxes.Store(name, b)
	return b
}

func passkey(t testing.TB, name string) *key.Passkey {
	t.Helper()
	scalar := seed(name)
	p, err := key.ParsePasskey(scalar[:], party)
	if err != nil {
		t.Fatalf("passkey: %v", err)
	}
	return p
}

func reason(err error) abaton.Reason {
	var refused *abaton.RefusedError
	if errors.As(err, &refused) {
		return refused.Reason
	}
	if err != nil {
		return abaton.Reason("another error: " + err.Error())
	}
	return ""
}

// signer proves an event's bytes.
type signer func(event []byte) actor.Proof

func byKey(name string) signer {
	return func(event []byte) actor.Proof { return actor.ByKey(signing(name), event) }
}

func byPasskey(t testing.TB, name string) signer {
	return func(event []byte) actor.Proof {
		a, err := passkey(t, name).Assert(actor.HashOf(event))
		if err != nil {
			t.Fatalf("assert: %v", err)
		}
		return actor.ByPasskey(a)
	}
}

// world is five keepers, an organisation and whoever it invites.
type world struct {
	t       testing.TB
	set     *actor.Set
	setFile []byte
	org     *log
	used    map[[16]byte]bool
	now     time.Time
	count   uint64
}

// log is one key log as one keeper has it.
type log struct {
	w  *world
	st *actor.State
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, used: make(map[[16]byte]bool), now: epochStart}
	w.setFile = actor.MarshalSet([]actor.SignedEvent{setInception(document(), 5)})
	set, err := actor.ParseSet(w.setFile)
	if err != nil {
		t.Fatalf("set: %v", err)
	}
	w.set = set
	in := w.inception(actor.Organisation, "org")
	w.org = w.begin(in, byKey("org"))
	w.org.certifyAll()
	return w
}

func document() *actor.Document {
	d := &actor.Document{V: 1, N: 5, K: 3, T: 3, W: 4, F: 1, RelyingParty: party}
	for x := 1; x <= 5; x++ {
		d.Keepers = append(d.Keepers, keeperEntry(x, ""))
	}
	return d
}

func keeperEntry(x int, again string) actor.Keeper {
	name := fmt.Sprintf("keeper %d%s", x, again)
	return actor.Keeper{
		X: abaton.KeeperIndex(x), Key: signing(name).ID(), Box: box(name).Public().Bytes(),
		URL: fmt.Sprintf("https://k%d.example:8443", x), Operator: fmt.Sprintf("operator %d", x),
		Incarnation: [16]byte(seedHead(name)), SPKI: seed(name + " tls"), Origin: fmt.Sprintf("k%d.example/ledger%s", x, again),
	}
}

func seedHead(name string) []byte {
	s := seed(name + " head")
	return s[:16]
}

func setInception(d *actor.Document, proofs int) actor.SignedEvent {
	in := &actor.Inception{Kind: actor.KeeperSet, Document: d.Marshal(), Nonce: [16]byte{1}}
	event := actor.NewInception(epochStart.Unix(), in)
	se := actor.Signed(event)
	for x := 1; x <= proofs; x++ {
		se.Proofs = append(se.Proofs, actor.ByKey(signing(fmt.Sprintf("keeper %d", x)), event))
	}
	return se
}

func (w *world) setID() abaton.ActorID {
	if w.set == nil {
		return abaton.ActorID{}
	}
	return w.set.ID()
}

// inception is a valid inception of a kind: a manage key of that name, a
// write key, a passkey, and for those who keep a record one line.
func (w *world) inception(kind actor.Kind, name string) *actor.Inception {
	w.count++
	in := &actor.Inception{
		Kind: kind, Box: box(name).Public().Bytes(), Set: w.setID(),
		Keys: []actor.Key{
			{ID: signing(name).ID(), Rights: actor.Manage},
			{ID: signing(name + " write").ID(), Rights: actor.Write},
		},
		Credentials: []actor.Credential{{Public: passkey(w.t, name).Public(), Class: actor.Bound}},
		Nonce:       [16]byte(binary.BigEndian.AppendUint64([]byte("nonce---"), w.count)),
	}
	if kind == actor.Organisation {
		in.Approvals = 1
	}
	if kind == actor.Patient || kind == actor.Organisation {
		in.Lines = []actor.Epoch{{Line: lineOf(name), Level: 1, Epoch: 1, Segment: box(name + " epoch 1").Public().Bytes()}}
	}
	if kind != actor.Organisation {
		in.Organisation = w.org.st.Actor()
		in.Invitation = w.invitation(kind).Sign(signing(inviter(kind)))
	}
	return in
}

// inviter is the key of the organisation that suffices for a kind.
func inviter(kind actor.Kind) string {
	if kind == actor.Patient {
		return "org write"
	}
	return "org"
}

func (w *world) invitation(kind actor.Kind) actor.Invitation {
	w.count++
	return actor.Invitation{
		Organisation: w.org.st.Actor(), Kind: kind, Expires: w.now.Add(24 * time.Hour).Unix(),
		Nonce: [16]byte(binary.BigEndian.AppendUint64([]byte("invite--"), w.count)),
	}
}

func lineOf(name string) abaton.Line {
	s := seed(name + " line")
	return abaton.Line(s[:16])
}

func (w *world) door() actor.Door {
	return actor.Door{
		Set:      w.setID(),
		Admitted: func(id abaton.ActorID) bool { return w.org == nil || id == w.org.st.Actor() },
		Organisation: func(id abaton.ActorID) *actor.State {
			if w.org == nil || id != w.org.st.Actor() {
				return nil
			}
			return w.org.st
		},
		InvitationUsed: func(nonce [16]byte) bool { return w.used[nonce] },
	}
}

func (w *world) authentic(event []byte, signers ...signer) *actor.Authentic {
	w.t.Helper()
	a, err := actor.Authenticate(signed(event, signers...), party)
	if err != nil {
		w.t.Fatalf("authenticate: %v", err)
	}
	return a
}

// signed is the event with these proofs, and where it adds a key of the tests'
// with that key's own.
func signed(event []byte, signers ...signer) actor.SignedEvent {
	se := actor.Signed(event)
	for _, s := range signers {
		se.Proofs = append(se.Proofs, s(event))
	}
	if name := added(event); name != "" {
		se.Proofs = append(se.Proofs, byKey(name)(event))
	}
	return se
}

// added is the name of the key that an event adds, empty when there is none.
func added(event []byte) string {
	var e actor.Event
	var b actor.KeyAdd
	if wire.Unmarshal(event, &e) != nil || e.Kind != actor.EventKeyAdd || wire.Unmarshal(e.Body, &b) != nil {
		return ""
	}
	for _, name := range names {
		if signing(name).ID() == b.Key.ID {
			return name
		}
	}
	return ""
}

func (w *world) begin(in *actor.Inception, signers ...signer) *log {
	w.t.Helper()
	l := &log{w: w, st: new(actor.State)}
	a := w.authentic(actor.NewInception(w.now.Unix(), in), signers...)
	l.take(a)
	if v := a.Invitation(); v != nil {
		w.used[v.Nonce] = true
	}
	return l
}

// patient is a new certified patient.
func (w *world) patient(name string) *log {
	w.t.Helper()
	l := w.begin(w.inception(actor.Patient, name), byPasskey(w.t, name))
	l.certifyAll()
	return l
}

// event makes the bytes of the next event after the newest head.
func (l *log) event(body actor.Body) []byte {
	heads := l.st.Heads()
	return l.after(body, heads[len(heads)-1])
}

func (l *log) after(body actor.Body, parents ...actor.Place) []byte {
	var seq uint64
	var prev []actor.Hash
	for _, p := range parents {
		seq, prev = max(seq, p.Seq), append(prev, p.Hash)
	}
	slices.SortFunc(prev, func(a, b actor.Hash) int { return slices.Compare(a[:], b[:]) })
	return actor.New(l.st.Actor(), seq+1, prev, l.w.now.Unix(), body)
}

func (l *log) take(a *actor.Authentic) {
	l.w.t.Helper()
	if err := l.st.Admit(a, l.w.door(), l.w.now); err != nil {
		l.w.t.Fatalf("admit: %v", err)
	}
	if err := l.st.Apply(a); err != nil {
		l.w.t.Fatalf("apply: %v", err)
	}
}

// add admits, applies and certifies the next event.
func (l *log) add(body actor.Body, signers ...signer) *actor.Authentic {
	l.w.t.Helper()
	a := l.w.authentic(l.event(body), signers...)
	l.take(a)
	l.certify(a)
	return a
}

func (l *log) certify(a *actor.Authentic) {
	l.w.t.Helper()
	if err := l.st.Certify(certified(placeOf(a))); err != nil {
		l.w.t.Fatalf("certify: %v", err)
	}
}

func (l *log) certifyAll() {
	l.w.t.Helper()
	for _, p := range l.st.Heads() {
		if err := l.st.Certify(certified(p)); err != nil {
			l.w.t.Fatalf("certify: %v", err)
		}
	}
}

func placeOf(a *actor.Authentic) actor.Place {
	return actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()}
}

// certified is a certificate taken as verified; TestCertificate has real ones.
func certified(p actor.Place) actor.Certified { return actor.NewCertificate(p, nil).Reopen() }

func (l *log) granted(grantee abaton.ActorID, nonce byte) *actor.Granted {
	g := grant.Grant{
		V: wire.Version, Patient: l.st.Actor(), Grantee: grantee, Actions: grant.Read,
		Lines: []abaton.Line{l.st.Lines()[0].Line}, Purposes: []abaton.Purpose{abaton.Treatment},
		NotBefore: l.w.now.Unix(), Expires: l.w.now.Add(time.Hour).Unix(), Quota: 100, Nonce: [16]byte{nonce},
	}
	return &actor.Granted{Grant: g.Marshal(), Wrap: []byte("sealed elsewhere")}
}

func grantID(g *actor.Granted) abaton.GrantID { return grant.IDOf(g.Grant) }

func (l *log) epoch(n uint32) *actor.Epoch {
	line := l.st.Lines()[0]
	return &actor.Epoch{Line: line.Line, Level: line.Level, Epoch: n, Segment: box(fmt.Sprintf("%s epoch %d", line.Line, n)).Public().Bytes()}
}
