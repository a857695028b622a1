package custodytest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// General is the category of the sample line.
var General = abaton.Category{15: 1}

// Person is an actor with all its keys, as its own device holds them.
type Person struct {
	ID        abaton.ActorID
	Inception actor.SignedEvent
	Manage    *key.Signing
	Writer    *key.Signing // organisations only
	Passkey   *key.Passkey
	Box       *key.Box
	Root      key.Root // patients and organisations
	Sponsor   abaton.ActorID
	Role      string       // what a clinician signs in as
	Device    *Person      // where a clinician sits
	Attest    *key.Signing // organisations only: vouches for devices
	Alarm     *key.Signing // organisations only: reports lost devices
	Level     actor.Level  // what the organisation says of a clinician's device
	Behalf    abaton.ActorID
	Answers   abaton.ActorID // who answers for a program, or lends a clinician
	org       *Person        // of a clinician
	enrolled  bool
	set       *actor.Set
	heads     []actor.Hash
	seq       uint64
}

func newPerson(t testing.TB, set *actor.Set) *Person {
	t.Helper()
	passkey, err := key.NewPasskey(set.RelyingParty)
	if err != nil {
		t.Fatal(err)
	}
	return &Person{set: set, Manage: key.NewSigning(), Passkey: passkey, Box: key.NewBox(), Root: key.NewRoot(key.NewSecret())}
}

func (p *Person) incept(in *actor.Inception) {
	in.Credentials = append(in.Credentials, actor.Credential{Public: p.Passkey.Public(), Class: actor.Bound})
	in.Box, in.Set = p.Box.Public().Bytes(), p.set.ID()
	in.Keys = append(in.Keys, actor.Key{ID: p.Manage.ID(), Rights: actor.Manage})
	rand.Read(in.Nonce[:])
	event := actor.NewInception(time.Now().Unix(), in)
	p.Inception = actor.Signed(event, actor.ByKey(p.Manage, event))
	p.ID = actor.IDOf(event)
	p.heads = []actor.Hash{actor.HashOf(event)}
}

// NewOrganisation makes an organisation with a directory line.
func NewOrganisation(t testing.TB, set *actor.Set) *Person {
	p := newPerson(t, set)
	p.Writer, p.Attest, p.Alarm = key.NewSigning(), key.NewSigning(), key.NewSigning()
	p.incept(&actor.Inception{
		Kind: actor.Organisation, Approvals: 1,
		Keys:  []actor.Key{{ID: p.Writer.ID(), Rights: actor.Write}, {ID: p.Attest.ID(), Rights: actor.Attest}, {ID: p.Alarm.ID(), Rights: actor.DeviceRight}},
		Lines: []actor.Epoch{p.epoch(General, 1, 1)},
	})
	return p
}

func (p *Person) epoch(c abaton.Category, level uint8, n uint32) actor.Epoch {
	return actor.Epoch{Line: p.Root.Line(c), Level: level, Epoch: n, Segment: p.Root.Segment(c, n).Public().Bytes()}
}

// Invite is an invitation of this organisation for one new actor.
func (p *Person) Invite(kind actor.Kind) []byte {
	v := actor.Invitation{Organisation: p.ID, Kind: kind, Expires: time.Now().Add(time.Hour).Unix()}
	rand.Read(v.Nonce[:])
	return v.Sign(p.Manage)
}

// NewClinician makes a clinician of org; keys stand in its first event besides
// its own.
func NewClinician(t testing.TB, set *actor.Set, org *Person, keys ...actor.Key) *Person {
	p := newPerson(t, set)
	p.Sponsor, p.org, p.Role, p.Level = org.ID, org, abaton.RolePhysician, actor.Managed
	p.incept(&actor.Inception{Kind: actor.Clinician, Keys: keys, Organisation: org.ID, Invitation: org.Invite(actor.Clinician)})
	p.Device = NewDevice(t, set, org)
	return p
}

