package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/daemon"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// recoverNeeds is how many other keepers must tell what they hold of the lost
// ledger before a new one is named.
const recoverNeeds = 3

// runRecover makes the change of the keeper set that gives this keeper a new
// ledger: after a rollback with its own keys, after a loss with those of init.
func runRecover(ctx context.Context, args []string, stderr io.Writer) error {
	flags := daemon.Flags("recover")
	path := flags.String("config", "", "")
	if flags.Parse(args) != nil || *path == "" || flags.NArg() != 1 {
		return daemon.ErrUsage
	}
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	id, err := loadIdentity(c.Dir)
	if err != nil {
		return err
	}
	set, err := daemon.ReadSet(c.Set, c.SetID)
	if err != nil {
		return err
	}
	old := set.Keeper(abaton.KeeperIndex(c.Index))
	if old == nil {
		return errors.New("keeper set: it has no keeper at this index")
	}
	last, err := lastKnown(ctx, set, old, stderr)
	if err != nil {
		return err
	}
	entry, err := again(c.Dir, id, old)
	if err != nil {
		return err
	}
	seq, head := set.Head()
	event := actor.New(set.ID(), seq+1, []actor.Hash{head}, time.Now().Unix(), &actor.SetChange{Keeper: *entry, Last: last})
	return durable.WriteFile(flags.Arg(0), event, 0o644)
}

// again is this keeper's next entry. It is of a new incarnation, so that a copy
// of the disk of before is told from it, and its ledger has a new origin. Asked
// again before the change is in the set file, it gives the same.
func again(dir string, id *identity, old *actor.Keeper) (*actor.Keeper, error) {
	entry := *old
	if id.signing().ID() != old.Key { // of init: another machine, perhaps another operator
		data, err := os.ReadFile(filepath.Join(dir, entryFile))
		if err != nil {
			return nil, fmt.Errorf("read entry: %w", err)
		}
		if err := wire.Unmarshal(data, &entry); err != nil || entry.X != old.X {
			return nil, errors.New("read entry: it is damaged or of another index")
		}
	} else if id.Incarnation == old.Incarnation {
		rand.Read(id.Incarnation[:])
		if err := durable.WriteFile(filepath.Join(dir, daemon.IdentityFile), wire.Marshal(id), 0o600); err != nil {
			return nil, err
		}
	}
	entry.Incarnation = id.Incarnation
	entry.Origin = originOf(entry.Operator, entry.X) + "/" + hex.EncodeToString(id.Incarnation[:4])
	return &entry, durable.WriteFile(filepath.Join(dir, entryFile), wire.Marshal(entry), 0o644)
}

// lastKnown is the newest checkpoint of the old ledger that the others have
// cosigned; empty if none of them has one.
func lastKnown(ctx context.Context, set *actor.Set, old *actor.Keeper, stderr io.Writer) ([]byte, error) {
	v, err := ledger.NewVerifier(old.Origin, old.Key)
	if err != nil {
		return nil, err
	}
	var last []byte
	var size uint64
	told := 0
	for i := range set.Keepers {
		k := &set.Keepers[i]
		if k.X == old.X {
			continue
		}
		signed, err := remembered(ctx, k, old.X)
		if err != nil {
			fmt.Fprintf(stderr, "keeper %d does not say what it holds: %v\n", k.X, err)
			continue
		}
		if len(signed) == 0 {
			told++
			continue
		}
		point, err := ledger.VerifyCheckpoint(signed, old.Origin, v)
		if err != nil || len(signed) > actor.LastBytesMax {
			fmt.Fprintf(stderr, "keeper %d tells a checkpoint that is not of this ledger\n", k.X)
			continue
		}
		if told++; last == nil || point.Size > size {
			last, size = signed, point.Size
		}
	}
	if need := min(recoverNeeds, len(set.Keepers)-1); told < need {
		return nil, fmt.Errorf("%d other keepers say what they hold of the old ledger; %d must", told, need)
	}
	fmt.Fprintf(stderr, "the old ledger ends at %d entries, as far as %d others know\n", size, told)
	return last, nil
}

