package people

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Return is a person without any old device on the way back in, with a new
// device's keys.
type Return struct {
	Card
	Passkey *key.Passkey
	Manage  *key.Signing
	Box     *key.Box // helpers seal their parts to it
	Escrow  abaton.GrantID
	Event   []byte   // the Recover event
	Told    bool     // the keepers have heard of it
	Half    []byte   // half A: from the kit, or once enough helpers have helped
	Answers [][]byte // of helpers
	Entry   []byte   // the signed event by which the passkey adds itself; nil before the first try
}

type returnForm struct {
	V       uint8          `cbor:"1,keyasint"`
	Passkey []byte         `cbor:"2,keyasint"`
	Manage  []byte         `cbor:"3,keyasint"`
	Box     []byte         `cbor:"4,keyasint"`
	Escrow  abaton.GrantID `cbor:"5,keyasint"`
	Event   []byte         `cbor:"6,keyasint"`
	Told    bool           `cbor:"7,keyasint"`
	Half    []byte         `cbor:"8,keyasint"`
	Answers [][]byte       `cbor:"9,keyasint"`
	Entry   []byte         `cbor:"10,keyasint,omitempty"`
}

// returnFile is the new device: it lies where the keys will.
const returnFile = "return"

// Errors of coming back.
var (
	// ErrKit: no live kit of this record has this code.
	ErrKit = errors.New("this is not a kit of this record")
	// ErrNoTrustees: the record has no helpers.
	ErrNoTrustees = errors.New("this record has no helpers")
	// ErrWords: the words that the two people see are not the same.
	ErrWords = errors.New("the words are not the same on both screens")
	// ErrHere: the person's device is not lost.
	ErrHere = errors.New("this person's device is here")
)

// Returning is who is on the way back in; ErrNobody.
func (w *World) Returning(handle string) (*Return, error) {
	card, err := w.Card(handle)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(w.Dir(handle), returnFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%q has not begun to come back: %w", handle, ErrNobody)
	}
	if err != nil {
		return nil, fmt.Errorf("read new device: %w", err)
	}
	var f returnForm
	if wire.Unmarshal(data, &f) != nil || f.V != wire.Version || len(f.Manage) != len(key.Secret{}) || len(f.Box) != len(key.Secret{}) {
		return nil, fmt.Errorf("read new device: %w", errDamaged)
	}
	passkey, err := key.ParsePasskey(f.Passkey, w.set.RelyingParty)
	if err != nil {
		return nil, fmt.Errorf("read new device: %w", err)
	}
	return &Return{Card: card, Passkey: passkey, Manage: key.SigningFromSeed(key.Secret(f.Manage)), Box: key.BoxFromSeed(key.Secret(f.Box)),
		Escrow: f.Escrow, Event: f.Event, Told: f.Told, Half: f.Half, Answers: f.Answers, Entry: f.Entry}, nil
}

func (w *World) saveReturn(r *Return) error {
	manage, box := r.Manage.Seed(), r.Box.Seed()
	f := returnForm{V: wire.Version, Passkey: r.Passkey.Bytes(), Manage: manage[:], Box: box[:], Escrow: r.Escrow, Event: r.Event,
		Told: r.Told, Half: r.Half, Answers: r.Answers, Entry: r.Entry}
	return durable.WriteFile(filepath.Join(w.Dir(r.Handle), returnFile), wire.Marshal(f), 0o600)
}

// newReturn makes the new device's keys.
func (w *World) newReturn(handle string) (*Return, error) {
	card, err := w.Card(handle)
	if err != nil {
		return nil, err
	}
	if _, err := w.Load(handle); !errors.Is(err, ErrNobody) {
		return nil, errors.Join(ErrHere, err)
	}
	passkey, err := key.NewPasskey(w.set.RelyingParty)
	if err != nil {
		return nil, err
	}
	return &Return{Card: card, Passkey: passkey, Manage: key.NewSigning(), Box: key.NewBox()}, nil
}

