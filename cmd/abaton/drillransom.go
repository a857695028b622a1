package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/local"
)

// ransomware overwrites all files of two keepers while they run. Care goes on
// with the three others; the two come back as new keepers and are repaired.
func ransomware(ctx context.Context, g *ground) (loss, error) {
	l, began := unseen(), time.Now()
	const a, b abaton.KeeperIndex = 1, 2
	paper := filepath.Join(g.dir, "paper") // b's keys, as its operator keeps them off the machine
	if err := os.MkdirAll(paper, 0o700); err != nil {
		return l, err
	}
	if err := copyFile(filepath.Join(paper, "identity.key"), filepath.Join(g.n.KeeperDir(b), "identity.key")); err != nil {
		return l, err
	}
	held, err := g.sums(ctx)
	if err != nil {
		return l, err
	}
	hostile := time.Now()
	if err := errors.Join(overwrite(g.n.KeeperDir(a)), overwrite(g.n.KeeperDir(b))); err != nil {
		return l, err
	}
	for _, x := range []abaton.KeeperIndex{a, b} { // what it held in memory goes with the power
		if err := errors.Join(g.run.KillKeeper(x), g.refusesToStart(ctx, x)); err != nil {
			return l, err
		}
	}
	l.seen = time.Since(hostile)
	l.stopped = l.seen
	during, err := g.sums(ctx)
	if err == nil {
		err = sameSums("with two keepers encrypted", during, held)
	}
	if err != nil {
		return l, err
	}
	cared := time.Since(hostile)
	if err := errors.Join(os.RemoveAll(g.n.KeeperDir(a)), os.RemoveAll(g.n.KeeperDir(b)), local.CopyFolder(g.n.KeeperDir(b), paper)); err != nil {
		return l, err
	}
	if err := g.comeBack(ctx, a, b); err != nil {
		return l, err
	}
	// Two that lost nothing go: what the new ones hold is needed now.
	if err := errors.Join(g.run.KillKeeper(4), g.run.KillKeeper(5)); err != nil {
		return l, err
	}
	after, err := g.sums(ctx)
	if err == nil {
		err = sameSums("with the repaired ones", after, held)
	}
	if err = errors.Join(err, g.whole(ctx)); err != nil {
		return l, err
	}
	l.detail = fmt.Sprintf("all %d records opened at once with three keepers (%.1f s after the attack) and byte for byte after both were repaired (%.1f s); "+
		"new records need four keepers and wait for that long, which is not tried here", len(held), cared.Seconds(), time.Since(hostile).Seconds())
	l.exact = true // nobody opened anything: checked before the ledgers were lost
	if a, err := g.since(ctx, began, g.anybody); err != nil || len(a.opened) > 0 {
		l.exact = false
		return l, errors.Join(fmt.Errorf("%d records are listed as opened", len(a.opened)), err)
	}
	return l, nil
}

// overwrite puts random bytes over every file of a folder, in place, as
// ransomware does: whoever has a file open sees it too.
func overwrite(dir string) error {
	return filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		f, err := os.OpenFile(at, os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the keeper dropped it meanwhile
		}
		if err != nil {
			return err
		}
		b := make([]byte, max(info.Size(), 64))
		rand.Read(b)
		_, err = f.WriteAt(b, 0)
		return errors.Join(err, f.Close())
	})
}

// refusesToStart starts a keeper whose files are gone: it must end, and answer
// nothing before that.
func (g *ground) refusesToStart(ctx context.Context, x abaton.KeeperIndex) error {
	if err := g.run.LaunchKeeper(x, local.Build{}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, signMax)
	defer cancel()
	for g.run.Running(x) {
		if s, err := g.stateOfKeeper(ctx, x); err == nil && s.Mode == "serving" {
			return fmt.Errorf("keeper %d serves from overwritten files", x)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("keeper %d neither ends nor serves: %w", x, err)
		}
	}
	return nil
}

// comeBack puts new keepers in the place of two and has them repaired.
func (g *ground) comeBack(ctx context.Context, a, b abaton.KeeperIndex) error {
	if err := g.run.ReplaceKeepers(ctx, a, b); err != nil {
		return err
	}
	if err := g.redial(); err != nil {
		return err
	}
	for _, x := range []abaton.KeeperIndex{a, b} {
		told, err := g.run.RepairKeeper(ctx, x)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSpace(string(bytes.TrimSpace(told))), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, " 0 missing") {
			return fmt.Errorf("repair of keeper %d: %s", x, last)
		}
	}
	return nil
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// sums are sums of all records of all patients, each read by the patient's own
// device.
func (g *ground) sums(ctx context.Context) (map[abaton.RecordName][32]byte, error) {
	all := make(map[abaton.RecordName][32]byte)
	for _, p := range g.patients {
		c, err := g.ownChart(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Handle, err)
		}
		for i := range c.Records {
			all[c.Records[i].Name] = sha256.Sum256(c.Records[i].Content)
		}
	}
	return all, nil
}

func sameSums(when string, got, want map[abaton.RecordName][32]byte) error {
	if !maps.Equal(got, want) || len(want) == 0 {
		return fmt.Errorf("%s the records are not as they were: %d read, %d before", when, len(got), len(want))
	}
	return nil
}

// redial reaches the keepers by the newest set.
func (g *ground) redial() (err error) {
	g.org.hangUp()
	g.hangUp()
	g.hangUp = func() {}
	if g.org, err = newDevice(g.n, g.org.Person); err != nil {
		return err
	}
	g.ledgers, g.hangUp, err = setSources(g.n.Set())
	return err
}