// Spare is a patient's second way in, which keepers want before the first
// record: a passkey of another class than the one that tests sign in with.
func Spare(t testing.TB) actor.Credential {
	t.Helper()
	p, err := key.NewPasskey(RelyingParty)
	if err != nil {
		t.Fatal(err)
	}
	return actor.Credential{Public: p.Public(), Class: actor.Synced}
}

// NewPatient makes a patient of org with one line of that level, at which org
// may deposit.
func NewPatient(t testing.TB, set *actor.Set, org *Person, level uint8) *Person {
	p := newPerson(t, set)
	p.Sponsor = org.ID
	deposit := p.Grant(org.ID, grant.Deposit, 1<<20)
	deposit.Patient = abaton.ActorID{}
	p.incept(&actor.Inception{
		Kind: actor.Patient, Organisation: org.ID, Invitation: org.Invite(actor.Patient), Credentials: []actor.Credential{Spare(t)},
		Lines: []actor.Epoch{p.epoch(General, level, 1)}, Grants: []actor.Granted{{Grant: deposit.Marshal()}},
	})
	return p
}

// Grant is a fresh grant over the general line for an hour, not yet signed.
func (p *Person) Grant(to abaton.ActorID, actions grant.Action, quota uint32) *grant.Grant {
	now := time.Now().Unix()
	g := &grant.Grant{
		V: wire.Version, Patient: p.ID, Grantee: to, Actions: actions, Lines: []abaton.Line{p.Root.Line(General)},
		Purposes: []abaton.Purpose{abaton.Treatment}, NotBefore: now - 60, Expires: now + 3600, Quota: quota,
	}
	rand.Read(g.Nonce[:])
	return g
}

// Event signs the next event of the person's log.
func (p *Person) Event(body actor.Body) actor.SignedEvent { return p.EventBy(p.Manage, body) }

// EventBy is Event signed by another key.
func (p *Person) EventBy(k *key.Signing, body actor.Body) actor.SignedEvent {
	p.seq++
	event := actor.New(p.ID, p.seq, p.heads, time.Now().Unix(), body)
	p.heads = []actor.Hash{actor.HashOf(event)}
	return actor.Signed(event, actor.ByKey(k, event))
}

// Unsigned is the next event of the person's log, for others to prove; the log
// stands where it stood until Stand.
func (p *Person) Unsigned(body actor.Body) []byte {
	return actor.New(p.ID, p.seq+1, p.heads, time.Now().Unix(), body)
}

// Stand lets the next event follow one that others proved.
func (p *Person) Stand(e actor.SignedEvent) {
	p.seq++
	p.heads = []actor.Hash{actor.HashOf(e.Event)}
}

// After is Event after another event of the log than the last one made here,
// which keepers have refused.
func (p *Person) After(before actor.SignedEvent, body actor.Body) actor.SignedEvent {
	var e actor.Event
	if err := wire.Unmarshal(before.Event, &e); err != nil {
		panic("custodytest: an event made here is well formed")
	}
	p.seq, p.heads = e.Seq, []actor.Hash{actor.HashOf(before.Event)}
	return p.Event(body)
}

// EventByPasskey is Event proven by a passkey.
func (p *Person) EventByPasskey(t testing.TB, body actor.Body, by *key.Passkey) actor.SignedEvent {
	t.Helper()
	event := p.Unsigned(body)
	a, err := by.Assert(actor.HashOf(event))
	if err != nil {
		t.Fatal(err)
	}
	e := actor.Signed(event, actor.ByPasskey(a))
	p.Stand(e)
	return e
}

// Tell gives an event to one keeper and says why it refused; empty when it
// voted or, for what narrows, when it holds without a vote.
func (n *Network) Tell(t testing.TB, x abaton.KeeperIndex, e actor.SignedEvent) abaton.Reason {
	t.Helper()
	_, err := n.result(context.Background(), x, keeper.RouteEvents, wire.Marshal(keeper.Events{V: wire.Version, Events: [][]byte{e.Marshal()}}))
	refused, ok := errors.AsType[*abaton.RefusedError](err)
	switch {
	case err == nil:
		return ""
	case !ok:
		t.Fatalf("keeper %d: %v", x, err)
	case refused.Reason == abaton.ReasonSlot && narrows(e):
		return ""
	}
	return refused.Reason
}

