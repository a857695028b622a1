package client_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// world is five real keepers, an organisation, a clinician and a patient whose
// record the organisation writes and the clinician reads.
type world struct {
	t       testing.TB
	keepers *custodytest.Network
	net     *client.Network
	org     *person
	doctor  *person
	patient *person
	root    key.Root
	grant   abaton.GrantID
	wires   map[abaton.KeeperIndex]*cable
}

// person is an actor's device.
type person struct {
	id      abaton.ActorID
	signing *key.Signing
	box     *key.Box
	passkey *key.Passkey
	org     abaton.ActorID
	role    string
	device  *person // where a clinician sits
}

var (
	general     = abaton.Category{1}
	psychiatric = abaton.Category{2}
)

func newPerson(t testing.TB) *person {
	t.Helper()
	passkey, err := key.NewPasskey(custodytest.RelyingParty)
	if err != nil {
		t.Fatalf("make passkey: %v", err)
	}
	return &person{signing: key.NewSigning(), box: key.NewBox(), passkey: passkey}
}

func (p *person) inception(kind actor.Kind, set abaton.ActorID) *actor.Inception {
	in := &actor.Inception{Kind: kind, Set: set, Box: p.box.Public().Bytes(),
		Keys:        []actor.Key{{ID: p.signing.ID(), Rights: actor.Manage | actor.Write}},
		Credentials: []actor.Credential{{Public: p.passkey.Public(), Class: actor.Bound}}}
	if kind == actor.Organisation {
		in.Approvals, in.Keys[0].Rights = 1, in.Keys[0].Rights|actor.Attest
	}
	rand.Read(in.Nonce[:])
	return in
}

func (p *person) sign(in *actor.Inception) []byte {
	event := actor.NewInception(time.Now().Unix(), in)
	p.id = actor.IDOf(event)
	return actor.Signed(event, actor.ByKey(p.signing, event)).Marshal()
}

// enlist gives somebody a device and has the organisation take this one on.
func (w *world) enlist(p *person) {
	w.t.Helper()
	p.org, p.role, p.device = w.org.id, abaton.RolePhysician, newPerson(w.t)
	in := p.device.inception(actor.Device, w.keepers.Set.ID())
	in.Keys[0].Rights |= actor.DeviceRight
	in.Organisation, in.Invitation = w.org.id, invite(w.org, actor.Device)
	w.publish(p.device.sign(in))
	now := time.Now().Unix()
	m := &actor.Member{Actor: p.id, Roles: []string{p.role}, NotBefore: now - 60, Expires: now + 36_000}
	if _, err := w.net.Append(w.t.Context(), w.org.hand(), m); err != nil {
		w.t.Fatalf("take on: %v", err)
	}
}

func (p *person) hand() client.Hand { return client.KeyHand(p.id, p.signing) }

func invite(org *person, kind actor.Kind) []byte {
	v := actor.Invitation{Organisation: org.id, Kind: kind, Expires: time.Now().Add(time.Hour).Unix()}
	rand.Read(v.Nonce[:])
	return v.Sign(org.signing)
}

