// Package people plays the devices of sample people of a local network: it
// makes their keys, keeps them in a folder of their own, signs what they
// decide and signs them in. A gateway never sees that folder.
//
//	w, err := people.Open(dir, set)
//	ana, err := w.NewPatient("ana", "Ana Sample", nil, org)
//	err = people.Introduce(ctx, network, ana)
//	id, _, err := ana.Give(ctx, network, people.Terms{To: doctor, ...})
//
// It is for trying, for imports into a local network (RULINGS 26) and for
// tests. It protects the keys only by the folder's mode: a real patient's
// device wraps them with passkeys, helpers or a paper kit.
package people

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Person is one actor with all its keys, as its own device holds them.
type Person struct {
	Handle  string // the folder's name
	Name    string // for people to read
	ID      abaton.ActorID
	Kind    actor.Kind
	Sponsor abaton.ActorID // zero for the organisation
	Manage  *key.Signing
	Passkey *key.Passkey
	Box     *key.Box      // nil for an organisation: its box key is its gateway's
	Public  key.BoxPublic // what is given to this person is sealed to it
	Root    key.Root      // patients and organisations
	Event   []byte        // the signed inception, to be published again if it did not get through
	Source  []byte        // names what a patient was imported from; nil
	Way     []byte        // a patient's signed second way back in, which follows Event; nil
	Set     []byte        // a patient's signed first emergency set, which follows Way; nil
	Old     []grant.Seed  // of a record that had another root before: what Root does not give

	Roles    []string       // as what staff and agents were taken on
	Device   abaton.ActorID // where a clinician sits; zero for all others
	Managers []*key.Signing // of an organisation that demands two: the others beside Manage
	Attest   *key.Signing   // of an organisation: vouches for its devices
	Alarm    *key.Signing   // of an organisation: reports a lost device. Of a device: signs for its sessions
	Behalf   abaton.ActorID // in whose place to sign in; not kept
	Role     string         // to sign in as; the first of Roles if empty; not kept
}

// form is a person on disk.
type form struct {
	V       uint8          `cbor:"1,keyasint"`
	Name    string         `cbor:"2,keyasint"`
	ID      abaton.ActorID `cbor:"3,keyasint"`
	Kind    actor.Kind     `cbor:"4,keyasint"`
	Sponsor abaton.ActorID `cbor:"5,keyasint"`
	Manage  []byte         `cbor:"6,keyasint"`
	Passkey []byte         `cbor:"7,keyasint"`
	Box     []byte         `cbor:"8,keyasint"`
	Root    []byte         `cbor:"9,keyasint"`
	Event   []byte         `cbor:"10,keyasint"`
	Public  []byte         `cbor:"11,keyasint"`
	Source  []byte         `cbor:"12,keyasint"`

	Roles    []string       `cbor:"13,keyasint"`
	Device   abaton.ActorID `cbor:"14,keyasint"`
	Managers [][]byte       `cbor:"15,keyasint"`
	Attest   []byte         `cbor:"16,keyasint"`
	Alarm    []byte         `cbor:"17,keyasint"`
	Way      []byte         `cbor:"18,keyasint"`
}

// keysFile holds one person's keys, mode 0600.
const keysFile = "keys"

var handleForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ErrNobody says that there is no such person in the folder.
var ErrNobody = errors.New("no such person here")

// World is the folder of all sample people: DIR/people.
type World struct {
	dir         string
	set         *actor.Set
	authorities []*Person // that new patients' emergency sets name
}

// Open uses dir, making it if it is missing, for people of a keeper set.
func Open(dir string, set *actor.Set) (*World, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open people: %w", err)
	}
	return &World{dir: dir, set: set}, nil
}

// Dir is a person's own folder.
func (w *World) Dir(handle string) string { return filepath.Join(w.dir, handle) }