func narrows(e actor.SignedEvent) bool {
	var event actor.Event
	return wire.Unmarshal(e.Event, &event) == nil && actor.Narrows(event.Kind)
}

// Publish takes events through votes and certificates at every keeper that is
// up; the test fails if one of them does not come into force.
func (n *Network) Publish(t testing.TB, events ...actor.SignedEvent) {
	t.Helper()
	for _, e := range events {
		if err := n.TryPublish(t, e); err != nil {
			t.Fatalf("publish event: %v", err)
		}
	}
}

// TryPublish is Publish for one event that may be refused.
func (n *Network) TryPublish(t testing.TB, e actor.SignedEvent) error {
	t.Helper()
	ctx := context.Background()
	a, err := actor.Authenticate(e, n.Set.RelyingParty)
	if err != nil {
		return err
	}
	place := actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()}
	var votes []actor.Vote
	var refusal error
	body := wire.Marshal(keeper.Events{V: wire.Version, Events: [][]byte{e.Marshal()}})
	for x := range n.Keepers {
		r, err := n.result(ctx, x, keeper.RouteEvents, body)
		if err != nil {
			refusal = err
			continue
		}
		var v actor.Vote
		if err := wire.Unmarshal(r, &v); err != nil {
			return err
		}
		votes = append(votes, v)
	}
	if len(votes) < int(n.Set.W) {
		return refusal
	}
	s := keeper.Statement{Event: e.Marshal(), Certificate: actor.NewCertificate(place, votes).Marshal()}
	body = wire.Marshal(keeper.Certificates{V: wire.Version, Statements: [][]byte{wire.Marshal(s)}})
	inForce := 0
	for x := range n.Keepers {
		if _, err := n.result(ctx, x, keeper.RouteCertify, body); err == nil {
			inForce++
		}
	}
	if inForce < int(n.Set.W) {
		return abaton.ErrUnavailable
	}
	return nil
}

// result calls a keeper with a message of one item.
func (n *Network) result(ctx context.Context, x abaton.KeeperIndex, route string, body []byte) ([]byte, error) {
	answer, err := n.Keepers[x].Call(ctx, route, body)
	if err != nil {
		return nil, err
	}
	var r keeper.Results
	if err := wire.Unmarshal(answer, &r); err != nil {
		return nil, err
	}
	if r.Results[0].Reason != "" {
		return nil, abaton.Refuse(r.Results[0].Reason)
	}
	return r.Results[0].OK, nil
}

// Session is a signed statement and the keys it names, as a reader holds them.
type Session struct {
	Signed []byte
	ID     abaton.SessionID
	Key    *key.Signing
	Reply  *key.Box
}

// SignIn makes a statement that names every keeper's newest checkpoint.
func (n *Network) SignIn(t testing.TB, p *Person) *Session {
	t.Helper()
	return n.SignInAt(t, p, time.Now())
}

