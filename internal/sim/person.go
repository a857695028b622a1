package sim

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// keepers is n of every world: (n, k, t, w, f) = (5, 3, 3, 4, 1).
const keepers = 5

// dawn is when every world begins.
var dawn = time.Unix(1_800_000_000, 0).UTC()

// general is the category of the one line.
var general = abaton.Category{15: 1}

// person is an actor with all its keys.
type person struct {
	id        abaton.ActorID
	inception *actor.Authentic
	manage    *key.Signing
	writer    *key.Signing // organisations only
	passkey   *key.Passkey
	box       *key.Box
	root      key.Root
	session   *session.Session
	device    *person // of a clinician
}

var relyingParty = key.RelyingParty{ID: "localhost", Origins: []string{"https://localhost"}}

// newSet makes a keeper set; in a world its keys sign nothing but the set.
func newSet() (*actor.Set, error) {
	d := actor.Document{V: wire.Version, N: keepers, K: 3, T: 3, W: 4, F: 1, RelyingParty: relyingParty}
	keys := make([]*key.Signing, keepers)
	for i := range keys {
		keys[i] = key.NewSigning()
		e := actor.Keeper{
			X: abaton.KeeperIndex(i + 1), Key: keys[i].ID(), Box: key.NewBox().Public().Bytes(),
			URL: fmt.Sprintf("https://keeper%d.test:1", i+1), Operator: fmt.Sprintf("operator %d", i+1),
			SPKI: sha256.Sum256([]byte{byte(i)}), Origin: fmt.Sprintf("keeper%d.test/ledger", i+1),
		}
		_, _ = rand.Read(e.Incarnation[:]) // never fails (crypto/rand)
		d.Keepers = append(d.Keepers, e)
	}
	in := &actor.Inception{Kind: actor.KeeperSet, Document: d.Marshal()}
	_, _ = rand.Read(in.Nonce[:])
	event := actor.NewInception(dawn.Add(-time.Hour).Unix(), in)
	var proofs []actor.Proof
	for _, k := range keys {
		proofs = append(proofs, actor.ByKey(k, event))
	}
	return actor.ParseSet(actor.MarshalSet([]actor.SignedEvent{actor.Signed(event, proofs...)}))
}

// newPerson makes keys and the inception that names them.
func newPerson(set *actor.Set, in *actor.Inception, prepare func(*person)) (*person, error) {
	passkey, err := key.NewPasskey(relyingParty)
	if err != nil {
		return nil, err
	}
	p := &person{manage: key.NewSigning(), passkey: passkey, box: key.NewBox(), root: key.NewRoot(key.NewSecret())}
	if prepare != nil {
		prepare(p)
	}
	in.Credentials = append(in.Credentials, actor.Credential{Public: passkey.Public(), Class: actor.Bound})
	in.Box, in.Set = p.box.Public().Bytes(), set.ID()
	in.Keys = append(in.Keys, actor.Key{ID: p.manage.ID(), Rights: actor.Manage})
	_, _ = rand.Read(in.Nonce[:])
	event := actor.NewInception(dawn.Add(-30*time.Minute).Unix(), in)
	p.id = actor.IDOf(event)
	p.inception, err = actor.Authenticate(actor.Signed(event, actor.ByKey(p.manage, event)), relyingParty)
	return p, err
}

func newOrganisation(set *actor.Set) (*person, error) {
	in := &actor.Inception{Kind: actor.Organisation, Approvals: 1}
	return newPerson(set, in, func(p *person) {
		p.writer = key.NewSigning()
		in.Keys = []actor.Key{{ID: p.writer.ID(), Rights: actor.Write | actor.Attest}}
		in.Lines = []actor.Epoch{p.epoch(1)}
	})
}

// newClinician makes a clinician of org and the device this one sits at.
func newClinician(set *actor.Set, org *person) (*person, error) {
	p, err := newPerson(set, &actor.Inception{Kind: actor.Clinician, Organisation: org.id, Invitation: org.invite(actor.Clinician)}, nil)
	if err != nil {
		return nil, err
	}
	in := &actor.Inception{Kind: actor.Device, Organisation: org.id, Invitation: org.invite(actor.Device)}
	p.device, err = newPerson(set, in, func(d *person) {
		d.writer = key.NewSigning()
		in.Keys = []actor.Key{{ID: d.writer.ID(), Rights: actor.DeviceRight}}
	})
	return p, err
}

