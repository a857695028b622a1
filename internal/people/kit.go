package people

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// kitFile plays the paper: the twelve words of the kit that a sample patient is
// given. A real kit is printed and never stored.
const kitFile = "kit"

// KitFile is where the words of a sample patient's first kit lie.
func (w *World) KitFile(handle string) string { return filepath.Join(w.Dir(handle), kitFile) }

// firstKit makes the kit that a new patient has from the start: keepers take no
// record before a second way back in exists. Its event follows the inception.
func (w *World) firstKit(p *Person, root key.Secret) error {
	body, code, err := w.kit(p, root)
	if err != nil {
		return err
	}
	signed, err := actor.ParseSigned(p.Event)
	if err != nil {
		return fmt.Errorf("make kit: %w", err)
	}
	event := actor.New(p.ID, 1, []actor.Hash{actor.HashOf(signed.Event)}, time.Now().Unix(), body)
	p.Way = actor.Signed(event, actor.ByKey(p.Manage, event)).Marshal()
	words := strings.Join(code.Words(escrow.English), " ") + "\n"
	return durable.WriteFile(w.KitFile(p.Handle), []byte(words), 0o600)
}

func (w *World) kit(p *Person, root key.Secret) (*actor.Escrow, escrow.Code, error) {
	code := escrow.NewCode()
	terms := escrow.Kit(p.ID, code, w.set.RecoveryWait())
	body, err := escrow.Make(w.set, p.ID, terms, code.Half(p.ID), kept(p, root))
	return body, code, err
}

// kept is what an escrow of everything keeps.
func kept(p *Person, root key.Secret) escrow.Payload {
	k := escrow.Payload{Root: root, Seeds: p.Old}
	if p.Box != nil {
		k.Box = p.Box.Seed()
	}
	return k
}

// ErrPatient says that somebody who is no patient was to have a kit.
var ErrPatient = errors.New("only patients have kits and helpers")

// NewKit makes a kit and ends those before it. The code is shown once and kept
// nowhere here. The kit comes into force only when printed says that its owner
// has it on paper; nil asks nobody.
func (w *World) NewKit(ctx context.Context, n *client.Network, p *Person, printed func(escrow.Code) error) (escrow.Code, client.Published, error) {
	if p.Kind != actor.Patient {
		return escrow.Code{}, client.Published{}, ErrPatient
	}
	root, err := w.rootOf(p)
	if err != nil {
		return escrow.Code{}, client.Published{}, err
	}
	body, code, err := w.kit(p, root)
	if err != nil {
		return escrow.Code{}, client.Published{}, err
	}
	if printed != nil {
		if err := printed(code); err != nil {
			return escrow.Code{}, client.Published{}, err
		}
	}
	published, err := w.replace(ctx, n, p, body)
	if err != nil {
		return escrow.Code{}, published, err
	}
	if err := os.Remove(w.KitFile(p.Handle)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return escrow.Code{}, published, fmt.Errorf("remove old kit: %w", err)
	}
	return code, published, nil
}

// Choose makes these people the helpers of p, need of whom bring p back in; who
// were helpers before are so no longer.
func (w *World) Choose(ctx context.Context, n *client.Network, p *Person, need int, chosen ...*Person) (client.Published, error) {
	if p.Kind != actor.Patient {
		return client.Published{}, ErrPatient
	}
	root, err := w.rootOf(p)
	if err != nil {
		return client.Published{}, err
	}
	var holders []escrow.Holder
	for _, h := range chosen {
		holders = append(holders, escrow.Holder{ID: h.ID, Box: h.Public})
	}
	terms := escrow.Trustees(holders, need, w.set.RecoveryWait())
	body, err := escrow.Make(w.set, p.ID, terms, key.NewSecret(), kept(p, root))
	if err != nil {
		return client.Published{}, err
	}
	return w.replace(ctx, n, p, body)
}

// replace brings an escrow into force and then ends the others of its kind:
// never is there none.
func (w *World) replace(ctx context.Context, n *client.Network, p *Person, body *actor.Escrow) (client.Published, error) {
	published, err := n.Append(ctx, p.Hand(), body)
	if err != nil {
		return published, fmt.Errorf("make way back in: %w", err)
	}
	st, err := n.Log(ctx, p.ID)
	if err != nil {
		return published, fmt.Errorf("read own key log: %w", err)
	}
	for id, e := range st.Escrows() {
		if e.Kind != body.Kind || id == abaton.GrantID(published.Event) {
			continue
		}
		if _, err := n.Revoke(ctx, p.Hand(), id, false); err != nil {
			return published, fmt.Errorf("end old way back in: %w", err)
		}
	}
	return published, nil
}

// rootOf reads the secret that a person's root is made from.
func (w *World) rootOf(p *Person) (root key.Secret, err error) {
	data, err := os.ReadFile(filepath.Join(w.Dir(p.Handle), keysFile))
	if err != nil {
		return root, fmt.Errorf("read own root: %w", err)
	}
	var f form
	if wire.Unmarshal(data, &f) != nil || len(f.Root) != len(root) {
		return root, errDamaged
	}
	return key.Secret(f.Root), nil
}