// SignInAt is SignIn for a session that starts at another time.
func (n *Network) SignInAt(t testing.TB, p *Person, start time.Time) *Session {
	t.Helper()
	n.Enrol(t, p)
	s := &Session{Key: key.NewSigning(), Reply: key.NewBox()}
	now := start.Unix()
	st := session.Statement{
		V: wire.Version, Actor: p.ID, Credential: p.Passkey.Credential(), Key: s.Key.ID(), Reply: s.Reply.Public().Bytes(),
		NotBefore: now, Expires: now + 600, Set: n.Set.ID(),
	}
	rand.Read(st.Nonce[:])
	if p.org != nil {
		st.Organisation, st.Role, st.Behalf = p.org.ID, p.Role, p.Behalf
	}
	if p.Device != nil {
		st.Device = p.Device.ID
	}
	st.Checkpoints = n.Notes
	for x := abaton.KeeperIndex(1); n.Notes == nil && int(x) <= len(n.Keepers); x++ {
		if note, err := n.Keepers[x].Checkpoint(context.Background()); err == nil {
			st.Checkpoints = append(st.Checkpoints, note)
		}
	}
	bytes := st.Marshal()
	s.ID = session.Challenge(bytes)
	a, err := p.Passkey.Assert(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	signed := &session.Signed{Statement: bytes, Assertion: *a}
	p.sits(signed, s.ID, start)
	s.Signed = signed.Marshal()
	return s
}

// Checkpoint is the keeper's newest signed checkpoint.
func (k *Keeper) Checkpoint(ctx context.Context) ([]byte, error) {
	return k.table.Fetch(ctx, keeper.RouteEvidence)
}

// Ask sends a signed request to one keeper and opens the reply.
func (n *Network) Ask(ctx context.Context, s *Session, x abaton.KeeperIndex, q session.Request) (*keeper.Reply, error) {
	q.V, q.Session = wire.Version, s.ID
	if q.Time == 0 {
		q.Time = time.Now().Unix()
	}
	if q.Nonce == ([16]byte{}) {
		rand.Read(q.Nonce[:])
	}
	return n.AskBytes(ctx, s, x, q.Sign(s.Key))
}

// AskBytes is Ask with the request's own bytes, so that a test can repeat it.
func (n *Network) AskBytes(ctx context.Context, s *Session, x abaton.KeeperIndex, request []byte) (*keeper.Reply, error) {
	k := n.Keepers[x]
	answer, err := k.Call(ctx, keeper.RouteSession, s.Signed)
	if err != nil {
		return nil, err
	}
	var signed wire.Signed
	var opened keeper.Opened
	if err := wire.Unmarshal(answer, &signed); err != nil {
		return nil, err
	}
	if err := wire.Unmarshal(signed.Body, &opened); err != nil {
		return nil, err
	}
	channel, err := session.AcceptChannel(s.Reply, s.ID, x, opened.Enc)
	if err != nil {
		return nil, err
	}
	asked, err := session.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	if answer, err = k.Call(ctx, keeper.RouteRequest, request); err != nil {
		return nil, err
	}
	return openReply(channel, asked.Hash(), k.Identity.Key.ID(), answer)
}

func openReply(channel *session.Channel, hash [32]byte, by abaton.KeyID, answer []byte) (*keeper.Reply, error) {
	var sealed keeper.SealedReply
	if err := wire.Unmarshal(answer, &sealed); err != nil {
		return nil, err
	}
	plain, err := channel.OpenReply(hash, session.Sealed{Salt: sealed.Salt, Ciphertext: sealed.Sealed})
	if err != nil {
		return nil, err
	}
	var signed wire.Signed
	var r keeper.Reply
	if err := wire.Unmarshal(plain, &signed); err != nil {
		return nil, err
	}
	if !key.Verify(by, wire.Reply, signed.Body, signed.Sig) {
		return nil, abaton.Refuse(abaton.ReasonSignature)
	}
	return &r, wire.Unmarshal(signed.Body, &r)
}

// Merge signs the event that closes a split: it names both events and takes
// the next slot.
func (p *Person) Merge(ends ...actor.SignedEvent) actor.SignedEvent {
	heads := make([]actor.Hash, len(ends))
	for i, e := range ends {
		heads[i] = actor.HashOf(e.Event)
	}
	slices.SortFunc(heads, func(a, b actor.Hash) int { return bytes.Compare(a[:], b[:]) })
	p.seq++
	event := actor.New(p.ID, p.seq, heads, time.Now().Unix(), &actor.Merge{})
	p.heads = []actor.Hash{actor.HashOf(event)}
	return actor.Signed(event, actor.ByKey(p.Manage, event))
}