// newWorld builds it all through the client itself.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, org: newPerson(t), doctor: newPerson(t), patient: newPerson(t), root: key.NewRoot(key.NewSecret())}
	set, ids := custodytest.NewSet(t, 5)
	orgEvent := w.org.sign(w.org.inception(actor.Organisation, set.ID()))
	w.keepers = custodytest.Start(t, set, ids, w.org.id)
	w.wires = make(map[abaton.KeeperIndex]*cable)
	for x, k := range w.keepers.Keepers {
		w.wires[x] = &cable{keeper: k, x: x}
	}
	w.net = w.network(w.org.signing)
	w.publish(orgEvent)

	in := w.doctor.inception(actor.Clinician, set.ID())
	in.Organisation, in.Invitation = w.org.id, invite(w.org, actor.Clinician)
	w.publish(w.doctor.sign(in))
	w.enlist(w.doctor)

	in = w.patient.inception(actor.Patient, set.ID())
	in.Organisation, in.Invitation = w.org.id, invite(w.org, actor.Patient)
	in.Credentials = append(in.Credentials, custodytest.Spare(t))
	for _, c := range []abaton.Category{general, psychiatric} {
		in.Lines = append(in.Lines, actor.Epoch{Line: w.root.Line(c), Level: 1, Epoch: 1, Segment: w.root.Segment(c, 1).Public().Bytes()})
	}
	deposit := w.newGrant(w.org.id, grant.Deposit, general, psychiatric)
	read := w.newGrant(w.doctor.id, grant.Read, general)
	for _, g := range []*grant.Grant{deposit, read} {
		wrap, err := grant.WrapSeeds(w.doctor.box.Public(), g.Marshal(), nil)
		if err != nil {
			t.Fatalf("wrap seeds: %v", err)
		}
		in.Grants = append(in.Grants, actor.Granted{Grant: g.Marshal(), Wrap: wrap})
	}
	w.grant = read.ID()
	w.publish(w.patient.sign(in))
	return w
}

func (w *world) newGrant(to abaton.ActorID, actions grant.Action, categories ...abaton.Category) *grant.Grant {
	now := time.Now().Unix()
	g := &grant.Grant{V: wire.Version, Patient: w.patient.id, Grantee: to, Actions: actions, NotBefore: now - 10, Expires: now + 3600,
		Quota: 1 << 20, Purposes: []abaton.Purpose{abaton.Treatment, abaton.Operations}}
	for _, c := range categories {
		g.Lines = append(g.Lines, w.root.Line(c))
	}
	rand.Read(g.Nonce[:])
	g.Sort()
	return g
}

func (w *world) network(asker *key.Signing) *client.Network {
	w.t.Helper()
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	for x, c := range w.wires {
		keepers[x] = c
	}
	n, err := client.New(client.Config{Set: w.keepers.Set, Keepers: keepers, Asker: asker})
	if err != nil {
		w.t.Fatalf("new network: %v", err)
	}
	w.t.Cleanup(n.Close)
	return n
}

func (w *world) publish(events ...[]byte) {
	w.t.Helper()
	out, err := w.net.Publish(w.t.Context(), events...)
	if err != nil {
		w.t.Fatalf("publish: %v", err)
	}
	for _, p := range out {
		if !p.InForce || p.At < 4 || p.Of != 5 {
			w.t.Fatalf("published: got %+v, want in force at 4 or more of 5", p)
		}
	}
}

func (w *world) writer(dir string) *client.Writer {
	w.t.Helper()
	box, err := client.OpenOutbox(dir, key.Secret{1})
	if err != nil {
		w.t.Fatalf("open outbox: %v", err)
	}
	w.t.Cleanup(func() { box.Close() })
	return w.writerOver(w.net, box)
}

func (w *world) writerOver(n *client.Network, box *client.Outbox) *client.Writer {
	w.t.Helper()
	wr, err := n.NewWriter(client.WriterConfig{Outbox: box, Writer: w.org.signing, Author: seal.Author{Actor: w.org.id, Key: w.org.signing},
		Wait: 50 * time.Millisecond})
	if err != nil {
		w.t.Fatalf("new writer: %v", err)
	}
	return wr
}

