package client_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
)

// returned is a world whose patient has come back in with a kit.
type returned struct {
	*world
	code   escrow.Code
	kit    *actor.Escrow
	id     abaton.GrantID
	device *person
}

func newReturned(t *testing.T) *returned {
	t.Helper()
	w := newWorld(t)
	r := &returned{world: w, code: escrow.NewCode(), device: newPerson(t)}
	r.device.id = w.patient.id
	var err error
	r.kit, err = escrow.Make(w.keepers.Set, w.patient.id, escrow.Kit(w.patient.id, r.code, custodytest.Wait), r.code.Half(w.patient.id),
		escrow.Payload{Root: key.Secret{1: 7}})
	if err != nil {
		t.Fatal(err)
	}
	r.id = abaton.GrantID(r.append(w.patient.hand(), r.kit))
	credential := actor.Credential{Public: r.device.passkey.Public(), Class: actor.Bound}
	r.append(client.KeyHand(w.patient.id, r.code.Prover(w.patient.id)),
		&actor.Recover{Escrow: r.id, Credential: credential, Box: r.device.box.Public().Bytes(), Nonce: [16]byte{1}})
	for _, k := range w.keepers.Keepers {
		k.Ahead(custodytest.Wait)
	}
	r.append(client.PasskeyHand(w.patient.id, r.device.passkey), &actor.CredentialAdd{Credential: credential})
	return r
}

func (r *returned) append(h client.Hand, body actor.Body) actor.Hash {
	r.t.Helper()
	p, err := r.net.Append(r.t.Context(), h, body)
	if err != nil {
		r.t.Fatalf("append event of kind %d: %v", body.EventKind(), err)
	}
	return p.Event
}

func (r *returned) ask() client.Ask {
	return client.Ask{Patient: r.patient.id, Grant: r.id, Purpose: abaton.PatientAccess}
}

// opens reports whether half B is the escrow's.
func (r *returned) opens(u client.Unsealed) bool {
	p, err := escrow.Open(r.patient.id, r.kit, r.code.Half(r.patient.id), u.Half)
	return err == nil && p.Root.Equal(key.Secret{1: 7})
}

// TestUnsealNamesALiar: whoever lies is named and its share not used, also where
// too few others are there.
func TestUnsealNamesALiar(t *testing.T) {
	w := newReturned(t)
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		for name, change := range map[string]func(*keeper.Reply){
			"another share": func(r *keeper.Reply) { r.Share[0] ^= 1 },
			"no share":      func(r *keeper.Reply) { r.Share = nil },
			"a long share":  func(r *keeper.Reply) { r.Share = append(r.Share, 0) },
		} {
			l := w.login(w.device)
			w.lie(x, l, change)
			got, err := w.readerOf(l).Unseal(t.Context(), w.ask(), w.kit)
			if err != nil || !w.opens(got) || !slices.Equal(got.Liars, []abaton.KeeperIndex{x}) {
				t.Errorf("%s, keeper %d: got %v and liars %v, want half B and its name", name, x, err, got.Liars)
			}
			w.mend(x)
		}
		if x > 3 {
			break // each keeper has 16 shares to give for an escrow
		}
	}
}

func TestUnsealWithFewKeepers(t *testing.T) {
	w := newReturned(t)
	w.cut(4, 5)
	got, err := w.readerOf(w.login(w.device)).Unseal(t.Context(), w.ask(), w.kit)
	if err != nil || !w.opens(got) || len(got.Liars) != 0 {
		t.Errorf("two keepers down: got %v, want half B", err)
	}
	l := w.login(w.device)
	w.lie(1, l, func(r *keeper.Reply) { r.Share[31] ^= 0x80 })
	got, err = w.readerOf(l).Unseal(t.Context(), w.ask(), w.kit)
	if !errors.Is(err, abaton.ErrUnavailable) || !got.Half.IsZero() || fmt.Sprint(got.Liars) != "[1]" {
		t.Errorf("two down and one lies: got %v and liars %v, want it named and nothing opened", err, got.Liars)
	}
}

func TestUnsealIsRefusedToOthers(t *testing.T) {
	w := newReturned(t)
	for name, c := range map[string]struct {
		who *person
		ask func(client.Ask) client.Ask
	}{
		"the patient's old passkey": {w.patient, func(a client.Ask) client.Ask { return a }},
		"the doctor":                {w.doctor, func(a client.Ask) client.Ask { a.Purpose = abaton.Treatment; return a }},
		"another escrow":            {w.device, func(a client.Ask) client.Ask { a.Grant[0] ^= 1; return a }},
	} {
		got, err := w.readerOf(w.login(c.who)).Unseal(t.Context(), c.ask(w.ask()), w.kit)
		refused, ok := errors.AsType[*abaton.RefusedError](err)
		if !ok || refused.Reason != abaton.ReasonGrant || !got.Half.IsZero() {
			t.Errorf("%s: got %v, want %s", name, err, abaton.ReasonGrant)
		}
	}
}
