package people

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/wire"
)

// Card is what stays known of a person who has lost every device: nothing of it
// is secret.
type Card struct {
	Handle  string
	Name    string
	ID      abaton.ActorID
	Kind    actor.Kind
	Sponsor abaton.ActorID
	Source  []byte
}

type cardForm struct {
	V       uint8          `cbor:"1,keyasint"`
	Name    string         `cbor:"2,keyasint"`
	ID      abaton.ActorID `cbor:"3,keyasint"`
	Kind    actor.Kind     `cbor:"4,keyasint"`
	Sponsor abaton.ActorID `cbor:"5,keyasint"`
	Source  []byte         `cbor:"6,keyasint"`
}

// cardFile lies beside the keys and survives them.
const cardFile = "card"

func (w *World) saveCard(p *Person) error {
	f := cardForm{V: wire.Version, Name: p.Name, ID: p.ID, Kind: p.Kind, Sponsor: p.Sponsor, Source: p.Source}
	return durable.WriteFile(filepath.Join(w.Dir(p.Handle), cardFile), wire.Marshal(f), 0o600)
}

// Card is a person's card, whether or not its keys are still there; ErrNobody.
func (w *World) Card(handle string) (Card, error) {
	if !handleForm.MatchString(handle) {
		return Card{}, fmt.Errorf("%q: %w", handle, ErrNobody)
	}
	data, err := os.ReadFile(filepath.Join(w.Dir(handle), cardFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Card{}, fmt.Errorf("%q: %w", handle, ErrNobody)
	}
	if err != nil {
		return Card{}, fmt.Errorf("read card: %w", err)
	}
	var f cardForm
	if wire.Unmarshal(data, &f) != nil || f.V != wire.Version || f.ID == (abaton.ActorID{}) {
		return Card{}, fmt.Errorf("read card of %q: %w", handle, errDamaged)
	}
	return Card{Handle: handle, Name: f.Name, ID: f.ID, Kind: f.Kind, Sponsor: f.Sponsor, Source: f.Source}, nil
}

// Cards lists everybody's card, by handle, whether or not the keys are there.
func (w *World) Cards() ([]Card, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	var out []Card
	for _, e := range entries {
		c, err := w.Card(e.Name())
		if errors.Is(err, ErrNobody) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}