// login signs a session statement on the person's device.
func (w *world) login(p *person, bundles ...session.Bundle) client.Login {
	w.t.Helper()
	points, err := w.net.Checkpoints(w.t.Context())
	if err != nil {
		w.t.Fatalf("checkpoints: %v", err)
	}
	l := client.Login{Key: key.NewSigning(), Reply: key.NewBox(), Bundles: bundles}
	now := time.Now().Unix()
	st := session.Statement{V: wire.Version, Actor: p.id, Credential: p.passkey.Credential(), Key: l.Key.ID(),
		Reply: l.Reply.Public().Bytes(), NotBefore: now, Expires: now + 600, Set: w.keepers.Set.ID(), Checkpoints: points,
		Organisation: p.org, Role: p.role}
	if p.device != nil {
		st.Device = p.device.id
	}
	rand.Read(st.Nonce[:])
	body := st.Marshal()
	a, err := p.passkey.Assert(session.Challenge(body))
	if err != nil {
		w.t.Fatalf("assert: %v", err)
	}
	signed := &session.Signed{Statement: body, Assertion: *a}
	if p.device != nil {
		signed.Device = session.DeviceProof(p.device.signing, session.Challenge(body))
		signed.Posture = actor.Posture{Organisation: p.org, Device: p.device.id, Level: actor.Managed, From: now - 60, Until: now + 3600}.Sign(w.org.signing)
	}
	l.Signed = signed.Marshal()
	return l
}

func (w *world) seed(c abaton.Category, epoch uint32) grant.Seed {
	return grant.Seed{Line: w.root.Line(c), Category: c, Level: 1, Epoch: epoch, Seed: w.root.SegmentSeed(c, epoch)}
}

// reader is the doctor reading the general line.
func (w *world) reader() (*client.Reader, client.Login, client.Ask) {
	w.t.Helper()
	l := w.login(w.doctor, w.bundle())
	return w.readerOf(l), l, w.ask()
}

// bundle is what the doctor's device hands to a session.
func (w *world) bundle() session.Bundle {
	return session.Bundle{Patient: w.patient.id, Grant: w.grant, Seeds: []grant.Seed{w.seed(general, 1)}}
}

func (w *world) ask() client.Ask {
	return client.Ask{Patient: w.patient.id, Grant: w.grant, Purpose: abaton.Treatment, Lines: []abaton.Line{w.root.Line(general)}}
}

func (w *world) readerOf(l client.Login) *client.Reader {
	w.t.Helper()
	r, err := w.net.NewReader(l)
	if err != nil {
		w.t.Fatalf("new reader: %v", err)
	}
	return r
}

// own is the patient reading everything.
func (w *world) own() (*client.Reader, client.Ask) {
	w.t.Helper()
	seeds := []grant.Seed{w.seed(general, 1), w.seed(psychiatric, 1)}
	r := w.readerOf(w.login(w.patient, session.Bundle{Patient: w.patient.id, Seeds: seeds}))
	return r, client.Ask{Patient: w.patient.id, Purpose: abaton.PatientAccess,
		Lines: []abaton.Line{w.root.Line(general), w.root.Line(psychiatric)}}
}

// writes are count records of one category.
func (w *world) writes(c abaton.Category, name string, count int) client.Transaction {
	var t client.Transaction
	for i := range count {
		id := fmt.Sprintf("%s-%d", name, i)
		t.Writes = append(t.Writes, client.Write{Patient: w.patient.id, Line: w.root.Line(c), Record: seal.Record{
			Envelope: seal.Envelope{Kind: seal.KindResource, Type: "Observation", ID: id, VersionID: "v1", LastUpdated: 1},
			Content:  []byte(`{"resourceType":"Observation","id":"` + id + `","note":[{"text":"planted-plaintext"}]}`),
		}})
	}
	return t
}

func (w *world) put(wr *client.Writer, t client.Transaction) *client.Written {
	w.t.Helper()
	out, err := wr.Put(w.t.Context(), t)
	if err != nil {
		w.t.Fatalf("put: %v", err)
	}
	return out
}

// cable is the wire to one keeper; a test cuts, slows or taps it.
type cable struct {
	keeper *custodytest.Keeper
	x      abaton.KeeperIndex

	mu    sync.Mutex
	cut   bool
	delay time.Duration
	tap   func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error)
	calls map[string]int
	opens map[abaton.SessionID][]byte // encapsulations seen, by session
}