func (r *Return) credential() actor.Credential {
	return actor.Credential{Public: r.Passkey.Public(), Class: actor.Bound}
}

func (r *Return) body() *actor.Recover {
	b := &actor.Recover{Escrow: r.Escrow, Credential: r.credential(), Box: r.Box.Public().Bytes()}
	rand.Read(b.Nonce[:])
	return b
}

// Hash names the Recover event.
func (r *Return) Hash() actor.Hash { return actor.HashOf(r.Event) }

// Words are what the person reads to helpers.
func (r *Return) Words(l escrow.Language) []string { return escrow.Words(r.Hash(), l) }

// BeginWithKit begins to come back with the words of a kit; ErrKit.
func (w *World) BeginWithKit(ctx context.Context, n *client.Network, handle string, code escrow.Code) (*Return, client.Published, error) {
	card, err := w.Card(handle)
	if err != nil {
		return nil, client.Published{}, err
	}
	prover := code.Prover(card.ID)
	if r, err := w.goOn(ctx, n, handle); r != nil || err != nil { // tell the keepers that were away
		if err != nil {
			return nil, client.Published{}, err
		}
		published, err := w.tell(ctx, n, r, actor.ByKey(prover, r.Event))
		return r, published, err
	}
	r, err := w.newReturn(handle)
	if err != nil {
		return nil, client.Published{}, err
	}
	r.Escrow, _, err = w.find(ctx, n, r.ID, func(e *actor.Escrow) bool {
		return e.Kind == actor.EscrowKit && e.Provers[0].Key == prover.ID()
	})
	if errors.Is(err, abaton.ErrNotFound) {
		err = ErrKit
	}
	if err != nil {
		return nil, client.Published{}, err
	}
	if r.Event, err = n.Draft(ctx, r.ID, r.body()); err != nil {
		return nil, client.Published{}, err
	}
	half := code.Half(r.ID)
	r.Half = half[:]
	if err := w.saveReturn(r); err != nil {
		return nil, client.Published{}, err
	}
	published, err := w.tell(ctx, n, r, actor.ByKey(prover, r.Event))
	return r, published, err
}

// goOn is the recovery that this new device has begun, nil when there is none
// or it was stopped.
func (w *World) goOn(ctx context.Context, n *client.Network, handle string) (*Return, error) {
	r, err := w.Returning(handle)
	if errors.Is(err, ErrNobody) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n.Refresh(r.ID)
	st, err := n.Log(ctx, r.ID)
	if err != nil {
		return nil, fmt.Errorf("read key log: %w", err)
	}
	for _, known := range st.Recoveries() {
		if known.Event == r.Hash() && known.Stopped {
			return nil, nil
		}
	}
	return r, nil
}

// find is a live escrow of a log.
func (w *World) find(ctx context.Context, n *client.Network, id abaton.ActorID, is func(*actor.Escrow) bool) (abaton.GrantID, *actor.Escrow, error) {
	n.Refresh(id)
	st, err := n.Log(ctx, id)
	if err != nil {
		return abaton.GrantID{}, nil, fmt.Errorf("read key log: %w", err)
	}
	for name, e := range st.Escrows() {
		if is(e) {
			return name, e, nil
		}
	}
	return abaton.GrantID{}, nil, abaton.ErrNotFound
}

// tell publishes the Recover event: from here the wait runs.
func (w *World) tell(ctx context.Context, n *client.Network, r *Return, proofs ...actor.Proof) (client.Published, error) {
	all, err := n.Publish(ctx, actor.Signed(r.Event, proofs...).Marshal())
	if err != nil {
		return client.Published{}, fmt.Errorf("begin recovery: %w", err)
	}
	r.Told = true
	return all[0], w.saveReturn(r)
}

