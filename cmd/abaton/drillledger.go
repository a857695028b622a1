package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// keeperState is what a keeper tells its operator.
type keeperState struct {
	Mode     string
	Findings map[string]int
}

// stateOfKeeper asks a keeper's admin address.
func (g *ground) stateOfKeeper(ctx context.Context, x abaton.KeeperIndex) (s keeperState, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.n.KeeperAdminURL(x)+"/status", nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// signMax is how long a sign of an attack may take to show at a keeper.
const signMax = 45 * time.Second

// awaitState waits until a keeper's state is so.
func (g *ground) awaitState(ctx context.Context, x abaton.KeeperIndex, want string, holds func(keeperState) bool) error {
	ctx, cancel := context.WithTimeout(ctx, signMax)
	defer cancel()
	for {
		if s, err := g.stateOfKeeper(ctx, x); err == nil && holds(s) {
			return nil
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("keeper %d does not come to %s", x, want)
		}
	}
}

// shortenedLedger gives a keeper its disk of a while ago back: the end of its
// ledger is gone. It must find out from its peers and answer nobody.
func shortenedLedger(ctx context.Context, g *ground) (loss, error) {
	l, began := unseen(), time.Now()
	const x abaton.KeeperIndex = 4
	before, newest := filepath.Join(g.dir, "before"), filepath.Join(g.dir, "newest")
	if err := errors.Join(g.run.StopKeeper(x), local.CopyFolder(before, g.n.KeeperDir(x)), g.run.StartKeeper(ctx, x, local.Build{})); err != nil {
		return l, err
	}
	for _, p := range g.patients[:4] { // what the thief wants forgotten
		if _, err := g.ownChart(ctx, p); err != nil {
			return l, err
		}
	}
	if err := g.awaitWitnesses(ctx, x); err != nil {
		return l, err
	}
	if err := errors.Join(g.run.KillKeeper(x), os.Rename(g.n.KeeperDir(x), newest), os.Rename(before, g.n.KeeperDir(x))); err != nil {
		return l, err
	}
	hostile := time.Now()
	err := g.run.LaunchKeeper(x, local.Build{})
	if err == nil {
		err = g.awaitState(ctx, x, "quarantine", func(s keeperState) bool { return s.Mode == "quarantined" && s.Findings["quarantine"] > 0 })
	}
	l.seen = time.Since(hostile)
	l.stopped = l.seen
	if err == nil {
		_, err = g.ownChart(ctx, g.patients[0]) // with the others
	}
	err = errors.Join(err, g.run.StopKeeper(x), os.RemoveAll(g.n.KeeperDir(x)), os.Rename(newest, g.n.KeeperDir(x)), g.run.StartKeeper(ctx, x, local.Build{}))
	if err != nil {
		return l, err
	}
	l.detail = fmt.Sprintf("keeper %d learned from its peers that it had signed more, went into quarantine and answered nobody; records opened with the others", x)
	_, err = g.account(ctx, &l, began, newHaul(), g.anybody)
	return l, err
}

// awaitWitnesses waits until two others hold the newest tree of keeper x.
func (g *ground) awaitWitnesses(ctx context.Context, x abaton.KeeperIndex) error {
	ctx, cancel := context.WithTimeout(ctx, cosignMax)
	defer cancel()
	for {
		r := g.ledgers[x-1].audit(ctx, "")
		if r.OK && len(r.Cosigned) >= 2 {
			return nil
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return errors.New("peers do not cosign")
		}
	}
}

// keeperKeys is what of a keeper's key file a thief wants for its ledger.
type keeperKeys struct {
	V           uint8    `cbor:"1,keyasint"`
	Signing     []byte   `cbor:"2,keyasint"`
	Box         []byte   `cbor:"3,keyasint"`
	TLS         []byte   `cbor:"4,keyasint"`
	Incarnation [16]byte `cbor:"5,keyasint"`
}

// keyOf is a keeper's signing key, off its disk.
func (g *ground) keyOf(x abaton.KeeperIndex) (*key.Signing, error) {
	data, err := os.ReadFile(filepath.Join(g.n.KeeperDir(x), "identity.key"))
	if err != nil {
		return nil, err
	}
	var stolen keeperKeys
	if err := wire.Unmarshal(data, &stolen); err != nil {
		return nil, err
	}
	return key.SigningFromSeed(key.Secret(stolen.Signing)), nil
}

// forkedLedger signs another tree of the size that peers have cosigned, and hands
// it to each of them. They must refuse it and note the proof.
func forkedLedger(ctx context.Context, g *ground) (loss, error) {
	l, began := unseen(), time.Now()
	const x abaton.KeeperIndex = 5
	stolen, err := g.keyOf(x)
	if err != nil {
		return l, err
	}
	signer, err := ledger.NewSigner(g.n.Set().Keeper(x).Origin, stolen)
	if err != nil {
		return l, err
	}
	for y := abaton.KeeperIndex(1); y < x; y++ {
		found, err := g.stateOfKeeper(ctx, y)
		if err != nil {
			return l, err
		}
		hostile := time.Now()
		if err := g.forkAt(ctx, y, signer); err != nil {
			return l, err
		}
		if err := g.awaitState(ctx, y, "a finding", func(s keeperState) bool { return s.Findings["equivocation"] > found.Findings["equivocation"] }); err != nil {
			return l, err
		}
		l.seen = max(l.seen, time.Since(hostile))
	}
	l.stopped = l.seen
	l.detail = "each of the four others refused the second past and holds both signatures as proof; whoever audits is shown the one they cosigned"
	_, err = g.account(ctx, &l, began, newHaul(), g.anybody)
	return l, err
}

// forkTries is how often the ledger may grow while the fork is made.
const forkTries = 20

// forkAt hands one peer another tree of the very size it cosigned last.
func (g *ground) forkAt(ctx context.Context, y abaton.KeeperIndex, signer *ledger.Signer) error {
	peer := g.n.Set().Keeper(y)
	p, err := newProber(peer.URL)
	if err != nil {
		return err
	}
	defer p.close()
	size, err := g.witnessedSize(ctx, peer, signer.Name())
	if err != nil {
		return err
	}
	for range forkTries {
		c := ledger.Checkpoint{Origin: signer.Name(), Size: size, Root: tlog.Hash(key.NewSecret())}
		signed, err := note.Sign(&note.Note{Text: string(c.Text())}, signer)
		if err != nil {
			return err
		}
		a, err := p.post(ctx, keeper.RouteWitness, keeper.ContentText, ledger.AddCheckpoint{Old: size, Checkpoint: signed}.Marshal())
		if err != nil {
			return err
		}
		switch a.status {
		case http.StatusUnprocessableEntity:
			return nil
		case http.StatusConflict: // it has cosigned a newer one since
			if size, err = g.witnessedSize(ctx, peer, signer.Name()); err != nil {
				return err
			}
		default:
			return fmt.Errorf("keeper %d answered a forked ledger with %s", y, a)
		}
	}
	return fmt.Errorf("keeper %d: the ledger grew too fast to fork", y)
}

// witnessedSize is how far a peer has cosigned a ledger.
func (g *ground) witnessedSize(ctx context.Context, peer *actor.Keeper, origin string) (uint64, error) {
	for i := range g.n.Set().Keepers {
		k := &g.n.Set().Keepers[i]
		if k.Origin != origin {
			continue
		}
		c, err := keeper.Dial(peer.URL, peer.SPKI)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		signed, err := c.Fetch(ctx, fmt.Sprintf("%s%d", keeper.RouteWitnessed, k.X))
		if err != nil {
			return 0, err
		}
		v, err := ledger.NewVerifier(k.Origin, k.Key)
		if err != nil {
			return 0, err
		}
		tree, err := ledger.VerifyCheckpoint(signed, k.Origin, v)
		return tree.Size, err
	}
	return 0, abaton.ErrNotFound
}