// remembered asks one keeper for the newest checkpoint of x's ledger that it
// has cosigned; empty if it has none.
func remembered(ctx context.Context, k *actor.Keeper, x abaton.KeeperIndex) ([]byte, error) {
	c, err := keeper.Dial(k.URL, k.SPKI)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	signed, err := c.Fetch(ctx, fmt.Sprintf("%s%d", keeper.RouteWitnessed, x))
	if e, ok := errors.AsType[*abaton.RefusedError](err); ok && e.Reason == abaton.ReasonNotFound {
		return nil, nil
	}
	return signed, err
}

// signsChange checks that a change continues the set, and tells the operator
// what it says; whether that is right is for people to judge.
func signsChange(set *actor.Set, id *identity, event []byte, stderr io.Writer) error {
	var e actor.Event
	var change actor.SetChange
	if wire.Unmarshal(event, &e) != nil || e.Kind != actor.EventSetChange || wire.Unmarshal(e.Body, &change) != nil {
		return errors.New("this is no change of a keeper set")
	}
	seq, head := set.Head()
	if e.Actor != set.ID() || e.Seq != seq+1 || len(e.Prev) != 1 || e.Prev[0] != head {
		return errors.New("the change does not continue this keeper set")
	}
	if set.KeeperOf(id.signing().ID()) == nil {
		return errors.New("these are not the keys of a keeper of this set")
	}
	old := set.Keeper(change.Keeper.X)
	if old == nil {
		return errors.New("the set has no keeper at that index")
	}
	ends, _, _ := strings.Cut(strings.TrimPrefix(string(change.Last), old.Origin+"\n"), "\n")
	if len(change.Last) == 0 {
		ends = "unknown"
	} else if v, err := ledger.NewVerifier(old.Origin, old.Key); err != nil {
		return err
	} else if _, err := ledger.VerifyCheckpoint(change.Last, old.Origin, v); err != nil {
		return errors.New("the change names an end of the old ledger that the old keeper did not sign")
	}
	k := &change.Keeper
	fmt.Fprintf(stderr, "signed: keeper %d is to be\n  operator %q (was %q)\n  url %s (was %s)\n  key %s (was %s)\n  ledger %q (was %q, %s entries)\n",
		k.X, k.Operator, old.Operator, k.URL, old.URL, k.Key, old.Key, k.Origin, old.Origin, ends)
	return nil
}

// runAmend adds a signed change to a set file; the new file goes to stdout. It
// refuses what keepers would refuse.
func runAmend(args []string, stdout, stderr io.Writer) error {
	flags := daemon.Flags("amend")
	if flags.Parse(args) != nil || flags.NArg() < 3 {
		return daemon.ErrUsage
	}
	file, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return fmt.Errorf("read keeper set: %w", err)
	}
	var log []actor.SignedEvent
	if err := wire.Unmarshal(file, &log); err != nil {
		return errors.New("keeper set: the file is damaged")
	}
	event, err := os.ReadFile(flags.Arg(1))
	if err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	var proofs []actor.Proof
	for _, path := range flags.Args()[2:] {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read proof: %w", err)
		}
		var p actor.Proof
		if err := wire.Unmarshal(data, &p); err != nil {
			return fmt.Errorf("%s: no proof", filepath.Base(path))
		}
		proofs = append(proofs, p)
	}
	next := actor.MarshalSet(append(log, actor.Signed(event, proofs...)))
	if _, err := actor.ParseSet(next); err != nil {
		return fmt.Errorf("keeper set: the change does not hold: %w", err)
	}
	if bytes.Equal(next, file) {
		return errors.New("keeper set: nothing changed")
	}
	_, err = stdout.Write(next)
	return err
}
