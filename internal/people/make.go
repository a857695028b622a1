package people

import (
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Times of sample grants and invitations.
const (
	invitationLife = 24 * time.Hour
	depositLife    = 365 * 24 * time.Hour
	importLife     = 24 * time.Hour
)

// RecordsMax is the largest quota the sample people give, in records: enough
// for a life.
const RecordsMax = 10_000_000

func (w *World) newPerson(handle, name string, kind actor.Kind) (*Person, key.Secret, error) {
	passkey, err := key.NewPasskey(w.set.RelyingParty)
	if err != nil {
		return nil, key.Secret{}, err
	}
	root, box := key.NewSecret(), key.NewBox()
	return &Person{
		Handle: w.free(handle), Name: name, Kind: kind, Manage: key.NewSigning(), Passkey: passkey,
		Box: box, Public: box.Public(), Root: key.NewRoot(root),
	}, root, nil
}

// begin signs the person's inception and saves the person.
func (w *World) begin(p *Person, root key.Secret, in *actor.Inception) error {
	in.Kind, in.Set, in.Organisation = p.Kind, w.set.ID(), p.Sponsor
	in.Keys = append(in.Keys, actor.Key{ID: p.Manage.ID(), Rights: actor.Manage})
	in.Credentials = []actor.Credential{{Public: p.Passkey.Public(), Class: actor.Bound}}
	in.Box = p.Public.Bytes()
	rand.Read(in.Nonce[:])
	event := actor.NewInception(time.Now().Unix(), in)
	p.ID = actor.IDOf(event)
	proofs := []actor.Proof{actor.ByKey(p.Manage, event)}
	for _, m := range p.signers()[1:] {
		proofs = append(proofs, actor.ByKey(m, event))
	}
	p.Event = actor.Signed(event, proofs...).Marshal()
	if p.Kind == actor.Patient {
		if err := os.MkdirAll(w.Dir(p.Handle), 0o700); err != nil {
			return fmt.Errorf("save person: %w", err)
		}
		if err := w.firstKit(p, root); err != nil {
			return err
		}
		if err := w.firstSet(p); err != nil {
			return err
		}
	}
	return w.save(p, root)
}

// Gateway are the public halves of an organisation's gateway's keys: what it
// signs with, and the box to which deposit grants are addressed. The private
// ones stay with the gateway.
type Gateway struct {
	Writer abaton.KeyID
	Box    key.BoxPublic
}

// NewOrganisation makes a solo practice with its directory's line and its
// quarantine's: one manager decides. Its box key is the gateway's: deposit
// grants are addressed to it.
func (w *World) NewOrganisation(handle, name string, g Gateway) (*Person, error) {
	return w.newOrganisation(handle, name, g, 1)
}

// NewHospital is NewOrganisation with three managers, of whom two must agree
// to whatever gives something.
func (w *World) NewHospital(handle, name string, g Gateway) (*Person, error) {
	return w.newOrganisation(handle, name, g, 2)
}

func (w *World) newOrganisation(handle, name string, g Gateway, approvals uint8) (*Person, error) {
	p, root, err := w.newPerson(handle, name, actor.Organisation)
	if err != nil {
		return nil, err
	}
	p.Box, p.Public = nil, g.Box
	p.Attest, p.Alarm = key.NewSigning(), key.NewSigning()
	in := &actor.Inception{
		Approvals: approvals,
		Keys: []actor.Key{{ID: g.Writer, Rights: actor.Write}, {ID: p.Attest.ID(), Rights: actor.Attest},
			{ID: p.Alarm.ID(), Rights: actor.DeviceRight}},
		Lines: []actor.Epoch{epoch(p.Root, login.DirectoryCategory(), 1), epoch(p.Root, login.QuarantineCategory(), 1)},
	}
	for approvals > 1 && len(p.Managers) < int(approvals) {
		m := key.NewSigning()
		p.Managers = append(p.Managers, m)
		in.Keys = append(in.Keys, actor.Key{ID: m.ID(), Rights: actor.Manage})
	}
	return p, w.begin(p, root, in)
}

func epoch(r key.Root, c abaton.Category, level uint8) actor.Epoch {
	return actor.Epoch{Line: r.Line(c), Level: level, Epoch: 1, Segment: r.Segment(c, 1).Public().Bytes()}
}

// NewClinician makes somebody of org's staff, in roles (a physician if none is
// named), and the device this one sits at. Enlist takes both on.
func (w *World) NewClinician(handle, name string, org *Person, roles ...string) (*Person, error) {
	p, root, err := w.newPerson(handle, name, actor.Clinician)
	if err != nil {
		return nil, err
	}
	p.Sponsor, p.Roles = org.ID, rolesOr(roles, abaton.RolePhysician)
	d, err := w.NewDevice(p.Handle+"-device", name+"'s device", org)
	if err != nil {
		return nil, err
	}
	p.Device = d.ID
	return p, w.begin(p, root, &actor.Inception{Invitation: org.Invite(invitationLife, actor.Clinician)})
}

func rolesOr(roles []string, usual string) []string {
	if len(roles) == 0 {
		return []string{usual}
	}
	roles = slices.Clone(roles)
	slices.Sort(roles)
	return slices.Compact(roles)
}

// NewDevice makes a device of org; its Alarm key signs for sessions at it.
func (w *World) NewDevice(handle, name string, org *Person) (*Person, error) {
	p, root, err := w.newPerson(handle, name, actor.Device)
	if err != nil {
		return nil, err
	}
	p.Sponsor, p.Alarm = org.ID, key.NewSigning()
	return p, w.begin(p, root, &actor.Inception{Invitation: org.Invite(invitationLife, actor.Device),
		Keys: []actor.Key{{ID: p.Alarm.ID(), Rights: actor.DeviceRight}}})
}

// NewAgent makes an app or a service an actor of its own, in these roles (an
// agent if none is named), sponsored by org. Its keys stay with whoever makes
// it: the patient whose app it is, the organisation whose service. source names
// what it stands for.
func (w *World) NewAgent(handle, name string, source []byte, org *Person, roles ...string) (*Person, error) {
	p, root, err := w.newPerson(handle, name, actor.Agent)
	if err != nil {
		return nil, err
	}
	p.Sponsor, p.Source, p.Roles = org.ID, source, rolesOr(roles, abaton.RoleAgent)
	return p, w.begin(p, root, &actor.Inception{Invitation: org.Invite(invitationLife, actor.Agent)})
}

// Ticket is what an organisation hands to a new clinician: its gateway gives
// an invitation for it, for a passkey that its policy takes.
func (p *Person) Ticket(life time.Duration) []byte {
	v := actor.Invitation{Organisation: p.ID, Kind: actor.Clinician, Expires: time.Now().Add(life).Unix()}
	rand.Read(v.Nonce[:])
	return v.Ticket(p.signers()...)
}

// Invite lets one new actor of a kind in, within life; p is an organisation.
func (p *Person) Invite(life time.Duration, kind actor.Kind) []byte {
	v := actor.Invitation{Organisation: p.ID, Kind: kind, Expires: time.Now().Add(life).Unix()}
	rand.Read(v.Nonce[:])
	return v.Sign(p.signers()...)
}

// NewPatient makes a patient with a line for every category, at all of which
// org may deposit, and gives what else stands in first. source names what the
// patient is imported from, nil for nothing.
func (w *World) NewPatient(handle, name string, source []byte, org *Person, first ...Terms) (*Person, error) {
	p, root, err := w.newPerson(handle, name, actor.Patient)
	if err != nil {
		return nil, err
	}
	p.Sponsor, p.Source = org.ID, source
	in := &actor.Inception{Invitation: org.Invite(invitationLife, actor.Patient)}
	if err := p.furnish(in, org, first); err != nil {
		return nil, err
	}
	return p, w.begin(p, root, in)
}

// furnish gives a patient's first event a line for every category, org's
// deposits, and what else stands in first.
func (p *Person) furnish(in *actor.Inception, org *Person, first []Terms) error {
	for _, c := range fhir.Categories() {
		in.Lines = append(in.Lines, epoch(p.Root, c.ID(), c.Level()))
	}
	deposit := Terms{To: org, Actions: grant.Deposit, Categories: fhir.Categories(), Purpose: abaton.Operations, Life: depositLife, Quota: RecordsMax}
	for _, t := range append([]Terms{deposit}, first...) {
		g, err := p.granted(t)
		if err != nil {
			return err
		}
		in.Grants = append(in.Grants, *g)
	}
	return nil
}

// Importing are the terms by which somebody may read a new patient's record
// for a day: who writes a record must be able to see that it is already there.
// What needs a passkey touch for each opening is left out, for an import has
// nobody to touch one.
func Importing(to *Person) Terms {
	t := Terms{To: to, Actions: grant.Read, Purpose: abaton.Operations, Life: importLife, Quota: RecordsMax}
	for _, c := range fhir.Categories() {
		if c.Level() < actor.LevelMax {
			t.Categories = append(t.Categories, c)
		}
	}
	return t
}

// Terms are what a person gives another.
type Terms struct {
	To         *Person
	Team       *Team // in place of To
	Actions    grant.Action
	Categories []fhir.Category // of a patient
	Directory  bool            // of an organisation: its directory
	Quarantine bool            // of an organisation: what its intake set aside
	Purpose    abaton.Purpose
	Life       time.Duration
	Until      time.Time      // in place of Life: a birthday
	When       grant.Case     // zero: now
	Quota      uint32         // records
	Onward     abaton.ActorID // where it may be handed on, once; zero: nowhere
}

func (t *Terms) grantee() abaton.ActorID {
	if t.Team != nil {
		return t.Team.ID
	}
	return t.To.ID
}

// grant is the grant these terms make, and the seeds that go with it.
func (p *Person) grant(t Terms) (grant.Grant, []grant.Seed) {
	now := time.Now()
	g := grant.Grant{
		V: wire.Version, Patient: p.ID, Grantee: t.grantee(), Actions: t.Actions, Purposes: []abaton.Purpose{t.Purpose},
		NotBefore: now.Add(-time.Minute).Unix(), Expires: now.Add(t.Life).Unix(), Quota: t.Quota, Onward: t.Onward,
	}
	g.When = t.When
	if !t.Until.IsZero() {
		g.Expires = t.Until.Unix()
	}
	rand.Read(g.Nonce[:])
	var seeds []grant.Seed
	add := func(c abaton.Category, level uint8) {
		s := grant.Seed{Line: p.Line(c), Category: c, Level: level, Epoch: 1}
		if t.Actions&grant.Read != 0 {
			s.Seed = p.seedOf(s.Line, c, 1)
		}
		g.Lines, seeds = append(g.Lines, s.Line), append(seeds, s)
	}
	for _, c := range t.Categories {
		add(c.ID(), c.Level())
	}
	if t.Directory {
		add(login.DirectoryCategory(), 1)
	}
	if t.Quarantine {
		add(login.QuarantineCategory(), 1)
	}
	g.Sort()
	return g, seeds
}

// granted is a grant for an inception, where the patient has no name yet.
func (p *Person) granted(t Terms) (*actor.Granted, error) {
	g, seeds := p.grant(t)
	g.Patient = abaton.ActorID{}
	bytes := g.Marshal()
	wrap, err := grant.WrapSeeds(t.To.Public, bytes, seeds)
	if err != nil {
		return nil, fmt.Errorf("wrap seeds: %w", err)
	}
	return &actor.Granted{Grant: bytes, Wrap: wrap}, nil
}