// Ask begins to come back with helpers: the event stands, and is told once
// enough of them have helped; ErrNoTrustees.
func (w *World) Ask(ctx context.Context, n *client.Network, handle string) (*Return, error) {
	r, err := w.newReturn(handle)
	if err != nil {
		return nil, err
	}
	r.Escrow, _, err = w.find(ctx, n, r.ID, func(e *actor.Escrow) bool { return e.Kind == actor.EscrowTrustees })
	if errors.Is(err, abaton.ErrNotFound) {
		err = ErrNoTrustees
	}
	if err != nil {
		return nil, err
	}
	if r.Event, err = n.Draft(ctx, r.ID, r.body()); err != nil {
		return nil, err
	}
	return r, w.saveReturn(r)
}

// Answer is what a helper gives: a proof of the Recover event, and the helper's
// part, sealed to the new device.
type Answer struct {
	V       uint8          `cbor:"1,keyasint"`
	Trustee abaton.ActorID `cbor:"2,keyasint"`
	Tag     uint8          `cbor:"3,keyasint"`
	Proof   []byte         `cbor:"4,keyasint"`
	Part    []byte         `cbor:"5,keyasint"`
}

// Help is what a helper's own device does, once its owner has heard the same
// words from the person that this device shows: ErrWords otherwise. It needs
// nothing of the person but the event.
func (p *Person) Help(ctx context.Context, n *client.Network, event []byte, heard []string) (*Answer, error) {
	var e actor.Event
	var body actor.Recover
	if wire.Unmarshal(event, &e) != nil || e.Kind != actor.EventRecover || wire.Unmarshal(e.Body, &body) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if !sameWords(actor.HashOf(event), heard) {
		return nil, ErrWords
	}
	st, err := n.Log(ctx, e.Actor)
	if err != nil {
		return nil, fmt.Errorf("read key log: %w", err)
	}
	sealed, ended := st.Escrow(body.Escrow)
	if sealed == nil || ended || p.Box == nil {
		return nil, fmt.Errorf("help: %w", abaton.ErrNotFound)
	}
	part, err := escrow.Help(e.Actor, sealed, p.ID, p.Box, actor.HashOf(event), &body)
	if err != nil {
		return nil, err
	}
	proof, err := p.Hand().Prove(event)
	if err != nil {
		return nil, err
	}
	return &Answer{V: wire.Version, Trustee: p.ID, Tag: proof.Tag, Proof: proof.Body, Part: part.Marshal()}, nil
}

// sameWords accepts the words of any language that the person's screen shows.
func sameWords(recover actor.Hash, heard []string) bool {
	for _, l := range escrow.Languages() {
		if escrow.SameWords(escrow.Words(recover, l), heard) {
			return true
		}
	}
	return false
}

// Take adds a helper's answer and says whether there are enough; then Tell.
func (w *World) Take(ctx context.Context, n *client.Network, r *Return, a *Answer) (enough bool, err error) {
	for _, have := range r.Answers {
		var b Answer
		if wire.Unmarshal(have, &b) == nil && b.Trustee == a.Trustee {
			return false, abaton.Refuse(abaton.ReasonReplay)
		}
	}
	r.Answers = append(r.Answers, wire.Marshal(a))
	_, e, err := w.find(ctx, n, r.ID, func(e *actor.Escrow) bool { return e.Kind == actor.EscrowTrustees })
	if err != nil {
		return false, err
	}
	return len(r.Answers) >= int(e.Need), w.saveReturn(r)
}

// Tell tells the keepers of a recovery that helpers have proven.
func (w *World) Tell(ctx context.Context, n *client.Network, r *Return) (client.Published, error) {
	var proofs []actor.Proof
	for _, data := range r.Answers {
		var a Answer
		if wire.Unmarshal(data, &a) != nil {
			return client.Published{}, errDamaged
		}
		proofs = append(proofs, actor.Proof{Tag: a.Tag, Body: a.Proof})
	}
	return w.tell(ctx, n, r, proofs...)
}