func (c *cable) Call(ctx context.Context, route string, body []byte) ([]byte, error) {
	c.mu.Lock()
	cut, delay, tap := c.cut, c.delay, c.tap
	if c.calls == nil {
		c.calls = make(map[string]int)
	}
	c.calls[route]++
	c.mu.Unlock()
	if cut {
		return nil, fmt.Errorf("connection refused")
	}
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	next := func(b []byte) ([]byte, error) {
		out, err := c.keeper.Call(ctx, route, b)
		if err == nil && route == keeper.RouteSession {
			c.saw(out)
		}
		return out, err
	}
	if tap != nil {
		return tap(route, body, next)
	}
	return next(body)
}

// saw keeps what a session at this keeper was opened with, for a liar to use.
func (c *cable) saw(answer []byte) {
	var s keeper.Signed
	var opened keeper.Opened
	if wire.Unmarshal(answer, &s) != nil || wire.Unmarshal(s.Body, &opened) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opens == nil {
		c.opens = make(map[abaton.SessionID][]byte)
	}
	c.opens[opened.Session] = opened.Enc
}

func (c *cable) set(f func(*cable)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

func (c *cable) count(route string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[route]
}

func (w *world) cut(xs ...abaton.KeeperIndex) {
	for _, x := range xs {
		w.wires[x].set(func(c *cable) { c.cut = true })
	}
}

func (w *world) mend(xs ...abaton.KeeperIndex) {
	for _, x := range xs {
		w.wires[x].set(func(c *cable) { c.cut, c.delay, c.tap = false, 0, nil })
	}
}

// lie makes keeper x a liar: what change does to its replies is signed and
// sealed as the keeper's own. It takes the login whose session is lied to.
func (w *world) lie(x abaton.KeeperIndex, l client.Login, change func(*keeper.Reply)) {
	signed, err := session.ParseSigned(l.Signed)
	if err != nil {
		w.t.Fatalf("login: %v", err)
	}
	c, id := w.wires[x], session.Challenge(signed.Statement)
	tap := func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
		out, err := next(body)
		if err != nil || route != keeper.RouteRequest {
			return out, err
		}
		asked, err := session.ParseRequest(body)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		enc := c.opens[id]
		c.mu.Unlock()
		channel, err := session.AcceptChannel(l.Reply, id, x, enc)
		if err != nil {
			return nil, err
		}
		var s keeper.Signed
		var sealed keeper.SealedReply
		var reply keeper.Reply
		if err := wire.Unmarshal(out, &sealed); err != nil {
			return nil, err
		}
		plain, err := channel.OpenReply(asked.Hash(), session.Sealed{Salt: sealed.Salt, Ciphertext: sealed.Sealed})
		if err != nil || wire.Unmarshal(plain, &s) != nil || wire.Unmarshal(s.Body, &reply) != nil {
			return nil, fmt.Errorf("the liar cannot read its own reply: %w", err)
		}
		change(&reply)
		again, err := channel.SealReply(asked.Hash(), wire.Marshal(c.keeper.Identity.Key.Seal(wire.Reply, wire.Marshal(reply))))
		sealed.Salt, sealed.Sealed = again.Salt, again.Ciphertext
		return wire.Marshal(sealed), err
	}
	c.set(func(c *cable) { c.tap = tap })
}

// flipFragment falsifies a bit of the first fragment of every piece.
func flipFragment(r *keeper.Reply) {
	changePieces(r, func(p *spread.Piece) { p.Rows[0].Fragment[0] ^= 1 })
}

// flipShare falsifies a bit of the first share of every piece.
func flipShare(r *keeper.Reply) { changePieces(r, func(p *spread.Piece) { p.Rows[0].Share[0] ^= 1 }) }

func changePieces(r *keeper.Reply, change func(*spread.Piece)) {
	for i, b := range r.Pieces {
		if p, err := spread.ParsePiece(b); err == nil {
			change(p)
			r.Pieces[i] = p.Bytes()
		}
	}
}