// takeOn is the next event of org's log: p is a physician there for a day.
func (p *person) takeOn(who *person, seq uint64, prev actor.Hash) (*actor.Authentic, error) {
	event := actor.New(p.id, seq, []actor.Hash{prev}, dawn.Add(-20*time.Minute).Unix(), &actor.Member{
		Actor: who.id, Roles: []string{abaton.RolePhysician}, NotBefore: dawn.Add(-time.Hour).Unix(), Expires: dawn.Add(24 * time.Hour).Unix()})
	return actor.Authenticate(actor.Signed(event, actor.ByKey(p.manage, event)), relyingParty)
}

// newPatient makes a patient at whom org may deposit.
func newPatient(set *actor.Set, org *person) (*person, error) {
	spare, err := key.NewPasskey(relyingParty)
	if err != nil {
		return nil, err
	}
	in := &actor.Inception{Kind: actor.Patient, Organisation: org.id, Invitation: org.invite(actor.Patient),
		Credentials: []actor.Credential{{Public: spare.Public(), Class: actor.Synced}}} // keepers want a second way back in
	return newPerson(set, in, func(p *person) {
		g := p.grant(org.id, grant.Deposit, [grant.NonceBytes]byte{1})
		g.Patient = abaton.ActorID{}
		in.Lines, in.Grants = []actor.Epoch{p.epoch(1)}, []actor.Granted{{Grant: g.Marshal()}}
	})
}

func (p *person) epoch(n uint32) actor.Epoch {
	return actor.Epoch{Line: p.line(), Level: 1, Epoch: n, Segment: p.root.Segment(general, n).Public().Bytes()}
}

func (p *person) line() abaton.Line { return p.root.Line(general) }

func (p *person) invite(kind actor.Kind) []byte {
	v := actor.Invitation{Organisation: p.id, Kind: kind, Expires: dawn.Add(time.Hour).Unix()}
	_, _ = rand.Read(v.Nonce[:])
	return v.Sign(p.manage)
}

// grant over the line for the whole life of a world.
func (p *person) grant(to abaton.ActorID, actions grant.Action, nonce [grant.NonceBytes]byte) *grant.Grant {
	return &grant.Grant{
		V: wire.Version, Patient: p.id, Grantee: to, Actions: actions, Lines: []abaton.Line{p.line()},
		Purposes: []abaton.Purpose{abaton.Treatment}, NotBefore: dawn.Add(-time.Hour).Unix(),
		Expires: dawn.Add(24 * time.Hour).Unix(), Quota: 1 << 20, Nonce: nonce,
	}
}

// signIn makes the person's session: a real assertion, once for all worlds.
func (p *person) signIn(set *actor.Set, org *person, life time.Duration, checkpoints [][]byte) error {
	st := session.Statement{
		V: wire.Version, Actor: p.id, Credential: p.passkey.Credential(), Key: key.NewSigning().ID(),
		Reply: key.NewBox().Public().Bytes(), NotBefore: dawn.Unix(), Expires: dawn.Add(life).Unix(),
		Set: set.ID(), Checkpoints: checkpoints,
	}
	if org != nil {
		st.Organisation, st.Role, st.Device = org.id, abaton.RolePhysician, p.device.id
	}
	_, _ = rand.Read(st.Nonce[:])
	statement := st.Marshal()
	assertion, err := p.passkey.Assert(session.Challenge(statement))
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	signed := &session.Signed{Statement: statement, Assertion: *assertion}
	if org != nil {
		signed.Device = session.DeviceProof(p.device.writer, session.Challenge(statement))
		signed.Posture = actor.Posture{Organisation: org.id, Device: p.device.id, Level: actor.Managed,
			From: dawn.Add(-time.Hour).Unix(), Until: dawn.Add(12 * time.Hour).Unix()}.Sign(org.writer)
	}
	p.session, err = session.Authenticate(signed, relyingParty)
	return err
}