// Load reads one person; ErrNobody.
func (w *World) Load(handle string) (*Person, error) {
	if !handleForm.MatchString(handle) {
		return nil, fmt.Errorf("%q: %w", handle, ErrNobody)
	}
	data, err := os.ReadFile(filepath.Join(w.Dir(handle), keysFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%q: %w", handle, ErrNobody)
	}
	if err != nil {
		return nil, fmt.Errorf("read person: %w", err)
	}
	p, err := w.parse(handle, data)
	if err != nil {
		return nil, fmt.Errorf("read person %q: %w", handle, err)
	}
	if err := w.loadOwn(p); err != nil {
		return nil, fmt.Errorf("read person %q: %w", handle, err)
	}
	return p, nil
}

// errDamaged says that a person's file is not in its form.
var errDamaged = errors.New("file is damaged or of another version")

// parse reads a person's file strictly.
func (w *World) parse(handle string, data []byte) (*Person, error) {
	var f form
	if wire.Unmarshal(data, &f) != nil || f.V != wire.Version || len(f.Manage) != len(key.Secret{}) ||
		len(f.Root) != len(key.Secret{}) || !seedOrNone(f.Box) || !seedOrNone(f.Attest) || !seedOrNone(f.Alarm) {
		return nil, errDamaged
	}
	passkey, err := key.ParsePasskey(f.Passkey, w.set.RelyingParty)
	if err != nil {
		return nil, err
	}
	public, err := key.ParseBoxPublic(f.Public)
	if err != nil {
		return nil, errDamaged
	}
	p := &Person{
		Handle: handle, Name: f.Name, ID: f.ID, Kind: f.Kind, Sponsor: f.Sponsor, Event: f.Event, Passkey: passkey,
		Public: public, Source: f.Source, Way: f.Way, Manage: key.SigningFromSeed(key.Secret(f.Manage)), Root: key.NewRoot(key.Secret(f.Root)),
		Roles: f.Roles, Device: f.Device, Attest: signer(f.Attest), Alarm: signer(f.Alarm),
	}
	for _, seed := range f.Managers {
		if len(seed) != len(key.Secret{}) {
			return nil, errDamaged
		}
		p.Managers = append(p.Managers, signer(seed))
	}
	if len(f.Box) == 0 {
		return p, nil
	}
	p.Box = key.BoxFromSeed(key.Secret(f.Box))
	if !bytes.Equal(p.Box.Public().Bytes(), f.Public) {
		return nil, errDamaged
	}
	return p, nil
}

func seedOrNone(b []byte) bool { return len(b) == 0 || len(b) == len(key.Secret{}) }

func signer(seed []byte) *key.Signing {
	if len(seed) == 0 {
		return nil
	}
	return key.SigningFromSeed(key.Secret(seed))
}

func seedOf(k *key.Signing) []byte {
	if k == nil {
		return nil
	}
	seed := k.Seed()
	return seed[:]
}

// save makes a person durable before anything of it is published.
func (w *World) save(p *Person, root key.Secret) error {
	if err := os.MkdirAll(w.Dir(p.Handle), 0o700); err != nil {
		return fmt.Errorf("save person: %w", err)
	}
	if err := w.saveCard(p); err != nil {
		return fmt.Errorf("save person: %w", err)
	}
	return durable.WriteFile(filepath.Join(w.Dir(p.Handle), keysFile), p.marshal(root), 0o600)
}

// marshal is a person's file. root is what Root was made from.
func (p *Person) marshal(root key.Secret) []byte {
	manage := p.Manage.Seed()
	f := form{
		V: wire.Version, Name: p.Name, ID: p.ID, Kind: p.Kind, Sponsor: p.Sponsor, Event: p.Event,
		Manage: manage[:], Passkey: p.Passkey.Bytes(), Root: root[:], Public: p.Public.Bytes(), Source: p.Source, Way: p.Way,
		Roles: p.Roles, Device: p.Device, Attest: seedOf(p.Attest), Alarm: seedOf(p.Alarm),
	}
	for _, m := range p.Managers {
		f.Managers = append(f.Managers, seedOf(m))
	}
	if p.Box != nil {
		box := p.Box.Seed()
		f.Box = box[:]
	}
	return wire.Marshal(f)
}

// All lists everybody of a kind (zero: of any), by handle.
func (w *World) All(kind actor.Kind) ([]*Person, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	var out []*Person
	for _, e := range entries {
		p, err := w.Load(e.Name())
		if errors.Is(err, ErrNobody) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if kind == 0 || p.Kind == kind {
			out = append(out, p)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Handle < out[j].Handle })
	return out, nil
}

// Find is Load by handle or, for actor names, by name.
func (w *World) Find(who string) (*Person, error) {
	id, err := abaton.ParseActorID(who)
	if err != nil {
		return w.Load(who)
	}
	all, err := w.All(0)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", who, ErrNobody)
}

// free is handle, or the first of handle-2, handle-3, ... that nobody has.
func (w *World) free(handle string) string {
	try := handle
	for n := 2; ; n++ {
		if _, err := os.Stat(w.Dir(try)); errors.Is(err, fs.ErrNotExist) {
			return try
		}
		try = fmt.Sprintf("%s-%d", handle, n)
	}
}
